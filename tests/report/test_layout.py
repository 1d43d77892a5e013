"""Where the nodes of a network are drawn."""

from __future__ import annotations

import itertools
import math

import networkx
import numpy as np
import pytest
from scipy.sparse.csgraph import shortest_path
from scipy.spatial import Delaunay

from xpm_alchem.report import layout, sparse_stress
from xpm_alchem.report.layout import places


def apart(where: dict[str, tuple[float, float]], a: str, b: str) -> float:
    return math.dist(where[a], where[b])


def test_a_chain_is_stretched_and_lies_from_left_to_right():
    where = places("abcde", zip("abcd", "bcde", strict=True))
    assert apart(where, "a", "e") == pytest.approx(4, abs=0.2)
    xs = [where[node][0] for node in "abcde"]
    assert xs in (sorted(xs), sorted(xs, reverse=True))


def test_a_ring_is_round():
    ring = "abcdef"
    edges = list(zip(ring, ring[1:] + ring[0], strict=True))
    where = places(ring, edges)
    lengths = [apart(where, a, b) for a, b in edges]
    assert max(lengths) - min(lengths) < 0.1 and 0.7 < lengths[0] < 1.3


def test_parts_and_lonely_nodes_stand_side_by_side():
    where = places("abcdef", [("a", "b"), ("b", "c"), ("d", "e"), ("f", "f")])
    assert len(where) == 6 and min(apart(where, a, b) for a, b in itertools.combinations("abcdef", 2)) > 0.8


def test_no_two_nodes_lie_on_each_other_in_a_star():
    leaves = [f"leaf {n}" for n in range(40)]
    where = places(["hub", *leaves], (("hub", leaf) for leaf in leaves))
    assert min(apart(where, a, b) for a, b in itertools.combinations(leaves, 2)) > 0.05


def test_the_places_are_the_same_every_time():
    edges = [(str(n * n % 17), str(n)) for n in range(17)]
    assert places(map(str, range(17)), edges) == places(map(str, range(17)), edges)


def test_nothing_has_no_places():
    assert places([], []) == {}


# ------------------------------------------------------------------------------------------------------ large networks
def flat_graph(nodes: int) -> networkx.Graph:
    """A graph that fits into the plane: neighbours of random points."""
    points = np.random.default_rng(1).random((nodes, 2))
    graph = networkx.Graph()
    for a, b, c in Delaunay(points).simplices:
        graph.add_edges_from([(a, b), (b, c), (c, a)])
    return graph


def ring_with_chords(nodes: int) -> networkx.Graph:
    """A graph that does not."""
    choose = np.random.default_rng(2)
    graph = networkx.cycle_graph(nodes)
    graph.add_edges_from((int(a), int(b)) for a, b in choose.integers(0, nodes, (nodes // 2, 2)) if a != b)
    return graph


def tree(nodes: int) -> networkx.Graph:
    """One with nodes of many neighbours."""
    choose = np.random.default_rng(3)
    return networkx.Graph((node, int(choose.integers(0, max(1, node // 10)))) for node in range(1, nodes))


def stress(adjacency, points: np.ndarray) -> float:
    """Return the mean over all pairs of the squared error of a distance over that distance."""
    distances = shortest_path(adjacency, unweighted=True, directed=False)
    first, second = np.triu_indices(len(points), 1)
    far = distances[first, second]
    return float(np.mean((np.hypot(*(points[first] - points[second]).T) / far - 1.0) ** 2))


@pytest.mark.parametrize("graph", [flat_graph, ring_with_chords, tree])
def test_a_sample_of_the_pairs_gives_about_as_good_a_layout_as_all_pairs(graph):
    adjacency = networkx.to_scipy_sparse_array(graph(300))
    exact = stress(adjacency, layout._lay_out(adjacency))
    sampled = sparse_stress.lay_out(adjacency)
    assert np.isfinite(sampled).all() and stress(adjacency, sampled) < 1.12 * exact
    points = np.random.default_rng(4).normal(size=(300, 2)) * 5.0
    assert stress(adjacency, points) > 3.0 * exact, "any layout would do"


def test_of_a_graph_with_more_nodes_than_are_searched_from_partners_are_drawn_for_some(monkeypatch):
    adjacency = networkx.to_scipy_sparse_array(flat_graph(300))
    exact = stress(adjacency, layout._lay_out(adjacency))
    monkeypatch.setattr(sparse_stress, "_MOST_SEARCHED", 150)
    monkeypatch.setattr(sparse_stress, "_BLOCK", 70)
    assert stress(adjacency, sparse_stress.lay_out(adjacency)) < 1.12 * exact


def test_large_networks_are_laid_out_by_a_sample_and_small_ones_are_not(monkeypatch):
    seen = []
    lay_out = sparse_stress.lay_out
    monkeypatch.setattr(sparse_stress, "lay_out", lambda graph: (seen.append(graph.shape[0]), lay_out(graph))[1])
    for nodes in (layout._MANY, layout._MANY + 1):
        graph = networkx.path_graph(nodes)
        edges = [(str(a), str(b)) for a, b in graph.edges]
        first, again = (places(map(str, graph.nodes), edges) for _ in range(2))
        assert first == again
        lengths = [apart(first, a, b) for a, b in edges]
        assert np.mean(lengths) == pytest.approx(1.0, abs=0.1)
    assert seen == [layout._MANY + 1] * 2


def test_a_star_of_many_nodes_leaves_each_a_place():
    leaves = [f"leaf {n}" for n in range(700)]
    where = places(["hub", *leaves], (("hub", leaf) for leaf in leaves))
    assert len(set(where.values())) == 701 and np.isfinite(list(where.values())).all()
