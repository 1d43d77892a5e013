"""A sparse symmetric positive definite matrix, taken apart set by set of nodes that do not touch each other. Pure.

Nodes of low degree without an edge between them are eliminated together, so every step is a few products of sparse
matrices (block Gaussian elimination). The sets are Luby's (1986, doi:10.1137/0215074), drawn by degree instead of at
random. What is left when the rest is no longer sparse, the root, is a dense matrix: of a random network with 3,333
ligands and 5,000 edges 600 nodes.

The elements of the inverse where the matrix has some are found backwards, from the root on, without the others
(Takahashi, Fagan and Chen 1973; Erisman and Tinney 1975, doi:10.1145/360680.360704). If the matrix has an imaginary
part of next to no size, that of these elements is the derivative along it (Squire and Trapp 1998,
doi:10.1137/S003614459631241X).
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import cho_factor, cho_solve, lapack

from xpm_alchem.estimation.blas_threads import one_blas_thread

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_DENSE = 0.15  # a matrix with more than this fraction of its elements is not sparse
_FEW = 48  # nor is one of so few nodes
_TURNS = 6  # of drawing: after so many hardly any node could join the set
_LOW = 0.3  # the fraction of nodes whose degree is low


@attrs.frozen(eq=False)
class Order:
    """In which order nodes are eliminated.

    Attributes
    ----------
    nodes
        All of them, the first to go first, shape (K,).
    sizes
        Of the sets that go together; what they leave is the root.
    """

    nodes: Ints
    sizes: tuple[int, ...]

    @classmethod
    def of(cls, matrix: sparse.csr_matrix) -> Order:
        """Return an order for all matrices with the elements of this one: the same every time."""
        ones = np.ones(matrix.nnz)
        pattern = sparse.csr_matrix((ones, matrix.indices, matrix.indptr), shape=matrix.shape)
        left = np.arange(matrix.shape[0])
        gone: list[Ints] = []
        while len(left) > _FEW and pattern.nnz < _DENSE * len(left) ** 2:
            chosen = _apart(pattern, np.random.default_rng(len(gone)).random(len(left)))
            gone.append(left[chosen])
            between = pattern[~chosen][:, chosen]
            pattern = (pattern[~chosen][:, ~chosen] + between @ between.T).tocsr()
            left = left[~chosen]
        return cls(np.concatenate([*gone, left]).astype(np.int64), tuple(len(nodes) for nodes in gone))


def _apart(pattern: sparse.csr_matrix, luck: Floats) -> NDArray[np.bool_]:
    """Return which nodes of low degree go next, no two with an edge between them."""
    count, degrees = len(luck), np.diff(pattern.indptr)
    rows, columns = np.repeat(np.arange(count), degrees), pattern.indices
    rows, columns = rows[rows != columns], columns[rows != columns]
    rank = np.where(degrees <= np.quantile(degrees, _LOW), degrees + luck, np.inf)
    chosen = np.zeros(count, dtype=bool)
    for _ in range(_TURNS):
        least = np.full(count, np.inf)
        np.minimum.at(least, rows, rank[columns])
        new = rank < least
        chosen |= new
        rank[new] = np.inf
        rank[rows[new[columns]]] = np.inf
    return chosen


class Elimination:
    """A matrix taken apart.

    Parameters
    ----------
    matrix
        Real, or with an imaginary part of next to no size; shape (K, K).
    order
        Of a matrix with the same elements.
    """

    def __init__(self, matrix: sparse.csr_matrix, order: Order) -> None:
        self._order = order
        self._steps: list[tuple[sparse.csr_matrix, sparse.csr_matrix, NDArray[Any]]] = []
        rest = matrix[order.nodes][:, order.nodes]
        for size in order.sizes:
            pivots, between = rest.diagonal()[:size], rest[size:, :size]
            shares = between.copy()
            shares.data = shares.data / pivots[shares.indices]
            rest = rest[size:, size:] - shares @ between.T
            self._steps.append((shares, shares.T.tocsr(), pivots))
        self._root = rest.tocsr()

    @cached_property
    def _factor(self) -> Any:
        return cho_factor(self._root.toarray(), lower=True, overwrite_a=True, check_finite=False)

    @one_blas_thread
    def solve(self, vectors: Floats) -> Floats:
        """Return the inverse of a real matrix times vectors, shape (K,) or (K, m).

        Raises
        ------
        numpy.linalg.LinAlgError
            The matrix is not positive definite.
        """
        rest = vectors[self._order.nodes]
        parts: list[Floats] = []
        for shares, _, pivots in self._steps:
            first, rest = rest[: len(pivots)], rest[len(pivots) :]
            rest = rest - shares @ first
            parts.append((first.T / pivots).T)
        found = np.ascontiguousarray(cho_solve(self._factor, rest, overwrite_b=True, check_finite=False))
        for (_, turned, _), part in zip(reversed(self._steps), reversed(parts), strict=True):
            found = np.concatenate([part - turned @ found, found])
        solved = np.empty_like(found)
        solved[self._order.nodes] = found
        return solved

    @one_blas_thread
    def inverse_elements(self) -> sparse.csr_matrix:
        """Return the elements of the inverse where the matrix has some (and a few others).

        Raises
        ------
        numpy.linalg.LinAlgError
            The matrix is not positive definite.
        """
        found = self._of_root()
        for shares, _, pivots in reversed(self._steps):
            where = sparse.csr_matrix((np.ones(shares.nnz), shares.indices, shares.indptr), shape=shares.shape)
            between = -(found @ shares).multiply(where).tocsr()
            own = 1.0 / pivots - np.asarray(shares.multiply(between).sum(axis=0)).ravel()
            found = sparse.bmat([[sparse.diags(own), between.T], [between, found]], format="csr")
        back = np.argsort(self._order.nodes)
        return found[back][:, back]

    def _of_root(self) -> sparse.csr_matrix:
        root = self._root.tocoo()
        inverse = dense_inverse(self._root.real.toarray(order="F"))
        elements = inverse[root.row, root.col]
        if np.iscomplexobj(root.data):
            slope = -(inverse @ self._root.imag.toarray() @ inverse)
            elements = elements + 1j * slope[root.row, root.col]
        return sparse.csr_matrix((elements, (root.row, root.col)), shape=root.shape)


def dense_inverse(matrix: Floats) -> Floats:
    """Return the inverse of a symmetric positive definite matrix, dense and in Fortran's order; it is overwritten.

    Raises
    ------
    numpy.linalg.LinAlgError
        It is not positive definite.
    """
    if not len(matrix):
        return matrix
    factor, failed = lapack.dpotrf(matrix, lower=True, overwrite_a=True, clean=False)
    inverse, also_failed = lapack.dpotri(factor, lower=True, overwrite_c=True)
    if failed or also_failed:
        raise np.linalg.LinAlgError("the matrix is not positive definite")
    lower = np.tril(inverse)
    return np.asarray(lower + np.tril(lower, -1).T)
