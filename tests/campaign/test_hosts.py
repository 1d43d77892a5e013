"""Machines that fail: two different tasks in a row, and only where others get on elsewhere."""

from __future__ import annotations

import pytest

from xpm_alchem.campaign.hosts import AVOIDED_SECONDS, HostHistory
from xpm_alchem.campaign.task_state import CampaignState
from xpm_alchem.execution.demand import demand


def history(*events: tuple) -> HostHistory:
    """Return what is known after (machine, task, outcome) of nodes, one a second."""
    made = HostHistory()
    for second, (machine, task, outcome, *progress) in enumerate(events):
        event = {"machine": machine, "node": machine, "outcome": outcome, "progress": bool(progress)}
        made.note(task, event, float(second))
    return made


GOOD = ("n2", "z", "complete")


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([("n1", "a", "error"), ("n1", "b", "error"), GOOD], ("n1",)),
        ([("n1", "a", "lost"), ("n1", "b", "node failure"), GOOD], ("n1",)),
        ([("n1", "a", "error"), ("n1", "a", "error"), GOOD], ()),  # one task: it may be the task
        ([("n1", "a", "error"), ("n1", "c", "complete"), ("n1", "b", "error"), GOOD], ()),  # not in a row
        ([("n1", "a", "error"), ("n1", "c", "timeout", True), ("n1", "b", "error"), GOOD], ()),  # a slice gets on
        ([("n1", "a", "error"), ("n1", "b", "error")], ()),  # nothing got on anywhere
        ([("n1", "a", "out of memory"), ("n1", "b", "preempted"), ("n1", "c", "cancelled"), GOOD], ()),
        ([("n1", "a", "error"), ("n2", "a", "error"), ("n1", "b", "error"), ("n2", "b", "error")], ()),
    ],
)
def test_which_nodes_are_avoided(events, expected):
    assert history(*events).avoided_nodes(100.0) == expected


def test_a_node_gets_another_chance_after_a_day():
    made = history(("n1", "a", "error"), ("n1", "b", "error"), GOOD)
    assert made.avoided_nodes(AVOIDED_SECONDS) == ("n1",)
    assert made.avoided_nodes(AVOIDED_SECONDS + 2) == ()


def test_what_is_no_node_is_reported_and_not_avoided():
    made = HostHistory()
    for task in ("a", "b"):
        made.note(task, {"machine": "laptop", "outcome": "error"}, 1.0)
    assert made.avoided_nodes(2.0) == ()
    assert "2 different tasks failed there" in made.sentence("laptop", 2.0)


def test_the_sentence_says_what_follows():
    made = history(("n1", "a", "error"), ("n1", "b", "error"))
    assert "not avoided" in made.sentence("n1", 9.0)
    made.note("c", {"machine": "n3", "node": "n3", "outcome": "complete"}, 5.0)
    assert "no tasks are sent there for 24 h" in made.sentence("n1", 9.0)


def test_the_journal_tells_it():
    state = CampaignState()
    for task in ("t-1", "t-2"):
        record = {
            "event": "created",
            "task": task,
            "transformation": "t",
            "repeat": int(task[-1]),
            "directory": "jobs/x",
        }
        state.apply(record)
        ending = {"status": "error", "machine": "n1", "node": "n1", "outcome": "error"}
        state.apply({"event": "status", "task": task, "time": 5.0, **ending})
    assert list(state.hosts.failing()) == ["n1"]
    state.apply({"event": "status", "task": "t-1", "status": "waiting", "machine": 7, "outcome": None, "time": 6.0})
    assert list(state.hosts.failing()) == ["n1"]  # what makes no sense is passed over


def test_failing_nodes_are_added_to_those_of_the_tasks_own_history():
    assert demand([], ("n1", "n2")).avoid == ("n1", "n2")
    assert len(demand([], tuple(f"n{i}" for i in range(20))).avoid) == 8


def test_the_only_machine_there_is_is_not_warned_of():
    made = HostHistory()
    for task in ("a", "b", "c"):
        made.note(task, {"machine": "laptop", "outcome": "lost"}, 1.0)
    assert made.failing() == {}
    made.note("d", {"machine": "n2", "node": "n2", "outcome": "error"}, 9.0)
    assert made.failing().keys() == {"laptop"}
    assert history(("n1", "a", "error"), ("n1", "b", "error")).failing().keys() == {"n1"}  # a node of many
