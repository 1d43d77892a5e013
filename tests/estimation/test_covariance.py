"""The covariance of node values: against plain matrices, dense and sparse, and changed edge by edge."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_info, threadpool_limits

from xpm_alchem.estimation import covariance, elimination
from xpm_alchem.estimation.covariance import Covariance, Topology


@st.composite
def networks(draw):
    """Connected or not, with cycles and parallel edges, and weights of which some are 0."""
    nodes = draw(st.integers(2, 9))
    pair = st.tuples(st.integers(0, nodes - 1), st.integers(0, nodes - 1)).filter(lambda p: p[0] != p[1])
    pairs = draw(st.lists(pair, min_size=1, max_size=16))
    weight = st.one_of(st.just(0.0), st.floats(0.1, 100.0))
    weights = draw(st.lists(weight, min_size=len(pairs), max_size=len(pairs)))
    heads, tails = np.array(pairs).T
    return Topology(nodes, heads, tails), np.array(weights)


def incidence(topology: Topology) -> np.ndarray:
    edges = np.arange(len(topology.heads))
    matrix = np.zeros((topology.nodes, len(edges)))
    matrix[topology.heads, edges], matrix[topology.tails, edges] = 1.0, -1.0
    return matrix


def plain(topology: Topology, weights: np.ndarray) -> np.ndarray:
    b = incidence(topology)
    return np.linalg.pinv(b @ np.diag(weights) @ b.T, rcond=1e-10, hermitian=True)


@pytest.fixture(params=["dense", "sparse", "eliminated"])
def kind(request, monkeypatch):
    monkeypatch.setattr(covariance, "_BLOCK", 3)
    if request.param != "dense":
        monkeypatch.setattr(covariance, "_DENSE_NODES", 0)
    if request.param == "eliminated":
        monkeypatch.setattr(elimination, "_FEW", 1)
        monkeypatch.setattr(elimination, "_DENSE", 2.0)


@pytest.mark.parametrize("sparse", [False, True])
@given(network=networks())
@settings(deadline=None)
def test_it_is_the_pseudo_inverse_of_the_laplacian(network, sparse):
    topology, weights = network
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(covariance, "_DENSE_NODES", 0 if sparse else 6000)
        patch.setattr(elimination, "_FEW", 3)
        made = Covariance(topology, weights)
    assert np.allclose(made.apply(np.eye(topology.nodes)), plain(topology, weights), atol=1e-8)


@given(network=networks(), data=st.data())
@settings(deadline=None)
def test_edges_that_change_change_it_as_if_it_were_made_anew(network, data):
    topology, weights = network
    used = np.flatnonzero(weights)
    if not len(used):
        return
    for most in (6000, 0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(covariance, "_DENSE_NODES", most)
            patch.setattr(covariance, "_MOST_CHANGES", 5)
            made, after = Covariance(topology, weights), weights.copy()
        for _ in range(3):
            edges = np.array(data.draw(st.lists(st.sampled_from(list(used)), min_size=1, max_size=4, unique=True)))
            by = np.array(data.draw(st.lists(st.floats(0.1, 50.0), min_size=len(edges), max_size=len(edges))))
            before = plain(topology, after)
            nodes = np.arange(topology.nodes) % 3.0
            columns, reach, factor = made.change(edges, by, nodes)
            b = incidence(topology)[:, edges]
            assert np.allclose(columns, before @ b, atol=1e-7)
            assert np.allclose(reach, before @ (nodes[:, None] * (before @ b)), atol=1e-6)
            after[edges] += by
            assert np.allclose(before - columns @ factor @ columns.T, plain(topology, after), atol=1e-7)
        assert np.allclose(made.apply(np.eye(topology.nodes)), plain(topology, after), atol=1e-7)


def test_sums_over_edges_and_over_nodes(kind):
    topology = Topology(5, np.array([1, 2, 3, 4, 4, 2]), np.array([0, 1, 2, 3, 0, 0]))
    weights = np.array([1.0, 2.0, 0.5, 4.0, 1.5, 3.0])
    matrix, b = plain(topology, weights), incidence(topology)
    made = Covariance(topology, weights)
    assert np.allclose(made.own(), np.diag(b.T @ matrix @ b))
    assert np.allclose(made.gains(np.arange(5), np.ones(5)), ((matrix @ b) ** 2).sum(axis=0))
    for counted in (np.array([1.0, 0.0, 2.0, 0.5, 1.0]), np.array([-1.0, 0.0, 0.0, 1.0, 0.0])):
        some = np.flatnonzero(counted)
        assert np.allclose(made.gains(some, counted[some]), counted @ (matrix @ b) ** 2)
    assert np.allclose(made.variances(), np.diag(matrix))
    assert np.allclose(made.spread(weights), np.diag(matrix))  # C L C = C
    assert np.allclose(made.spread(weights**2), (matrix @ b) ** 2 @ weights**2)


@st.composite
def large_networks(draw):
    """Trees and rings with chords, doubled edges, edges without weight, lonely nodes; several parts; wide weights."""
    seed = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    parts, first, pairs = draw(st.integers(1, 4)), 0, []
    for _ in range(parts):
        nodes = draw(st.sampled_from([1, 2, 3, 10, 60]))
        tree = [
            (first + int(seed.integers(0, max(1, n if draw(st.booleans()) else 1))), first + n) for n in range(1, nodes)
        ]
        chords = seed.integers(first, first + nodes, (draw(st.sampled_from([0, 1, nodes // 2, nodes])), 2)).tolist()
        pairs += tree + [(a, b) for a, b in chords if a != b] + tree[: draw(st.integers(0, 3))]
        first += nodes
    if not pairs:
        pairs = [(0, 1)]
        first = max(first, 2)
    heads, tails = np.array(pairs).T
    weights = seed.lognormal(2.0, 1.5, len(pairs)) * (seed.random(len(pairs)) > draw(st.sampled_from([0.0, 0.1, 0.9])))
    return Topology(first, heads, tails), weights


@given(network=large_networks(), seed=st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_what_is_eliminated_is_what_plain_matrices_say(network, seed):
    topology, weights = network
    choose = np.random.default_rng(seed)
    matrix, b = plain(topology, weights), incidence(topology)
    columns, used, close = matrix @ b, weights > 0, {"rtol": 1e-7, "atol": 1e-9}
    factors, counted = choose.lognormal(0, 1, len(weights)), choose.integers(0, 3, topology.nodes).astype(float)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(covariance, "_DENSE_NODES", 0)
        patch.setattr(covariance, "_BLOCK", 7)
        patch.setattr(elimination, "_FEW", 4)
        patch.setattr(elimination, "_DENSE", 0.6)
        made = Covariance(topology, weights)
        some = np.flatnonzero(counted)
        assert np.allclose(made.apply(b), columns, **close)
        assert np.allclose(made.variances(), np.diag(matrix), **close)
        assert np.allclose(made.own(), np.sum(b * columns, axis=0), **close)
        assert np.allclose(made.spread(factors), columns**2 @ factors, **close)
        assert np.allclose(made.spread(factors * used), columns**2 @ (factors * used), **close)
        assert np.allclose(made.gains(some, counted[some]), counted @ columns**2, **close)


def test_a_change_is_seen_by_all_that_is_asked_later(kind):
    topology = Topology(5, np.array([1, 2, 3, 4, 4, 2]), np.array([0, 1, 2, 3, 0, 0]))
    made, weights = Covariance(topology, np.ones(6)), np.ones(6)
    made.own()
    for edge in range(6):
        weights[edge] += 2.0
        made.change(np.array([edge]), np.array([2.0]), np.ones(5))
        matrix, b = plain(topology, weights), incidence(topology)
        assert np.allclose(made.variances(), np.diag(matrix)) and np.allclose(made.own(), np.diag(b.T @ matrix @ b))


def test_a_matrix_that_is_not_positive_definite_is_refused():
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
        elimination.dense_inverse(np.array([[1.0, 2.0], [2.0, 1.0]], order="F"))


def test_edges_without_weight_join_nothing(kind):
    topology = Topology(4, np.array([1, 2, 3]), np.array([0, 1, 2]))
    assert topology.parts(np.array([1.0, 0.0, 1.0])).tolist() == [0, 0, 1, 1]
    values = Covariance(topology, np.array([1.0, 0.0, 1.0])).apply(topology.divergence(np.array([2.0, 0.0, 4.0])))
    assert values.tolist() == pytest.approx([-1.0, 1.0, -2.0, 2.0])  # each part around its own mean


def test_differences_and_divergence_are_transposes():
    topology = Topology(3, np.array([1, 2, 2]), np.array([0, 1, 0]))
    b = incidence(topology)
    assert np.allclose(topology.differences(np.array([1.0, 5.0, 7.0])), b.T @ [1.0, 5.0, 7.0])
    assert np.allclose(topology.divergence(np.array([1.0, 2.0, 3.0])), b @ [1.0, 2.0, 3.0])


def test_linear_algebra_takes_one_thread_and_leaves_the_users_setting_alone(monkeypatch):
    def threads():
        return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}

    invert, seen = covariance._centred_inverse, []
    monkeypatch.setattr(covariance, "_centred_inverse", lambda matrix: (seen.append(threads()), invert(matrix))[1])
    with threadpool_limits(2, user_api="blas"):
        Covariance(Topology(2, np.array([0]), np.array([1])), np.ones(1)).own()
        assert threads() == {2}
    assert seen == [{1}]
