"""Which waiting tasks get an attempt: by urgency, as slots allow; a start concerns no other task that waits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from filled_campaign import filled_campaign, network_index

from xpm_alchem.campaign.task_state import TaskState, TaskStatus
from xpm_alchem.driver.budget_watch import BudgetWatch
from xpm_alchem.driver.harvest import Harvest
from xpm_alchem.driver.starts import Starts
from xpm_alchem.driver.withdrawal import Withdrawal
from xpm_alchem.execution.attempt_log import AttemptLog
from xpm_alchem.execution.attempts import Outcome
from xpm_alchem.execution.directory import TaskDirectory, TaskSummary
from xpm_alchem.failures.restarts import RestartPolicy
from xpm_alchem.launchers.local import LocalLauncher, LocalProfile

A, B, C = (f"{n:016x}" for n in range(3))


class Place:
    """A campaign of three transformations, and what starts its attempts; `submitted` is what was handed on."""

    def __init__(self, path: Path, slots: int) -> None:
        index = network_index([("a", "b"), ("b", "c"), ("c", "d")], ("solvent",))
        self.records = filled_campaign(path, index, {})
        launcher = LocalLauncher(LocalProfile(slots=slots))
        self.submitted: list[str] = []
        self.of_others: set[str] = set()
        self.jobs: dict[str, Any] = {}
        self.planning = SimpleNamespace(plan=self.records.plan())
        policy = RestartPolicy.of(self.planning.plan, 3)
        self.harvest = Harvest(self.records, launcher, self.jobs, lambda event: None, policy=policy)
        budget = BudgetWatch(self.records, launcher, lambda event: None)
        withdrawal = Withdrawal(self.records, launcher)
        self.starts = Starts(self, self.planning, self.harvest, budget, withdrawal, self.jobs)

    def submit(self, configuration: Any, launcher: LocalLauncher) -> Any:
        """Take what a session of experimaestro takes."""
        self.submitted.append(f"{configuration.transformation.id}-{configuration.repeat}")
        return SimpleNamespace(ended=False, launched=True)

    def has(self, configuration: Any) -> bool:
        """Tell of an attempt of another campaign of this process."""
        return configuration.transformation.id in self.of_others

    def add(self, transformation: str, repeat: int, **changes: Any) -> TaskDirectory:
        """Add a task that waits; return its files."""
        task = f"{transformation}-{repeat}"
        facts = {"task": task, "transformation": transformation, "repeat": repeat}
        directory = f"jobs/{transformation}/{repeat}"
        self.records.write({"event": "created", **facts, "directory": directory, "priority": 10, **changes})
        files = TaskDirectory(self.records.workspace / directory)
        files.path.mkdir(parents=True)
        return files

    @property
    def tasks(self) -> dict[str, TaskState]:
        return self.records.state().tasks


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path / "c", slots=9)
    with made.records.lock():
        yield made


def test_a_start_changes_no_other_task_that_waits(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    log = AttemptLog(place.add(A, 1, priority=5).attempts)
    log.end(log.start(limit=None, versions={}), Outcome.ERROR, traceback="ValueError: Particle coordinate is NaN")
    place.records.write({"event": "status", "task": f"{A}-1", "status": "error"})  # until another repeat succeeds
    there = place.add(A, 2, priority=1)  # its result is there, from another campaign
    log = AttemptLog(there.attempts)
    log.end(log.start(limit=None, versions={}), Outcome.COMPLETE)
    TaskSummary(A, 2, "complete", estimate=1.0, uncertainty=0.1).write(there.summary)
    log = AttemptLog(place.add(B, 1, priority=2).attempts)  # its attempt has ended, and nobody took note
    log.end(log.start(limit=None, versions={}), Outcome.ERROR, traceback="RuntimeError: made up")
    place.add(B, 2, priority=3)
    place.add(C, 1, priority=4)
    start, seen = Starts._start, []

    def noted(self: Starts, task: TaskState) -> int:
        def others() -> dict[str, tuple[TaskStatus, bool]]:
            waiting = [one for one in place.tasks.values() if one.status is TaskStatus.WAITING and one is not task]
            return {one.task: (one.status, one.actioned) for one in waiting}

        before = others()
        slots = start(self, task)
        seen.append(task.task)
        after = others()
        assert {one: after[one] for one in before} == before
        return slots

    monkeypatch.setattr(Starts, "_start", noted)
    place.starts.look()
    assert seen == [f"{A}-2", f"{B}-1", f"{B}-2", f"{C}-1"]
    assert place.submitted == [f"{B}-2", f"{C}-1"]
    statuses = {name: str(task.status) for name, task in place.tasks.items()}
    assert statuses == {
        f"{A}-1": "waiting",  # is tried again, the next time
        f"{A}-2": "complete",
        f"{B}-1": "error",
        f"{B}-2": "running",
        f"{C}-1": "running",
    }
    place.starts.look()
    assert place.submitted == [f"{B}-2", f"{C}-1", f"{A}-1"]


def test_slots_are_for_the_most_urgent(tmp_path: Path) -> None:
    place = Place(tmp_path / "c", slots=2)
    with place.records.lock():
        for transformation, priority in ((A, 30), (B, 10), (C, 20)):
            place.add(transformation, 1, priority=priority)
        for _ in range(2):
            place.starts.look()
            assert place.submitted == [f"{B}-1", f"{C}-1"]


def test_what_another_campaign_of_this_process_has_begun_is_waited_for(place: Place) -> None:
    place.add(A, 1)
    place.add(B, 1)
    place.of_others = {A}
    place.starts.look()
    assert place.submitted == [f"{B}-1"] and place.tasks[f"{A}-1"].status is TaskStatus.WAITING
    place.of_others = set()
    place.starts.look()
    assert place.submitted == [f"{B}-1", f"{A}-1"]


def test_an_attempt_of_another_campaign_that_has_just_said_its_end_is_no_new_one(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = place.add(A, 1)
    log = AttemptLog(files.attempts)
    log.end(log.start(limit=None, versions={}), Outcome.COMPLETE)
    monkeypatch.setattr(LocalLauncher, "is_running", lambda self, directory, attempt: True)  # its process is ending
    place.starts.look()
    assert not place.submitted and place.tasks[f"{A}-1"].status is TaskStatus.WAITING
    TaskSummary(A, 1, "complete", estimate=1.0).write(files.summary)
    place.starts.look()
    assert place.tasks[f"{A}-1"].status is TaskStatus.COMPLETE and len(log.read()) == 1


def test_what_is_not_to_run_is_not_started(place: Place) -> None:
    place.add(B, 1)
    place.add(B, 2, extends=f"{B}-1")
    place.add(C, 1)
    place.records.write({"event": "cancelled", "task": f"{C}-1"})
    place.starts.look()
    assert place.submitted == [f"{B}-1"]  # what extends it waits for its result


def test_a_process_that_ends_while_it_is_taken_up_is_left_to_the_next_look(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.add(B, 1)
    place.records.write({"event": "submitted", "task": f"{B}-1", "attempts": 0})
    with monkeypatch.context() as patch:
        patch.setattr(LocalLauncher, "is_running", lambda *_: True)  # it was, when that was asked
        place.starts.look()
    assert place.submitted == [] and place.tasks[f"{B}-1"].at_work
    place.harvest.look()
    assert place.tasks[f"{B}-1"].status is TaskStatus.WAITING
    place.starts.look()
    assert place.submitted == [f"{B}-1"]
