"""A model of the campaign's journal: replayed line by line, independently of the package, each step checked."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import attrs

from tests.chaos.plan_history import PlanHistory
from xpm_alchem.campaign.task_state import REQUEST
from xpm_alchem.plan.campaign_yaml import Plan

NUMBER = {"uniform": "repeats", "connectivity": "max_runs", "radial-growth": "max_runs"}


@attrs.define
class TaskModel:
    """One task."""

    transformation: str
    repeat: int
    status: str = "waiting"
    actioned: bool = True
    cancelled_by: str = ""
    priority: int = 10
    at_work: bool = False
    completed: list[float] = attrs.field(factory=list)
    set_aside: float = math.inf

    @property
    def counts(self) -> bool:
        """Whether it is a result, there or to come."""
        return self.status == "complete" or (self.status in ("running", "waiting") and self.actioned)

    @property
    def exists(self) -> bool:
        """Whether the user has not set it aside."""
        return self.status not in ("invalid", "deleted")

    @property
    def is_ready(self) -> bool:
        """Whether it waits for nothing but a slot."""
        return self.status == "waiting" and self.actioned and not self.at_work

    @property
    def is_spare(self) -> bool:
        """Whether the strategy cancelled it and may take it up again."""
        return self.status in ("waiting", "running") and not self.actioned and self.cancelled_by == "strategy"


class JournalModel:
    """What tasks.jsonl tells.

    Attributes
    ----------
    tasks
        By id.
    wrong
        Steps that nothing allows.
    events
        How often each event is there; of 'status' the new status, with whether it was the user who set it back.
    torn
        Lines that a kill cut short.
    """

    def __init__(self, path: Path, history: PlanHistory) -> None:
        self._history = history
        self.tasks: dict[str, TaskModel] = {}
        self.wrong: list[str] = []
        self.events: Counter[str] = Counter()
        self.torn = 0
        for line in path.read_text(errors="replace").splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                self.torn += 1
                continue
            if record.get("event") == "iteration":
                self._iterate(record)
            elif record.get("event") == REQUEST:
                for change in record["changes"]:
                    self._apply(change, record["time"])
            elif "event" in record:
                self._apply(record, record["time"])

    def completed_before(self, transformation: str, task: str, when: float) -> bool:
        """Whether another repeat of a transformation was complete then."""
        return any(
            other != task
            and model.transformation == transformation
            and any(at <= when < model.set_aside for at in model.completed)
            for other, model in self.tasks.items()
        )

    # ----------------------------------------------------------------------------------------------------- replaying
    def _apply(self, record: dict[str, Any], when: float) -> None:
        event, name = record["event"], record["task"]
        task = self.tasks.get(name)
        if event == "created":
            self.events[event] += 1
            if task is not None:
                self._note(record, "it was there already")
            self.tasks[name] = TaskModel(record["transformation"], record["repeat"])
            return
        if task is None:
            self._note(record, "there is no such task")
            return
        match event:
            case "submitted":
                if not task.is_ready:
                    self._note(record, f"it was {task.status}, {'' if task.actioned else 'not '}to be run")
                if before := [n for n, t in self.tasks.items() if t.is_ready and t.priority < task.priority]:
                    self._note(record, f"more urgent ones wait: {before}")
                task.status, task.at_work = "running", True
            case "ended":
                task.at_work = False
            case "priority":
                task.priority = record["priority"]
            case "status":
                self._change(task, record, when)
                event = record["status"]
            case "actioned":
                task.actioned, task.cancelled_by = True, ""
            case "cancelled":
                task.actioned, task.cancelled_by = False, record.get("by", "user")
                event = f"cancelled by {task.cancelled_by}"
        self.events[event] += 1

    def _change(self, task: TaskModel, record: dict[str, Any], when: float) -> None:
        new, reason = record["status"], record["reason"]
        if record.get("by") == "user":
            if new in ("invalid", "deleted"):
                task.set_aside = min(task.set_aside, when)
            task.status = new
            return
        task.at_work = False
        if not task.exists:
            return  # it stays as the user has set it
        if task.status == "complete":
            self._note(record, "it was complete already")
        if new == "complete":
            task.completed.append(when)
        elif new == "error" and task.status != "running":
            self._note(record, f"it was {task.status}")
        elif new == "waiting" and task.status == "error" and not _says_why(reason):
            self._note(record, "it was in error, and nothing says why it is tried again")
        task.status = new

    def _iterate(self, record: dict[str, Any]) -> None:
        """Apply an iteration of the strategy, and check what it creates and takes up again."""
        when, changes = record["time"], record["changes"]
        plans = [plan for plan in self._history.at(when) if plan.strategy.mode != "disabled"]
        if not plans:
            self._note(record, "the strategy was disabled")
        touched = set()
        for change in changes:
            if change["event"] == "created":
                touched.add(change["transformation"])
            self._apply(change, when)
            if change["event"] == "actioned":
                touched.add(self.tasks[change["task"]].transformation)
            if change["event"] == "cancelled" and not any(plan.strategy.mode == "full" for plan in plans):
                self._note(record, f"{change['task']} was cancelled, and the mode was not full")
        for transformation in touched:
            self._check_target(record, transformation, plans, changes)

    def _check_target(self, record: dict[str, Any], transformation: str, plans: list[Plan], changes: list[Any]) -> None:
        everything = {name: task for name, task in self.tasks.items() if task.transformation == transformation}
        group = {name: task for name, task in everything.items() if task.exists}
        number = sum(task.counts for task in group.values())
        most = max((_target(plan) for plan in plans), default=0)
        if number > most:
            self._note(record, f"{transformation} has {number} results and results to come, and {most} were wanted")
        if failed := [name for name, task in group.items() if task.status == "error"]:
            self._note(record, f"{transformation} got tasks although {failed} are in error")
        created = any(c["event"] == "created" and c["transformation"] == transformation for c in changes)
        if created and (spare := [name for name, task in group.items() if task.is_spare]):
            self._note(record, f"{transformation} got a new task although {spare} could be taken up again")
        if sorted(task.repeat for task in everything.values()) != list(range(1, len(everything) + 1)):
            self._note(record, f"the repeats of {transformation} are not numbered in order")

    def _note(self, record: dict[str, Any], what: str) -> None:
        said = {key: value for key, value in record.items() if key != "changes"}
        self.wrong.append(f"tasks.jsonl: {json.dumps(said)[:400]}: {what}")

    # -------------------------------------------------------------------------------------------------------- the end
    def check_end(self, transformations: dict[str, bool], repeats: int) -> None:
        """Check that everything that was asked for is there.

        Parameters
        ----------
        transformations
            All of them by stable id, and whether each is beyond hope.
        repeats
            Results of each that were asked for in the end.
        """
        for transformation, hopeless in transformations.items():
            group = {n: t for n, t in self.tasks.items() if t.transformation == transformation and t.exists}
            if hopeless:
                if not group or any(task.status not in ("error", "waiting") for task in group.values()):
                    self.wrong.append(f"{transformation} is beyond hope, but: {_statuses(group)}")
                continue
            complete = sum(task.status == "complete" for task in group.values())
            left = {name: task for name, task in group.items() if task.status != "complete"}
            if complete < repeats:
                self.wrong.append(
                    f"{transformation}: {complete} complete of {repeats} wanted, beside {_statuses(left)}"
                )
            if any(not task.is_spare for task in left.values()):
                self.wrong.append(
                    f"{transformation}: neither complete nor cancelled by the strategy: {_statuses(left)}"
                )
        for name, task in self.tasks.items():
            if task.status == "complete" and len(task.completed) != 1:
                self.wrong.append(f"{name} was noted as complete {len(task.completed)} times")


def _says_why(reason: str) -> bool:
    return reason.startswith(("retried by the user", "restart pattern", "default rule"))


def _target(plan: Plan) -> int:
    return int(plan.strategy.settings.get(NUMBER[str(plan.strategy.name)], 3))


def _statuses(group: dict[str, TaskModel]) -> dict[str, str]:
    return {
        name: f"{task.status}{'' if task.actioned else ', cancelled by ' + task.cancelled_by}"
        for name, task in group.items()
    }
