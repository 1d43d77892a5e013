"""The tasks of a campaign as its journal tells them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping
from enum import StrEnum
from operator import attrgetter
from typing import Any

import attrs

from xpm_alchem.base.energies import believed
from xpm_alchem.base.values import count, is_count, number, text, text_or_none
from xpm_alchem.campaign.hosts import HostHistory
from xpm_alchem.campaign.spending import Ledger
from xpm_alchem.campaign.standing import DEFAULT_WEIGHT, Standing, is_weight


class TaskStatus(StrEnum):
    """alchemiscale's statuses of a task."""

    WAITING = "waiting"
    RUNNING = "running"
    COMPLETE = "complete"
    ERROR = "error"
    INVALID = "invalid"
    DELETED = "deleted"


_STATUSES: Mapping[str, TaskStatus] = {str(status): status for status in TaskStatus}  # quicker than TaskStatus(text)
DEFAULT_PRIORITY, LARGEST_PRIORITY = 10, 2**63 - 1
REQUEST = "wish"  # the event of a request, and its key in the inbox: a driver of 0.1 may be who reads it
NETWORK = "network"  # the event of a network that has changed
_SEVERAL = ("iteration", REQUEST, NETWORK)  # events that hold several changes
_ID = re.compile(r"[!-~]{1,200}")
_DIRECTORY = re.compile(r"(jobs|campaigns/[A-Za-z0-9][A-Za-z0-9._-]*/imported)(/[A-Za-z0-9_-][A-Za-z0-9._-]*)+")


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
        'user', 'strategy', 'budget' or 'network' for one that is not: each takes up again only what it cancelled.
    priority
        1 is the most urgent.
    attempts_before
        How many attempts there were when it was last submitted.
    leaving
        Whether the user gave it another status while it was running, and its attempt has not ended yet.
    at_once
        Whether its attempt is to end without waiting for a checkpoint.
    left_out
        Why a complete one counts in nothing: its numbers are no free energy. '' if it does.
    not_before
        When it may be tried again at the earliest; 0: at once.
    imported
        What tells the run apart whose result was imported; empty for a task of our own.
    lacks_dag_result
        Whether it was imported from a file that holds no ProtocolDAGResult.
    trouble
        Which of its files cannot be read or written now, and why; empty where that is over.
    weight
        0 to 1: of tasks of one priority those of more weight begin first.
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
    priority: int = DEFAULT_PRIORITY
    attempts_before: int = 0
    submitted: float = 0.0
    estimate: float | None = None
    uncertainty: float | None = None
    seconds: float = 0.0
    attempts: int = 0
    leaving: bool = False
    at_once: bool = False
    imported: str = ""
    lacks_dag_result: bool = False
    left_out: str = ""
    not_before: float = 0.0
    trouble: str = ""
    weight: float = DEFAULT_WEIGHT

    def waits_until(self, now: float) -> float | None:
        """Return until when it is not to be tried again, None if it may be; a clock that was set back is no reason."""
        return self.not_before if self.changed <= now < self.not_before else None

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

    @property
    def at_work(self) -> bool:
        """Whether an attempt was submitted whose end was not dealt with yet."""
        return self.status is TaskStatus.RUNNING or self.leaving

    @property
    def is_to_end(self) -> bool:
        """Whether its attempt is at work although it is not to be."""
        return self.at_work and not (self.status is TaskStatus.RUNNING and self.actioned)


_NAMES = tuple(field.name for field in attrs.fields(TaskState))
_STATUS_PLACE = _NAMES.index("status")
_row_of: Callable[[TaskState], tuple[Any, ...]] = attrgetter(*_NAMES)
_VALUES: Mapping[str, Callable[[Any], Any]] = {
    "seconds": number,
    "attempts": count,
}


class CampaignState:
    """The tasks of a campaign as the journal tells them.

    Parameters
    ----------
    transformations
        Stable ids of those there are and were; tasks of others are passed over. None: of any.
    gone
        Stable ids of those that were in the network once.

    Attributes
    ----------
    tasks
        Those of the network, by task id, in the order of their creation.
    everything
        The same with those of transformations that are gone.
    network
        The number of the network that the journal told of last.
    requests
        The tasks that each of the user's requests changed, by the request's id: none is granted twice.
    hosts
        How attempts ended on the machines.
    ledger
        What attempts cost.
    notified
        What the user was told of last, by kind of event; '' where that is over.
    standing
        The network's state and weight.
    """

    def __init__(self, transformations: Container[str] | None = None, gone: Collection[str] = ()) -> None:
        self._transformations, self._gone = transformations, gone
        self.everything: dict[str, TaskState] = {}
        self.tasks: dict[str, TaskState] = {} if gone else self.everything
        self.network = 1
        self.requests: dict[str, tuple[str, ...]] = {}
        self.hosts = HostHistory()
        self.ledger = Ledger()
        self.notified: dict[str, str] = {}
        self.standing = Standing()

    @classmethod
    def from_plain(
        cls, plain: Mapping[str, Any], transformations: Container[str] | None = None, gone: Collection[str] = ()
    ) -> CampaignState:
        """Return the state of which `to_plain` was made; a task must be as sound as one that the journal creates.

        Raises
        ------
        LookupError, TypeError, ValueError
            It was made of none, or by another version.
        """
        state = cls(transformations, gone)
        if tuple(plain["task_fields"]) != _NAMES:
            raise ValueError("tasks of another version")
        for row in plain["tasks"]:
            row[_STATUS_PLACE] = _STATUSES[row[_STATUS_PLACE]]
            if len(row) != len(_NAMES):
                raise ValueError("a task of another version")
            task = TaskState(*row)
            if not state._is_sound(task.task, task.transformation, task.repeat, task.directory):
                raise ValueError("a task that makes no sense")
            state._add(task)
        state.requests = {request: tuple(tasks) for request, tasks in plain["requests"].items()}
        state.hosts = HostHistory.from_plain(plain["hosts"])
        state.ledger = Ledger.from_plain(plain["ledger"])
        state.notified = plain["notified"]
        state.standing = Standing().changed(plain["standing"])
        state.network = plain["network"]
        return state

    def to_plain(self) -> dict[str, Any]:
        """Return all that is in it, as JSON has it."""
        return {
            "task_fields": _NAMES,
            "tasks": [_row_of(task) for task in self.everything.values()],
            "requests": self.requests,
            "hosts": self.hosts.to_plain(),
            "ledger": self.ledger.to_plain(),
            "notified": self.notified,
            "standing": attrs.asdict(self.standing),
            "network": self.network,
        }

    def apply(self, record: Mapping[str, Any]) -> None:
        """Take in one record of the journal; one that makes no sense is passed over."""
        event = record.get("event")
        if event in _SEVERAL:  # one line of the journal, so that a kill leaves all of it or nothing
            changes = _changes(record)
            for change in changes:
                self.apply({"time": record.get("time"), **change})
            if isinstance(record.get("id"), str):
                self.requests[record["id"]] = tuple(dict.fromkeys(str(change.get("task")) for change in changes))
            if event == NETWORK:
                self.network = count(record.get("number"), self.network)
                self.standing = self.standing.changed(record)
            return
        task = self.everything.get(str(record.get("task")))
        when, reason = number(record.get("time")), text(record.get("reason"))
        match event:
            case "created" if task is None and self._is_sound(
                record.get("task"), record.get("transformation"), record.get("repeat"), record.get("directory")
            ):
                self._add(
                    TaskState(
                        task=record["task"],
                        transformation=record["transformation"],
                        repeat=record["repeat"],
                        directory=record["directory"],
                        extends=text_or_none(record.get("extends")),
                        actioned=True,
                        reason=reason,
                        changed=when,
                        priority=record["priority"] if is_priority(record.get("priority")) else DEFAULT_PRIORITY,
                        imported=text(record.get("imported")),
                        lacks_dag_result=bool(record.get("imported")) and record.get("dag_result") is not True,
                        weight=_weight(record),
                    )
                )
            case "status" if task is not None and text(record.get("status")) in _STATUSES:
                self.hosts.note(task.task, record, when)
                task.leaving = task.at_work and record.get("by") == "user"
                if not task.leaving:
                    self.ledger.ended(task.task, record)
                if task.exists:  # else it stays as it is, whatever its attempt still brings
                    _set_status(task, record, when)
            case "ended" if task is not None:
                task.leaving = False
                self.ledger.ended(task.task, record)
            case "submitted" if task is not None and task.exists:
                task.status, task.reason, task.trouble = TaskStatus.RUNNING, reason, ""
                task.attempts_before, task.submitted, task.changed = count(record.get("attempts")), when, when
                task.leaving = task.at_once = False
                self.ledger.submitted(task.task, record, when)
            case ("actioned" | "cancelled") as event if task is not None:
                task.actioned, task.reason, task.changed = event == "actioned", reason, when
                task.cancelled_by = "" if task.actioned else text(record.get("by"), "user")
                task.at_once = not task.actioned and record.get("at_once") is True
                task.weight = _weight(record) if task.actioned else task.weight
            case "trouble" if task is not None:
                task.trouble = reason
            case "notified":
                self.notified[text(record.get("what"))] = text(record.get("of"))
            case "priority" if task is not None and is_priority(record.get("priority")):
                task.priority = record["priority"]

    def _add(self, task: TaskState) -> None:
        self.everything[task.task] = task
        if self._gone and task.transformation not in self._gone:
            self.tasks[task.task] = task

    def _is_sound(self, task: Any, transformation: Any, repeat: Any, directory: Any) -> bool:
        """Whether a task has what it needs, and a directory that stays within the workspace."""
        if not (isinstance(task, str) and isinstance(transformation, str) and isinstance(directory, str)):
            return False
        known = self._transformations is None or transformation in self._transformations
        sound = bool(_ID.fullmatch(task)) and bool(_DIRECTORY.fullmatch(directory))
        return known and sound and is_count(repeat, 10**6)


def _set_status(task: TaskState, record: Mapping[str, Any], when: float) -> None:
    task.status, task.reason, task.changed = _STATUSES[record["status"]], text(record.get("reason")), when
    task.not_before = number(record.get("not_before"))
    for key, read in _VALUES.items():
        if key in record:
            setattr(task, key, read(record[key]))
    if "estimate" in record:
        found = believed(record["estimate"], record.get("uncertainty"))
        task.estimate, task.uncertainty = found.estimate, found.uncertainty
        task.left_out = text(record.get("left_out")) or found.left_out
        task.reason = task.reason or task.left_out


def _weight(record: Mapping[str, Any]) -> float:
    weight = record.get("weight")
    return float(weight) if is_weight(weight) and weight is not None else DEFAULT_WEIGHT


def is_priority(value: object) -> bool:
    """Return whether a value is a priority: a whole number from 1 to 2**63 - 1."""
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= LARGEST_PRIORITY


def mean_seconds(tasks: Iterable[TaskState]) -> float | None:
    """Return the mean cost of the complete tasks in seconds, None without any; what was imported cost nothing here."""
    complete = [task.seconds for task in tasks if task.status is TaskStatus.COMPLETE and not task.imported]
    seconds = [value for value in complete if value > 0]  # else unknown: by a clock that was set back
    return sum(seconds) / len(seconds) if seconds else None


def grouped(tasks: Iterable[TaskState]) -> dict[str, list[TaskState]]:
    """Return tasks grouped by transformation."""
    groups: dict[str, list[TaskState]] = {}
    for task in tasks:
        groups.setdefault(task.transformation, []).append(task)
    return groups


def number_repeats(transformations: Iterable[str], groups: Mapping[str, list[TaskState]]) -> Iterator[tuple[str, int]]:
    """Yield each transformation with the number of its next repeat: those that no task has, from 1 on.

    There are gaps where results were taken over that another campaign has computed: what fills them is the same task in
    every campaign of the workspace.
    """
    free: dict[str, Iterator[int]] = {}
    for transformation in transformations:
        if transformation not in free:
            taken = {task.repeat for task in groups.get(transformation, ())}
            free[transformation] = itertools.filterfalse(taken.__contains__, itertools.count(1))
        yield transformation, next(free[transformation])


def _changes(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    changes = record.get("changes")
    sound = (c for c in (changes if isinstance(changes, list) else ()) if isinstance(c, Mapping))
    return [change for change in sound if change.get("event") not in _SEVERAL]


def without_tasks(transformations: Iterable[str], tasks: Iterable[TaskState]) -> set[str]:
    """Return the transformations that have no result, and no task that waits until the user wants it again."""
    there = {task.transformation for task in tasks if task.status in (TaskStatus.COMPLETE, TaskStatus.WAITING)}
    return {*transformations} - there
