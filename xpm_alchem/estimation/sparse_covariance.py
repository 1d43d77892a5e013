"""The covariance of node values of a large network, of which only a sparse elimination is kept. Pure.

G is the inverse of the Laplacian with one node of each connected part held fast. The covariance is C = P G P, where P
takes from all values of a part their mean. Sums of squares of many of its columns are derivatives of a few elements:
G F G is that of -G along F, and elimination.py gives its elements along the edges and its diagonal.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from xpm_alchem.estimation.elimination import Elimination

if TYPE_CHECKING:
    from xpm_alchem.estimation.covariance import Topology

Floats = NDArray[np.float64]

_STEP = 1e-100  # of an imaginary part, which no rounding reaches


class SparseCovariance:
    """The covariance matrix C for given weights of the edges, (kcal/mol)^-2, shape (E,)."""

    def __init__(self, topology: Topology, weights: Floats) -> None:
        self._topology = topology
        self._used = weights > 0
        self._parts = topology.parts(weights)
        self._sizes = np.bincount(self._parts).astype(float)
        self._order = topology.order(weights)
        laplacian = topology.laplacian(weights)
        held = np.zeros(topology.nodes)
        first = np.unique(self._parts, return_index=True)[1]  # one node of each part
        held[first] = np.maximum(laplacian.diagonal()[first], 1.0)
        self._matrix = laplacian + sparse.diags(held, format="csr")

    @cached_property
    def _elimination(self) -> Elimination:
        return Elimination(self._matrix, self._order)

    @cached_property
    def _elements(self) -> sparse.csr_matrix:
        return self._elimination.inverse_elements()

    @cached_property
    def _far(self) -> Floats:
        """G times ones, shape (K,)."""
        return self._elimination.solve(np.ones(len(self._parts)))

    def apply(self, vectors: Floats) -> Floats:
        """Return C times vectors, shape (K,) or (K, m)."""
        return self._centred(self._elimination.solve(self._centred(vectors)))

    def own(self) -> Floats:
        """Return b_e^T C b_e of every edge, shape (E,); 0 where the weight is 0."""
        return self._along(self._elements)

    def variances(self) -> Floats:
        """Return the diagonal of C, shape (K,)."""
        return self._centred_diagonal(self._elements.diagonal(), self._far)

    def spread(self, factors: Floats) -> Floats:
        """Return the sum of factor_e (C b_e)^2 over edges whose weight is not 0, for each node: shape (K,)."""
        along = np.where(self._used, factors, 0.0)
        slope = self._slope(self._topology.laplacian(along))
        far = self._topology.divergence(along * self._topology.differences(self._far))
        return np.maximum(self._centred_diagonal(slope.diagonal(), self._elimination.solve(far)), 0.0)

    def gains(self, nodes: Floats) -> Floats:
        """Return the sum of nodes_k (C b_e)_k^2 over nodes, shape (K,), for every edge: (E,); 0 where the weight is 0.

        With n for `nodes` and 1 for ones, of a part with N nodes: P diag(n) P is diag(n) - (1 n^T + n 1^T) / N +
        sum(n) 1 1^T / N^2.
        """
        sums = np.bincount(self._parts, weights=nodes)
        part = self._parts[self._topology.heads]
        far = np.where(self._used, self._topology.differences(self._far), 0.0)
        counted = self._topology.differences(self._elimination.solve(nodes))
        gains = self._along(self._slope(sparse.diags(nodes, format="csr")))
        gains += (sums[part] * far / self._sizes[part] - 2.0 * counted) * far / self._sizes[part]
        return np.maximum(gains, 0.0) if np.all(nodes >= 0) else gains

    def _slope(self, direction: sparse.csr_matrix) -> sparse.csr_matrix:
        """Return G F G for a direction F, where the Laplacian has elements."""
        slope = Elimination(self._matrix + direction * (1j * _STEP), self._order).inverse_elements().imag
        return slope * (-1.0 / _STEP)

    def _along(self, elements: sparse.csr_matrix) -> Floats:
        """Return b_e^T M b_e of every edge for the elements of M, shape (E,); 0 where the weight is 0."""
        heads, tails = self._topology.heads[self._used], self._topology.tails[self._used]
        diagonal, along = elements.diagonal(), np.zeros(len(self._used))
        across = np.asarray(elements[heads, tails]).ravel()
        along[self._used] = diagonal[heads] + diagonal[tails] - 2.0 * across
        return along

    def _centred(self, vectors: Floats) -> Floats:
        return np.asarray(vectors - self._means(vectors)[self._parts])

    def _centred_diagonal(self, diagonal: Floats, sums: Floats) -> Floats:
        """Return the diagonal of P M P, given that of M and the sums of its rows over each part."""
        means = self._means(sums) / self._sizes
        return np.asarray(diagonal - 2.0 * sums / self._sizes[self._parts] + means[self._parts])

    def _means(self, vectors: Floats) -> Floats:
        """Return the mean over each part, shape (parts,) or (parts, m)."""
        if len(self._sizes) == 1:
            return np.asarray(vectors.mean(axis=0, keepdims=True))
        members = sparse.csr_matrix((np.ones(len(self._parts)), (self._parts, np.arange(len(self._parts)))))
        return np.asarray(((members @ vectors).T / self._sizes).T)
