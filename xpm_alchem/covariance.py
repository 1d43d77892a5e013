"""The covariance of node values of a network of differences, and what one more measurement changes of it. Pure.

Weighted Laplacian ``L = sum_e w_e b_e b_e^T`` over K nodes, b_e = +1 at the head of edge e and -1 at its tail; the
covariance is its pseudo-inverse: node values are relative to the mean of their connected part. (DiffNet: Xu 2019,
arXiv:1906.08599; the maximum-likelihood estimator of cinnabar is the same Laplacian.)
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph
from scipy.sparse.linalg import splu

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_DENSE_NODES = 800  # up to here the matrix is formed; its inverse takes less time than a sparse factorisation's use
_BLOCK = 256  # edges looked at together: bounds the memory


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

    def laplacian(self, weights: Floats) -> sparse.csr_matrix:
        """Return the weighted Laplacian."""
        rows = np.concatenate([self.heads, self.tails, self.heads, self.tails])
        columns = np.concatenate([self.tails, self.heads, self.heads, self.tails])
        values = np.concatenate([-weights, -weights, weights, weights])
        return sparse.csr_matrix((values, (rows, columns)), shape=(self.nodes, self.nodes))

    def dense_laplacian(self, weights: Floats) -> Floats:
        """Return the weighted Laplacian, shape (K, K)."""
        places = self.heads * self.nodes + self.tails
        joined = np.bincount(places, weights=weights, minlength=self.nodes**2).reshape(self.nodes, self.nodes)
        joined = joined + joined.T
        return np.asarray(np.diag(joined.sum(axis=1)) - joined)

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

    def differences(self, values: Floats) -> Floats:
        """Return value(head) - value(tail) of every edge; `values` has shape (K,)."""
        return np.asarray(values[self.heads] - values[self.tails])

    def divergence(self, flows: Floats) -> Floats:
        """Return the sum over edges of b_e times `flows`, shape (K,)."""
        out = np.bincount(self.heads, weights=flows, minlength=self.nodes)
        return np.asarray(out - np.bincount(self.tails, weights=flows, minlength=self.nodes))


class Covariance:
    """The covariance matrix for given weights (one over variance, (kcal/mol)^-2), changed edge by edge.

    Memory: K^2 numbers up to 800 nodes; beyond that a sparse factorisation and K numbers for every change.
    """

    def __init__(self, topology: Topology, weights: Floats) -> None:
        self.topology = topology
        self.parts = topology.parts(weights)
        self._sizes = np.bincount(self.parts).astype(float)
        self._changes: list[tuple[Floats, float]] = []
        self._dense: Floats | None = None
        if topology.nodes <= _DENSE_NODES:
            same = self.parts[:, None] == self.parts[None, :]
            centre = same / self._sizes[self.parts][None, :]
            self._dense = np.linalg.inv(topology.dense_laplacian(weights) + centre) - centre
        else:
            grounded = np.zeros(topology.nodes)
            grounded[np.unique(self.parts, return_index=True)[1]] = 1.0  # one node of each part, held fast
            self._factors = splu(
                (topology.laplacian(weights) + sparse.diags(grounded)).tocsc(), permc_spec="MMD_AT_PLUS_A"
            )

    def apply(self, vectors: Floats) -> Floats:
        """Return the covariance times vectors, shape (K,) or (K, m)."""
        if self._dense is not None:
            return np.asarray(self._dense @ vectors)
        result = self._centred(self._factors.solve(self._centred(vectors)))
        for change, factor in self._changes:
            result -= np.multiply.outer(change, factor * (change @ vectors))
        return np.asarray(result)

    def column(self, edge: int) -> Floats:
        """Return the covariance of every node with the value of an edge, C b_e, shape (K,)."""
        head, tail = self.topology.heads[edge], self.topology.tails[edge]
        if self._dense is not None:
            return np.asarray(self._dense[:, head] - self._dense[:, tail])
        return self.apply(self._incidence(np.array([edge]))[:, 0])

    def _blocks(self) -> Iterator[tuple[slice, Floats]]:
        """Yield the columns C b_e block by block: which edges, and their columns, shape (K, m)."""
        edges = len(self.topology.heads)
        for start in range(0, edges, _BLOCK):
            block = slice(start, min(start + _BLOCK, edges))
            if self._dense is not None:
                yield block, self._dense[:, self.topology.heads[block]] - self._dense[:, self.topology.tails[block]]
            else:
                yield block, self.apply(self._incidence(np.arange(block.start, block.stop)))

    @property
    def is_dense(self) -> bool:
        """Whether the matrix is formed, and looking at every edge cheap."""
        return self._dense is not None

    def change(self, edge: int, by: float, nodes: Floats) -> tuple[Floats, Floats, float]:
        """Change the weight of one edge: C becomes C - factor C b_e b_e^T C.

        Parameters
        ----------
        edge, by
            Which edge, and by how much its weight changes.
        nodes
            How much each node counts in `reach`, shape (K,).

        Returns
        -------
        column, reach, factor
            c = C b_e and C (nodes * c) before the change, shape (K,), and the factor.
        """
        column = self.column(edge)
        reach = self.apply(nodes * column)
        own = column[self.topology.heads[edge]] - column[self.topology.tails[edge]]
        factor = float(by / (1.0 + by * own))
        if self._dense is not None:
            self._dense -= np.multiply.outer(column, factor * column)
        else:
            self._changes.append((column, factor))
        return column, reach, factor

    def scan(self, factors: Floats, nodes: Floats | None = None) -> tuple[Floats, Floats, Floats]:
        """Look at every edge once.

        Parameters
        ----------
        factors
            Of the edges, shape (E, m).
        nodes
            How much each node counts in `gains`, shape (K,); None for 1.

        Returns
        -------
        own, gains, sums
            b_e^T C b_e, and the sum over nodes of (C b_e)^2: shape (E,); and ``sum_e factor_e (C b_e)^2`` for each
            node: shape (K, m).
        """
        own, gains = np.zeros(len(factors)), np.zeros(len(factors))
        sums = np.zeros((self.topology.nodes, factors.shape[1]))
        for block, columns in self._blocks():
            index = np.arange(columns.shape[1])
            own[block] = columns[self.topology.heads[block], index] - columns[self.topology.tails[block], index]
            squared = columns**2
            gains[block] = squared.sum(axis=0) if nodes is None else nodes @ squared
            sums += squared @ factors[block]
        return own, gains, sums

    def _incidence(self, edges: Ints) -> Floats:
        vectors = np.zeros((self.topology.nodes, len(edges)))
        vectors[self.topology.heads[edges], np.arange(len(edges))] += 1.0
        vectors[self.topology.tails[edges], np.arange(len(edges))] -= 1.0
        return vectors

    def _centred(self, vectors: Floats) -> Floats:
        if vectors.ndim == 1:
            return np.asarray(vectors - (np.bincount(self.parts, weights=vectors) / self._sizes)[self.parts])
        sums = np.zeros((len(self._sizes), vectors.shape[1]))
        np.add.at(sums, self.parts, vectors)
        return np.asarray(vectors - (sums / self._sizes[:, None])[self.parts])
