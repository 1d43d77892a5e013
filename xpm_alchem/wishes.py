"""What a user asks of a campaign: applied by the driver that runs, else by the command itself, with the same code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xpm_alchem.attempts import AttemptLog
from xpm_alchem.campaign import CampaignRecords
from xpm_alchem.directory import TaskDirectory
from xpm_alchem.errors import CampaignLockedError, InputError
from xpm_alchem.fence import give_orders
from xpm_alchem.task_state import TaskStatus

CANCELLED = "cancelled by the user"
STOPPED = "stopped by the user"


def retry(records: CampaignRecords, task_id: str) -> bool:
    """Ask that a task in error, or one that was cancelled, be tried again.

    Returns
    -------
    bool
        Whether a driver will do it (else it is done).

    Raises
    ------
    InputError
        The task is neither.
    """
    task = records.state().tasks[task_id]
    if task.status is not TaskStatus.ERROR and not (task.status is TaskStatus.WAITING and not task.actioned):
        raise InputError(f"the task is {task.status}, not in error: there is nothing to try again.")
    return _ask(records, {"wish": "retry", "task": task_id})


def cancel(records: CampaignRecords, task_id: str) -> bool:
    """Ask that a task be run no further, and its attempt end; return whether a driver will do it (else it is done).

    Raises
    ------
    InputError
        The task is neither waiting nor running.
    """
    task = records.state().tasks[task_id]
    if not task.in_flight:
        raise InputError(f"the task is {task.status}: there is nothing to cancel.")
    return _ask(records, {"wish": "cancel", "task": task_id})


def _ask(records: CampaignRecords, wish: Mapping[str, Any]) -> bool:
    try:
        with records.lock():
            take_in(records, records.driver_state().get("inbox", 0))
            apply(records, wish)
            return False
    except CampaignLockedError:
        records.ask(**wish)
        return True


def take_in(records: CampaignRecords, offset: int) -> tuple[int, list[Mapping[str, Any]]]:
    """Apply what the inbox holds from byte `offset` on; return the new offset and what changed anything.

    A wish to stop is returned too: stopping is the driver's.
    """
    wishes, offset = records.requests(offset)
    return offset, [wish for wish in wishes if wish.get("wish") == "stop" or apply(records, wish)]


def apply(records: CampaignRecords, wish: Mapping[str, Any]) -> bool:
    """Apply one wish if it still makes sense; return whether it changed anything. The caller holds the lock."""
    task = records.state().tasks.get(str(wish.get("task")))
    if task is None:
        return False
    if wish.get("wish") == "cancel" and task.in_flight:
        records.write({"event": "cancelled", "task": task.task, "reason": CANCELLED})
        if task.status is TaskStatus.RUNNING:
            give_orders(records.task_path(task), stop=CANCELLED)
        return True
    if wish.get("wish") != "retry" or (task.status is not TaskStatus.ERROR and task.actioned):
        return False
    log = AttemptLog(TaskDirectory(records.task_path(task)).attempts)
    attempts = log.read()
    if attempts:
        log.decide(attempts[-1], "retry", "asked for by the user; counts start again")
    records.write(
        {"event": "status", "task": task.task, "status": str(TaskStatus.WAITING), "reason": "retried by the user"},
        {"event": "actioned", "task": task.task, "reason": "retried by the user"},
    )
    return True
