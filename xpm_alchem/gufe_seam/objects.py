"""gufe's objects as JSON, written and read.

Every object is written as a *keyed chain* (gufe's JSON since 1.1): a list of ``[key, dict]`` in which a dict names
earlier entries by ``{":gufe-key:": key}``. The older form, nested dicts, is read too.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from pathlib import Path, PosixPath, PurePath
from typing import Any

import attrs

from xpm_alchem.base.errors import FormatError, XpmAlchemError
from xpm_alchem.base.files import read_bytes, replace_file
from xpm_alchem.base.quiet import quiet
from xpm_alchem.base.values import text
from xpm_alchem.gufe_seam.files_of_gufe_0_4 import read as read_of_gufe_0_4
from xpm_alchem.gufe_seam.installed import GUFE_VERSION, IS_GUFE_0_4, JSON_HANDLER, GufeKey, GufeTokenizable
from xpm_alchem.gufe_seam.json_text import PIECE, JsonText, LongString, Part
from xpm_alchem.gufe_seam.keyed_chain import Chain, Document, NewerVersionError, document, flatten

CheckModule = Callable[[str], None]
Relocate = Callable[[Path], Path]


def encoded(obj: Any, known: Container[str] = ()) -> tuple[dict[str, list[Part]], set[str]]:
    """Return the keyed chain of a gufe object, dependencies first, and what it refers to beside.

    gufe's own ``to_keyed_dict`` visits every number of a result twice; here JSON's encoder meets the objects itself.

    Parameters
    ----------
    known
        Keys of objects that are left out, with all that they are made of.

    Returns
    -------
    tuple
        The parts of the JSON of every entry by its key, and the keys of `known` that are referred to.
    """
    chain: dict[str, list[Part]] = {}
    named: set[str] = set()
    begun = [_Entry(obj)]
    while begun:
        entry = begun[-1]
        for child in entry.children:
            key = str(child.key)
            if key in known:
                named.add(key)
            elif key not in chain:
                begun.append(_Entry(child))
                break
        else:
            chain[entry.key] = [f"[{json.dumps(entry.key)}, ", *entry.parts, "]"]
            begun.pop()
    return chain, named


class _Entry:
    """A gufe object as JSON that refers to others, and those others, each to be dealt with once."""

    def __init__(self, obj: Any) -> None:
        encoder = _Encoder(sort_keys=True)
        self.key, self.parts = str(obj.key), encoder.parts(obj.to_shallow_dict())
        self.children = iter(encoder.met)


class _Encoder(JSON_HANDLER.encoder):  # type: ignore[name-defined,misc]
    """Writes a reference where it meets a gufe object, and keeps the long strings that stand for arrays apart."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.met: list[Any] = []
        self._long: dict[str, LongString] = {}  # by the mark in its place

    def default(self, obj: Any) -> Any:
        """Return what stands for an object that JSON does not know."""
        if isinstance(obj, GufeTokenizable):
            self.met.append(obj)
            return {":gufe-key:": str(obj.key)}
        found = super().default(obj)
        if isinstance(found, dict):
            return {key: self._marked(value) if type(value) is str else value for key, value in found.items()}
        return found

    def parts(self, obj: Any) -> list[Part]:
        """Return the JSON of an object in parts: `encode` would put its long strings into one text, and copy that."""
        text: str = self.encode(obj)
        if not self._long:
            return [text]
        between = re.split(f'"({"|".join(self._long)})"', text)
        return [self._long.get(part, part) for part in between]

    def _marked(self, value: str) -> str:
        if len(value) < PIECE:
            return value
        mark = uuid.uuid4().hex
        self._long[mark] = LongString(value)
        return mark


def save(obj: Any, path: Path, *, exclusive: bool = False) -> None:
    """Write a gufe object as keyed-chain JSON, atomically; FileExistsError if `exclusive` and the file exists."""
    replace_file(path, _text(obj), exclusive=exclusive)


def to_text(obj: Any) -> str:
    """Return what `save` writes; `parse` and `decode` read it."""
    return str(_text(obj))


def _text(obj: Any) -> JsonText:
    return JsonText("[", encoded(obj)[0].values(), "]")


@contextmanager
def reading(path: Path) -> Iterator[Callable[[CheckModule, Relocate | None], tuple[Document, int]]]:
    """Read a file of gufe's; what fails with it in the block is told in one sentence.

    Yields
    ------
    callable
        Returns the file's content, with gufe's own value types decoded, and its size in bytes; takes what `load` takes.

    Raises
    ------
    FileNotFoundError, FormatError, WorkspaceError, XpmAlchemError
        See `load`.
    """
    content = read_bytes(path)
    try:
        yield lambda check_module, relocate: (_document(content.decode(), check_module, relocate), len(content))
    except XpmAlchemError:
        raise
    except NewerVersionError as error:
        raise FormatError(
            path,
            f"written by a newer xpm-alchem (format {error}). Upgrade xpm-alchem; nothing was changed.",
            newer=True,
        ) from None
    except Exception as error:  # whatever gufe and its protocols raise when they decode what is not what they wrote
        said = f"{type(error).__name__}: {' '.join(text(str(error)).split())[:200]}"
        if isinstance(error, UnicodeDecodeError | json.JSONDecodeError):
            raise FormatError(path, f"damaged: not valid JSON ({said}).", broken=True) from None
        raise FormatError(path, f"damaged, or gufe {GUFE_VERSION} cannot read it ({said}).") from error


def _document(content: str, check_module: CheckModule, relocate: Relocate | None) -> Document:
    found = document(_with_values(content, check_module))
    return found if relocate is None else attrs.evolve(found, chain=_relocated(found.chain, relocate))


def _relocated(value: Any, relocate: Relocate) -> Any:
    if isinstance(value, PurePath):
        return relocate(Path(value))
    if isinstance(value, dict):
        return {key: _relocated(item, relocate) for key, item in value.items()}
    if isinstance(value, list):
        return [_relocated(item, relocate) for item in value]
    return value


_TALKATIVE = ("pymbar", "gufekey", "openfe", "openff")  # loggers, with all below them


def parse(content: str, check_module: CheckModule | None) -> list[list[Any]]:
    """Return the keyed chain in `content`, with gufe's own value types (paths, arrays, settings) decoded.

    Raises
    ------
    ValueError
        It is not JSON, or not a gufe object.
    """
    return flatten(_with_values(content, check_module))


def _with_values(content: str, check_module: CheckModule | None) -> Any:
    class Checked(JSON_HANDLER.decoder):  # type: ignore[name-defined,misc]
        def object_hook(self, dct: dict[str, Any]) -> Any:
            if check_module is not None and isinstance(dct.get("__module__"), str):
                check_module(dct["__module__"])
            return super().object_hook(_path_of_this_python(dct) if ":is_custom:" in dct else dct)

    with quiet(*_TALKATIVE):  # protocols' modules are imported here
        return json.loads(content, cls=Checked)


_PATHS = ("Path", "PosixPath")


def _path_of_this_python(content: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON of a path as this gufe on this Python has it: the names of class and module differ by version.

    gufe 0.4 writes Path, later ones PosixPath; the module is pathlib, on Python 3.13 pathlib._local.
    """
    if content.get("__class__") not in _PATHS or str(content.get("__module__")).split(".")[0] != "pathlib":
        return content
    return {**content, "__class__": _PATHS[not IS_GUFE_0_4], "__module__": PosixPath.__module__}


def decode(chain: Chain) -> Any:
    """Return the last object of a keyed chain."""
    objects = decode_all(chain)
    return objects[chain[-1][0]]


def decode_all(chain: Chain, objects: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return every object of a keyed chain under the key it has *in the chain*.

    gufe's keys change between versions, so an object's own ``key`` may differ from the one it is filed under.

    Parameters
    ----------
    objects
        Those of other chains that this one refers to; they gain those of this one.
    """
    objects = {} if objects is None else objects

    def resolve(value: Any) -> Any:
        if isinstance(value, dict):
            if ":gufe-key:" in value:
                return objects[value[":gufe-key:"]]
            return {key: resolve(item) for key, item in value.items()}
        if isinstance(value, list):
            return [resolve(item) for item in value]
        return value

    with quiet(*_TALKATIVE):  # molecules announce themselves each time they are read
        for key, content in chain:
            if key in objects:
                continue
            if IS_GUFE_0_4:
                content = _for_gufe_0_4(content)
            elif ":version:" not in content:
                objects[key] = read_of_gufe_0_4(resolve(content))
                continue
            objects[key] = GufeTokenizable.from_shallow_dict(resolve(content))
    return objects


# --- gufe 0.4 only
_KEYS = ("_key", "source_key")


def _for_gufe_0_4(content: dict[str, Any]) -> dict[str, Any]:
    """0.4 knows no ``:version:`` and wants its keys as GufeKey."""
    return {
        key: GufeKey(value) if key in _KEYS and isinstance(value, str) else value
        for key, value in content.items()
        if key != ":version:"
    }


# --- end of gufe 0.4 only
