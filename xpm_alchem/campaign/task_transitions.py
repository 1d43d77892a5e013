"""Which status of a task may follow which, as in alchemiscale, and which tasks go with one that is set aside. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from xpm_alchem.base.errors import InputError
from xpm_alchem.base.near_miss import unknown_key
from xpm_alchem.campaign.task_state import LARGEST_PRIORITY, TaskState, TaskStatus, is_priority

_WAITING, _RUNNING, _COMPLETE, _ERROR, _INVALID, _DELETED = TaskStatus
ALLOWED: Mapping[TaskStatus, frozenset[TaskStatus]] = {
    _WAITING: frozenset({_WAITING, _RUNNING, _INVALID, _DELETED}),
    _RUNNING: frozenset(TaskStatus),
    _COMPLETE: frozenset({_COMPLETE, _INVALID, _DELETED}),
    _ERROR: frozenset({_WAITING, _ERROR, _INVALID, _DELETED}),
    _INVALID: frozenset({_INVALID}),
    _DELETED: frozenset({_DELETED}),
}
SET_BY_USER = (_WAITING, _INVALID, _DELETED)


def check_transition(name: str, before: TaskStatus, after: TaskStatus) -> None:
    """Refuse a status that may not follow another.

    Raises
    ------
    InputError
        Names the task and both statuses.
    """
    if after in ALLOWED[before]:
        return
    others = [str(status) for status in SET_BY_USER if status in ALLOWED[before] and status is not before]
    hint = f"it can become {' or '.join(others)}" if others else "that is final"
    raise InputError(f"'{name}' is {before} and cannot become {after}: {hint}.")


def user_status(status: str) -> TaskStatus:
    """Return a status that a user may set.

    Raises
    ------
    InputError
        There is no such status, or only the driver sets it.
    """
    if status not in tuple(TaskStatus):
        raise InputError(unknown_key(status, map(str, TaskStatus), "status", what="there is no"))
    if status not in SET_BY_USER:
        raise InputError(f"a user may set a task {', '.join(SET_BY_USER[:-1])} or {SET_BY_USER[-1]}, not {status}.")
    return TaskStatus(status)


def check_priority(priority: object) -> None:
    """Refuse what is no priority.

    Raises
    ------
    InputError
        It is no whole number of at least 1, or too large.
    """
    if not is_priority(priority):
        raise InputError(
            f"priority {priority!r}: give a whole number from 1 (the most urgent) to {LARGEST_PRIORITY} (2**63 - 1)."
        )


def check_extends(tasks: Mapping[str, TaskState], names: Mapping[str, str], transformation: str, other: str) -> None:
    """Refuse that a new task of a transformation extends another task.

    Parameters
    ----------
    names
        Of tasks and of transformations, by id.

    Raises
    ------
    InputError
        There is no such task, it is invalid or deleted, has no ProtocolDAGResult, or is one of another transformation.
    """
    task = tasks.get(other)
    if task is None:
        raise InputError(f"there is no task '{other}'.")
    if task.transformation != transformation:
        raise InputError(
            f"'{names[other]}' is no task of '{names[transformation]}': a task extends one of its own transformation."
        )
    if not task.exists:
        raise InputError(f"'{names[other]}' is {task.status}: it cannot be extended.")
    if task.lacks_dag_result:
        raise InputError(f"'{names[other]}' was imported from a file that does not hold what extending takes.")


def with_extending(tasks: Mapping[str, TaskState], chosen: Iterable[str]) -> list[str]:
    """Return tasks and all that extend them, directly or not, in the order of their creation."""
    extending: dict[str, list[str]] = {}
    for task in tasks.values():
        if task.extends is not None:
            extending.setdefault(task.extends, []).append(task.task)
    found: set[str] = set()
    open_ones = list(chosen)
    while open_ones:
        task_id = open_ones.pop()
        if task_id not in found:
            found.add(task_id)
            open_ones += extending.get(task_id, [])
    return [task_id for task_id in tasks if task_id in found]
