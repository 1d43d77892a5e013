"""index.json: which network is in force, and its index; a record that is checked when it is read back.

Format 1 is of a campaign whose network never grew: the index alone. Format 2 has beside it which file the network is in
(network files are never changed; another one is put beside them), the transformations that are gone, and what a file
gave last.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import attrs

from xpm_alchem.base.errors import FormatError, NetworkError
from xpm_alchem.base.files import read_record, write_record
from xpm_alchem.base.permissions import ANYBODY
from xpm_alchem.base.values import is_count, text
from xpm_alchem.network.index import Edge, Index, Leg, TransformationRecord, index_of, told_apart

INDEX, INDEX_VERSION, NEVER_GREW = "xpm-alchem network index", 2, 1
FIRST_NETWORK, NETWORKS = "network.json", "networks"


@attrs.frozen
class GoneTransformation:
    """A transformation that was in the network once.

    Attributes
    ----------
    file
        The network file that still holds it, relative to the campaign.
    """

    record: TransformationRecord
    file: str


@attrs.frozen
class NetworkInForce:
    """Which network a campaign computes, and what it computed before.

    Attributes
    ----------
    index
        The network's.
    number
        1 for the network that the campaign was made with; every change of the network counts on.
    file
        Where it is, relative to the campaign.
    gone
        By stable id: what was in it once.
    given
        Stable ids of what a file gave last; commands do not change it.
    """

    index: Index
    number: int = 1
    file: str = FIRST_NETWORK
    gone: Mapping[str, GoneTransformation] = attrs.field(factory=dict)
    given: frozenset[str] = attrs.field()

    @given.default
    def _same(self) -> frozenset[str]:
        return frozenset(self.index.by_id)

    @cached_property
    def known(self) -> frozenset[str]:
        """Stable ids of all there are and were."""
        return frozenset(self.index.by_id) | self.gone.keys()

    @cached_property
    def names(self) -> dict[str, str]:
        """The names of all there are and were, by stable id; 'NAME (gone 12ab34)' where the name is used again."""
        names = {record.id: record.name for record in self.index.transformations}
        used = set(names.values())
        apart = told_apart({stable_id: one.record.name for stable_id, one in self.gone.items()})
        for stable_id, name in apart.items():
            own = self.gone[stable_id].record.name
            names[stable_id] = own if name == own and own not in used else f"{own} (gone {_short(stable_id, apart)})"
        return names

    @cached_property
    def gone_index(self) -> Index:
        """The index of what is gone, as if it were a network of its own; the names are those of `names`."""
        return index_of(
            [attrs.evolve(one.record, name=self.names[stable_id]) for stable_id, one in self.gone.items()],
            self.index.name,
            self.index.modules,
        )

    def find(self, text: str) -> TransformationRecord:
        """Return the transformation with this name, id, or beginning of an id; of those that are gone as well.

        Raises
        ------
        NetworkError
            There is none, or more than one.
        """
        try:
            return self.index.find(text)
        except NetworkError:
            if not self.gone:
                raise
            gone = self.gone_index
            if text not in gone.names and not any(text and stable_id.startswith(text) for stable_id in gone.by_id):
                raise
            return gone.find(text)


def _short(stable_id: str, ids: Iterable[str]) -> str:
    length = 6
    while sum(other.startswith(stable_id[:length]) for other in ids) > 1:
        length += 1
    return stable_id[:length]


def write_index(path: Path, index: Index, *, permissions: int = ANYBODY) -> None:
    """Write the index of a network that never grew, whole or not at all."""
    write_record(path, INDEX, NEVER_GREW, attrs.asdict(index), permissions=permissions)


def write_network_in_force(path: Path, network: NetworkInForce, *, permissions: int = ANYBODY) -> None:
    """Put another network in force, whole or not at all: its file is there already."""
    more = {
        "number": network.number,
        "file": network.file,
        "given": sorted(network.given),
        "gone": [{"file": one.file, "transformation": attrs.asdict(one.record)} for one in network.gone.values()],
    }
    write_record(path, INDEX, INDEX_VERSION, attrs.asdict(network.index) | more, permissions=permissions)


def read_network_in_force(path: Path) -> NetworkInForce:
    """Read which network is in force.

    Raises
    ------
    FileNotFoundError
        There is no index.
    FormatError
        It is damaged, or was written by a newer version.
    WorkspaceError
        It cannot be read (now, or by this user).
    """
    record = read_record(path, INDEX, INDEX_VERSION, oldest=NEVER_GREW)
    try:
        index = _index_from(record)
        _check(index)
        if record["format_version"] == NEVER_GREW:
            return NetworkInForce(index)
        network = NetworkInForce(
            index,
            number=record["number"],
            file=record["file"],
            gone={
                one["transformation"]["id"]: GoneTransformation(
                    TransformationRecord(**one["transformation"]), one["file"]
                )
                for one in record["gone"]
            },
            given=frozenset(record["given"]),
        )
        _check_growth(network)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FormatError(path, f"damaged ({type(error).__name__}: {error}). Restore it from a backup.") from None
    return network


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
    _check_texts(texts)
    if len(known) != len(index.transformations) or len({item.name for item in known.values()}) != len(known):
        raise ValueError("a transformation is there twice")
    if sorted(item for part in index.components for item in part) != sorted(known):
        raise ValueError("the parts of the network are not its transformations")
    for item in (*index.unpaired, *(leg.transformation for leg in legs)):
        if item not in known:
            raise ValueError(f"there is no transformation {item!r:.60}")
    if not all(leg.sign in (1, -1) for leg in legs):
        raise ValueError("the sign of a leg")


def _check_growth(network: NetworkInForce) -> None:
    """Raise TypeError or ValueError for what was not written so beside the index."""
    if not is_count(network.number, 10**9) or network.number < 2:
        raise ValueError(f"the network's number {network.number!r:.60}")
    _check_texts([*network.given, *(value for one in network.gone.values() for value in attrs.astuple(one.record))])
    for file in (network.file, *(one.file for one in network.gone.values())):
        _check_texts([file])
        place = PurePosixPath(file)
        if file != FIRST_NETWORK and (len(place.parts) != 2 or place.parts[0] != NETWORKS or place.suffix != ".json"):
            raise ValueError(f"no network file {file!r:.60}")
    if both := network.gone.keys() & network.index.by_id.keys():
        raise ValueError(f"a transformation is there and gone: {sorted(both)[0]!r:.60}")


def _check_texts(values: Iterable[Any]) -> None:
    for value in values:
        if not isinstance(value, str) or text(value) != value:
            raise TypeError(f"{value!r:.60} is no text")
