"""gufe's files of a task, looked at as plain JSON: nothing they name is imported, no gufe object is made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from xpm_alchem.gufe_seam.keyed_chain import flatten


class Unusable(Exception):
    """A file is missing, damaged or not what it should be; the message says which."""


def read(path: Path, kind: str) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Return the object that a file holds, and all objects it is made of by their keys.

    Parameters
    ----------
    kind
        The name of its class.

    Raises
    ------
    Unusable
        It does not hold that.
    """
    try:
        chain = flatten(json.loads(path.read_bytes()))
    except FileNotFoundError:
        raise Unusable("missing") from None
    except OSError as error:
        raise Unusable(f"cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise Unusable(f"damaged ({error})") from None
    content = chain[-1][1]
    if content.get("__qualname__") != kind:
        raise Unusable(f"holds a {content.get('__qualname__')} instead of a {kind}")
    return content, dict(chain)


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
    content, _ = read(path, "ProtocolUnitResult")
    if content.get("source_key") != unit:
        raise Unusable(f"holds the result of another unit, {content.get('source_key')}")


def check_result(path: Path) -> None:
    """Raise `Unusable` if a file does not hold a ProtocolDAGResult."""
    read(path, "ProtocolDAGResult")
