"""The strategist's iteration: weights to counts, counts to changes, and its status."""

from __future__ import annotations

import math
import os
import random
import subprocess
import sys
from functools import reduce
from operator import add

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xpm_alchem.plan.strategy import NORMALIZATIONS, SCALINGS, StrategyPlan
from xpm_alchem.strategy import (
    AWAKE,
    DORMANT,
    ERROR,
    Counts,
    StrategyHealth,
    StrategyState,
    extensions,
    is_due,
    iterate,
    largest_remainder,
    normalized,
    task_counts,
)

FRESH = StrategyState()
NOW = 1000.0
PROPERTY = settings(deadline=None, derandomize=True, max_examples=200)


def fixed(weights):
    """Return a strategy that always says the same."""
    return lambda to_come: weights


def until(runs, counts, weight=1.0):
    """Return a strategy that wants `runs` results of every transformation, results to come included."""
    return lambda to_come: {t: weight if c.complete + to_come[t] < runs else None for t, c in counts.items()}


# ------------------------------------------------------------------------------------------------- weights to counts
@pytest.mark.parametrize(
    ("scaling", "weight", "count"),
    [
        ("linear", 0.5, 3),
        ("linear", 1.0, 4),
        ("linear", 0.0, 0),
        ("linear", None, 0),
        ("exponential", 0.5, 2),
        ("exponential", 1.0, 4),
        ("exponential", 0.0, 0),
        ("exponential", None, 0),
    ],
)
def test_alchemiscale_s_worked_numbers(scaling, weight, count):
    plan = StrategyPlan(task_scaling=scaling, max_tasks_per_transformation=4)
    assert task_counts(plan, {"a": weight, "largest": 1.0}) == {"a": count, "largest": 4}


@pytest.mark.parametrize(("scaling", "count"), [("linear", 3), ("exponential", 2)])
def test_normalised_by_the_sum_as_alchemiscale_does(scaling, count):
    plan = StrategyPlan(task_scaling=scaling, normalization="sum", max_tasks_per_transformation=4)
    assert task_counts(plan, {"a": 7.0, "b": 7.0, "c": None}) == {"a": count, "b": count, "c": 0}


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("most", [3, 10])
def test_on_45_equal_edges_the_maximum_gives_all_and_the_sum_gives_one(scaling, most):
    weights = {str(n): 2.0 for n in range(45)}
    by_max = StrategyPlan(task_scaling=scaling, max_tasks_per_transformation=most)
    by_sum = StrategyPlan(task_scaling=scaling, normalization="sum", max_tasks_per_transformation=most)
    assert set(task_counts(by_max, weights).values()) == {most}
    assert set(task_counts(by_sum, weights).values()) == {1}


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_weights_that_are_all_zero_stay_zero(normalization):
    plan = StrategyPlan(normalization=normalization)
    assert normalized(plan, {"a": 0.0, "b": None, "c": 0}) == {"a": 0.0, "b": None, "c": 0}
    assert set(task_counts(plan, {"a": 0.0, "b": None}).values()) == {0}
    assert normalized(plan, {}) == {}


WEIGHTS = st.dictionaries(
    st.sampled_from("abcdefgh"), st.none() | st.just(0.0) | st.floats(1e-6, 1e6), min_size=1, max_size=8
)


@PROPERTY
@given(
    weights=WEIGHTS,
    most=st.integers(1, 12),
    scaling=st.sampled_from(SCALINGS),
    normalization=st.sampled_from(NORMALIZATIONS),
)
def test_counts_are_bounded_and_grow_with_the_weight(weights, most, scaling, normalization):
    plan = StrategyPlan(task_scaling=scaling, normalization=normalization, max_tasks_per_transformation=most)
    counts = task_counts(plan, weights)
    assert counts.keys() == weights.keys()
    for t, weight in weights.items():
        assert counts[t] == 0 if not weight else 1 <= counts[t] <= most
    by_weight = sorted((t for t in weights if weights[t]), key=lambda t: weights[t])
    assert [counts[t] for t in by_weight] == sorted(counts[t] for t in by_weight)


@PROPERTY
@given(weights=WEIGHTS, total=st.integers(0, 60), most=st.integers(1, 9))
def test_largest_remainder_shares_the_total_within_the_cap(weights, total, most):
    shares = largest_remainder(weights, total, most)
    takers = [t for t, weight in weights.items() if weight]
    assert sum(shares.values()) == min(total, most * len(takers))
    assert all(0 <= share <= most for share in shares.values())
    assert all(shares[t] == 0 for t in weights if t not in takers)
    by_weight = sorted(takers, key=lambda t: weights[t])
    assert [shares[t] for t in by_weight] == sorted(shares[t] for t in by_weight) or len(set(weights.values())) < len(
        weights
    )


def test_largest_remainder_by_hand():
    assert largest_remainder({"a": 3.0, "b": 2.0, "c": 1.0}, 6, 9) == {"a": 3, "b": 2, "c": 1}
    assert largest_remainder({"a": 2.0, "b": 2.0, "c": 1.0}, 3, 9) == {"a": 1, "b": 1, "c": 1}  # 1.2, 1.2, 0.6
    assert largest_remainder({"a": 5.0, "b": 1.0, "c": None}, 6, 3) == {"a": 3, "b": 3, "c": 0}  # 2 left over for b
    assert largest_remainder({"b": 1.0, "a": 1.0}, 1, 3) == {"b": 0, "a": 1}  # a tie goes by name


# ---------------------------------------------------------------------------------------------- tasks to be created
def test_a_new_network_gets_its_tasks_in_rounds_the_most_urgent_first():
    counts = {t: Counts() for t in "abc"}
    plan = StrategyPlan(max_tasks_per_transformation=2)
    proposal = iterate(plan, FRESH, counts, fixed({"a": 1.0, "b": 3.0, "c": None}), NOW)
    assert proposal.create == ("b", "a", "b")
    assert proposal.weights == {"a": 1.0, "b": 3.0, "c": None}
    assert proposal.state == StrategyState(AWAKE, 1, NOW, 0)


def test_tasks_in_flight_are_results_to_come():
    counts = {"a": Counts(complete=1, waiting=1), "b": Counts(running=1)}
    proposal = iterate(StrategyPlan(), FRESH, counts, until(3, counts), NOW)
    assert sorted(proposal.create) == ["a", "b", "b"]


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("most", [1, 2, 3, 5])
def test_one_edge_and_three_runs_are_three_tasks_in_all(normalization, most):
    plan = StrategyPlan(max_tasks_per_transformation=most, normalization=normalization)
    state, complete, running, created = FRESH, 0, 0, 0
    for now in range(10):
        counts = {"a": Counts(complete=complete, running=running)}
        if is_due(plan, state, complete, float(now)):
            proposal = iterate(plan, state, counts, until(3, counts), float(now))
            state = proposal.state
            created += len(proposal.create)
            running += len(proposal.create)
        if running:
            running, complete = running - 1, complete + 1
    assert (created, complete, state.status) == (3, 3, DORMANT)


def test_a_transformation_in_error_gets_nothing_new_and_others_do():
    counts = {"a": Counts(error=1), "b": Counts()}
    proposal = iterate(StrategyPlan(), FRESH, counts, fixed({"a": 9.0, "b": 9.0}), NOW)
    assert proposal.create == ("b", "b", "b")
    assert proposal.state.status == AWAKE


def test_transformations_in_error_alone_do_not_keep_it_awake():
    counts = {"a": Counts(error=1), "b": Counts(complete=3)}
    proposal = iterate(StrategyPlan(), FRESH, counts, fixed({"a": 9.0, "b": None}), NOW)
    assert (proposal.create, proposal.state.status) == ((), DORMANT)


def test_a_transformation_in_error_takes_no_share_of_a_capped_network():
    counts = {"a": Counts(error=1), "b": Counts()}
    plan = StrategyPlan(max_tasks_per_network=1)
    assert iterate(plan, FRESH, counts, fixed({"a": 9.0, "b": 1.0}), NOW).create == ("b",)


def test_a_cap_on_the_network_shares_the_tasks_by_weight():
    counts = {t: Counts() for t in "abc"}
    plan = StrategyPlan(max_tasks_per_network=6, max_tasks_per_transformation=5)
    proposal = iterate(plan, FRESH, counts, fixed({"a": 3.0, "b": 2.0, "c": 1.0}), NOW)
    assert proposal.create == ("a", "b", "c", "a", "b", "a")


def test_a_cap_on_the_network_counts_what_is_in_flight():
    counts = {"a": Counts(running=2), "b": Counts(waiting=1)}
    plan = StrategyPlan(max_tasks_per_network=4, max_tasks_per_transformation=9)
    assert iterate(plan, FRESH, counts, fixed({"a": 1.0, "b": 1.0}), NOW).create == ("b",)
    over = StrategyPlan(max_tasks_per_network=2)
    assert iterate(over, FRESH, counts, fixed({"a": 1.0, "b": 1.0}), NOW).create == ()


def test_transformations_the_network_does_not_have_are_passed_over():
    assert iterate(StrategyPlan(), FRESH, {"a": Counts()}, fixed({"a": 1.0, "x": 9.0}), NOW).create == ("a",)
    proposal = iterate(StrategyPlan(), FRESH, {"a": Counts()}, fixed({"a": None, "x": 9.0}), NOW)
    assert proposal.state.status == DORMANT


COUNTS = st.builds(
    Counts,
    complete=st.integers(0, 3),
    waiting=st.integers(0, 3),
    running=st.integers(0, 3),
    error=st.sampled_from([0, 0, 0, 1]),
)
PLANS = st.builds(
    StrategyPlan,
    mode=st.sampled_from(["partial", "full"]),
    task_scaling=st.sampled_from(SCALINGS),
    normalization=st.sampled_from(NORMALIZATIONS),
    max_tasks_per_transformation=st.integers(1, 5),
    max_tasks_per_network=st.none() | st.integers(1, 12),
)
NETWORKS = st.dictionaries(st.sampled_from("abcdef"), st.tuples(COUNTS, st.integers(0, 5)), min_size=1)


def decaying(network):
    """Return counts and a strategy whose weights fall with every result, None after three."""
    counts = {t: count for t, (count, _) in network.items()}

    def propose(to_come):
        done = {t: counts[t].complete + to_come[t] for t in counts}
        return {t: weight * 0.5 ** done[t] if done[t] < 3 else None for t, (_, weight) in network.items()}

    return counts, propose


@PROPERTY
@given(plan=PLANS, network=NETWORKS)
def test_no_cap_is_ever_exceeded(plan, network):
    counts, propose = decaying(network)
    proposal = iterate(plan, FRESH, counts, propose, NOW)
    for t, count in counts.items():
        new = proposal.create.count(t)
        if new:
            assert not count.error
            assert count.in_flight + new <= plan.max_tasks_per_transformation
            assert count.complete + count.in_flight + new <= 3
    if proposal.create and plan.max_tasks_per_network is not None:
        left = sum(c.in_flight for c in counts.values()) - sum(proposal.cancel.values())
        assert left + len(proposal.create) <= plan.max_tasks_per_network


def applied(counts, proposal, *, patience_over=True):
    """Return the counts after a proposal: what is unwanted and runs is cancelled, too, or still runs."""
    after = {}
    for t, count in counts.items():
        cancel, unwanted = proposal.cancel.get(t, 0), proposal.unwanted.get(t, 0) if patience_over else 0
        new = proposal.create.count(t) + proposal.action.get(t, 0)
        after[t] = Counts(
            complete=count.complete,
            waiting=count.waiting - cancel + new,
            running=count.running - unwanted,
            error=count.error,
            spare=count.spare + cancel + unwanted - proposal.action.get(t, 0),
        )
    return after


@PROPERTY
@given(plan=PLANS, network=NETWORKS)
def test_a_second_iteration_without_news_changes_nothing(plan, network):
    """So it does not matter at which point a driver is killed, or how often it is woken up."""
    counts, propose = decaying(network)
    first = iterate(plan, FRESH, counts, propose, NOW)
    after = applied(counts, first)
    network = {t: (after[t], weight) for t, (_, weight) in network.items()}
    second = iterate(plan, first.state, *decaying(network), NOW)
    if first.unwanted:  # they took up room that is free only now
        after = applied(after, second)
        second = iterate(plan, first.state, *decaying({t: (after[t], w) for t, (_, w) in network.items()}), NOW)
    assert (second.create, dict(second.action), dict(second.cancel), dict(second.unwanted)) == ((), {}, {}, {})


@PROPERTY
@given(plan=PLANS, network=NETWORKS)
def test_with_nothing_in_flight_there_is_something_to_do_or_it_is_dormant(plan, network):
    network = {t: (Counts(complete=c.complete, error=c.error), weight) for t, (c, weight) in network.items()}
    proposal = iterate(plan, FRESH, *decaying(network), NOW)
    assert bool(proposal.create) == (proposal.state.status == AWAKE)


@PROPERTY
@given(plan=PLANS, network=NETWORKS, seed=st.integers(0, 10**6))
def test_the_order_of_dictionaries_does_not_matter(plan, network, seed):
    order = random.Random(seed).sample(sorted(network), len(network))
    other = {t: network[t] for t in order}
    assert iterate(plan, FRESH, *decaying(network), NOW) == iterate(plan, FRESH, *decaying(other), NOW)


@pytest.mark.parametrize(
    ("weights", "total"),  # added up in another order, the sum of these differs in its last digit
    [
        ({"a": 0.3, "b": 0.5, "c": 0.6}, 7),
        ({"a": 0.9, "b": 0.2, "c": 0.3}, 4),
        ({"a": 0.4, "b": 0.9, "c": 0.4, "d": 0.1}, 6),
    ],
)
def test_rounding_does_not_let_the_order_of_weights_matter(weights, total):
    backwards = dict(reversed(weights.items()))
    assert reduce(add, weights.values()) != reduce(add, backwards.values())  # sum() rounds once since Python 3.12
    assert largest_remainder(weights, total, 99) == largest_remainder(backwards, total, 99)
    by_sum = StrategyPlan(normalization="sum")
    assert normalized(by_sum, weights) == normalized(by_sum, backwards)


TENTHS = st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 9).map(lambda n: n / 10), min_size=1)


@PROPERTY
@given(weights=WEIGHTS | TENTHS, total=st.integers(0, 60), most=st.integers(1, 9), seed=st.integers(0, 10**6))
def test_shares_do_not_depend_on_the_order_of_weights(weights, total, most, seed):
    order = random.Random(seed).sample(sorted(weights), len(weights))
    assert largest_remainder({t: weights[t] for t in order}, total, most) == largest_remainder(weights, total, most)


def test_the_hash_seed_does_not_matter():
    program = (
        "from xpm_alchem.plan.strategy import StrategyPlan\n"
        "from xpm_alchem.strategy import *\n"
        "names = {f'transformation {n}' for n in range(40)}\n"
        "weights = {name: 0.1 * (1 + len(name) + int(name[-1])) for name in names}\n"
        "for cap in (None, 50):\n"
        "    plan = StrategyPlan(max_tasks_per_network=cap, normalization='sum', max_tasks_per_transformation=40)\n"
        "    counts = {name: Counts() for name in names}\n"
        "    print(iterate(plan, StrategyState(), counts, lambda to_come: weights, 0.0).create)\n"
        "print(list(names))\n"
    )
    answers = []
    for seed in ("0", "1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        ended = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr
        answers.append(ended.stdout.splitlines())
    assert len({answer[2] for answer in answers}) == 3  # the seeds do change the order of the dictionaries
    assert answers[0][:2] == answers[1][:2] == answers[2][:2]


# ------------------------------------------------------------------------------------------------------- full mode
def test_full_mode_cancels_only_waiting_tasks_that_nobody_wants():
    counts = {"a": Counts(waiting=2, running=1), "b": Counts(running=3), "c": Counts(waiting=1), "d": Counts(waiting=4)}
    weights = {"a": None, "b": None, "c": 1.0, "d": 0.0}
    proposal = iterate(StrategyPlan(mode="full", max_tasks_per_transformation=1), FRESH, counts, fixed(weights), NOW)
    assert dict(proposal.cancel) == {"a": 2, "d": 4}
    assert proposal.create == ()


def test_full_mode_says_which_running_tasks_are_not_wanted_after_the_waiting_ones():
    counts = {"a": Counts(waiting=1, running=3), "b": Counts(running=2)}
    plan = StrategyPlan(mode="full", max_tasks_per_transformation=2)
    proposal = iterate(plan, FRESH, counts, fixed({"a": 1.0, "b": None}), NOW)
    assert (dict(proposal.cancel), dict(proposal.unwanted)) == ({"a": 1}, {"a": 1, "b": 2})
    assert (dict(proposal.targets), proposal.create) == ({"a": 2, "b": 0}, ())


def test_full_mode_goes_down_to_the_target_and_no_further():
    counts = {"a": Counts(complete=1, waiting=4), "b": Counts(waiting=1)}
    plan = StrategyPlan(mode="full", max_tasks_per_transformation=5)
    proposal = iterate(plan, FRESH, counts, until(3, counts), NOW)
    assert (dict(proposal.cancel), proposal.create) == ({"a": 2}, ("b", "b"))


def test_full_mode_keeps_running_tasks_for_waiting_ones():
    counts = {"a": Counts(waiting=2, running=2)}
    proposal = iterate(StrategyPlan(mode="full"), FRESH, counts, until(2, counts), NOW)
    assert (dict(proposal.cancel), dict(proposal.unwanted)) == ({"a": 2}, {})


def test_in_full_mode_tasks_that_run_unwanted_take_up_room_until_they_end():
    counts = {"a": Counts(running=2), "b": Counts()}
    plan = StrategyPlan(mode="full", max_tasks_per_network=2)
    proposal = iterate(plan, FRESH, counts, fixed({"a": None, "b": 1.0}), NOW)
    assert (dict(proposal.unwanted), proposal.create, proposal.state.status) == ({"a": 2}, (), AWAKE)
    waiting = {"a": Counts(waiting=2), "b": Counts()}
    proposal = iterate(plan, FRESH, waiting, fixed({"a": None, "b": 1.0}), NOW)
    assert (dict(proposal.cancel), proposal.create) == ({"a": 2}, ("b", "b"))


def test_full_mode_leaves_the_healthy_tasks_of_a_transformation_in_error_alone_whatever_is_wanted():
    counts = {"a": Counts(waiting=2, running=2, error=1)}
    proposal = iterate(StrategyPlan(mode="full"), FRESH, counts, fixed({"a": None}), NOW)
    assert (dict(proposal.cancel), dict(proposal.unwanted), proposal.state.status) == ({}, {}, DORMANT)


@pytest.mark.parametrize("mode", ["partial", "full"])
def test_cancelled_tasks_are_taken_up_again_before_new_ones_are_created(mode):
    counts = {"a": Counts(complete=1, spare=1), "b": Counts(spare=5)}
    proposal = iterate(StrategyPlan(mode=mode), FRESH, counts, until(3, counts), NOW)
    assert (proposal.create, dict(proposal.action)) == (("a",), {"a": 1, "b": 3})
    assert proposal.state.status == AWAKE


def test_full_mode_does_not_cancel_tasks_because_they_are_to_come():
    counts = {"a": Counts(waiting=3)}
    proposal = iterate(StrategyPlan(mode="full"), FRESH, counts, until(3, counts), NOW)
    assert dict(proposal.cancel) == {}


def test_full_mode_does_not_cancel_because_another_task_is_in_error():
    counts = {"a": Counts(waiting=1, running=1, error=1)}
    proposal = iterate(StrategyPlan(mode="full"), FRESH, counts, fixed({"a": 1.0}), NOW)
    assert (dict(proposal.cancel), proposal.create) == ({}, ())


def test_partial_mode_cancels_nothing():
    counts = {"a": Counts(waiting=2)}
    assert dict(iterate(StrategyPlan(), FRESH, counts, fixed({"a": None}), NOW).cancel) == {}


def test_full_mode_that_wants_nothing_any_more_is_dormant_and_cancels_all_that_waits():
    counts = {"a": Counts(complete=3, waiting=2), "b": Counts(waiting=1)}
    proposal = iterate(StrategyPlan(mode="full"), FRESH, counts, fixed({}), NOW)
    assert (dict(proposal.cancel), proposal.state.status) == ({"a": 2, "b": 1}, DORMANT)


# --------------------------------------------------------------------------------------------------------- extends
def test_without_a_preference_all_tasks_are_new_repeats():
    counts = {"a": Counts(complete=2, extendable=("a-2", "a-1"))}
    proposal = iterate(StrategyPlan(), FRESH, counts, fixed({"a": 1.0}), NOW)
    assert (proposal.create, proposal.extends) == (("a",) * 3, (None,) * 3)


def test_with_the_full_preference_the_latest_complete_tasks_are_extended_as_long_as_there_are_any():
    counts = {"a": Counts(complete=2, extendable=("a-2", "a-1")), "b": Counts(complete=1)}
    proposal = iterate(StrategyPlan(extends_preference=1.0), FRESH, counts, fixed({"a": 1.0, "b": 1.0}), NOW)
    assert [pair for pair in zip(proposal.create, proposal.extends, strict=True) if pair[0] == "a"] == [
        ("a", "a-2"),
        ("a", "a-1"),
        ("a", None),
    ]
    assert all(other is None for t, other in zip(proposal.create, proposal.extends, strict=True) if t == "b")


def test_between_them_tasks_extend_in_proportion():
    for preference, expected in [(0.5, 5), (0.25, 2), (0.75, 7), (0.1, 1), (0.99, 9)]:
        counts = Counts()
        for number in range(1, 11):  # one at a time, each complete before the next one is created
            (other,) = extensions(preference, ["a"], {"a": counts})
            left = [task for task in counts.extendable if task != other]
            counts = Counts(
                complete=number,
                extended=counts.extended + (other is not None),
                extendable=(f"a-{number}", *left),
            )
        assert counts.extended == expected, preference


@PROPERTY
@given(
    preference=st.floats(0, 1),
    complete=st.integers(0, 6),
    extended=st.integers(0, 6),
    new=st.integers(0, 6),
)
def test_no_task_is_extended_twice_and_the_share_is_not_exceeded(preference, complete, extended, new):
    ids = tuple(f"a-{n}" for n in range(complete, 0, -1))
    counts = {"a": Counts(complete=complete, extended=min(extended, complete), extendable=ids)}
    chosen = extensions(preference, ["a"] * new, counts)
    assert len(chosen) == new
    given_ids = [other for other in chosen if other is not None]
    assert given_ids == list(ids[: len(given_ids)])
    if given_ids:
        assert counts["a"].extended + len(given_ids) <= preference * (complete + new) + 1e-6
    if preference == 1.0:
        assert len(given_ids) == min(new, complete)
    if preference == 0.0:
        assert not given_ids


def test_tasks_that_are_taken_up_again_extend_what_they_did():
    counts = {"a": Counts(complete=1, spare=1, extended=1, extendable=())}
    proposal = iterate(StrategyPlan(extends_preference=1.0), FRESH, counts, until(2, counts), NOW)
    assert (proposal.create, proposal.extends, dict(proposal.action)) == ((), (), {"a": 1})


# ---------------------------------------------------------------------------------------------------------- status
@pytest.mark.parametrize("weights", [{"a": None}, {"a": 0.0}, {}])
def test_nothing_wanted_means_dormant_until_the_number_of_results_changes(weights):
    plan, counts = StrategyPlan(), {"a": Counts(complete=3)}
    state = iterate(plan, FRESH, counts, fixed(weights), NOW).state
    assert (state.status, state.last_iteration_result_count) == (DORMANT, 3)
    assert not is_due(plan, state, 3, NOW + 1e6)
    assert is_due(plan, state, 4, NOW + 1) and is_due(plan, state, 2, NOW + 1)
    assert iterate(plan, state, {"a": Counts(complete=2)}, fixed({"a": 1.0}), NOW + 1).state.status == AWAKE


def test_an_exception_is_kept_and_it_is_not_due_any_more():
    def propose(to_come):
        raise ZeroDivisionError("nothing to divide")

    before = StrategyState(iterations=4, last_iteration=1.0, last_iteration_result_count=2)
    proposal = iterate(StrategyPlan(mode="full"), before, {"a": Counts(waiting=1)}, propose, NOW)
    state = proposal.state
    assert (state.status, state.exception, state.iterations) == (ERROR, "ZeroDivisionError: nothing to divide", 4)
    assert "Traceback" in state.traceback and "in propose" in state.traceback
    assert (proposal.create, dict(proposal.cancel)) == ((), {})
    assert not is_due(StrategyPlan(), state, 99, 1e9)


def test_a_clock_that_was_set_back_lets_nothing_sleep_until_it_has_come_round_again():
    for sleep in (0.0, 3600.0):
        plan, state = StrategyPlan(sleep_interval=sleep), StrategyState(last_iteration=NOW)
        assert is_due(plan, state, 0, NOW - 86400)
        assert is_due(plan, state, 0, NOW + 1) == (sleep == 0)


def test_set_awake_it_forgets_the_error_and_is_due():
    state = StrategyState(ERROR, 4, 1.0, 2, "X: y", "Traceback")
    assert state.awakened() == StrategyState(AWAKE, 4, 1.0, 2)
    assert is_due(StrategyPlan(), state.awakened(), 2, NOW)


def test_health_has_the_names_of_alchemiscale_s():
    state = StrategyState(ERROR, 4, 1.0, 2, "X: y", "Traceback")
    assert StrategyHealth.of(StrategyPlan(mode="full", sleep_interval=3.0), state) == StrategyHealth(
        mode="full",
        status="error",
        iterations=4,
        sleep_interval=3.0,
        last_iteration=1.0,
        last_iteration_result_count=2,
        exception="X: y",
        traceback="Traceback",
    )


def test_an_error_is_forgotten_by_the_next_good_iteration():
    state = StrategyState(status=ERROR, exception="X: y", traceback="Traceback")
    after = iterate(StrategyPlan(), state, {"a": Counts()}, fixed({"a": 1.0}), NOW).state
    assert (after.status, after.exception, after.traceback) == (AWAKE, None, None)


@pytest.mark.parametrize("weight", [-1.0, math.nan, math.inf, "many"])
@pytest.mark.parametrize("cap", [None, 5])
@pytest.mark.parametrize("first", [True, False])
def test_a_weight_that_makes_no_sense_is_an_error_of_the_strategy(weight, cap, first):
    def propose(to_come):
        return {"a": weight if first or to_come["b"] else 1.0, "b": 3.0}

    counts = {"a": Counts(), "b": Counts()}
    proposal = iterate(StrategyPlan(max_tasks_per_network=cap), FRESH, counts, propose, NOW)
    assert (proposal.state.status, proposal.create) == (ERROR, ())


def test_a_disabled_strategy_is_never_due():
    assert not is_due(StrategyPlan(mode="disabled"), FRESH, 5, NOW)


def test_it_sleeps_between_iterations():
    plan = StrategyPlan(sleep_interval=60.0)
    assert is_due(plan, FRESH, 0, NOW)
    state = StrategyState(last_iteration=NOW)
    assert not is_due(plan, state, 5, NOW + 59.9)
    assert is_due(plan, state, 5, NOW + 60)


STEPS = st.lists(
    st.tuples(
        st.integers(0, 40),  # seconds that pass
        st.integers(-1, 1),  # results that come (or are invalidated)
        st.sampled_from(["wants", "wants nothing", "raises", "set awake"]),
    ),
    max_size=20,
)


@PROPERTY
@given(steps=STEPS, interval=st.sampled_from([0.0, 30.0]), mode=st.sampled_from(["partial", "full", "disabled"]))
def test_status_follows_the_model(steps, interval, mode):
    plan = StrategyPlan(sleep_interval=interval, mode=mode)
    state, results, now = FRESH, 3, 0.0
    status, slept_until, seen, iterations = "awake", -1.0, None, 0
    for seconds, change, what in steps:
        now += seconds
        results = max(0, results + change)
        if what == "set awake":
            state, status = StrategyState(AWAKE, state.iterations, state.last_iteration, None), "awake"
            seen = None
            continue
        due = mode != "disabled" and status != "error" and now >= slept_until and (status == "awake" or results != seen)
        assert is_due(plan, state, results, now) == due
        if not due:
            continue

        def propose(to_come, what=what):
            if what == "raises":
                raise RuntimeError(what)
            return {"a": 1.0 if what == "wants" else None}

        state = iterate(plan, state, {"a": Counts(complete=results)}, propose, now).state
        slept_until = now + interval
        if what == "raises":
            status = "error"
        else:
            status, seen, iterations = ("awake" if what == "wants" else "dormant"), results, iterations + 1
        assert (state.status, state.iterations) == (status, iterations)
