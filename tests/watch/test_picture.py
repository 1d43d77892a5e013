"""A look reads anew what has changed, and nothing else."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from filled_campaign import filled_campaign, network_index

from xpm_alchem.client import Campaign
from xpm_alchem.execution.directory import TaskDirectory, TaskSummary
from xpm_alchem.views.looks import SparingLooks
from xpm_alchem.watch.picture import Watcher


def test_what_was_seen_of_an_attempt_holds_until_it_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = network_index([("a", "b")])
    (one, other) = (record.id for record in index.transformations)
    records = filled_campaign(tmp_path / "c", index, {}, more={one: "running", other: "waiting"})
    watcher, forgotten = Watcher(Campaign(records)), []
    watcher._looks._turns = SimpleNamespace(take=set)  # it is always everybody's turn
    monkeypatch.setattr(SparingLooks, "forget", lambda self, task: forgotten.append(task))
    assert watcher.look() is not None
    assert watcher.look() is None
    assert forgotten == []  # it has not written a summary yet
    summary = TaskDirectory(records.task_path(records.state().tasks[f"{one}-1"])).summary
    TaskSummary(one, 1, "running").write(summary)
    assert watcher.look() is not None
    assert watcher.look() is None
    assert forgotten == [f"{one}-1"]
