"""How a campaign went, as its journal tells it: repeats and costs over time. Plain data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from xpm_alchem.base.values import number
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.task_state import CampaignState, TaskStatus
from xpm_alchem.views.budget import spent_view
from xpm_alchem.views.overview import View


def history_view(records: CampaignRecords) -> View:
    """Return what happened when (seconds since the epoch), in the order of the journal.

    `repeats`: each time a task was made, became complete, or was so no longer: `time`, `transformation` (its id),
    `tasks` and `complete` (the changes, 1 or -1). `iterations`: when the strategy changed something. `costs`: the end
    of each attempt and its `cost` in `unit`.
    """
    state, repeats, iterations = CampaignState(records.in_force.known, records.in_force.gone), [], []
    for event in records.events():
        when = number(event.get("time"))
        touched = list(_tasks(event))
        before = {task: _counts(state, task) for task in touched}
        state.apply(event)
        for task, (existed, was_complete) in before.items():
            exists, complete = _counts(state, task)
            if (exists, complete) != (existed, was_complete):
                change = {"tasks": exists - existed, "complete": complete - was_complete}
                repeats.append({"time": when, "transformation": state.tasks[task].transformation, **change})
        if event.get("event") == "iteration":
            iterations.append(when)
    unit = spent_view(records)["unit"]
    spans = state.ledger.since(0.0, unit)
    costs = [{"time": one.end, "cost": (one.end - one.start) * one.cost_per_hour / 3600} for one in spans]
    return {"repeats": repeats, "iterations": iterations, "costs": costs, "unit": unit}


def _tasks(event: Mapping[str, Any]) -> Iterator[str]:
    """Yield the tasks that an event of the journal names."""
    changes = event.get("changes")
    for one in (event, *(changes if isinstance(changes, list) else ())):
        if isinstance(one, Mapping) and isinstance(one.get("task"), str):
            yield one["task"]


def _counts(state: CampaignState, task_id: str) -> tuple[int, int]:
    """Return whether a task is there, and whether it is complete."""
    task = state.tasks.get(task_id)
    return (0, 0) if task is None else (int(task.exists), int(task.status is TaskStatus.COMPLETE))
