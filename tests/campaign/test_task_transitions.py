"""Statuses of tasks: alchemiscale's table, cascades along extends, priorities, and what the journal makes of it."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpm_alchem.base.errors import InputError
from xpm_alchem.campaign.task_state import CampaignState, TaskState, TaskStatus, is_priority
from xpm_alchem.campaign.task_transitions import (
    ALLOWED,
    SET_BY_USER,
    check_extends,
    check_priority,
    check_transition,
    user_status,
    with_extending,
)

STATUSES = st.sampled_from(TaskStatus)
TABLE = {
    "waiting": "waiting running invalid deleted",
    "running": "waiting running complete error invalid deleted",
    "complete": "complete invalid deleted",
    "error": "waiting error invalid deleted",
    "invalid": "invalid",
    "deleted": "deleted",
}


# ------------------------------------------------------------------------------------------------------ transitions
@pytest.mark.parametrize("before", TaskStatus)
@pytest.mark.parametrize("after", TaskStatus)
def test_alchemiscale_s_table(before, after):
    if after in TABLE[before].split():
        check_transition("a:1", before, after)
        return
    with pytest.raises(InputError) as refused:
        check_transition("a:1", before, after)
    assert str(refused.value).startswith(f"'a:1' is {before} and cannot become {after}: ")


def test_a_refusal_says_what_is_possible():
    with pytest.raises(InputError, match="is complete and cannot become waiting: it can become invalid or deleted"):
        check_transition("a:1", TaskStatus.COMPLETE, TaskStatus.WAITING)
    with pytest.raises(InputError, match="is deleted and cannot become waiting: that is final"):
        check_transition("a:1", TaskStatus.DELETED, TaskStatus.WAITING)


@given(STATUSES)
def test_invalid_and_deleted_are_for_good_and_complete_is_never_run_again(status):
    assert status in ALLOWED[status]
    for final in (TaskStatus.INVALID, TaskStatus.DELETED):
        assert (status in ALLOWED[final]) == (status is final)
    assert not {TaskStatus.WAITING, TaskStatus.RUNNING, TaskStatus.ERROR} & ALLOWED[TaskStatus.COMPLETE]


@pytest.mark.parametrize(
    ("status", "message"),
    [
        ("complete", "a user may set a task waiting, invalid or deleted, not complete."),
        ("running", "a user may set a task waiting, invalid or deleted, not running."),
        ("invald", "status: there is no 'invald'; did you mean 'invalid'?"),
        ("x", "known are: complete, deleted, error, invalid, running, waiting."),
    ],
)
def test_a_user_sets_waiting_invalid_and_deleted_only(status, message):
    with pytest.raises(InputError) as refused:
        user_status(status)
    assert message in str(refused.value)
    assert [user_status(str(status)) for status in SET_BY_USER] == list(SET_BY_USER)


@given(st.integers())
def test_priorities_are_1_to_2_63_less_1(number):
    assert is_priority(number) == (1 <= number < 2**63)


@pytest.mark.parametrize("value", [0, -1, 2**63, 1.0, "1", None, True])
def test_what_is_no_priority_is_refused(value):
    with pytest.raises(InputError, match="give a whole number from 1"):
        check_priority(value)
    check_priority(1)
    check_priority(2**63 - 1)


# ----------------------------------------------------------------------------------------------------------- cascade
def task(name: str, extends: str | None = None, status: str = "waiting") -> TaskState:
    transformation, _, repeat = name.rpartition("-")
    return TaskState(name, transformation, int(repeat), f"jobs/{name}", extends, TaskStatus(status))


def by_id(*tasks: TaskState) -> dict[str, TaskState]:
    return {task.task: task for task in tasks}


def test_all_that_extend_a_task_go_with_it_in_the_order_of_their_creation():
    tasks = by_id(task("a-1"), task("a-2", "a-1"), task("a-3"), task("a-4", "a-2"), task("a-5", "a-1"), task("b-1"))
    assert with_extending(tasks, ["a-1"]) == ["a-1", "a-2", "a-4", "a-5"]
    assert with_extending(tasks, ["a-4"]) == ["a-4"]
    assert with_extending(tasks, ["a-4", "a-2", "b-1"]) == ["a-2", "a-4", "b-1"]
    assert with_extending(tasks, []) == []


@given(st.lists(st.integers(0, 30), min_size=1, max_size=30), st.data())
def test_a_cascade_is_closed_and_no_larger_than_it_must_be(parents, data):
    """Task n extends task parents[n], if that is an earlier one."""
    extends = [f"a-{parent}" if parent < n else None for n, parent in enumerate(parents)]
    tasks = by_id(*(task(f"a-{n}", other) for n, other in enumerate(extends)))
    chosen = data.draw(st.sets(st.sampled_from(list(tasks))))
    found = with_extending(tasks, chosen)

    def goes_with(task_id: str | None) -> bool:
        return task_id is not None and (task_id in chosen or goes_with(tasks[task_id].extends))

    assert found == [task_id for task_id in tasks if goes_with(task_id)]
    assert with_extending(tasks, found) == found


def test_a_damaged_journal_whose_tasks_extend_each_other_ends():
    assert with_extending(by_id(task("a-1", "a-2"), task("a-2", "a-1"), task("a-3", "gone-1")), ["a-1"]) == [
        "a-1",
        "a-2",
    ]


def test_what_may_be_extended():
    tasks = by_id(task("a-1"), task("a-2", None, "error"), task("a-3", None, "invalid"), task("a-4", None, "deleted"))
    names = {"a": "A", "b": "B"} | {name: name.upper() for name in tasks}
    check_extends(tasks, names, "a", "a-1")
    check_extends(tasks, names, "a", "a-2")
    for other, transformation, message in [
        ("a-3", "a", "'A-3' is invalid: it cannot be extended."),
        ("a-4", "a", "'A-4' is deleted: it cannot be extended."),
        ("a-1", "b", "'A-1' is no task of 'B': a task extends one of its own transformation."),
        ("a-9", "a", "there is no task 'a-9'."),
    ]:
        with pytest.raises(InputError) as refused:
            check_extends(tasks, names, transformation, other)
        assert str(refused.value) == message


# ----------------------------------------------------------------------------------------------------------- journal
CREATED = {"event": "created", "task": "a-1", "transformation": "a", "repeat": 1, "directory": "jobs/a-1"}


def after(*events: dict) -> TaskState:
    state = CampaignState()
    for event in ({**CREATED}, *events):
        state.apply({"task": "a-1", **event})
    return state.tasks["a-1"]


def by_user(status: str) -> dict:
    return {"event": "status", "status": status, "by": "user", "reason": "so"}


SUBMITTED, RUN_ON, ENDED = {"event": "submitted"}, {"event": "actioned"}, {"event": "ended"}
COMPLETE = {"event": "status", "status": "complete", "estimate": 1.5}


def test_a_priority_is_10_unless_the_journal_says_otherwise():
    assert after().priority == 10
    assert after({"event": "priority", "priority": 3}).priority == 3
    assert after({"event": "priority", "priority": 0}, {"event": "priority"}).priority == 10
    for given_one, kept in ((2, 2), (2**63 - 1, 2**63 - 1), (2**63, 10), ("1", 10), (True, 10)):
        state = CampaignState()
        state.apply({**CREATED, "priority": given_one})
        assert state.tasks["a-1"].priority == kept


def test_a_running_task_that_the_user_sets_back_has_an_attempt_until_that_has_ended():
    task = after(SUBMITTED)
    assert (task.at_work, task.is_to_end) == (True, False)
    task = after(SUBMITTED, by_user("waiting"), RUN_ON)
    assert (task.status, task.in_flight, task.at_work, task.is_to_end) == (TaskStatus.WAITING, True, True, True)
    task = after(SUBMITTED, by_user("waiting"), RUN_ON, by_user("waiting"))
    assert task.leaving
    task = after(SUBMITTED, by_user("waiting"), RUN_ON, ENDED)
    assert (task.status, task.in_flight, task.at_work) == (TaskStatus.WAITING, True, False)
    task = after(SUBMITTED, by_user("waiting"), RUN_ON, ENDED, SUBMITTED)
    assert (task.status, task.at_work, task.is_to_end) == (TaskStatus.RUNNING, True, False)


def test_a_late_result_of_a_task_that_was_set_back_counts_and_of_one_set_aside_does_not():
    task = after(SUBMITTED, by_user("waiting"), RUN_ON, COMPLETE)
    assert (task.status, task.estimate, task.at_work) == (TaskStatus.COMPLETE, 1.5, False)
    for status in ("invalid", "deleted"):
        task = after(SUBMITTED, by_user(status))
        assert (task.status, task.at_work, task.is_to_end) == (status, True, True)
        task = after(SUBMITTED, by_user(status), COMPLETE, SUBMITTED, {"event": "status", "status": "waiting"})
        assert (task.status, task.estimate, task.at_work) == (status, None, False)


def test_a_cancelled_task_is_to_end_at_once_until_it_is_taken_up_again():
    cancelled = {"event": "cancelled", "by": "user", "at_once": True}
    task = after(SUBMITTED, cancelled)
    assert (task.is_to_end, task.at_once) == (True, True)
    assert not after(SUBMITTED, cancelled, RUN_ON).at_once
    assert not after(SUBMITTED, {"event": "cancelled", "by": "strategy"}).at_once
    assert not after(cancelled, SUBMITTED).at_once


EVENTS = st.sampled_from(
    [
        SUBMITTED,
        RUN_ON,
        ENDED,
        COMPLETE,
        {"event": "cancelled", "by": "user"},
        {"event": "status", "status": "error"},
        {"event": "status", "status": "waiting"},
        *(by_user(status) for status in SET_BY_USER),
    ]
)


@given(st.lists(EVENTS, max_size=12))
def test_nothing_brings_a_task_back_that_was_set_aside(events):
    statuses = [after(*events[:n]).status for n in range(len(events) + 1)]
    for before, following in itertools.pairwise(statuses):
        if before in (TaskStatus.INVALID, TaskStatus.DELETED):
            assert following is before
    assert not after(*events, ENDED).leaving


def test_a_request_is_one_line_that_knows_its_tasks():
    state = CampaignState()
    changes = [CREATED, {**by_user("invalid"), "task": "a-1"}, {"event": "wish", "changes": [RUN_ON]}]
    state.apply({"event": "wish", "id": "x", "time": 5.0, "changes": changes})
    assert (state.tasks["a-1"].status, state.tasks["a-1"].changed) == (TaskStatus.INVALID, 5.0)
    assert state.requests == {"x": ("a-1",)}
    state.apply({"event": "wish", "id": 7, "changes": None})
    assert list(state.requests) == ["x"]
