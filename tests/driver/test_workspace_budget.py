"""The budget of a workspace: what all its campaigns have cost and will, whoever drives them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from filled_campaign import filled_campaign, network_index

from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.costs.admission import Word
from xpm_alchem.driver.budget_watch import BudgetWatch
from xpm_alchem.driver.workspace_budget import WorkspaceBudget
from xpm_alchem.launchers.local import LocalLauncher, LocalProfile
from xpm_alchem.plan.budget import Budget

INDEX = network_index([("a", "b")], ("solvent",))
(TRANSFORMATION,) = INDEX.by_id
PRICE = {"core_hour": 1.0, "unit": "EUR"}


def launcher() -> LocalLauncher:
    return LocalLauncher(LocalProfile.parse({"kind": "local", "slots": 1, "price": PRICE}, "here"))


class Workspace:
    """Campaigns of one transformation in one workspace."""

    def __init__(self, path: Path, held: ExitStack) -> None:
        self.path, self._held = path, held

    def add(self, name: str, *, spent: float = 0.0, unit: str = "EUR") -> CampaignRecords:
        """Make a campaign whose first task has cost so much, and whose second one waits."""
        made = filled_campaign(self.path / "made" / name, INDEX, {}, plan={"name": name})
        (self.path / "campaigns").mkdir(exist_ok=True)
        records = CampaignRecords(made.path.rename(self.path / "campaigns" / name))
        self._held.enter_context(records.lock())
        for repeat in (1, 2):
            task = {"task": f"{TRANSFORMATION}-{repeat}", "transformation": TRANSFORMATION, "repeat": repeat}
            records.write({"event": "created", **task, "directory": f"jobs/{name}/{repeat}"})
        self.submit(records, 1, unit)
        cost = {"attempt": 1, "cost": spent, "seconds": 1.0, "start": time.time() - 7200, "unit": unit}
        records.write({"event": "status", "task": f"{TRANSFORMATION}-1", "status": "complete", "spent": [cost]})
        return records

    @staticmethod
    def submit(records: CampaignRecords, repeat: int, unit: str = "EUR") -> None:
        task = f"{TRANSFORMATION}-{repeat}"
        records.write({"event": "submitted", "task": task, "attempts": 0, "cost_per_hour": 1.0, "cost_unit": unit})


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with ExitStack() as held:
        yield Workspace(tmp_path, held)


def word(records: CampaignRecords, budget: WorkspaceBudget, said: list[str]) -> Word:
    watch = BudgetWatch(records, launcher(), lambda event: said.append(event.what), budget)
    watch.pass_begins()
    found = watch.may_start(records.state().tasks[f"{TRANSFORMATION}-2"])
    watch.pass_ends()
    return found


def test_what_others_drive_counts_as_what_is_driven_here(workspace: Workspace) -> None:
    own, other = workspace.add("own", spent=2.0), workspace.add("other", spent=3.0)
    said: list[str] = []
    assert word(own, WorkspaceBudget(Budget(total=10.1), workspace.path), said) is Word.OK
    assert word(own, WorkspaceBudget(Budget(total=5.0), workspace.path), said) is Word.EXHAUSTED
    assert "for all campaigns of the workspace the budget's total is used up" in said[-1]
    both = WorkspaceBudget(Budget(total=5.0), workspace.path)
    word(other, both, said)  # it joins
    assert word(own, both, said) is Word.EXHAUSTED
    assert both.admission(time.time(), "EUR").spent == 5.0
    both.leave("other")
    assert both.admission(time.time(), "EUR").spent == 5.0


def test_what_is_in_flight_elsewhere_counts_too(workspace: Workspace) -> None:
    own, other = workspace.add("own"), workspace.add("other")
    workspace.submit(other, 2)
    assert word(own, WorkspaceBudget(Budget(rate=1.5), workspace.path), []) is Word.WAIT
    assert word(own, WorkspaceBudget(Budget(rate=2.5), workspace.path), []) is Word.OK


def test_what_cannot_be_counted_is_left_out(workspace: Workspace) -> None:
    own = workspace.add("own", spent=1.0)
    workspace.add("hours", spent=100.0, unit="core-h")
    broken = workspace.add("broken", spent=100.0)
    (broken.path / "index.json").write_text("{")
    (broken.path / "network.json").write_text("{")
    said: list[str] = []
    assert word(own, WorkspaceBudget(Budget(total=2.0), workspace.path), said) is Word.OK, said


def test_without_one_nothing_is_looked_at(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def looked(*arguments: Any) -> None:
        raise AssertionError

    own = workspace.add("own", spent=100.0)
    budget = WorkspaceBudget(Budget(), workspace.path)
    monkeypatch.setattr(budget, "admission", looked)
    assert budget.is_none and word(own, budget, []) is Word.OK
