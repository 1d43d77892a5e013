"""Places of the nodes of a large connected graph, with memory and time for some of the distances only. Pure.

As in the sparse stress model (Ortmann, Klimenta & Brandes 2017, doi:10.7155/jgaa.00440) some terms of the stress stand
for all. Those of a few pivots would do for a graph that fits into the plane; a random one falls together between them.
So every node has partners of its own, drawn by systematic sampling (Madow & Madow 1944, doi:10.1214/aoms/1177731312)
from all others in order of their distance, with probabilities like the weights that their terms have. The stress is
lowered by majorization with conjugate gradients (Gansner, Koren & North 2005, doi:10.1007/978-3-540-31843-9_25), from
the scaling of pivots on (Brandes & Pich 2007, doi:10.1007/978-3-540-70904-6_6).
"""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import shortest_path
from scipy.sparse.linalg import cg

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_PIVOTS = 60
_PARTNERS = 100  # of every node
_BLOCK = 256  # nodes whose distances are in memory at once
_MOST_SEARCHED = 5000  # nodes; of a larger graph partners are drawn for so many, more for each
_STEPS = 60
_ENOUGH = 1e-3  # a step that moves nodes less, on average, is the last
_NEAR = 1e-9
_SEED = 7


@attrs.frozen(eq=False)
class _Terms:
    """The terms of the stress.

    Attributes
    ----------
    nodes, partners
        Shape (n,) and (n, m).
    distances
        Between them along the edges, shape (n, m).
    weights
        Of each term of a node, shape (n,): all have the same.
    """

    nodes: Ints
    partners: Ints
    distances: Floats
    weights: Floats

    @classmethod
    def drawn(cls, adjacency: Any) -> _Terms:
        """Return terms of every node of a connected graph (of 5,000 of a larger one)."""
        count, choose = adjacency.shape[0], np.random.default_rng(_SEED)
        nodes = np.sort(choose.permutation(count)[:_MOST_SEARCHED])
        each = _PARTNERS * count // len(nodes)
        partners = np.empty((len(nodes), each), dtype=np.int64)
        distances, weights = np.empty((len(nodes), each)), np.empty(len(nodes))
        for start in range(0, len(nodes), _BLOCK):
            block = nodes[start : start + _BLOCK]
            for row, far in enumerate(_distances(adjacency, block), start):
                order = np.argsort(far.astype(np.uint16), kind="stable")[1:]  # but itself
                reach = np.cumsum(1.0 / far[order] ** 2)
                marks = (choose.random() + np.arange(each)) * (reach[-1] / each)
                partners[row] = order[np.minimum(np.searchsorted(reach, marks), count - 2)]
                distances[row], weights[row] = far[partners[row]], reach[-1] / each
        return cls(nodes, partners, distances, weights)

    def laplacian(self, count: int) -> sparse.csr_matrix:
        """Return the Laplacian of the weights, shape (K, K)."""
        each = self.partners.shape[1]
        ends = (np.repeat(self.nodes, each), self.partners.ravel())
        between = sparse.csr_matrix((np.repeat(self.weights, each), ends), shape=(count, count))
        between = between + between.T
        return (sparse.diags(np.asarray(between.sum(axis=1)).ravel()) - between).tocsr()

    def pull(self, points: Floats) -> Floats:
        """Return the right side of the step that lowers the stress, shape (K, 2)."""
        apart = [points[self.nodes, None, axis] - points[self.partners, axis] for axis in (0, 1)]
        ratios = self.weights[:, None] * self.distances / np.maximum(np.hypot(*apart), _NEAR)
        pulled, flat = np.zeros_like(points), self.partners.ravel()
        for axis in (0, 1):
            apart[axis] *= ratios
            pulled[self.nodes, axis] = apart[axis].sum(axis=1)
            pulled[:, axis] -= np.bincount(flat, weights=apart[axis].ravel(), minlength=len(points))
        return pulled


def _distances(adjacency: Any, nodes: Ints) -> Floats:
    """Return the distances from some nodes to all, in edges, shape (n, K)."""
    return np.asarray(shortest_path(adjacency, method="D", unweighted=True, directed=False, indices=nodes))


def _pivot_scaling(adjacency: Any) -> Floats:
    """Return points whose distances from some nodes, far from each other, are about as long as theirs, shape (K, 2)."""
    count, node = adjacency.shape[0], 0
    nearest = np.full(count, np.inf)
    rows: list[Floats] = []
    pivots: list[int] = []
    while len(pivots) < min(_PIVOTS, count):
        pivots.append(node)
        rows.append(_distances(adjacency, np.array([node]))[0])
        nearest = np.minimum(nearest, rows[-1])
        node = int(np.argmax(nearest))
    distances = np.array(rows).T
    squares = distances**2
    centred = -0.5 * (squares - squares.mean(axis=0) - squares.mean(axis=1, keepdims=True) + squares.mean())
    _, vectors = np.linalg.eigh(centred.T @ centred)
    points = centred @ vectors[:, -2:]
    apart = np.hypot(*(points[:, None, axis] - points[None, pivots, axis] for axis in (0, 1)))
    there = distances > 0
    scale = np.sum(apart[there] / distances[there]) / np.sum(apart[there] ** 2 / distances[there] ** 2)
    return np.asarray(points * scale)


def lay_out(adjacency: Any) -> Floats:
    """Return places of the nodes of a connected graph, shape (K, 2); an edge is about 1 long.

    Parameters
    ----------
    adjacency
        A symmetric sparse matrix, shape (K, K), K > 2; its values do not matter.
    """
    count = adjacency.shape[0]
    points = _pivot_scaling(adjacency) + np.random.default_rng(_SEED).normal(scale=0.1, size=(count, 2))
    terms = _Terms.drawn(adjacency)
    laplacian = terms.laplacian(count)
    scales = sparse.diags(1.0 / laplacian.diagonal())
    for _ in range(_STEPS):
        pulled = terms.pull(points)
        moved = np.column_stack(
            [cg(laplacian, pulled[:, axis], x0=points[:, axis], rtol=1e-3, maxiter=30, M=scales)[0] for axis in (0, 1)]
        )
        moved -= moved.mean(axis=0)
        change = float(np.abs(moved - points).mean())
        points = moved
        if change < _ENOUGH:
            break
    return points
