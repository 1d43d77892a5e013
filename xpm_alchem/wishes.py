"""What a user asks of a campaign: applied by the driver that runs, else by the command itself, with the same code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xpm_alchem.attempts import AttemptLog
from xpm_alchem.campaign import CampaignRecords
from xpm_alchem.directory import TaskDirectory
from xpm_alchem.errors import CampaignLockedError, InputError
from xpm_alchem.task_state import TaskStatus


def retry(records: CampaignRecords, task_id: str) -> bool:
    """Ask that a task in error be tried again; return whether a driver will do it (else it is done).

    Raises
    ------
    InputError
        The task is not in error.
    """
    task = records.state().tasks[task_id]
    if task.status is not TaskStatus.ERROR:
        raise InputError(f"the task is {task.status}, not in error: there is nothing to try again.")
    return _ask(records, {"wish": "retry", "task": task_id})


def _ask(records: CampaignRecords, wish: Mapping[str, Any]) -> bool:
    try:
        with records.lock():
            take_in(records, records.driver_state().get("inbox", 0))
            apply(records, wish)
            return False
    except CampaignLockedError:
        records.ask(**wish)
        return True


def take_in(records: CampaignRecords, offset: int) -> tuple[int, bool]:
    """Apply what the inbox holds from byte `offset` on; return the new offset and whether anything was changed."""
    wishes, offset = records.requests(offset)
    changes = [wish for wish in wishes if apply(records, wish)]
    return offset, bool(changes)


def apply(records: CampaignRecords, wish: Mapping[str, Any]) -> bool:
    """Apply one wish if it still makes sense; return whether it changed anything. The caller holds the lock."""
    task = records.state().tasks.get(str(wish.get("task")))
    if wish.get("wish") != "retry" or task is None or task.status is not TaskStatus.ERROR:
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
