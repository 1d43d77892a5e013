"""The tasks of a campaign as its journal tells them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any

import attrs

from xpm_alchem.hosts import HostHistory


class TaskStatus(StrEnum):
    """alchemiscale's statuses of a task."""

    WAITING = "waiting"
    RUNNING = "running"
    COMPLETE = "complete"
    ERROR = "error"
    INVALID = "invalid"
    DELETED = "deleted"


_STATUSES = tuple(TaskStatus)
_DIRECTORY = re.compile(r"jobs/|campaigns/[^/]+/imported/")


@attrs.define
class TaskState:
    """What the journal says of one task. Energies in kcal/mol, times in seconds since the epoch.

    Attributes
    ----------
    task
        Its id: '<transformation id>-<repeat>'.
    directory
        Relative to the workspace.
    actioned
        Whether it is to be run.
    cancelled_by
        'user' or 'strategy' for one that is not: the strategy takes up again only what it cancelled itself.
    attempts_before
        How many attempts there were when it was last submitted.
    imported
        What tells the run apart whose result was imported; empty for a task of our own.
    """

    task: str
    transformation: str
    repeat: int
    directory: str
    extends: str | None = None
    status: TaskStatus = TaskStatus.WAITING
    actioned: bool = False
    cancelled_by: str = ""
    reason: str = ""
    changed: float = 0.0
    attempts_before: int = 0
    submitted: float = 0.0
    estimate: float | None = None
    uncertainty: float | None = None
    seconds: float = 0.0
    attempts: int = 0
    imported: str = ""

    @property
    def in_flight(self) -> bool:
        """Whether it will bring a result without further ado."""
        return self.status is TaskStatus.RUNNING or (self.status is TaskStatus.WAITING and self.actioned)

    @property
    def spare(self) -> bool:
        """Whether the strategy has cancelled it, and may take it up again."""
        unfinished = self.status in (TaskStatus.WAITING, TaskStatus.RUNNING)
        return unfinished and not self.actioned and self.cancelled_by == "strategy"

    @property
    def exists(self) -> bool:
        """Whether nobody has set it aside as invalid or deleted."""
        return self.status not in (TaskStatus.INVALID, TaskStatus.DELETED)


class CampaignState:
    """The tasks of a campaign as the journal tells them.

    Attributes
    ----------
    tasks
        By task id, in the order of their creation.
    hosts
        How attempts ended on the machines.
    """

    def __init__(self) -> None:
        self.tasks: dict[str, TaskState] = {}
        self.hosts = HostHistory()

    def apply(self, record: Mapping[str, Any]) -> None:
        """Take in one record of the journal; one that makes no sense is passed over."""
        if record.get("event") == "iteration":  # one line of the journal, so that a kill leaves all of it or nothing
            for change in _changes(record):
                self.apply({"time": record.get("time"), **change})
            return
        task = self.tasks.get(str(record.get("task")))
        when = float(record.get("time") or 0)
        match record.get("event"):
            case "created" if task is None and _is_sound(record):
                self.tasks[record["task"]] = TaskState(
                    task=record["task"],
                    transformation=record["transformation"],
                    repeat=int(record["repeat"]),
                    directory=record["directory"],
                    extends=record.get("extends"),
                    actioned=True,
                    reason=str(record.get("reason", "")),
                    changed=when,
                    imported=str(record.get("imported") or ""),
                )
            case "status" if task is not None and record.get("status") in _STATUSES:
                task.status, task.reason = TaskStatus(record["status"]), str(record.get("reason", ""))
                task.changed = when
                self.hosts.note(task.task, record, when)
                for key in ("estimate", "uncertainty", "seconds", "attempts"):
                    if key in record:
                        setattr(task, key, record[key])
            case "submitted" if task is not None:
                task.status, task.reason = TaskStatus.RUNNING, str(record.get("reason", ""))
                task.attempts_before, task.submitted, task.changed = int(record.get("attempts") or 0), when, when
            case ("actioned" | "cancelled") as event if task is not None:
                task.actioned, task.reason, task.changed = event == "actioned", str(record.get("reason", "")), when
                task.cancelled_by = "" if task.actioned else str(record.get("by", "user"))


def mean_seconds(tasks: Iterable[TaskState]) -> float | None:
    """Return the mean cost of the complete tasks in seconds, None without any; what was imported cost nothing here."""
    seconds = [task.seconds for task in tasks if task.status is TaskStatus.COMPLETE and not task.imported]
    return sum(seconds) / len(seconds) if seconds else None


def grouped(tasks: Iterable[TaskState]) -> dict[str, list[TaskState]]:
    """Return tasks grouped by transformation."""
    groups: dict[str, list[TaskState]] = {}
    for task in tasks:
        groups.setdefault(task.transformation, []).append(task)
    return groups


def number_repeats(transformations: Iterable[str], groups: Mapping[str, list[TaskState]]) -> Iterator[tuple[str, int]]:
    """Yield each transformation with the number of its next repeat, counting on from the tasks there are."""
    last: dict[str, int] = {}
    for transformation in transformations:
        if transformation not in last:
            last[transformation] = max((task.repeat for task in groups.get(transformation, ())), default=0)
        last[transformation] += 1
        yield transformation, last[transformation]


def _changes(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    changes = record.get("changes")
    sound = (c for c in (changes if isinstance(changes, list) else ()) if isinstance(c, Mapping))
    return [change for change in sound if change.get("event") != "iteration"]


def _is_sound(record: Mapping[str, Any]) -> bool:
    """Whether a 'created' record has what it needs, and a directory that stays within the workspace."""
    directory, repeat = record.get("directory"), record.get("repeat")
    texts = all(isinstance(record.get(key), str) for key in ("task", "transformation", "directory"))
    return texts and isinstance(repeat, int) and _is_inside(str(directory))


def _is_inside(directory: str) -> bool:
    return bool(_DIRECTORY.match(directory)) and ".." not in directory
