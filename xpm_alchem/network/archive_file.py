"""A gufe AlchemicalArchive, as gufe (>= 1.8) and alchemiscale's ``get_network_archive`` give it. No gufe is needed.

Its JSON is read entry by entry: of an archive of hundreds of megabytes its text is in memory, and one object at a time.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from xpm_alchem.base.errors import FormatError, InputError, WorkspaceError
from xpm_alchem.base.files import read_bytes, replace_file
from xpm_alchem.base.permissions import permissions_of
from xpm_alchem.gufe_seam.json_text import JsonText
from xpm_alchem.gufe_seam.keyed_chain import is_object, keys_in, modules_in
from xpm_alchem.network.index import content_ids
from xpm_alchem.network.origin import Origin, origin_of

_GZIP = b"\x1f\x8b"
_SPACE = re.compile(r"[ \t\n\r]*")
_RESULT, _ARCHIVE = "ProtocolDAGResult", "AlchemicalArchive"


def looks_like_archive(path: Path) -> bool:
    """Return whether a file may be one: gufe's are a list of objects, or that packed by gzip."""
    try:
        if not path.is_file():
            return False
        with open(path, "rb") as content:
            begin = content.read(64).lstrip()
    except OSError:
        return False
    return begin.startswith((_GZIP, b"["))


@attrs.frozen
class ArchivedResult:
    """A ProtocolDAGResult in an archive.

    Attributes
    ----------
    key
        Under which the archive holds it.
    identity
        Tells the run apart, as `QuickrunFile.identity` does and alike: both are made of the keys of its units' results.
    units
        Keys of the units that were run.
    origins
        What the inputs of its units say that was run.
    of
        The key of the transformation that it says to be of; '' if it says none.
    begun
        When its first unit began, as ISO 8601; '' if it does not say.
    """

    key: str
    identity: str
    units: tuple[str, ...]
    origins: tuple[Origin, ...]
    of: str
    begun: str


@attrs.frozen
class ArchivedTransformation:
    """A transformation in an archive: its stable id, what it is made of, and the keys of its results."""

    key: str
    id: str
    name: str
    origin: Origin
    results: tuple[str, ...]


@attrs.frozen
class _Entry:
    """An object of the archive, without its content.

    Attributes
    ----------
    begin, end
        Where its JSON is in the text.
    refers_to
        Keys of other objects.
    source, begun
        Of a unit's result: the unit's key, and when it began.
    inputs
        What a unit was given, where that says which states it is about.
    """

    begin: int
    end: int
    qualname: str
    refers_to: tuple[str, ...]
    source: str
    begun: str
    inputs: Mapping[str, Any] | None


class ArchiveFile:
    """An archive that was read, and found to be whole.

    Attributes
    ----------
    path, sha256
        The file.
    modules
        The Python modules that it names.
    transformations
        Those that it has a list of results for, which may be empty.
    """

    def __init__(self, path: Path, content: bytes) -> None:
        self.path, self.sha256 = path, hashlib.sha256(content).hexdigest()
        self.modules: set[str] = set()
        self._text = _unpacked(content).decode()
        self._entries: dict[str, _Entry] = {}
        last = self._look_through()
        if (found := self._entries[last].qualname) != _ARCHIVE:
            raise InputError(f"{path}: holds the gufe class {found}, not an {_ARCHIVE} as gufe >= 1.8 writes it.")
        archive = self._content(last)
        results = dict(_pairs(archive))
        self._network: str = archive["network"][":gufe-key:"]
        chain = [[key, self._content(key)] for key in self._needed(results)]
        self._ids = content_ids(chain)
        contents: dict[str, dict[str, Any]] = dict(chain)  # type: ignore[arg-type]
        self.transformations = tuple(
            ArchivedTransformation(
                key,
                self._ids[key],
                str(contents[key].get("name") or ""),
                origin_of(contents[key], self._ids),
                of,
            )
            for key, of in results.items()
        )

    def result(self, key: str) -> ArchivedResult:
        """Return what the archive says of a ProtocolDAGResult."""
        content, needed = self._content(key), self._needed([key])
        made = sorted(set(keys_in(content.get("protocol_unit_results"))))
        identity = "\n".join(made) if made else json.dumps(content, sort_keys=True)
        inputs = (self._entries[one].inputs for one in needed)
        origins = {origin_of(one, self._ids) for one in inputs if one is not None}
        of = content.get("transformation_key")
        return ArchivedResult(
            key=key,
            identity=hashlib.sha256(identity.encode()).hexdigest(),
            units=tuple(sorted({self._entries[one].source for one in made} - {""})),
            origins=tuple(sorted(origins, key=repr)),
            of=of if isinstance(of, str) else "",
            begun=min((self._entries[one].begun for one in made), default=""),
        )

    @property
    def network(self) -> JsonText:
        """The JSON of the network, as gufe writes it."""
        return self.text_of(self._network)

    def text_of(self, key: str) -> JsonText:
        """Return the JSON of one object with all that it is made of, as gufe writes it."""
        entries = (self._entries[one] for one in self._needed([key]))
        return JsonText("[", ([self._text[entry.begin : entry.end]] for entry in entries), "]")

    def _look_through(self) -> str:
        """Note where every object is and what it refers to; return the key of the last one."""
        last = ""
        for begin, end, entry in _items(self._text):
            if not (isinstance(entry, list) and len(entry) == 2 and isinstance(entry[0], str) and is_object(entry[1])):
                raise ValueError("a list, but not of gufe's objects")
            last, content = entry
            refers_to = tuple(dict.fromkeys(keys_in(content)))
            missing = [key for key in refers_to if not isinstance(key, str) or key not in self._entries]
            if missing:
                raise ValueError(f"'{last}' refers to '{missing[0]}', which is not in the file before it")
            inputs = content.get("inputs")
            told = isinstance(inputs, dict) and "stateA" in inputs and "stateB" in inputs
            source, began = content.get("source_key"), content.get("start_time")
            self.modules |= modules_in(content)
            self._entries.setdefault(
                last,
                _Entry(
                    begin,
                    end,
                    content["__qualname__"],
                    refers_to,
                    source if isinstance(source, str) else "",
                    str(began.get("isotime", "")) if isinstance(began, dict) else "",
                    _references(inputs) if told else None,
                ),
            )
        if not last:
            raise ValueError("an empty list")
        return last

    def _content(self, key: str) -> dict[str, Any]:
        entry = self._entries[key]
        content: dict[str, Any] = json.loads(self._text[entry.begin : entry.end])[1]
        return content

    def _needed(self, keys: Iterable[str]) -> list[str]:
        """Return some objects and all that they are made of, in the order of the file: dependencies come first."""
        found: set[str] = set()
        waiting = list(keys)
        while waiting:
            if (key := waiting.pop()) not in found:
                found.add(key)
                waiting += self._entries[key].refers_to
        return sorted(found, key=lambda key: self._entries[key].begin)


def read_archive(path: Path) -> ArchiveFile:
    """Read an archive.

    Raises
    ------
    InputError
        It is not there, damaged, or something else.
    """
    try:
        return ArchiveFile(path, read_bytes(path))
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file.") from None
    except (FormatError, WorkspaceError) as error:
        raise InputError(str(error)) from None
    except InputError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, EOFError, OSError, zlib.error) as error:
        said = " ".join(str(error).split())[:200]
        raise InputError(
            f"{path}: not an {_ARCHIVE} as gufe writes it, probably cut short or damaged "
            f"({type(error).__name__}: {said}). Copy it again, or have it made again."
        ) from None


def unpack_network(path: Path, target: Path, *, force: bool = False) -> bool:
    """Write the network in an archive to a file; return whether the file is an archive at all.

    Raises
    ------
    InputError
        The target exists already, holds something else and is not to be overwritten; it cannot be written.
    """
    try:
        archive = read_archive(path) if looks_like_archive(path) else None
    except InputError:
        return False
    if archive is None:
        return False
    if target.exists() and not force and target.read_bytes() != str(archive.network).encode():
        raise InputError(f"{target}: exists already, and is where the network in {path} would be written.")
    try:
        replace_file(target, archive.network, permissions=permissions_of(path))
    except OSError as error:
        raise InputError(f"{target}: cannot be written ({error.strerror}).") from None
    return True


def _unpacked(content: bytes) -> bytes:
    return gzip.decompress(content) if content.startswith(_GZIP) else content


def _items(text: str) -> Iterator[tuple[int, int, Any]]:
    """Yield the items of a JSON list, and where each begins and ends."""
    decode = json.JSONDecoder().raw_decode
    at = _after_space(text, 0)
    if not text.startswith("[", at):
        raise json.JSONDecodeError("no list", "", 0)
    at = _after_space(text, at + 1)
    while not text.startswith("]", at):
        item, end = decode(text, at)
        yield at, end, item
        at = _after_space(text, end)
        if text.startswith(",", at):
            at = _after_space(text, at + 1)
        elif not text.startswith("]", at):
            raise ValueError(f"cut short, or no JSON, after {at} characters")
    if _after_space(text, at + 1) != len(text):
        raise ValueError("there is something behind the list")


def _after_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return at if match is None else match.end()


def _references(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the inputs of a unit say that is run, without what else they hold."""
    names = ("stateA", "stateB", "protocol", "mapping", "ligandmapping")
    return {name: inputs[name] for name in names if isinstance(inputs.get(name), dict) and ":gufe-key:" in inputs[name]}


def _pairs(content: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the keys of transformations, each with those of its results."""
    for transformation, results in content["transformation_results"]:
        yield transformation[":gufe-key:"], tuple(dict.fromkeys(result[":gufe-key:"] for result in results))
