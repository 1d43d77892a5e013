"""What was in the network once: kept, shown apart, and counted in nothing unless it is asked for. Plain data."""

from __future__ import annotations

from collections import Counter

from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.task_state import TaskState, TaskStatus, grouped
from xpm_alchem.results.estimates import EdgeResult, TransformationResult, edge_results, transformation_results
from xpm_alchem.views.looks import ANEW, Looks
from xpm_alchem.views.overview import View, task_now


def gone_tasks(records: CampaignRecords, looks: Looks = ANEW) -> dict[str, TaskState]:
    """Return the tasks of transformations that are gone, as they are."""
    state = records.state()
    return {
        task_id: task_now(records, task, looks)
        for task_id, task in (state.everything.items() if records.in_force.gone else ())
        if task_id not in state.tasks
    }


def gone_results(records: CampaignRecords) -> tuple[list[TransformationResult], list[EdgeResult]]:
    """Return the results of what is gone, as if it were a network of its own."""
    index = records.in_force.gone_index
    results = transformation_results(index, grouped(gone_tasks(records).values()))
    return list(results.values()), edge_results(index, results)


def gone_rows(records: CampaignRecords) -> list[View]:
    """Return a row for every transformation that is gone."""
    if not records.in_force.gone:
        return []
    tasks, ledger = grouped(gone_tasks(records).values()), records.state().ledger
    results, _ = gone_results(records)
    rows = []
    for result in results:
        group = tasks.get(result.id, [])
        counts = Counter(task.status for task in group)
        rows.append(
            {
                "id": result.id,
                "transformation": result.name,
                "leg": result.environment,
                "complete": counts[TaskStatus.COMPLETE],
                "at_work": sum(task.at_work and task.status is not TaskStatus.COMPLETE for task in group),
                "error": counts[TaskStatus.ERROR],
                "estimate": result.estimate,
                "sd": result.sd,
                "cost": sum((ledger.cost(task.task, ledger.unit) for task in group), 0.0),
            }
        )
    return rows


def gone_sentence(records: CampaignRecords) -> str:
    """Return how much is gone, in a sentence; '' if nothing is."""
    if not (number := len(records.in_force.gone)):
        return ""
    tasks = gone_tasks(records).values()
    results = sum(task.status is TaskStatus.COMPLETE and not task.left_out for task in tasks)
    ending = sum(task.at_work and task.status is not TaskStatus.COMPLETE for task in tasks)
    more = f", {ending} attempt(s) are ending" if ending else ""
    kept = f"; their {results} result(s) are kept, and left out unless asked for (--gone)" if results else ""
    return f"{number} transformation(s) are gone from the network{more}{kept}"
