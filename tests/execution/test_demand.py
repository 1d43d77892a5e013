"""What a history demands of the next attempt: memory and time double, nodes are avoided, stopping gets its time."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xpm_alchem.devices.device import Device
from xpm_alchem.devices.slots import Given
from xpm_alchem.execution.attempt_log import AttemptLog
from xpm_alchem.execution.attempts import Attempt, Launched, Outcome
from xpm_alchem.execution.demand import Demand, demand
from xpm_alchem.execution.processes import ProcessIdentity

ME = ProcessIdentity("here", 1, 0.0)
TIMEOUT, MEMORY, LOST, NODE = Outcome.TIMEOUT, Outcome.OUT_OF_MEMORY, Outcome.LOST, Outcome.NODE_FAILURE


def attempt(outcome: Outcome | None, *, progress=False, node=None, stop_seconds: float | None = 0.0) -> Attempt:
    return Attempt(1, ME, 0.0, 1.0, outcome, progress=progress, node=node, stop_seconds=stop_seconds)


def after(*endings: Outcome | tuple[Outcome, bool]) -> Demand:
    """Return the demand after these outcomes, each alone or with whether there was progress."""
    pairs = [ending if isinstance(ending, tuple) else (ending, False) for ending in endings]
    return demand([attempt(outcome, progress=progress) for outcome, progress in pairs])


def avoided(*endings: tuple) -> tuple[str, ...]:
    """Return the nodes to avoid after attempts given as (outcome, node) or (outcome, node, progress)."""
    return demand([attempt(o, node=node, progress=bool(rest)) for o, node, *rest in endings]).avoid


def test_a_task_without_attempts_demands_nothing():
    assert demand([]) == Demand() == Demand(1.0, 1.0, (), 0.0, 1.0)


@pytest.mark.parametrize("outcome", [None, Outcome.ERROR, Outcome.CANCELLED, Outcome.PREEMPTED, Outcome.COMPLETE])
def test_other_endings_demand_nothing(outcome):
    assert demand([attempt(outcome, node="n1")] * 3) == Demand()


# ------------------------------------------------------------------------------------------------------ memory, time
def test_memory_doubles_each_time_it_ran_out_and_stays_so():
    assert [after(*[MEMORY] * n).memory_factor for n in range(4)] == [1, 2, 4, 8]
    assert after(MEMORY, (MEMORY, True), (TIMEOUT, True), Outcome.ERROR).memory_factor == 4
    assert after(MEMORY, MEMORY).time_factor == 1


def test_time_doubles_from_the_second_time_out_without_progress_on():
    assert [after(*[TIMEOUT] * n).time_factor for n in range(5)] == [1, 1, 2, 4, 8]
    assert after(TIMEOUT, TIMEOUT).memory_factor == 1


def test_time_outs_with_progress_are_slices_and_ask_for_nothing():
    assert after(*[(TIMEOUT, True)] * 20) == Demand()


def test_progress_begins_a_new_count_of_time_outs():
    assert after(TIMEOUT, (TIMEOUT, True), TIMEOUT).time_factor == 1
    assert after(TIMEOUT, (LOST, True), TIMEOUT).time_factor == 1
    assert after(TIMEOUT, (LOST, True), TIMEOUT, TIMEOUT).time_factor == 2


def test_a_loss_without_progress_between_two_time_outs_begins_no_new_count():
    assert after(TIMEOUT, LOST, TIMEOUT).time_factor == 2


def test_what_the_time_grew_to_is_kept_when_it_led_to_progress():
    assert after(TIMEOUT, TIMEOUT, (TIMEOUT, True)).time_factor == 2
    assert after(TIMEOUT, TIMEOUT, (TIMEOUT, True), TIMEOUT).time_factor == 2
    assert after(TIMEOUT, TIMEOUT, (TIMEOUT, True), TIMEOUT, TIMEOUT).time_factor == 4


# -------------------------------------------------------------------------------------------------------------- nodes
@pytest.mark.parametrize("outcome", [NODE, LOST])
def test_a_node_on_which_an_attempt_died_without_a_word_is_avoided(outcome):
    assert avoided((outcome, "n7")) == ("n7",)


def test_nodes_are_avoided_until_there_is_progress():
    assert avoided((NODE, "n2"), (LOST, "n1"), (TIMEOUT, "n3")) == ("n1", "n2")
    assert avoided((NODE, "n2"), (LOST, "n1"), (TIMEOUT, "n3", True)) == ()


def test_the_node_of_an_attempt_that_made_progress_and_then_died_is_avoided():
    assert avoided((NODE, "n1"), (NODE, "n2", True)) == ("n2",)


def test_a_node_is_named_once_and_one_that_is_not_known_not_at_all():
    assert avoided((NODE, "n1"), (LOST, None), (LOST, ""), (LOST, "n1")) == ("n1",)


def test_only_the_last_nodes_are_avoided_so_that_some_are_left():
    nodes = [f"n{n}" for n in range(20)]
    assert avoided(*((NODE, node) for node in nodes)) == tuple(sorted(nodes[-8:]))
    again = [*nodes[:8], "n0", "n8"]  # n0 failed again: it is n1 that is forgotten
    assert avoided(*((NODE, node) for node in again)) == tuple(f"n{n}" for n in (0, 2, 3, 4, 5, 6, 7, 8))


# ----------------------------------------------------------------------------------------------------------- stopping
def test_an_attempt_that_was_killed_at_its_limit_gets_twice_the_time_to_stop():
    killed, stopped = attempt(TIMEOUT, progress=True, stop_seconds=None), attempt(TIMEOUT, progress=True)
    assert [demand([killed] * n).margin_factor for n in range(4)] == [1, 2, 4, 8]
    assert demand([killed, stopped, stopped]).margin_factor == 2
    assert demand([stopped] * 5).margin_factor == 1


@pytest.mark.parametrize("outcome", [LOST, NODE, MEMORY, Outcome.CANCELLED, Outcome.PREEMPTED])
def test_an_attempt_that_said_nothing_for_another_reason_gets_no_more_time_to_stop(outcome):
    assert demand([attempt(outcome, stop_seconds=None)] * 3).margin_factor == 1


def test_the_longest_time_that_stopping_took_counts():
    history = [attempt(TIMEOUT, progress=True, stop_seconds=s) for s in (3.0, 45.5, None, 12.0)]
    assert demand(history).stop_seconds == 45.5


def test_the_journal_tells_all_that_counts(tmp_path):
    log = AttemptLog(tmp_path / "attempts.jsonl")
    for outcome, facts in [(TIMEOUT, {}), (TIMEOUT, {"stop_seconds": 7.5}), (NODE, {}), (MEMORY, {})]:
        log.end(log.start(limit=60.0, launched=Launched("1_0", "b/0", "n4"), versions={}), outcome, **facts)
    assert demand(log.read()) == Demand(2.0, 2.0, ("n4",), 7.5, 2.0)


# ----------------------------------------------------------------------------------------------------- any history
ATTEMPTS = st.builds(
    attempt,
    st.sampled_from([*Outcome, None, TIMEOUT, TIMEOUT, NODE]),
    progress=st.booleans(),
    node=st.sampled_from([None, "", *(f"n{n}" for n in range(12))]),
    stop_seconds=st.none() | st.floats(0.0, 1e5),
)


@settings(deadline=None, derandomize=True, max_examples=300)
@given(history=st.lists(ATTEMPTS, max_size=25))
def test_any_history_demands_powers_of_two_and_a_bounded_number_of_nodes(history):
    found = demand(history)
    for factor in (found.time_factor, found.memory_factor, found.margin_factor):
        assert factor >= 1 and math.frexp(factor)[0] == 0.5
    assert found.memory_factor == 2 ** sum(a.outcome is MEMORY for a in history)
    assert found.margin_factor == 2 ** sum(a.outcome is TIMEOUT and a.stop_seconds is None for a in history)
    assert found.stop_seconds == max((a.stop_seconds or 0.0 for a in history), default=0.0)
    assert list(found.avoid) == sorted(set(found.avoid)) and len(found.avoid) <= 8
    assert set(found.avoid) <= {a.node for a in history if a.outcome in (NODE, LOST)} - {None, ""}


@settings(deadline=None, derandomize=True, max_examples=300)
@given(history=st.lists(ATTEMPTS, max_size=15), last=ATTEMPTS)
def test_another_attempt_never_lowers_a_factor_and_at_most_doubles_it(history, last):
    before, now = demand(history), demand([*history, last])
    for name in ("time_factor", "memory_factor", "margin_factor"):
        assert getattr(now, name) / getattr(before, name) in (1, 2)


def test_devices_on_which_a_task_failed_are_avoided_until_it_makes_progress(tmp_path):
    log = AttemptLog(tmp_path / "attempts.jsonl")

    def ended(device: str, outcome: Outcome, **facts: object) -> None:
        given = Given((Device(device),), 4)
        log.end(log.start(limit=None, launched=Launched(node="n1", given=given), versions={}), outcome, **facts)

    ended("0", Outcome.ERROR)
    ended("2", NODE)
    ended("3", TIMEOUT)  # says nothing of the device
    assert demand(log.read()).avoid_devices == (("n1", "0"), ("n1", "2"))
    ended("1", TIMEOUT, progress=True)
    assert demand(log.read()).avoid_devices == ()
