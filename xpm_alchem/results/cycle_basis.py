"""A basis of the cycles of a graph with the least number of edges. Pure.

Horton 1987, doi:10.1137/0216026: the shortest basis is among the cycles made of an edge and the shortest paths from one
node to its ends. They are taken in order of length as long as they are independent. (networkx.minimum_cycle_basis
takes minutes where this takes a fraction of a second.)
"""

from __future__ import annotations

from collections.abc import Sequence

import networkx
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph

Ints = NDArray[np.int64]

_MOST_CANDIDATES = 1_000_000  # of a larger part the cycles of a spanning tree are taken
_LENGTH = 2**40  # of an edge; far more than the sum of all that is added to make shortest paths unique
_SEED = 1


def cycle_basis(nodes: int, ends: Sequence[tuple[int, int]]) -> list[tuple[int, ...]]:
    """Return independent cycles that all others are sums of, each as its nodes in order.

    Parameters
    ----------
    nodes
        Their number.
    ends
        Of the edges; no two join the same nodes, none joins a node to itself.
    """
    graph: networkx.Graph[int] = networkx.Graph()
    graph.add_edges_from(ends)
    cycles: list[tuple[int, ...]] = []
    for part in sorted(networkx.connected_components(graph), key=min):
        inside = graph.subgraph(part)
        rank = inside.number_of_edges() - inside.number_of_nodes() + 1
        if rank == 0:
            continue
        if len(part) * inside.number_of_edges() > _MOST_CANDIDATES:
            cycles += [_turned(cycle) for cycle in networkx.cycle_basis(inside, root=min(part))]
        else:
            cycles += _shortest(sorted(part), sorted(tuple(sorted(edge)) for edge in inside.edges), rank)
    return sorted(cycles, key=lambda cycle: (len(cycle), cycle))


def _shortest(nodes: list[int], ends: list[tuple[int, ...]], rank: int) -> list[tuple[int, ...]]:
    number = {node: position for position, node in enumerate(nodes)}
    starts, stops = (np.array([number[edge[i]] for edge in ends]) for i in (0, 1))
    lengths = _LENGTH + np.random.default_rng(_SEED).integers(0, 2**30, len(ends)).astype(float)
    matrix = sparse.csr_matrix((lengths, (starts, stops)), shape=(len(nodes), len(nodes)))
    distance, before = csgraph.dijkstra(matrix, directed=False, return_predecessors=True)
    branch = _branches(distance, before)
    apart = (branch[:, starts] != branch[:, stops]) & (before[:, stops] != starts) & (before[:, starts] != stops)
    total = np.where(apart, distance[:, starts] + distance[:, stops] + lengths, np.inf)
    edge_number = {edge: position for position, edge in enumerate(zip(starts.tolist(), stops.tolist(), strict=True))}
    reduced: dict[int, int] = {}  # by highest bit
    found: list[tuple[int, ...]] = []
    for candidate in np.argsort(total, axis=None, kind="stable"):
        root, edge = divmod(int(candidate), len(ends))
        ring = [*_path(before[root], int(starts[edge])), *reversed(_path(before[root], int(stops[edge]))[1:])]
        bits = sum(1 << edge_number[min(a, b), max(a, b)] for a, b in zip(ring, (*ring[1:], ring[0]), strict=True))
        while bits and (high := bits.bit_length()) in reduced:
            bits ^= reduced[high]
        if bits:
            reduced[bits.bit_length()] = bits
            found.append(_turned([nodes[i] for i in ring]))
            if len(found) == rank:
                break
    return found


def _branches(distance: NDArray[np.float64], before: Ints) -> Ints:
    """Return for every root the first node on the way to each other one, shape (K, K); its own for the root."""
    count = len(distance)
    branch = np.tile(np.arange(count), (count, 1))
    for root in range(count):
        for node in np.argsort(distance[root], kind="stable")[1:]:
            if before[root, node] != root:
                branch[root, node] = branch[root, before[root, node]]
    return branch


def _path(before: Ints, node: int) -> list[int]:
    """Return the nodes from the root to one."""
    path = [node]
    while before[path[-1]] >= 0:
        path.append(int(before[path[-1]]))
    return path[::-1]


def _turned(cycle: Sequence[int]) -> tuple[int, ...]:
    """Return the cycle from its lowest node on, in the direction of the lower of that one's neighbours."""
    start = min(range(len(cycle)), key=lambda i: cycle[i])
    ring = [*cycle[start:], *cycle[:start]]
    return tuple(ring if ring[1] < ring[-1] else [ring[0], *ring[:0:-1]])
