"""index.json: a network's index as a record, checked when it is read back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from xpm_alchem.base.errors import FormatError
from xpm_alchem.base.files import read_record, write_record
from xpm_alchem.base.permissions import ANYBODY
from xpm_alchem.base.values import text
from xpm_alchem.network.index import Edge, Index, Leg, TransformationRecord

INDEX, INDEX_VERSION = "xpm-alchem network index", 1


def write_index(path: Path, index: Index, *, permissions: int = ANYBODY) -> None:
    """Write an index, whole or not at all."""
    write_record(path, INDEX, INDEX_VERSION, attrs.asdict(index), permissions=permissions)


def read_index(path: Path) -> Index:
    """Read an index.

    Raises
    ------
    FileNotFoundError
        There is none.
    FormatError
        It is damaged, or was written by a newer version.
    WorkspaceError
        It cannot be read (now, or by this user).
    """
    record = read_record(path, INDEX, INDEX_VERSION)
    try:
        index = _index_from(record)
        _check(index)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FormatError(path, f"damaged ({type(error).__name__}: {error}). Restore it from a backup.") from None
    return index


def _index_from(record: Mapping[str, Any]) -> Index:
    def edges(items: Iterable[Mapping[str, Any]]) -> Iterator[Edge]:
        for item in items:
            yield Edge(item["ligand_a"], item["ligand_b"], tuple(Leg(**leg) for leg in item["legs"]))

    return Index(
        name=record["name"],
        transformations=tuple(TransformationRecord(**item) for item in record["transformations"]),
        components=tuple(tuple(part) for part in record["components"]),
        edges=tuple(edges(record["edges"])),
        unpaired=dict(record["unpaired"]),
        modules=tuple(record["modules"]),
    )


def _check(index: Index) -> None:
    """Raise TypeError or ValueError for an index that was not written so."""
    known = index.by_id
    legs = [leg for edge in index.edges for leg in edge.legs]
    texts: list[Any] = [index.name, *index.modules, *index.unpaired.values()]
    texts += [value for item in index.transformations for value in attrs.astuple(item)]
    texts += [value for edge in index.edges for value in (edge.ligand_a, edge.ligand_b)]
    texts += [leg.environment for leg in legs]
    for value in texts:
        if not isinstance(value, str) or text(value) != value:
            raise TypeError(f"{value!r:.60} is no text")
    if len(known) != len(index.transformations) or len({item.name for item in known.values()}) != len(known):
        raise ValueError("a transformation is there twice")
    if sorted(item for part in index.components for item in part) != sorted(known):
        raise ValueError("the parts of the network are not its transformations")
    for item in (*index.unpaired, *(leg.transformation for leg in legs)):
        if item not in known:
            raise ValueError(f"there is no transformation {item!r:.60}")
    if not all(leg.sign in (1, -1) for leg in legs):
        raise ValueError("the sign of a leg")
