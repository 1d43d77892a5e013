"""Where the nodes of a graph are drawn. Pure; the same places every time.

Each connected part is laid out so that distances in the plane are as near as possible to those along the edges: its
stress (Kamada & Kawai 1989, doi:10.1016/0020-0190(89)90102-6) is lowered by majorization (Gansner, Koren & North 2005,
doi:10.1007/978-3-540-31843-9_25), from classical scaling on; of a part with more than 600 nodes a sample of its terms
(sparse_stress.py). Then the parts are put side by side.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import networkx
import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import shortest_path

from xpm_alchem.estimation.blas_threads import one_blas_thread
from xpm_alchem.report import sparse_stress

Floats = NDArray[np.float64]
Place = tuple[float, float]

_MANY = 600  # nodes; all pairs of more take too much time and memory
_STEPS = 150
_ENOUGH = 1e-4  # a step that moves nodes less, on average, is the last
_SEED = 7
_GAP = 1.0  # between parts, in lengths of an edge


def places(nodes: Iterable[str], edges: Iterable[tuple[str, str]]) -> dict[str, Place]:
    """Return the place of every node; an edge is about 1 long."""
    graph: networkx.Graph[str] = networkx.Graph()
    graph.add_nodes_from(nodes)
    graph.add_edges_from((a, b) for a, b in edges if a != b)
    parts = [graph.subgraph(part) for part in networkx.connected_components(graph)]
    parts.sort(key=len, reverse=True)
    laid_out = [_wide(_lay_out(networkx.to_scipy_sparse_array(part))) for part in parts]
    found: dict[str, Place] = {}
    for part, points in zip(parts, _side_by_side(laid_out), strict=True):
        found |= {node: (float(x), float(y)) for node, (x, y) in zip(part, points, strict=True)}
    return found


@one_blas_thread
def _lay_out(adjacency: Any) -> Floats:
    """Return places of the nodes of a connected graph, shape (N, 2)."""
    if adjacency.shape[0] > _MANY:
        return sparse_stress.lay_out(adjacency)
    distances: Floats = shortest_path(adjacency, unweighted=True, directed=False)
    count = len(distances)
    if count < 3:
        return np.column_stack([np.arange(count, dtype=float), np.zeros(count)])
    points = _classical_scaling(distances) + np.random.default_rng(_SEED).normal(scale=0.1, size=(count, 2))
    weights = 1.0 / np.where(distances > 0, distances, np.inf) ** 2
    laplacian = np.diag(weights.sum(axis=1)) - weights
    inverse = np.linalg.inv(laplacian + 1.0 / count)
    for _ in range(_STEPS):
        ratios = _ratios(distances, weights, points)
        moved = inverse @ (ratios.sum(axis=1, keepdims=True) * points - ratios @ points)
        moved -= moved.mean(axis=0)
        change = float(np.abs(moved - points).mean())
        points = moved
        if change < _ENOUGH:
            break
    return points


def _classical_scaling(distances: Floats) -> Floats:
    squares = distances**2
    centred = -0.5 * (squares - squares.mean(axis=0) - squares.mean(axis=1, keepdims=True) + squares.mean())
    values, vectors = np.linalg.eigh(centred)
    return vectors[:, -2:] * np.sqrt(np.maximum(values[-2:], 0.0))


def _ratios(distances: Floats, weights: Floats, points: Floats) -> Floats:
    """Return weight times distance along the edges over distance in the plane, for each pair."""
    apart = np.hypot(*(points[:, None, axis] - points[None, :, axis] for axis in (0, 1)))
    return weights * distances / np.maximum(apart, 1e-9)


def _wide(points: Floats) -> Floats:
    """Return points turned so that they reach farthest from left to right, from (0, 0) on."""
    _, _, axes = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)
    turned = points @ axes.T if len(points) > 2 else points
    return turned - turned.min(axis=0)


def _side_by_side(parts: list[Floats]) -> list[Floats]:
    """Return the parts in rows, one row under the other, about twice as wide as high."""
    sizes = [points.max(axis=0) + _GAP for points in parts]
    width = max([math.sqrt(2.0 * sum(w * h for w, h in sizes)), *(w for w, _ in sizes)], default=0.0)
    moved, x, y, height = [], 0.0, 0.0, 0.0
    for points, (w, h) in zip(parts, sizes, strict=True):
        if x > 0 and x + w > width:
            x, y, height = 0.0, y - height, 0.0
        moved.append(points + np.array([x, y - h]))
        x, height = x + w, max(height, float(h))
    return moved
