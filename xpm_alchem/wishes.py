"""What a user asks of a campaign: applied by the driver that runs, else by the command itself, with the same code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from xpm_alchem.attempts import AttemptLog
from xpm_alchem.campaign import CampaignRecords
from xpm_alchem.directory import TaskDirectory
from xpm_alchem.errors import CampaignLockedError, InputError, XpmAlchemError
from xpm_alchem.fence import give_orders
from xpm_alchem.imports import take_in_import
from xpm_alchem.plan import parse_plan
from xpm_alchem.plan_text import with_restarts, with_strategy
from xpm_alchem.restart_patterns import changed_patterns
from xpm_alchem.restarts import RestartPolicy
from xpm_alchem.second_look import look_again
from xpm_alchem.strategy import StrategyState
from xpm_alchem.task_state import TaskStatus
from xpm_alchem.workspace import find_workspace, read_settings

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
    if not task.in_flight and not task.spare:
        raise InputError(f"the task is {task.status}: there is nothing to cancel.")
    return _ask(records, {"wish": "cancel", "task": task_id})


def set_strategy(records: CampaignRecords, changes: Mapping[str, Any]) -> bool:
    """Ask that the strategy section of the plan in force be changed; return whether a driver will do it.

    Parameters
    ----------
    changes
        See `plan_text.with_strategy`.

    Raises
    ------
    InputError
        The plan would not be valid, or there is no such strategy or setting; nothing is asked for then.
    """
    _changed_plan(records, changes)
    return _ask(records, {"wish": "strategy", "changes": dict(changes)})


def awake(records: CampaignRecords) -> bool:
    """Ask that the strategy be performed again, also after an error; return whether a driver will do it.

    Raises
    ------
    InputError
        There is none, or it is disabled.
    """
    plan = records.plan().strategy
    if plan.name is None:
        raise InputError(f"campaign '{records.name}' has no strategy; `xpm-alchem strategy set NAME` gives it one.")
    if plan.mode == "disabled":
        raise InputError("the strategy's mode is disabled; `xpm-alchem strategy mode partial` (or full) changes that.")
    return _ask(records, {"wish": "awake"})


def change_restarts(records: CampaignRecords, change: Mapping[str, Any]) -> bool:
    """Ask that the restart patterns be changed; return whether a driver will do it (else it is done).

    Parameters
    ----------
    change
        See `restart_patterns.changed_patterns`.

    Raises
    ------
    InputError
        The change makes no sense; nothing is asked for then.
    """
    changed_patterns(records.plan().restarts, change)
    return _ask(records, {"wish": "restarts", "change": dict(change)})


def import_result(records: CampaignRecords, wish: Mapping[str, Any]) -> bool:
    """Ask that an earlier run counts as a repeat; return whether a driver will do it (else it is done).

    Parameters
    ----------
    wish
        Made by `imports.wish_of`, its files in place.
    """
    return _ask(records, wish)


def _changed_plan(records: CampaignRecords, changes: Mapping[str, Any]) -> str:
    """Return the text of the plan in force with another strategy section, checked in full."""
    from xpm_alchem.strategies import make_strategy

    path = records.path / "campaign.yaml"
    text = with_strategy(path.read_text(), path, changes)
    plan = parse_plan(text, path)
    if plan.strategy.name is not None:
        make_strategy(plan.strategy.name, plan.strategy.settings, plan.trusted_modules)
    return text


def _ask(records: CampaignRecords, wish: Mapping[str, Any]) -> bool:
    try:
        with records.lock():
            offset, _ = take_in(records, records.driver_state().get("inbox", 0))
            records.set_driver_state({**records.driver_state(), "inbox": offset})  # never applied twice
            apply(records, wish)
            return False
    except CampaignLockedError:
        records.ask(**wish)
        return True


def take_in(records: CampaignRecords, offset: int) -> tuple[int, list[Mapping[str, Any]]]:
    """Apply what the inbox holds from byte `offset` on; return the new offset and what changed anything.

    A wish to stop is returned too: stopping is the driver's. One that can no longer be granted is returned with its
    reason as 'refused'.
    """
    wishes, offset = records.requests(offset)
    taken: list[Mapping[str, Any]] = []
    for wish in wishes:
        try:
            if wish.get("wish") == "stop" or apply(records, wish):
                taken.append(wish)
        except XpmAlchemError as error:
            taken.append({**wish, "refused": str(error)})
    return offset, taken


def apply(records: CampaignRecords, wish: Mapping[str, Any]) -> bool:
    """Apply one wish if it still makes sense; return whether it changed anything. The caller holds the lock.

    Raises
    ------
    InputError
        The plan would no longer be valid.
    """
    match wish.get("wish"):
        case "strategy" if isinstance(wish.get("changes"), Mapping):
            return _apply_strategy(records, wish["changes"])
        case "awake":
            return _apply_awake(records)
        case "restarts" if isinstance(wish.get("change"), Mapping):
            return _apply_restarts(records, wish["change"])
        case "cancel":
            return _apply_cancel(records, str(wish.get("task")))
        case "retry":
            return _apply_retry(records, str(wish.get("task")))
        case "import":
            return take_in_import(records, wish)
    return False


def _apply_strategy(records: CampaignRecords, changes: Mapping[str, Any]) -> bool:
    text = _changed_plan(records, changes)
    if text != (records.path / "campaign.yaml").read_text():
        records.set_plan(text)
    if "name" in changes and changes["name"] is None:  # cleared: what it knew is forgotten
        known = records.driver_state()
        records.set_driver_state({key: known[key] for key in known if key not in ("strategy", "weights", "unwanted")})
        return True
    return _apply_awake(records)


def _apply_restarts(records: CampaignRecords, change: Mapping[str, Any]) -> bool:
    path = records.path / "campaign.yaml"
    before = path.read_text()
    text = with_restarts(before, path, changed_patterns(records.plan().restarts, change))
    if text != before:
        records.set_plan(text)
    workspace = find_workspace(str(records.workspace), read_settings())
    look_again(records, RestartPolicy.of(records.plan(), workspace.max_retries))
    return True


def _apply_awake(records: CampaignRecords) -> bool:
    known = records.driver_state()
    state = StrategyState(**known.get("strategy", {})).awakened()
    records.set_driver_state({**known, "strategy": attrs.asdict(state)})
    return True


def _apply_cancel(records: CampaignRecords, task_id: str) -> bool:
    task = records.state().tasks.get(task_id)
    if task is None or not (task.in_flight or task.spare):
        return False
    records.write({"event": "cancelled", "task": task.task, "by": "user", "reason": CANCELLED})
    if task.status is TaskStatus.RUNNING:
        give_orders(records.task_path(task), stop=CANCELLED)
    return True


def _apply_retry(records: CampaignRecords, task_id: str) -> bool:
    task = records.state().tasks.get(task_id)
    if task is None or (task.status is not TaskStatus.ERROR and task.actioned):
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
