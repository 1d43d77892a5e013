"""How fast a campaign goes, and the range of the time that is left."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from histories import PastCampaign

from xpm_alchem.base.errors import CampaignError
from xpm_alchem.costs.expected_costs import Expected
from xpm_alchem.costs.pace import TaskAhead, TimeLeft, time_left
from xpm_alchem.tables.drawing import time_left as said_left
from xpm_alchem.views.budget import PricedLauncher
from xpm_alchem.views.overview import summary_view

TASK = Expected(60.0, 80.0, 120.0, 3)
LOCAL = PricedLauncher(2.0, "core-h", None, 2)


def test_the_range_is_from_full_slots_to_list_scheduling() -> None:
    ahead = [TaskAhead(TASK, used=30.0), TaskAhead(TASK), TaskAhead(TASK), TaskAhead(TASK, certain=False)]
    found = time_left(ahead, slots=2, at_once=2.0, is_bounded=True)
    assert found == TimeLeft((30 + 60 + 60) / 2, (90 + 3 * 120) / 2 + 120)


def test_it_is_no_shorter_than_the_longest_task_however_many_slots_there_are() -> None:
    assert time_left([TaskAhead(TASK)] * 3, slots=200, at_once=3.0, is_bounded=True).least == 60.0
    assert time_left([TaskAhead(TASK)] * 3, slots=None, at_once=3.0, is_bounded=True).least == 60.0


@pytest.mark.parametrize(
    ("ahead", "facts", "found"),
    [
        ([], {}, TimeLeft(0.0, 0.0)),
        ([], {"is_bounded": False}, TimeLeft(0.0)),
        ([TaskAhead(None)], {}, TimeLeft()),
        ([TaskAhead(TASK)], {"at_once": None}, TimeLeft(60.0)),
        ([TaskAhead(TASK)], {"is_bounded": False}, TimeLeft(60.0)),
        ([TaskAhead(TASK, used=500.0)], {}, TimeLeft(0.0, 0.0)),
    ],
)
def test_what_is_not_known_is_not_guessed(ahead: list[TaskAhead], facts: dict[str, Any], found: TimeLeft) -> None:
    assert time_left(ahead, **{"slots": 2, "at_once": 1.0, "is_bounded": True, **facts}) == found


def test_a_summary_says_what_the_last_hour_brought_and_how_long_the_rest_takes(tmp_path: Path) -> None:
    past = PastCampaign(tmp_path, [(0, 1), (1, 2)])
    empty = summary_view(past.records, LOCAL)
    assert (empty["cost_per_result"], empty["results_last_hour"], empty["cost_last_hour"]) == (None, 0, 0)
    assert empty["time_left"] == {"least": None, "most": None}  # no task was complete yet
    now = time.time()
    for edge, ended in ((0, now - 7200), (1, now - 1800)):
        complete(past, edge, 1, ended=ended, seconds=900.0)
    past.task(0, 2)  # waits; the strategy (uniform, 3 repeats) may want three more
    view = summary_view(past.records, LOCAL)
    assert view["results_last_hour"] == 1
    assert view["cost_last_hour"] == pytest.approx(0.5)
    assert view["cost_per_result"] == pytest.approx(0.5)
    assert view["time_left"]["least"] == pytest.approx(900.0)
    at_once = 900 / 2700  # since the only attempt of the last hour began
    assert view["time_left"]["most"] == pytest.approx(4 * 900 / at_once + 900, rel=0.01)


def test_the_strategy_s_end_bounds_what_may_come(tmp_path: Path) -> None:
    past = PastCampaign(tmp_path, [(0, 1)])
    complete(past, 0, 1, ended=time.time() - 60, seconds=600.0)
    with past.records.lock():
        past.records.set_driver_state({"strategy": {"status": "dormant"}})
    assert summary_view(past.records, LOCAL)["time_left"] == {"least": 0.0, "most": 0.0}
    text = (past.records.path / "campaign.yaml").read_text()
    (past.records.path / "campaign.yaml").write_text(text + "budget: {until: never}\n")
    assert summary_view(past.records, LOCAL)["time_left"] == {"least": None, "most": None}


def test_a_setting_that_was_damaged_is_told_with_its_file(tmp_path: Path) -> None:
    past = PastCampaign(tmp_path, [(0, 1)])
    path = past.records.path / "campaign.yaml"
    path.write_text(path.read_text() + "strategy: {name: uniform, settings: {repeats: three}}\n")
    with pytest.raises(CampaignError, match=f"^{path}: strategy 'uniform': bad settings: repeats: 'three': "):
        summary_view(past.records, LOCAL)


def test_the_range_in_words() -> None:
    assert said_left({"least": None, "most": None}) == "-"
    assert said_left({"least": 7200.0, "most": None}) == "at least 2.0 h"
    assert said_left({"least": 7200.0, "most": 7201.0}) == "2.0 h"
    assert said_left({"least": 600.0, "most": 7200.0}) == "10.0 min to 2.0 h"


def complete(past: PastCampaign, edge: int, repeat: int, *, ended: float, seconds: float) -> None:
    """Make a task that was complete at a moment, at 2 core-h an hour."""
    task = past.task(edge, repeat)
    price = {"cost_per_hour": 2.0, "cost_unit": "core-h"}
    past.write({"event": "submitted", "task": task.task, "attempts": 0, "time": ended - seconds, **price})
    cost = seconds / 3600 * 2
    spent = {"attempt": 1, "start": ended - seconds, "seconds": seconds, "cost": cost, "unit": "core-h"}
    facts = {"estimate": 1.0, "seconds": seconds, "attempts": 1, "spent": [spent]}
    past.write({"event": "status", "task": task.task, "status": "complete", "time": ended, **facts})
