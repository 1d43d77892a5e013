"""The covariance of node values: against plain matrices, dense and sparse, and changed edge by edge."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_info, threadpool_limits

from xpm_alchem.estimation import covariance
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


@pytest.fixture(params=["dense", "formed late", "sparse"])
def kind(request, monkeypatch):
    monkeypatch.setattr(covariance, "_BLOCK", 3)
    if request.param == "sparse":
        monkeypatch.setattr(covariance, "_DENSE_NODES", 0)
    if request.param == "formed late":
        monkeypatch.setattr(covariance, "_SMALL_NODES", 0)


@pytest.mark.parametrize("sparse", [False, True])
@given(network=networks())
@settings(deadline=None)
def test_it_is_the_pseudo_inverse_of_the_laplacian(network, sparse):
    topology, weights = network
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(covariance, "_DENSE_NODES", 0 if sparse else 6000)
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


def test_a_scan_looks_at_every_edge(kind):
    topology = Topology(5, np.array([1, 2, 3, 4, 4, 2]), np.array([0, 1, 2, 3, 0, 0]))
    weights = np.array([1.0, 2.0, 0.5, 4.0, 1.5, 3.0])
    matrix, b = plain(topology, weights), incidence(topology)
    own, gains, sums = Covariance(topology, weights).scan(np.stack([weights, weights**2], axis=1))
    assert np.allclose(own, np.diag(b.T @ matrix @ b))
    assert np.allclose(gains, ((matrix @ b) ** 2).sum(axis=0))
    assert np.allclose(Covariance(topology, weights).own(), own)
    counted = np.array([1.0, 0.0, 2.0, 0.5, 1.0])
    some = np.flatnonzero(counted)
    weighed = Covariance(topology, weights).gains(some, counted[some])
    assert np.allclose(weighed, counted @ (matrix @ b) ** 2)
    assert np.allclose(sums[:, 0], np.diag(matrix))  # C L C = C
    assert np.allclose(sums[:, 1], (matrix @ b) ** 2 @ weights**2)


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
