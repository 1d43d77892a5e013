"""What a user may ask of tasks: checked in full, then written to the journal as one line, all or nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from xpm_alchem.base.errors import InputError
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.standing import DEFAULT_WEIGHT, check_weight
from xpm_alchem.campaign.task_state import DEFAULT_PRIORITY, REQUEST, TaskState, TaskStatus, grouped, number_repeats
from xpm_alchem.campaign.task_transitions import (
    check_extends,
    check_priority,
    check_transition,
    user_status,
    with_extending,
)
from xpm_alchem.execution.attempt_log import AttemptLog
from xpm_alchem.execution.attempts import Outcome
from xpm_alchem.execution.directory import TaskDirectory
from xpm_alchem.execution.fence import give_orders
from xpm_alchem.failures.restarts import RETRY
from xpm_alchem.requests.creation import created
from xpm_alchem.strategies.changes import NewTask

CANCELLED = "cancelled by the user"
RETRIED = "retried by the user"
ACTIONED = "to be run, by the user"
CREATED = "created by the user"
NOT_ACTIONED = "created by the user, not to be run yet"
MOST_AT_ONCE = 1000  # tasks to create: more are taken for a slip
Event = dict[str, Any]
Request = Mapping[str, Any]


def is_about_tasks(request: Request) -> bool:
    """Return whether a request is one that `events_of` understands."""
    kind, tasks = request.get("request"), request.get("tasks")
    if any(not isinstance(request.get(key), str | None) for key in ("id", "extends")):
        return False
    if kind == "create":
        return isinstance(request.get("transformation"), str) or _are_new(request.get("new"))
    return kind in tuple(_CHANGES) and isinstance(tasks, list) and all(isinstance(task, str) for task in tasks)


def events_of(records: CampaignRecords, request: Request) -> list[Event]:
    """Return what the journal would gain; nothing is written.

    Raises
    ------
    InputError
        It makes no sense as the tasks are now: says which task, and why.
    """
    if request["request"] == "create":
        return _create_those(records, request) if "new" in request else _create(records, request)
    tasks = records.state().everything
    if not request["tasks"]:
        raise InputError("no task was named.")
    if request["request"] != "cancel" and (gone := [task for task in request["tasks"] if _is_gone(records, task)]):
        raise InputError(
            f"'{records.name_of(tasks[gone[0]])}': its transformation is gone from the network; "
            "`xpm-alchem network grow` with a network that has it brings it back, with its tasks."
        )
    if unknown := [task for task in request["tasks"] if task not in tasks]:
        raise InputError(f"there is no task '{unknown[0]}'.")
    return _CHANGES[request["request"]](records, [tasks[task] for task in dict.fromkeys(request["tasks"])], request)


def apply_to_tasks(records: CampaignRecords, request: Request) -> bool:
    """Do what was asked, unless it was done before; return whether that changed anything. The caller holds the lock.

    Raises
    ------
    InputError
        It makes no sense any more; nothing is changed.
    """
    if request.get("id") in records.state().requests:
        return False  # a driver was killed before it noted how far it had read its inbox
    events = events_of(records, request)
    if request["request"] == "retry" or request.get("status") == TaskStatus.WAITING:
        _count_anew(records, [records.state().everything[event["task"]] for event in events])
    records.write({"event": REQUEST, REQUEST: request["request"], "id": request.get("id"), "changes": events})
    tasks = records.state().everything
    for task_id in dict.fromkeys(event["task"] for event in events):
        if tasks[task_id].is_to_end:
            give_orders(records.task_path(tasks[task_id]), stop=tasks[task_id].reason)
    return True


def _is_gone(records: CampaignRecords, task: str) -> bool:
    """Whether a task is one of a transformation that was in the network once."""
    state = records.state()
    return task in state.everything and task not in state.tasks


def _count_anew(records: CampaignRecords, tasks: Sequence[TaskState]) -> None:
    """Let the counts of retries start again; after an attempt that is at work the driver does it."""
    for task in {task.task: task for task in tasks}.values():
        log = AttemptLog(TaskDirectory(records.task_path(task)).attempts)
        attempts = log.read()
        if attempts and attempts[-1].outcome not in (None, Outcome.COMPLETE):
            log.decide(attempts[-1], RETRY, "asked for by the user; counts start again")


# ----------------------------------------------------------------------------------------------- one request each
def _create(records: CampaignRecords, request: Request) -> list[Event]:
    transformation, other = request["transformation"], request.get("extends")
    count, priority = request.get("count", 1), request.get("priority", DEFAULT_PRIORITY)
    if transformation not in records.index.by_id:
        is_gone = transformation in records.in_force.gone
        why = f"'{records.transformation_name(transformation)}' is gone from the network: it gets no more tasks."
        raise InputError(why if is_gone else f"there is no transformation '{transformation}'.")
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MOST_AT_ONCE:
        raise InputError(f"count {count!r}: give how many tasks, a whole number from 1 to {MOST_AT_ONCE}.")
    check_priority(priority)
    tasks = records.state().tasks
    if other is not None:
        names = {task.task: records.name_of(task) for task in tasks.values()}
        names |= {record.id: record.name for record in records.index.transformations}
        check_extends(tasks, names, transformation, other)
    numbered = number_repeats([transformation] * count, grouped(tasks.values()))
    new = [NewTask(*pair, other) for pair in numbered]
    return [created(records, task, CREATED, priority=priority, by="user") for task in new]


def _are_new(new: object) -> bool:
    """Return whether something is what `_create_those` takes."""
    if not isinstance(new, list):
        return False
    shapes = ((str, int, str | None, bool, int | float, int) for _ in new)
    return all(
        isinstance(one, list) and len(one) == len(shape) and all(map(isinstance, one, shape))
        for one, shape in zip(new, shapes, strict=True)
    )


def _create_those(records: CampaignRecords, request: Request) -> list[Event]:
    """Create the tasks of 'new': [transformation, repeat, extends, is actioned, weight, priority] of each."""
    if not 1 <= len(request["new"]) <= MOST_AT_ONCE:
        raise InputError(f"{len(request['new'])} tasks to create: give 1 to {MOST_AT_ONCE} at once.")
    tasks = records.state().tasks
    names = {task.task: records.name_of(task) for task in tasks.values()}
    names |= {record.id: record.name for record in records.index.transformations}
    events = []
    for transformation, repeat, other, is_actioned, weight, priority in request["new"]:
        check_priority(priority)
        new = NewTask(transformation, repeat, other)
        if transformation not in records.index.by_id:
            raise InputError(f"there is no transformation '{transformation}'.")
        if new.id in tasks:
            raise InputError(f"there is a task '{names[new.id]}' already.")
        if other is not None:
            check_extends(tasks, names, transformation, other)
        events.append(created(records, new, CREATED, by="user", priority=priority, weight=check_weight(weight)))
        if not is_actioned:  # a strategy may take it up
            events.append({"event": "cancelled", "task": new.id, "by": "strategy", "reason": NOT_ACTIONED})
    return events


def _set_status(records: CampaignRecords, tasks: Sequence[TaskState], request: Request) -> list[Event]:
    status = user_status(str(request.get("status")))
    for task in tasks:
        check_transition(records.name_of(task), task.status, status)
    reason = f"set {status} by the user"
    if status is TaskStatus.WAITING:
        return [_status(task, status, reason) for task in tasks]
    everything = records.state().tasks
    chosen = {task.task for task in tasks}
    events = []
    for task in (everything[task_id] for task_id in with_extending(everything, chosen)):
        if task.task in chosen:
            events.append(_status(task, status, reason))
        elif task.exists:
            extended = records.name_of(everything[task.extends or ""])
            events.append(_status(task, status, f"it extends {extended}, which is {status}"))
    return events


def _retry(records: CampaignRecords, tasks: Sequence[TaskState], request: Request) -> list[Event]:
    for task in tasks:
        check_transition(records.name_of(task), task.status, TaskStatus.WAITING)
    events = []
    for task in tasks:
        events += [_status(task, TaskStatus.WAITING, RETRIED)]
        events += [{"event": "actioned", "task": task.task, "by": "user", "reason": RETRIED}]
    return events


def _action(records: CampaignRecords, tasks: Sequence[TaskState], request: Request) -> list[Event]:
    for task in tasks:
        if task.status in (TaskStatus.COMPLETE, TaskStatus.INVALID, TaskStatus.DELETED):
            raise InputError(f"'{records.name_of(task)}' is {task.status}: it is not run any more.")
    weight = check_weight(request.get("weight", DEFAULT_WEIGHT))
    event = {"event": "actioned", "by": "user", "reason": ACTIONED, "weight": weight}
    return [{**event, "task": task.task} for task in tasks]


def _cancel(records: CampaignRecords, tasks: Sequence[TaskState], request: Request) -> list[Event]:
    for task in tasks:
        in_error = request.get("in_error") is True and task.status is TaskStatus.ERROR and task.actioned
        if task.in_flight or task.spare or task.leaving or in_error:
            continue
        how = "cancelled already" if task.status is TaskStatus.WAITING else str(task.status)
        raise InputError(f"'{records.name_of(task)}' is {how}: there is nothing to cancel.")
    at_once = request.get("now") is True
    event = {"event": "cancelled", "by": "user", "reason": CANCELLED, "at_once": at_once}
    return [{**event, "task": task.task} for task in tasks]


def _set_priority(records: CampaignRecords, tasks: Sequence[TaskState], request: Request) -> list[Event]:
    check_priority(request.get("priority"))
    return [{"event": "priority", "task": task.task, "priority": request["priority"], "by": "user"} for task in tasks]


def _status(task: TaskState, status: TaskStatus, reason: str) -> Event:
    return {"event": "status", "task": task.task, "status": str(status), "by": "user", "reason": reason}


_CHANGES: dict[str, Callable[[CampaignRecords, Sequence[TaskState], Request], list[Event]]] = {
    "status": _set_status,
    "retry": _retry,
    "action": _action,
    "cancel": _cancel,
    "priority": _set_priority,
}
