"""The covariance of node values of a network of differences, and what one more measurement changes of it. Pure.

Weighted Laplacian ``L = sum_e w_e b_e b_e^T`` over K nodes, b_e = +1 at the head of edge e and -1 at its tail; the
covariance is its pseudo-inverse: node values are relative to the mean of their connected part. (DiffNet: Xu 2019,
arXiv:1906.08599; the maximum-likelihood estimator of cinnabar is the same Laplacian.)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import blas
from scipy.sparse import csgraph

from xpm_alchem.estimation.blas_threads import one_blas_thread
from xpm_alchem.estimation.elimination import Order, dense_inverse
from xpm_alchem.estimation.sparse_covariance import SparseCovariance

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_LEAST_WEIGHT = 1e-11  # of the largest
_DENSE_NODES = 300  # up to here the matrix is formed
_BLOCK = 256  # columns looked at together: bounds the memory
_MOST_CHANGES = 150  # edges changed before the Laplacian is eliminated anew


@attrs.frozen(eq=False)
class Topology:
    """Which nodes the edges join.

    Attributes
    ----------
    nodes
        Their number K.
    heads, tails
        Node of either end, shape (E,); an edge's value is value(head) - value(tail).
    """

    nodes: int
    heads: Ints
    tails: Ints

    _parts: dict[bytes, Ints] = attrs.field(factory=dict, init=False, repr=False)
    _orders: dict[bytes, Order] = attrs.field(factory=dict, init=False, repr=False)

    def laplacian(self, weights: NDArray[Any]) -> sparse.csr_matrix:
        """Return the weighted Laplacian, without elements for edges of weight 0."""
        used = weights != 0
        heads, tails, weights = self.heads[used], self.tails[used], weights[used]
        rows = np.concatenate([heads, tails, heads, tails])
        columns = np.concatenate([tails, heads, heads, tails])
        values = np.concatenate([-weights, -weights, weights, weights])
        return sparse.csr_matrix((values, (rows, columns)), shape=(self.nodes, self.nodes))

    def parts(self, weights: Floats) -> Ints:
        """Return the number of the connected part of each node; edges of weight 0 join nothing."""
        used = weights > 0
        name = used.tobytes()
        if name not in self._parts:
            ends = (self.heads[used], self.tails[used])
            graph = sparse.csr_matrix((np.ones(len(ends[0])), ends), shape=(self.nodes, self.nodes))
            self._parts.clear()
            self._parts[name] = np.asarray(csgraph.connected_components(graph, directed=False)[1], dtype=np.int64)
        return self._parts[name]

    def order(self, weights: Floats) -> Order:
        """Return in which order the nodes are eliminated best; edges of weight 0 join nothing."""
        used = weights > 0
        name = used.tobytes()
        if name not in self._orders:
            pattern = self.laplacian(used.astype(float)) + sparse.identity(self.nodes, format="csr")
            self._orders.clear()
            self._orders[name] = Order.of(pattern)
        return self._orders[name]

    def differences(self, values: Floats) -> Floats:
        """Return value(head) - value(tail) of every edge; `values` has shape (K,)."""
        return np.asarray(values[self.heads] - values[self.tails])

    def divergence(self, flows: Floats) -> Floats:
        """Return the sum over edges of b_e times `flows`, shape (K,)."""
        out = np.bincount(self.heads, weights=flows, minlength=self.nodes)
        return np.asarray(out - np.bincount(self.tails, weights=flows, minlength=self.nodes))


def comparable(weights: Floats) -> Floats:
    """Return weights (E,) of which none but 0 is less than 1e-11 of the largest.

    A smaller one is lost beside that in the last digits of doubles, and the matrix of both is not positive any more.
    """
    return np.where(weights > 0, np.maximum(weights, _LEAST_WEIGHT * weights.max(initial=0.0)), 0.0)


class Covariance:
    """The covariance matrix C for given weights (one over variance, (kcal/mol)^-2), changed edge by edge.

    Up to 300 nodes the matrix is formed. Beyond that it is a `SparseCovariance`, and few changes since that was made.
    Edges of weight 0 take longer there: what concerns them is looked at edge by edge.
    """

    def __init__(self, topology: Topology, weights: Floats) -> None:
        self.topology = topology
        self.parts = topology.parts(weights)
        self._weights = weights.copy()
        self._changes: list[tuple[Floats, Floats]] = []  # U and S since the elimination: C is less by U S U^T
        self._matrix = self._formed() if topology.nodes <= _DENSE_NODES else None
        self._sparse: SparseCovariance | None = None

    @one_blas_thread
    def apply(self, vectors: Floats) -> Floats:
        """Return the covariance times vectors, shape (K,) or (K, m)."""
        if self._matrix is not None:
            if vectors.ndim == 1:
                return np.asarray(self._matrix @ vectors)
            return np.asarray(blas.dgemm(1.0, self._matrix, vectors))  # for a few columns twice as fast as numpy's
        found = (self._sparse or self._settled()).apply(vectors)
        for columns, factor in self._changes:
            found -= columns @ (factor @ (columns.T @ vectors))
        return found

    def own(self) -> Floats:
        """Return b_e^T C b_e of every edge, shape (E,)."""
        if self._matrix is None:
            own = self._settled().own()
            for edges in self._unused():
                own[edges] = self.topology.differences(self._columns(edges))[edges, np.arange(len(edges))]
            return own
        heads, tails = self.topology.heads, self.topology.tails
        return np.asarray(self._matrix[heads, heads] + self._matrix[tails, tails] - 2.0 * self._matrix[heads, tails])

    def variances(self) -> Floats:
        """Return the diagonal of C, shape (K,)."""
        return self._settled().variances() if self._matrix is None else self._matrix.diagonal().copy()

    @one_blas_thread
    def spread(self, factors: Floats) -> Floats:
        """Return ``sum_e factor_e (C b_e)^2`` for each node, shape (K,); `factors` has shape (E,)."""
        if self._matrix is not None:
            return np.asarray(self._columns(np.arange(len(factors))) ** 2 @ factors)
        sums = self._settled().spread(factors)
        for edges in self._unused(factors != 0):
            sums += self._columns(edges) ** 2 @ factors[edges]
        return sums

    @one_blas_thread
    def gains(self, nodes: Ints, weights: Floats) -> Floats:
        """Return the sum of weight (C b_e)^2 over some nodes for every edge, shape (E,)."""
        if self._matrix is None and len(nodes) > _BLOCK:
            counted = np.zeros(self.topology.nodes)
            counted[nodes] = weights
            gains = self._settled().gains(counted)
            for edges in self._unused():
                gains[edges] = counted @ self._columns(edges) ** 2
            return gains
        rows = self._matrix[:, nodes] if self._matrix is not None else self.apply(self._units(nodes))
        return np.asarray(self.topology.differences(rows) ** 2 @ weights)

    @one_blas_thread
    def change(self, edges: Ints, by: Floats, nodes: Floats) -> tuple[Floats, Floats, Floats]:
        """Change the weights of some edges: C becomes C - U S U^T (Woodbury).

        Parameters
        ----------
        edges, by
            Which edges (m of them, none twice, none of weight 0), and by how much their weights change.
        nodes
            How much each node counts in `reach`, shape (K,).

        Returns
        -------
        columns, reach, factor
            U = C B before the change and C (nodes * U), shape (K, m); S, shape (m, m).
        """
        columns = self._columns(edges)
        reach = self.apply(nodes[:, None] * columns)
        along = columns[self.topology.heads[edges]] - columns[self.topology.tails[edges]]
        factor = np.asarray(np.linalg.solve(np.eye(len(edges)) + by[:, None] * along, np.diag(by)))
        self._weights[edges] += by
        if self._matrix is not None:
            self._matrix = blas.dgemm(
                -1.0, columns @ factor, columns, beta=1.0, c=self._matrix, trans_b=True, overwrite_c=True
            )
            return columns, reach, factor
        self._changes.append((columns, factor))
        if sum(len(factor) for _, factor in self._changes) > _MOST_CHANGES:
            self._settled()
        return columns, reach, factor

    def _settled(self) -> SparseCovariance:
        """Return the covariance for the weights as they are now."""
        if self._sparse is None or self._changes:
            self._sparse = SparseCovariance(self.topology, self._weights)
            self._changes.clear()
        return self._sparse

    def _columns(self, edges: Ints) -> Floats:
        """Return the columns C b_e of some edges, shape (K, m)."""
        heads, tails = self.topology.heads[edges], self.topology.tails[edges]
        if self._matrix is not None:
            return np.asarray(self._matrix[:, heads] - self._matrix[:, tails])
        found = (self._sparse or self._settled()).apply(self._units(heads) - self._units(tails))
        for columns, factor in self._changes:
            found -= columns @ (factor @ (columns[heads] - columns[tails]).T)
        return found

    def _units(self, nodes: Ints) -> Floats:
        units = np.zeros((self.topology.nodes, len(nodes)))
        units[nodes, np.arange(len(nodes))] = 1.0
        return units

    def _unused(self, too: NDArray[np.bool_] | bool = True) -> Iterator[Ints]:
        """Yield blocks of edges of weight 0 (for which something else holds too)."""
        unused = np.flatnonzero((self._weights == 0) & too)
        for start in range(0, len(unused), _BLOCK):
            yield unused[start : start + _BLOCK]

    @one_blas_thread
    def _formed(self) -> Floats:
        """Return the matrix, each part by itself: its inverse with one node held fast, centred."""
        laplacian = self.topology.laplacian(self._weights).toarray(order="F")
        if self.parts.max(initial=0) == 0:
            return _centred_inverse(laplacian)
        whole = np.zeros(laplacian.shape, order="F")
        for part in np.flatnonzero(np.bincount(self.parts) > 1):
            members = np.ix_(*[np.flatnonzero(self.parts == part)] * 2)
            whole[members] = _centred_inverse(np.asfortranarray(laplacian[members]))
        return whole


def _centred_inverse(laplacian: Floats) -> Floats:
    """Return the pseudo-inverse of a connected graph's Laplacian, which is overwritten."""
    if len(laplacian) < 2:
        return np.zeros_like(laplacian)
    laplacian[0, 0] += laplacian.diagonal().mean()  # one node held fast: which one falls out by centring
    inverse = dense_inverse(laplacian)
    means = inverse.mean(axis=0)
    return np.asfortranarray(inverse - means[None, :] - means[:, None] + means.mean())
