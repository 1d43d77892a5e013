"""The edges of a gufe network as what is wanted of them: differences between ligands, each made of one or two legs."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from xpm_alchem.estimation.covariance import Topology
from xpm_alchem.network.index import TransformationRecord, change_between, pair_legs


@attrs.frozen(eq=False)
class NetworkLegs:
    """A network with its legs paired.

    Attributes
    ----------
    keys
        gufe key of every leg's transformation, sorted, length M.
    names
        Of the transformations.
    signs
        +1 or -1: how a leg's free energy counts in its edge, shape (M,).
    edges
        Which edge a leg belongs to, shape (M,).
    groups
        Legs whose repeats scatter alike (the same protocol and environment) have the same number, shape (M,).
    environments
        'vacuum', 'solvent' or 'complex' of each leg.
    topology
        The edges between nodes: ligands where two legs were paired, chemical systems where a leg stands alone.
    node_names
        Of the nodes.
    apart
        Keys of transformations that say nothing about differences (NonTransformations).
    """

    keys: tuple[str, ...]
    names: tuple[str, ...]
    signs: NDArray[np.float64]
    edges: NDArray[np.int64]
    groups: NDArray[np.int64]
    environments: tuple[str, ...]
    topology: Topology
    node_names: tuple[str, ...]
    apart: tuple[str, ...]

    def edge_name(self, edge: int) -> str:
        """Return the edge as 'tail -> head'."""
        return f"{self.node_names[self.topology.tails[edge]]} -> {self.node_names[self.topology.heads[edge]]}"


def network_legs(network: Any) -> NetworkLegs:
    """Pair the legs of a gufe AlchemicalNetwork: the same two ligands in two environments.

    Of three environments (vacuum, solvent, complex) the last two are paired. A leg that cannot be paired without
    guessing is an edge of its own.
    """
    transformations = {str(t.key): t for t in sorted(network.edges, key=lambda t: str(t.key))}
    records = {key: _record(key, t) for key, t in transformations.items() if not _is_apart(t)}
    ends: list[tuple[Any, Any]] = []  # (tail, head) of every edge
    placed: dict[str, tuple[int, float]] = {}  # key: edge, sign
    for edge in pair_legs(records.values())[0]:
        if len(edge.legs) < 2:  # it computes the whole ddG: an edge of its own
            continue
        early, late = edge.legs[-2:]
        first = records[late.transformation]
        place = tuple(records[leg.transformation].environment_id for leg in (early, late))
        ligands = (first.ligand_a_id, first.ligand_b_id)[:: late.sign]
        ends.append(((ligands[0], *place), (ligands[1], *place)))
        placed[early.transformation] = (len(ends) - 1, -float(early.sign))
        placed[late.transformation] = (len(ends) - 1, float(late.sign))
    for key in records.keys() - placed.keys():
        ends.append((records[key].system_a_id, records[key].system_b_id))
        placed[key] = (len(ends) - 1, 1.0)
    order = list(dict.fromkeys(placed[key][0] for key in sorted(placed)))  # the same whatever the order of the network
    place_of = {edge: number for number, edge in enumerate(order)}
    nodes = {node: number for number, node in enumerate(sorted({end for pair in ends for end in pair}, key=repr))}
    names = _node_names(records, transformations)
    keys = tuple(sorted(placed))
    kinds = [(records[key].protocol, records[key].environment) for key in keys]
    numbers = {kind: number for number, kind in enumerate(sorted(set(kinds)))}
    return NetworkLegs(
        keys=keys,
        names=tuple(str(transformations[key].name or key) for key in keys),
        signs=np.array([placed[key][1] for key in keys], dtype=float),
        edges=np.array([place_of[placed[key][0]] for key in keys], dtype=np.int64),
        groups=np.array([numbers[kind] for kind in kinds], dtype=np.int64),
        environments=tuple(records[key].environment for key in keys),
        topology=Topology(
            len(nodes),
            np.array([nodes[ends[edge][1]] for edge in order], dtype=np.int64),
            np.array([nodes[ends[edge][0]] for edge in order], dtype=np.int64),
        ),
        node_names=tuple(names[node[0] if isinstance(node, tuple) else node] for node in nodes),
        apart=tuple(key for key in transformations if key not in records),
    )


def _is_apart(transformation: Any) -> bool:
    return bool(transformation.stateA.key == transformation.stateB.key)


def _record(key: str, transformation: Any) -> TransformationRecord:
    states = [transformation.stateA, transformation.stateB]
    parts = [{str(c.key): type(c).__name__ for c in state.components.values()} for state in states]
    change = change_between(*parts)
    return TransformationRecord(
        id=key,
        key=key,
        name=str(transformation.name or ""),
        kind=change.kind,
        system_a=str(states[0].name or states[0].key),
        system_b=str(states[1].name or states[1].key),
        system_a_id=str(states[0].key),
        system_b_id=str(states[1].key),
        protocol=type(transformation.protocol).__name__,
        environment=change.environment,
        environment_id=change.environment_id,
        ligand_a=change.ligand_a,
        ligand_b=change.ligand_b,
        ligand_a_id=change.ligand_a,
        ligand_b_id=change.ligand_b,
    )


def _node_names(records: dict[str, TransformationRecord], transformations: dict[str, Any]) -> dict[str, str]:
    names: dict[str, str] = {}
    for key in records:
        for state in (transformations[key].stateA, transformations[key].stateB):
            names[str(state.key)] = str(state.name or state.key)
            names |= {str(c.key): str(getattr(c, "name", "") or c.key) for c in state.components.values()}
    return names
