"""What the commands show of tasks, as plain data with stable keys (docs/json.md)."""

from __future__ import annotations

from collections.abc import Iterable

from xpm_alchem.base.errors import InputError
from xpm_alchem.base.near_miss import unknown_key
from xpm_alchem.base.values import as_list
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.task_state import TaskState, TaskStatus
from xpm_alchem.execution.attempt_log import AttemptLog
from xpm_alchem.execution.directory import TaskDirectory
from xpm_alchem.views.gone import gone_tasks
from xpm_alchem.views.hold import Holds, holds_now, shown_status
from xpm_alchem.views.overview import View, find_task, tasks_now


def tasks_view(
    records: CampaignRecords,
    *,
    status: str | Iterable[str] | None = None,
    transformation: str | Iterable[str] | None = None,
    gone: bool = False,
) -> View:
    """Return a row for every task, or for those of some statuses or transformations, in the order of their creation.

    Of transformations that are gone from the network there are rows if they are asked for (`gone`, or by name).

    Raises
    ------
    InputError
        There is no such status or transformation.
    """
    statuses = tuple(map(str, TaskStatus)) if status is None else as_list(status)
    for one in statuses:
        if one not in tuple(TaskStatus):
            raise InputError(unknown_key(one, map(str, TaskStatus), "status", what="there is no"))
    names = None if transformation is None else as_list(transformation)
    only = records.in_force.known if names is None else {records.in_force.find(name).id for name in names}
    tasks = tasks_now(records) | (gone_tasks(records) if gone or names is not None else {})
    holds = holds_now(records, tasks.values())
    chosen = [task for task in tasks.values() if shown_status(task, holds) in statuses and task.transformation in only]
    return {
        "campaign": records.name,
        "unit": "kcal/mol",
        "rows": [_row(records, task, tasks.get(task.extends or ""), holds) for task in chosen],
    }


def _row(records: CampaignRecords, task: TaskState, extended: TaskState | None, holds: Holds) -> View:
    hold = holds.get(task.task)
    attempts = AttemptLog(TaskDirectory(records.task_path(task)).attempts).read() if task.submitted else []
    return {
        "id": task.task,
        "task": records.name_of(task),
        "transformation": records.transformation_name(task.transformation),
        "gone": task.transformation in records.in_force.gone,
        "repeat": task.repeat,
        "status": str(shown_status(task, holds)),
        "actioned": task.actioned,
        "at_work": task.at_work and task.status is not TaskStatus.COMPLETE,
        "priority": task.priority,
        "extends": None if extended is None else records.name_of(extended),
        "attempts": len(attempts) or task.attempts,
        "host": attempts[-1].machine if attempts else None,
        "devices": [str(device) for device in attempts[-1].devices] if attempts else [],
        "estimate": task.estimate,
        "reason": task.reason if hold is None else hold.sentence,
        "hold": None if hold is None else hold.view(),
        "not_before": task.not_before or None,
    }


def task_ids(records: CampaignRecords, texts: Iterable[str]) -> list[str]:
    """Return the ids of tasks called 'TRANSFORMATION:REPEAT' or by their task ids, each once.

    Raises
    ------
    InputError
        There is no such task, or none was named.
    """
    found = list(dict.fromkeys(find_task(records, text).task for text in as_list(texts)))
    if not found:
        raise InputError("no task was named; write TRANSFORMATION:REPEAT, for example 'a_b_solvent:2'.")
    return found
