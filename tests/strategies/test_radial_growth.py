"""The radial-growth strategy: weights by hand, and beside stratocaster's own."""

from __future__ import annotations

import itertools
import random
from types import SimpleNamespace

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from proposals import NEEDS_STRATOCASTER, counted, edge, network_of, weights_by_name

from xpm_alchem.strategies.radial_growth import RadialGrowthStrategy, RadialGrowthStrategySettings, _eccentricities

CHAIN = [(0, 1), (1, 2), (2, 3), (3, 4)]  # tiers of the systems: 4 3 2 3 4


def network(pairs):
    return network_of([edge(*pair) for pair in pairs])


def ours(**values):
    return RadialGrowthStrategy(RadialGrowthStrategySettings(**values))


def weights(pairs, counts, **values):
    return weights_by_name(ours(**values), network(pairs), counts)


# --------------------------------------------------------------------------------------------------- weights by hand
@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        # the innermost tier first, as long as one of it lacks results
        ({}, {"0-1": 0.0, "1-2": 1.0, "2-3": 1.0, "3-4": 0.0}),
        ({"1-2": 1}, {"0-1": 0.0, "1-2": 0.5, "2-3": 1.0, "3-4": 0.0}),
        ({"1-2": 3}, {"0-1": 0.0, "1-2": None, "2-3": 1.0, "3-4": 0.0}),
        # only the outermost tier lacks results, so that it is taken for complete: the factor further in is 1 / 0.5**2
        ({"1-2": 1, "2-3": 2}, {"0-1": 1.0, "1-2": 2.0, "2-3": 1.0, "3-4": 1.0}),
        # results further out do not make up for those that are missing further in
        ({"0-1": 2, "3-4": 1}, {"0-1": 0.0, "1-2": 1.0, "2-3": 1.0, "3-4": 0.0}),
        ({"0-1": 1, "1-2": 1, "2-3": 1, "3-4": 1}, {"0-1": 0.5, "1-2": 2.0, "2-3": 2.0, "3-4": 0.5}),
        (dict.fromkeys(("0-1", "1-2", "2-3", "3-4"), 3), dict.fromkeys(("0-1", "1-2", "2-3", "3-4"))),
    ],
)
def test_a_chain_grows_from_its_middle(counts, expected):
    assert weights(CHAIN, counts) == expected


def test_the_settings_say_how_far_and_how_fast():
    pairs = [*CHAIN, (4, 5), (5, 6)]  # tiers 6 5 4 3 4 5 6
    found = weights(pairs, {"2-3": 1}, candidacy_max_distance=2, decay_distance_rate=0.25, decay_repeat_rate=0.125)
    assert found == {"0-1": 0.0, "1-2": 0.25, "2-3": 0.125, "3-4": 1.0, "4-5": 0.25, "5-6": 0.0}
    assert weights(pairs, {"2-3": 1}, max_runs=1)["2-3"] is None


def test_a_network_without_a_middle_is_weighed_evenly():
    assert weights([(0, 1), (1, 2), (2, 0)], {"0-1": 1}) == {"0-1": 0.5, "1-2": 1.0, "2-0": 1.0}


def test_each_part_of_a_network_has_a_middle_of_its_own():
    found = weights([*CHAIN, (5, 6), (6, 7)], {"1-2": 1, "2-3": 1})
    assert found == {**weights(CHAIN, {"1-2": 1, "2-3": 1}), "5-6": 1.0, "6-7": 1.0}


def test_parallel_transformations_each_get_a_weight_and_each_keeps_its_tier_incomplete():
    pairs = [*CHAIN, (1, 2, 1), (3, 2)]
    found = weights(pairs, {"1-2": 1, "2-3": 1, "3-2": 1})
    assert found == {"0-1": 0.0, "1-2": 0.5, "1-2 1": 1.0, "2-3": 0.5, "3-2": 0.5, "3-4": 0.0}
    found = weights(pairs, {"1-2": 1, "1-2 1": 1, "2-3": 1, "3-2": 1})
    assert found == {"0-1": 1.0, "1-2": 2.0, "1-2 1": 2.0, "2-3": 2.0, "3-2": 2.0, "3-4": 1.0}


def test_a_non_transformation_has_the_tier_of_its_system():
    pairs = [*CHAIN, (2, 2), (4, 4)]
    assert weights(pairs, {}) == {**weights(CHAIN, {}), "2-2": 1.0, "4-4": 0.0}
    found = weights(pairs, {"1-2": 1, "2-3": 1})  # the middle's own is missing
    assert found == {"0-1": 0.0, "1-2": 0.5, "2-2": 1.0, "2-3": 0.5, "3-4": 0.0, "4-4": 0.0}
    found = weights(pairs, {"1-2": 1, "2-3": 1, "2-2": 1})  # 0.5 x 0.5**(2 - 4 - 1)
    assert found == {"0-1": 1.0, "1-2": 2.0, "2-2": 4.0, "2-3": 2.0, "3-4": 1.0, "4-4": 1.0}
    assert weights([(0, 0)], {"0-0": 1}) == {"0-0": 0.5}


def test_a_strategy_may_be_asked_about_another_network():
    strategy = ours()
    for pairs in (CHAIN, [(0, 1), (1, 2)], CHAIN):
        assert weights_by_name(strategy, network(pairs), {}) == weights(pairs, {})


def test_the_tiers_are_eccentricities_as_networkx_has_them():
    generator = random.Random(5)
    for _ in range(50):
        graph = nx.Graph((n, generator.randrange(n)) for n in range(1, generator.randint(2, 30)))
        graph.add_edges_from(generator.choices(list(itertools.combinations(graph, 2)), k=generator.randint(0, 10)))
        graph.add_edges_from((n, n) for n in generator.sample(list(graph), 2))
        assert _eccentricities(graph.adj) == nx.eccentricity(graph)


def test_a_result_of_nothing_is_no_result():
    chain = network(CHAIN)
    empty = {str(t.key): SimpleNamespace(n_protocol_dag_results=0) for t in chain.edges}
    names = {str(t.key): t.name for t in chain.edges}
    found = ours().propose(chain, empty).weights
    assert {names[key]: weight for key, weight in found.items()} == weights(CHAIN, {})


def test_the_centre_of_a_very_long_chain_has_a_finite_weight():
    pairs = [(n, n + 1) for n in range(100)]
    done = {f"{a}-{b}": 1 for a, b in pairs}
    found = ours(decay_distance_rate=1e-4).propose(network(pairs), counted(network(pairs), done))
    resolved = found.resolve().values()
    assert all(0 <= weight <= 1 for weight in resolved) and sum(resolved) == pytest.approx(1)


@pytest.mark.parametrize(
    "bad",
    [{"max_runs": 0}, {"max_runs": 1.5}, {"candidacy_max_distance": 0}, {"candidacy_max_distance": None}]
    + [{name: rate} for name in ("decay_repeat_rate", "decay_distance_rate") for rate in (0.0, 1.0, -1.0, "fast")],
)
def test_settings_that_make_no_sense_are_refused(bad):
    with pytest.raises((ValueError, TypeError)):
        RadialGrowthStrategySettings(**bad)


# -------------------------------------------------------------------------------- beside stratocaster's own strategy
def theirs(**values):
    pytest.importorskip("stratocaster", reason=NEEDS_STRATOCASTER)
    from stratocaster.strategies import RadialGrowthStrategy as Theirs

    return Theirs(type(Theirs.default_settings())(**values))


def in_order(strategy, transformations, results):
    """Return what stratocaster proposes for a connected network whose edges come in this order."""
    graph = nx.MultiDiGraph()
    for t in transformations:
        graph.add_edge(t.stateA, t.stateB, object=t)
    names = {str(t.key): t.name for t in transformations}
    found = strategy._propose(SimpleNamespace(graph=graph), results).weights
    return {names[str(key)]: weight for key, weight in found.items()}


PAIRS = list(itertools.combinations(range(6), 2))
SIMPLE = st.lists(st.sampled_from(PAIRS), unique=True, min_size=1, max_size=9)
COUNTS = st.lists(st.sampled_from([0, 0, 1, 1, 2, 3]), min_size=9, max_size=9)
VALUES = st.sampled_from(
    [{}, {"max_runs": 1}, {"candidacy_max_distance": 2, "decay_distance_rate": 0.3}, {"decay_repeat_rate": 0.9}]
)


@settings(deadline=None, derandomize=True, max_examples=150)
@given(pairs=SIMPLE, flips=st.integers(0, 511), loops=st.sets(st.integers(0, 5), max_size=1), counts=COUNTS, v=VALUES)
def test_the_weights_are_stratocaster_s_wherever_those_are_well_defined(pairs, flips, loops, counts, v):
    reference, mine = theirs(**v), ours(**v)
    pairs = [(b, a) if flips >> n & 1 else (a, b) for n, (a, b) in enumerate(pairs)]
    pairs += [(n, n) for n in sorted(loops) if any(n in pair for pair in pairs)]
    known = {f"{a}-{b}": n for (a, b), n in zip(pairs, counts, strict=False)}
    graph = nx.Graph(pairs)
    for part in nx.connected_components(graph):
        edges = [edge(*pair) for pair in pairs if pair[0] in part]
        whole = network_of(edges)
        results = counted(whole, known)
        answers = [in_order(reference, [first, *(e for e in edges if e is not first)], results) for first in edges]
        found = weights_by_name(mine, whole, known)
        assert found in answers  # one order of edges at least gives our weights
        if all(answer == answers[0] for answer in answers):
            assert found == answers[0] == weights_by_name(reference, whole, known)


@settings(deadline=None, derandomize=True, max_examples=40)
@given(sizes=st.lists(st.integers(2, 4), min_size=2, max_size=3), counts=COUNTS, v=VALUES)
def test_networks_in_parts_are_proposed_for_as_by_stratocaster(sizes, counts, v):
    """Chains of two to four systems have two tiers at most, where no order matters."""
    starts = [sum(sizes[:n]) for n in range(len(sizes))]
    pairs = [(s + n, s + n + 1) for s, size in zip(starts, sizes, strict=True) for n in range(size - 1)]
    known = {f"{a}-{b}": n for (a, b), n in zip(pairs, counts, strict=False)}
    assert weights(pairs, known, **v) == weights_by_name(theirs(**v), network(pairs), known)


def test_stratocaster_s_weights_depend_on_the_order_of_edges_and_ours_do_not():
    """Tiers 6 5 4 3 4 5 6: whether 1-2 or 2-3 is looked at first decides which tier is taken for complete."""
    reference = theirs()
    edges = [edge(n, n + 1) for n in range(6)]
    results = counted(network_of(edges), {})
    orders = [edges[n:] + edges[:n] for n in range(6)]
    answers = [in_order(reference, order, results) for order in orders]
    assert sorted({(answer["1-2"], answer["2-3"]) for answer in answers}) == [(0.0, 1.0), (1.0, 1.0)]
    mine = {"0-1": 0.0, "1-2": 0.0, "2-3": 1.0, "3-4": 1.0, "4-5": 0.0, "5-6": 0.0}
    assert [weights_by_name(ours(), network_of(order), {}) for order in orders] == [mine] * 6


def test_stratocaster_gives_a_parallel_transformation_no_weight():
    pairs = [(0, 1), (0, 1, 1)]
    assert len(weights_by_name(theirs(), network(pairs), {})) == 1
    assert weights(pairs, {}) == {"0-1": 1.0, "0-1 1": 1.0}


def test_stratocaster_fails_on_a_chain_as_long_as_this():
    pairs = [(n, n + 1) for n in range(200)]
    done = {f"{a}-{b}": 1 for a, b in pairs}
    with pytest.raises(OverflowError):
        weights_by_name(theirs(decay_distance_rate=1e-4), network(pairs), done)
    assert max(weights(pairs, done, decay_distance_rate=1e-4).values()) < 1e101
