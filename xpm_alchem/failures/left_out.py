"""What does not count: transformations that failed in all their repeats (and which ligands the network still joins
without them), and repeats whose numbers are no free energies. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import attrs
import networkx

from xpm_alchem.campaign.task_state import TaskState, TaskStatus
from xpm_alchem.network.index import Index, told_apart


@attrs.frozen
class LeftOut:
    """A transformation that cannot be computed.

    Attributes
    ----------
    transformation, name
        Its stable id, and its name.
    cut_off
        Names of the ligands (or chemical systems, where legs are not paired) that no result joins to the others
        without it; empty if it is redundant.
    """

    transformation: str
    name: str
    cut_off: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """What is to be said to a user."""
        failed = f"{self.name} failed in all its repeats"
        if not self.cut_off:
            return f"{failed} and is left out: it is redundant, other transformations join the same ligands"
        return f"{failed}: without it {_list(self.cut_off)} would be cut off from the others"


@attrs.frozen
class LeftOutRepeat:
    """A complete repeat that counts in nothing.

    Attributes
    ----------
    task, name
        Its id, and its name.
    why
        As `base.energies.believed` says.
    """

    task: str
    name: str
    why: str

    @property
    def sentence(self) -> str:
        """What is to be said to a user."""
        return f"{self.name} is {self.why}"


def repeats_left_out(index: Index, tasks: Mapping[str, Iterable[TaskState]]) -> tuple[LeftOutRepeat, ...]:
    """Return the repeats that count in nothing; `tasks` by transformation."""
    return tuple(
        LeftOutRepeat(task.task, f"{record.name}:{task.repeat}", task.left_out)
        for record in index.transformations
        for task in sorted(tasks.get(record.id, ()), key=lambda task: task.repeat)
        if task.status is TaskStatus.COMPLETE and task.left_out
    )


def left_out(index: Index, tasks: Mapping[str, Iterable[TaskState]]) -> tuple[LeftOut, ...]:
    """Return the transformations that failed in all their repeats.

    Parameters
    ----------
    tasks
        By transformation.
    """
    failed = {record.id for record in index.transformations if _failed(tasks.get(record.id, ()))}
    if not failed:
        return ()
    rest: networkx.Graph[str] = networkx.Graph()
    joined: dict[str, tuple[str, str]] = {}  # the ends of the edge that a failed transformation belongs to
    for a, b, legs in _edges(index):
        rest.add_nodes_from((a, b))
        if failed.isdisjoint(legs):
            rest.add_edge(a, b)
        joined |= {leg: (a, b) for leg in legs if leg in failed}
    names = _node_names(index)
    found = []
    for record in index.transformations:
        if record.id in joined:
            lost = _cut_off(rest, *joined[record.id])
            found.append(LeftOut(record.id, record.name, tuple(sorted(names[node] for node in lost))))
        elif record.id in failed:
            found.append(LeftOut(record.id, record.name))
    return tuple(found)


def _failed(tasks: Iterable[TaskState]) -> bool:
    existing = [task for task in tasks if task.exists]
    return bool(existing) and all(task.status is TaskStatus.ERROR for task in existing)


def _edges(index: Index) -> Iterator[tuple[str, str, frozenset[str]]]:
    """Yield the edges: their ends, and the transformations that they are made of."""
    paired: set[str] = set()
    for edge in index.edges:
        legs = frozenset(leg.transformation for leg in edge.legs)
        first = index.by_id[edge.legs[0].transformation]
        paired |= legs
        yield str(first.ligand_a_id), str(first.ligand_b_id), legs
    for record in index.transformations:
        if record.id not in paired and record.system_a_id != record.system_b_id:
            yield record.system_a_id, record.system_b_id, frozenset([record.id])


def _cut_off(graph: networkx.Graph[str], a: str, b: str) -> set[str]:
    """Return the nodes around a and b that are not in the largest part, if these two are not joined any more."""
    part_a, part_b = (networkx.node_connected_component(graph, node) for node in (a, b))
    if b in part_a:
        return set()
    largest = max(len(part) for part in networkx.connected_components(graph))
    parts = sorted((part_a, part_b), key=lambda part: (len(part), sorted(part)))
    return parts[0] if len(parts[1]) == largest else parts[0] | parts[1]


def _node_names(index: Index) -> dict[str, str]:
    names: dict[str, str] = {}
    for record in index.transformations:
        names |= {record.system_a_id: record.system_a, record.system_b_id: record.system_b}
        for node, name in ((record.ligand_a_id, record.ligand_a), (record.ligand_b_id, record.ligand_b)):
            if node is not None:
                names[node] = name or node
    return told_apart(names)


def _list(names: tuple[str, ...]) -> str:
    most = 6
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
