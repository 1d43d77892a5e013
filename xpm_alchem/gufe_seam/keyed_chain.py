"""gufe's JSON as plain Python data: no gufe is imported here, and nothing a file names is.

A *keyed chain* (gufe >= 1.1) is a list of ``[key, dict]``, dependencies first, in which a dict refers to an earlier
entry by ``{":gufe-key:": key}``. The older form is one object as nested dicts. Ours beside them, in which other files
hold a part of the chain, is told of in parts.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import attrs

from xpm_alchem.gufe_seam.json_text import JsonText, Part

Chain = Sequence[Sequence[Any]]
PARTS, PARTS_VERSION = "xpm-alchem gufe parts", 1


class NewerVersionError(ValueError):
    """A newer version of xpm-alchem has written it; the message is that version's number."""


@attrs.frozen
class Document:
    """A file of gufe's.

    Attributes
    ----------
    chain
        What it holds itself, what it is about last.
    parts
        The files that hold what it refers to beside, relative to `root`, which is relative to the file.
    is_chain
        Whether its keys are gufe's, and not made up for the older form.
    """

    chain: list[list[Any]]
    parts: tuple[str, ...] = ()
    root: str = "."
    is_chain: bool = True


def document(content: Any) -> Document:
    """Return the content of a file, in any of the forms.

    Raises
    ------
    NewerVersionError
        Of a form that is newer than this program.
    ValueError
        It is none of them.
    """
    if not isinstance(content, dict) or content.get("format") != PARTS:
        return Document(flatten(content), is_chain=isinstance(content, list))
    version, parts, root = (content.get(key) for key in ("format_version", "parts", "root"))
    if isinstance(version, int) and version > PARTS_VERSION:
        raise NewerVersionError(str(version))
    if version != PARTS_VERSION or root not in (".", "..") or not isinstance(parts, list):
        raise ValueError("parts of a chain, but not as they are written")
    if not all(isinstance(part, str) and _is_below(PurePosixPath(part)) for part in parts):
        raise ValueError("it names parts elsewhere")
    if not isinstance(content.get("chain"), list):
        raise ValueError("parts of a chain without a chain")
    return Document(flatten(content["chain"]), tuple(parts), root)


def _is_below(path: PurePosixPath) -> bool:
    return not path.is_absolute() and bool(path.parts) and ".." not in path.parts


def parts_text(root: str, parts: Sequence[str], chain: Mapping[str, Sequence[Part]]) -> JsonText:
    """Return the JSON of a file with parts; `chain`: the parts of its entries as JSON, by their keys."""
    head = {"format": PARTS, "format_version": PARTS_VERSION, "root": root, "parts": list(parts)}
    return JsonText(f'{json.dumps(head)[:-1]}, "chain": [', chain.values(), "]}\n")


def flatten(document: Any) -> list[list[Any]]:
    """Return a keyed chain from either form of gufe's JSON, keyed chain or nested dicts.

    Raises
    ------
    ValueError
        It is neither.
    """
    if isinstance(document, list):
        for entry in document:
            if not (isinstance(entry, list) and len(entry) == 2 and isinstance(entry[0], str)):
                raise ValueError("a list, but not a keyed chain of [key, object] pairs")
            if not is_object(entry[1]):
                raise ValueError(f"the object '{entry[0]}' does not name its class")
        if not document:
            raise ValueError("an empty list")
        return document
    if not is_object(document):
        raise ValueError("not a gufe object (no '__qualname__')")
    chain: dict[str, list[Any]] = {}
    known: dict[str, str] = {}

    def visit(value: Any) -> Any:
        if isinstance(value, dict):
            inner = {key: visit(item) for key, item in value.items()}
            if not is_object(value):
                return inner
            text = json.dumps(inner, sort_keys=True, default=repr)
            key = known.setdefault(text, str(inner.get("_key") or f"{inner['__qualname__']}-{len(known)}"))
            chain.setdefault(key, [key, inner])
            return {":gufe-key:": key}
        if isinstance(value, list):
            return [visit(item) for item in value]
        return value

    visit(document)
    return list(chain.values())


def is_object(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("__qualname__"), str) and "__module__" in value


def subchain(chain: Chain, key: str) -> list[list[Any]]:
    """Return the part of a chain that the object `key` is made of, `key` last."""
    entries = {entry[0]: entry for entry in chain}
    needed: dict[str, list[Any]] = {}

    def visit(name: str) -> None:
        if name not in needed:
            entry = entries[name]
            for child in keys_in(entry[1]):
                visit(child)
            needed.setdefault(name, list(entry))

    visit(key)
    return list(needed.values())


def keys_in(value: Any) -> Iterator[str]:
    """Yield the keys that a keyed dict refers to."""
    if isinstance(value, dict):
        if ":gufe-key:" in value:
            yield value[":gufe-key:"]
        else:
            for item in value.values():
                yield from keys_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from keys_in(item)


def modules_in(value: Any) -> set[str]:
    """Return the Python modules that a document names, wherever it names them."""
    found: set[str] = set()
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            if isinstance(item.get("__module__"), str):
                found.add(item["__module__"])
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
    return found
