"""Several repeats planned at once: the state is as if each had been added, and none is next to another."""

from __future__ import annotations

import numpy as np
import pytest

from xpm_alchem.estimation.covariance import Covariance, Topology
from xpm_alchem.estimation.node_values import Legs, fit_nodes
from xpm_alchem.estimation.repeat_variances import VariancePrior
from xpm_alchem.strategies.repeat_plan import AllocationState

NODES = 40


@pytest.fixture
def state() -> AllocationState:
    """A ring with chords; two legs on every edge."""
    choose = np.random.default_rng(3)
    tails = np.concatenate([np.arange(NODES), choose.integers(0, NODES, 15)])
    heads = np.concatenate([(np.arange(NODES) + 1) % NODES, (tails[NODES:] + 7) % NODES])
    topology, edges = Topology(NODES, heads, tails), np.repeat(np.arange(len(heads)), 2)
    legs = len(edges)
    prior = VariancePrior(np.full(legs, 3.0), choose.lognormal(-3, 1, legs))
    counts = np.full(legs, 3.0)
    repeats = Legs(edges, counts, choose.normal(0, 1, legs), choose.lognormal(-3, 1, legs), prior)
    fit = fit_nodes(topology, repeats, 0.1)
    return AllocationState(repeats, fit, counts, np.ones(legs))


def test_what_is_added_at_once_is_as_if_the_network_were_looked_at_anew(state):
    nodes = (np.arange(NODES) % 3 > 0).astype(float)
    state.count_only(nodes)
    for most in (1, 4, 9):
        chosen = state.apart(np.argsort(-state.expected_drop()), most)
        assert 1 <= len(chosen) <= most
        before = state.weights.copy()
        state.add(chosen)
        assert np.all(state.weights[state.legs.edges[chosen]] > before[state.legs.edges[chosen]])
        anew = Covariance(state.topology, state.weights)
        assert np.allclose(state.own, anew.own(), rtol=1e-8)
        assert np.allclose(state.gains, anew.gains(np.arange(NODES), nodes), rtol=1e-8)


def test_nodes_may_stop_and_begin_to_count(state):
    everything = Covariance(state.topology, state.weights)
    for counted in (NODES - 2, 3, NODES // 2, NODES):
        nodes = (np.arange(NODES) < counted).astype(float)
        state.count_only(nodes)
        assert np.allclose(state.gains, everything.gains(np.arange(counted), np.ones(counted)), rtol=1e-8)


def test_legs_that_are_apart_share_no_node(state):
    chosen = state.apart(np.arange(len(state.counts)), 30)
    ends = [end[state.legs.edges[leg]] for leg in chosen for end in (state.topology.heads, state.topology.tails)]
    assert len(chosen) > 5 and len(ends) == len(set(ends)), "a node is shared"
    assert len(state.apart(np.arange(len(state.counts)), 2)) == 2


def test_repeats_planned_at_once_lower_the_sum_of_variances_about_as_much_as_one_after_another(state):
    import copy

    one, many = state, copy.deepcopy(state)
    for _ in range(40):
        one.add(one.apart(np.argsort(-one.expected_drop()), 1))
    for _ in range(10):
        many.add(many.apart(np.argsort(-many.expected_drop()), 4))
    assert one.counts.sum() == many.counts.sum()
    assert many.squared_errors.sum() == pytest.approx(one.squared_errors.sum(), rel=0.01)
