"""Campaigns in which something has happened, written by the package's own writers without running anything."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from dummy_protocol import dummy_network

from xpm_alchem import gufe_seam
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.task_state import TaskState
from xpm_alchem.execution.attempt_log import AttemptLog
from xpm_alchem.execution.attempts import Launched, Outcome
from xpm_alchem.execution.directory import TaskDirectory, TaskSummary
from xpm_alchem.network.loading import load_network
from xpm_alchem.plan.campaign_yaml import parse_plan

TRACEBACK = "Traceback (most recent call last):\n  File 'protocol.py', line 3, in _execute\n    simulate()\n"


class PastCampaign:
    """A campaign of the scripted protocol whose tasks get the attempts a test asks for."""

    def __init__(self, path: Path, edges: list[tuple[int, int]]) -> None:
        path.mkdir(parents=True, exist_ok=True)
        gufe_seam.save(dummy_network(edges), path / "network.json")
        text = yaml.safe_dump({"name": "past", "network": "network.json", "trusted_modules": ["dummy_protocol"]})
        plan = parse_plan(text, path / "campaign.yaml")
        network = load_network(path / "network.json", plan.trusted_modules)
        self.records = CampaignRecords.create(path / "workspace", plan, text, network)

    def task(self, edge: int = 0, repeat: int = 1) -> TaskState:
        """Return a task, which is made if need be."""
        record = self.records.index.transformations[edge]
        task_id = f"{record.id}-{repeat}"
        if task_id not in self.records.state().tasks:
            directory = f"jobs/xpm_alchem.run/{edge:04d}{repeat:04d}"
            self.write(
                {
                    "event": "created",
                    "task": task_id,
                    "transformation": record.id,
                    "repeat": repeat,
                    "directory": directory,
                }
            )
            (self.records.workspace / directory).mkdir(parents=True)
        return self.records.state().tasks[task_id]

    def name(self, task: TaskState) -> str:
        """Return what a user calls a task."""
        return f"{self.records.index.by_id[task.transformation].name}:{task.repeat}"

    def files(self, task: TaskState) -> TaskDirectory:
        """Return a task's directory."""
        return TaskDirectory(self.records.task_path(task))

    def attempt(
        self,
        task: TaskState,
        outcome: Outcome | None,
        said: str = "",
        *,
        node: str = "n1",
        decision: str = "resume",
        why: str = "it is tried again",
        units: int = 0,
        **facts: Any,
    ) -> None:
        """Add an attempt to a task; what an error `said` is the last line of its traceback."""
        self.write({"event": "submitted", "task": task.task, "attempts": self._attempts(task)})
        log = AttemptLog(self.files(task).attempts)
        made = log.start(limit=None, launched=Launched(node=node), versions={})
        for number in range(units):
            log.unit(made, name=f"unit {number}", ok=True)
        if outcome is None:
            return
        if outcome is Outcome.ERROR:
            facts.setdefault("traceback", f"{TRACEBACK}{said}\n")
        log.end(made, outcome, reason=said, **facts)
        log.decide(made, decision, why)

    def status(self, task: TaskState, status: str, reason: str = "") -> None:
        """Set what the journal says of a task."""
        facts = {"attempts": self._attempts(task)} if status == "complete" else {}
        self.write({"event": "status", "task": task.task, "status": status, "reason": reason, **facts})

    def fail(self, lines: Iterable[str], *, node: str = "n1", **options: Any) -> list[TaskState]:
        """Make for each line a task, each of another transformation, that is in error with it."""
        failed = []
        for edge, line in enumerate(lines):
            task = self.task(edge)
            why = "an error that no restart pattern matches"
            self.attempt(task, Outcome.ERROR, line, node=node, decision="stop", why=why, **options)
            self.status(task, "error", line)
            failed.append(task)
        return failed

    def summary(self, task: TaskState, **facts: Any) -> None:
        """Write a task's summary."""
        TaskSummary(task.transformation, task.repeat, **{"status": "running", **facts}).write(self.files(task).summary)

    def write(self, *events: dict[str, Any]) -> None:
        """Add to the campaign's journal."""
        with self.records.lock():
            self.records.write(*events)
        self.records.state()

    def _attempts(self, task: TaskState) -> int:
        return len(AttemptLog(self.files(task).attempts).read())
