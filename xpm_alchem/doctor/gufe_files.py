"""gufe's files of a task, looked at as plain JSON: nothing they name is imported, no gufe object is made."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xpm_alchem.base.values import short
from xpm_alchem.gufe_seam.keyed_chain import NewerVersionError, document, keys_in


class Unusable(Exception):
    """A file is missing, damaged or not what it should be; the message says which."""


def read(path: Path, kind: str) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Return the object that a file holds, and all objects it is made of by their keys, its parts' among them.

    Parameters
    ----------
    kind
        The name of its class.

    Raises
    ------
    Unusable
        It does not hold that.
    """
    objects: dict[str, dict[str, Any]] = {}
    content = _read(path, objects, {path})
    if content.get("__qualname__") != kind:
        raise Unusable(f"holds a {content.get('__qualname__')} instead of a {kind}")
    return content, objects


def _read(path: Path, objects: dict[str, dict[str, Any]], read: set[Path]) -> dict[str, Any]:
    """Return the object that a file holds; add all that it and its parts hold to `objects`."""
    try:
        found = document(json.loads(path.read_bytes()))
    except FileNotFoundError:
        raise Unusable("missing") from None
    except OSError as error:
        raise Unusable(f"cannot be read ({error.strerror})") from None
    except NewerVersionError as error:
        raise Unusable(f"written by a newer xpm-alchem (format {error})") from None
    except (ValueError, RecursionError) as error:
        raise Unusable(f"damaged ({error})") from None
    for part in (Path(os.path.normpath(path.parent / found.root / name)) for name in found.parts):
        if part not in read:
            read.add(part)
            try:
                _read(part, objects, read)
            except Unusable as error:
                raise Unusable(f"its part {part.name} is unusable: {error}") from None
    objects.update(found.chain)  # type: ignore[arg-type]
    content: dict[str, Any] = found.chain[-1][1]
    return content


def units_of(dag: Path) -> tuple[str, ...]:
    """Return the keys of a ProtocolDAG's units.

    Raises
    ------
    Unusable
        The file is missing or damaged.
    """
    content, objects = read(dag, "ProtocolDAG")
    try:
        keys = [unit[":gufe-key:"] for unit in content["protocol_units"]]
        return tuple(str(objects[key].get("_key", key)) for key in keys)
    except (KeyError, TypeError, AttributeError) as error:
        raise Unusable(f"damaged ({type(error).__name__}: {error})") from None


def check_unit_result(path: Path, unit: str) -> None:
    """Raise `Unusable` if a file does not hold the result of a unit."""
    content, objects = read(path, "ProtocolUnitResult")
    if content.get("source_key") != unit:
        raise Unusable(f"holds the result of another unit, {content.get('source_key')}")
    _check_references(objects)


def check_result(path: Path) -> None:
    """Raise `Unusable` if a file does not hold a ProtocolDAGResult."""
    _check_references(read(path, "ProtocolDAGResult")[1])


def _check_references(objects: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise `Unusable` if objects refer to one that is not there."""
    for content in objects.values():
        for key in keys_in(content):
            if key not in objects:
                raise Unusable(f"damaged (refers to {short(key)}, which is nowhere)")
