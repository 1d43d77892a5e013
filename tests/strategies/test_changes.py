"""From a proposal's numbers to tasks: which are created, taken up again, cancelled, and which are left alone."""

from __future__ import annotations

import pytest

from xpm_alchem.campaign.task_state import CampaignState, TaskState, TaskStatus, grouped, mean_seconds
from xpm_alchem.plan.strategy import StrategyPlan
from xpm_alchem.strategies.changes import Changes, NewTask, cancelled, counts_of, events, is_to_end
from xpm_alchem.strategy import Counts, Proposal, StrategyState

NOW = 1000.0
FULL = StrategyPlan(mode="full", patience=60.0)


def task(repeat: int, status: str = "waiting", *, transformation: str = "a", **values) -> TaskState:
    name = f"{transformation}-{repeat}"
    values = {"actioned": True, **values}
    return TaskState(name, transformation, repeat, f"jobs/{name}", status=TaskStatus(status), **values)


def changes(tasks, unwanted=None, **numbers) -> Changes:
    return Changes.of(Proposal(StrategyState(), **numbers), grouped(tasks), unwanted or {}, NOW)


# --------------------------------------------------------------------------------------------------------- choosing
def test_new_tasks_get_free_numbers_and_know_what_they_extend():
    tasks = [task(1, "complete"), task(4, "error")]
    made = changes(tasks, create=("a", "b", "a"), extends=("a-1", None, None))
    assert made.create == (NewTask("a", 2, "a-1"), NewTask("b", 1), NewTask("a", 3))
    assert [new.id for new in made.create] == ["a-2", "b-1", "a-3"]


def test_of_waiting_tasks_those_that_never_ran_are_cancelled_first_the_latest_first():
    tasks = [task(1), task(2, submitted=5.0), task(3), task(4, submitted=5.0), task(5, actioned=False)]
    assert changes(tasks, cancel={"a": 3}).cancel == ("a-3", "a-1", "a-4")


def test_of_spare_tasks_those_that_still_run_are_taken_up_first_then_those_that_ran():
    spare = {"actioned": False, "cancelled_by": "strategy"}
    tasks = [
        task(1, **spare),
        task(2, submitted=5.0, **spare),
        task(3, "running", submitted=5.0, **spare),
        task(4, submitted=5.0, actioned=False, cancelled_by="user"),
    ]
    assert changes(tasks, action={"a": 2}).action == ("a-3", "a-2")
    assert changes(tasks, action={"a": 9}).action == ("a-3", "a-2", "a-1")


def test_the_latest_running_tasks_are_unwanted_and_since_when_is_kept():
    tasks = [task(n, "running", submitted=float(n)) for n in (1, 2, 3)]
    assert changes(tasks, {"a-3": 7.0, "a-1": 5.0}) == Changes()  # they are wanted again
    made = Changes.of(Proposal(StrategyState(), unwanted={"a": 2}), grouped(tasks), {"a-3": 7.0}, NOW)
    assert made.unwanted == {"a-3": 7.0, "a-2": NOW}


# ----------------------------------------------------------------------------------------------------------- counts
def test_counts_of_a_transformation():
    tasks = [
        task(1, "complete"),
        task(2, "complete"),
        task(3, "complete"),
        task(4, extends="a-2"),
        task(5, "running", extends="a-1", submitted=5.0),
        task(6, "error"),
        task(7, "running", actioned=False, cancelled_by="strategy"),
        task(8, actioned=False, cancelled_by="user"),
        task(9, "invalid", extends="a-3"),
        task(10, "deleted"),
    ]
    assert counts_of(tasks) == Counts(
        complete=3, waiting=1, running=1, error=1, spare=1, extended=2, extendable=("a-3",)
    )
    assert counts_of([]) == Counts()


# --------------------------------------------------------------------------------------------------------- patience
def test_a_running_task_is_ended_after_it_was_unwanted_for_the_patience_only():
    assert not is_to_end(FULL, NOW - 59, 0.0, None, NOW)
    assert is_to_end(FULL, NOW - 60, 0.0, None, NOW)
    for mode in ("partial", "disabled"):
        assert not is_to_end(StrategyPlan(mode=mode, patience=60.0), NOW - 1e6, 0.0, None, NOW)


@pytest.mark.parametrize(("used", "ends"), [(0.0, True), (79.0, True), (81.0, False), (500.0, False)])
def test_one_that_is_about_to_end_is_left_alone(used, ends):
    assert is_to_end(FULL, 0.0, used, 100.0, NOW) == ends


def test_the_expected_time_is_the_mean_of_complete_tasks():
    assert mean_seconds([task(1, "error", seconds=9.0)]) is None
    assert mean_seconds([task(1, "complete", seconds=2.0), task(2, "complete", seconds=4.0), task(3)]) == 3.0


# ------------------------------------------------------------------------------------------------------ the journal
def created(repeat: int, **values):
    return {"event": "created", "task": f"a-{repeat}", "transformation": "a", "repeat": repeat, **values}


def test_an_iteration_is_one_line_of_the_journal():
    state = CampaignState()
    made = [created(1, directory="jobs/1"), created(2, directory="jobs/2", extends="a-1")]
    state.apply({"event": "iteration", "time": 5.0, "changes": [*made, cancelled("a-1", "not wanted")]})
    first, second = state.tasks.values()
    assert (first.actioned, first.cancelled_by, first.spare, first.changed) == (False, "strategy", True, 5.0)
    assert (second.extends, second.actioned) == ("a-1", True)
    state.apply({"event": "iteration", "changes": events(Changes(action=("a-1",), cancel=("a-2",)), "why")})
    assert (first.actioned, first.spare, second.spare) == (True, False, True)


def test_what_the_user_has_cancelled_is_not_spare():
    state = CampaignState()
    state.apply(created(1, directory="jobs/1"))
    state.apply({"event": "cancelled", "task": "a-1", "reason": "as an older version wrote it"})
    assert (state.tasks["a-1"].cancelled_by, state.tasks["a-1"].spare) == ("user", False)


@pytest.mark.parametrize("changes", [None, 3, "x", [3], [None], [{}], [{"event": "iteration", "changes": []}]])
def test_an_iteration_that_makes_no_sense_is_passed_over(changes):
    state = CampaignState()
    state.apply({"event": "iteration", "changes": changes})
    assert state.tasks == {}
