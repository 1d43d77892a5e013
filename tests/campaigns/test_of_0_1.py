"""A campaign that version 0.1.0 left in the middle goes on under the present version."""

from __future__ import annotations

from pathlib import Path

import pytest
from campaigns import SmallCampaign
from version_0_1 import MEANWHILE, Installed, everything_goes_on, leave_in_the_middle

EDGES = [(0, 1), (1, 2), (2, 3)]


def test_every_kind_of_task_goes_on_and_nothing_runs_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed, gate = Installed(tmp_path / "environment"), tmp_path / "gate"
    monkeypatch.setenv("PYTHONPATH", installed.python_path)
    campaign = SmallCampaign(tmp_path / "c", edges=EDGES, script={})
    leave_in_the_middle(campaign, gate)
    installed.upgrade()
    tasks = campaign.json("status")["tasks"]
    assert {status: tasks[status] for status in MEANWHILE} == MEANWHILE
    everything_goes_on(campaign, gate)
