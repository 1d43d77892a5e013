"""The covariance of node values of a network of differences, and what one more measurement changes of it. Pure.

Weighted Laplacian ``L = sum_e w_e b_e b_e^T`` over K nodes, b_e = +1 at the head of edge e and -1 at its tail; the
covariance is its pseudo-inverse: node values are relative to the mean of their connected part. (DiffNet: Xu 2019,
arXiv:1906.08599; the maximum-likelihood estimator of cinnabar is the same Laplacian.)
"""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import blas, lapack
from scipy.sparse import csgraph
from scipy.sparse.linalg import splu

from xpm_alchem.estimation.blas_threads import one_blas_thread

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_SMALL_NODES = 300  # up to here the matrix is formed at once
_DENSE_NODES = 6000  # up to here it is formed when something needs it whole
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

    Up to 6,000 nodes the matrix is formed, part by part, when something is asked that needs it whole: that is several
    times faster than asking a sparse factorisation for every edge, and at most 288 MB. Beyond that there is only the
    factorisation, and memory for 256 columns.
    """

    def __init__(self, topology: Topology, weights: Floats) -> None:
        self.topology = topology
        self.parts = topology.parts(weights)
        self._weights = weights.copy()
        self._sizes = np.bincount(self.parts).astype(float)
        self._factors: Any = None
        self._matrix: Floats | None = None
        self._may_form = topology.nodes <= _DENSE_NODES
        if self._may_form and topology.nodes <= _SMALL_NODES:
            self._form()

    @one_blas_thread
    def apply(self, vectors: Floats) -> Floats:
        """Return the covariance times vectors, shape (K,) or (K, m)."""
        if self._matrix is not None:
            if vectors.ndim == 1:
                return np.asarray(self._matrix @ vectors)
            return np.asarray(blas.dgemm(1.0, self._matrix, vectors))  # for a few columns twice as fast as numpy's
        if self._factors is None:
            grounded = np.zeros(self.topology.nodes)
            laplacian = self.topology.laplacian(self._weights)
            held = np.unique(self.parts, return_index=True)[1]  # one node of each part
            grounded[held] = np.maximum(laplacian.diagonal()[held], 1.0)
            laplacian += sparse.diags(grounded)
            self._factors = splu(laplacian.tocsc(), permc_spec="MMD_AT_PLUS_A")
        return self._centred(self._factors.solve(self._centred(vectors)))

    def own(self) -> Floats:
        """Return b_e^T C b_e of every edge, shape (E,)."""
        heads, tails = self.topology.heads, self.topology.tails
        if self._may_form:
            matrix = self._formed()
            return np.asarray(matrix[heads, heads] + matrix[tails, tails] - 2.0 * matrix[heads, tails])
        return self.scan(np.zeros((len(heads), 0)))[0]

    @one_blas_thread
    def gains(self, nodes: Ints, weights: Floats) -> Floats:
        """Return the sum of weight (C b_e)^2 over some nodes for every edge, shape (E,)."""
        gains = np.zeros(len(self.topology.heads))
        for start in range(0, len(nodes), _BLOCK):
            block = slice(start, start + _BLOCK)
            units = np.zeros((self.topology.nodes, len(nodes[block])))
            units[nodes[block], np.arange(units.shape[1])] = 1.0
            rows = self._formed()[:, nodes[block]] if self._may_form else self.apply(units)
            gains += (rows[self.topology.heads] - rows[self.topology.tails]) ** 2 @ weights[block]
        return gains

    @one_blas_thread
    def scan(self, factors: Floats) -> tuple[Floats, Floats, Floats]:
        """Look at every edge once.

        Parameters
        ----------
        factors
            Of the edges, shape (E, m).

        Returns
        -------
        own, gains, sums
            b_e^T C b_e, and the sum over nodes of (C b_e)^2: shape (E,); and ``sum_e factor_e (C b_e)^2`` for each
            node: shape (K, m).
        """
        edges = len(factors)
        own, gains = np.zeros(edges), np.zeros(edges)
        sums = np.zeros((self.topology.nodes, factors.shape[1]))
        for start in range(0, edges, _BLOCK):
            block = np.arange(start, min(start + _BLOCK, edges))
            columns = self._columns(block)
            index = np.arange(len(block))
            own[block] = columns[self.topology.heads[block], index] - columns[self.topology.tails[block], index]
            squared = np.square(columns, out=columns)
            gains[block] = squared.sum(axis=0)
            sums += squared @ factors[block]
        return own, gains, sums

    @one_blas_thread
    def change(self, edges: Ints, by: Floats, nodes: Floats) -> tuple[Floats, Floats, Floats]:
        """Change the weights of some edges: C becomes C - U S U^T (Woodbury).

        Parameters
        ----------
        edges, by
            Which edges (m of them, none twice), and by how much their weights change.
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
        factor = np.linalg.solve(np.eye(len(edges)) + by[:, None] * along, np.diag(by))
        if self._matrix is not None:
            self._matrix = blas.dgemm(
                -1.0, columns @ factor, columns, beta=1.0, c=self._matrix, trans_b=True, overwrite_c=True
            )
        else:
            self._weights[edges] += by
            self._factors = None
        return columns, reach, np.asarray(factor)

    def _columns(self, edges: Ints) -> Floats:
        """Return the columns C b_e of some edges, shape (K, m)."""
        heads, tails = self.topology.heads[edges], self.topology.tails[edges]
        if self._may_form:
            matrix = self._formed()
            return np.asarray(matrix[:, heads] - matrix[:, tails])
        vectors = np.zeros((self.topology.nodes, len(edges)))
        vectors[heads, np.arange(len(edges))] += 1.0
        vectors[tails, np.arange(len(edges))] -= 1.0
        return self.apply(vectors)

    def _formed(self) -> Floats:
        return self._form() if self._matrix is None else self._matrix

    @one_blas_thread
    def _form(self) -> Floats:
        """Form the matrix, each part by itself: its inverse with one node held fast, centred."""
        laplacian = self.topology.laplacian(self._weights)
        alone = len(self._sizes) == 1
        whole = np.zeros((0, 0)) if alone else np.zeros((self.topology.nodes, self.topology.nodes), order="F")
        for part in np.flatnonzero(self._sizes > 1):
            members = np.flatnonzero(self.parts == part)
            of_part = laplacian if alone else laplacian[members][:, members]
            inverse = _centred_inverse(of_part.toarray(order="F"))
            if alone:
                whole = inverse
            else:
                whole[np.ix_(members, members)] = inverse
        self._matrix = whole if whole.size else np.zeros((self.topology.nodes, self.topology.nodes), order="F")
        return self._matrix

    def _centred(self, vectors: Floats) -> Floats:
        if len(self._sizes) == 1:
            return np.asarray(vectors - vectors.mean(axis=0))
        members = sparse.csr_matrix((np.ones(len(self.parts)), (self.parts, np.arange(len(self.parts)))))
        means = (members @ vectors) / (self._sizes if vectors.ndim == 1 else self._sizes[:, None])
        return np.asarray(vectors - means[self.parts])


def _centred_inverse(laplacian: Floats) -> Floats:
    """Return the pseudo-inverse of a connected graph's Laplacian, which is overwritten."""
    laplacian[0, 0] += laplacian.diagonal().mean()  # one node held fast: which one falls out by centring
    factor, failed = lapack.dpotrf(laplacian, lower=True, overwrite_a=True, clean=False)
    inverse, also_failed = lapack.dpotri(factor, lower=True, overwrite_c=True)
    if failed or also_failed:
        raise np.linalg.LinAlgError("the Laplacian of a connected part is not positive")
    for start in range(0, len(inverse), _BLOCK):  # only the lower triangle is there
        block = slice(start, start + _BLOCK)
        inverse[block, start + _BLOCK :] = inverse[start + _BLOCK :, block].T
        lower = np.tril(inverse[block, block])
        inverse[block, block] = lower + np.tril(lower, -1).T
    means = inverse.mean(axis=0)
    inverse -= means[None, :]
    inverse -= means[:, None]
    inverse += means.mean()
    return np.asarray(inverse)
