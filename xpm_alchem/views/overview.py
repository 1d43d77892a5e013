"""A campaign at a glance: status, show, summary, list; and a task by its name. Works with and without a driver."""

from __future__ import annotations

import copy
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import Any

from xpm_alchem.base.errors import FormatError, InputError, XpmAlchemError
from xpm_alchem.base.values import printable
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.standing import NetworkState
from xpm_alchem.campaign.task_state import TaskState, TaskStatus, grouped
from xpm_alchem.execution.directory import TaskSummary
from xpm_alchem.execution.fence import current
from xpm_alchem.results.estimates import transformation_results
from xpm_alchem.views.budget import PricedLauncher, spent_view
from xpm_alchem.views.hold import GONE, PAUSED, QUEUED, Holds, holds_now, sentences, shown_status
from xpm_alchem.views.looks import ANEW, SUMMARY, Looks
from xpm_alchem.views.pace import pace_view

View = dict[str, Any]
Tasks = Mapping[str, TaskState]


def tasks_now(records: CampaignRecords, looks: Looks = ANEW) -> dict[str, TaskState]:
    """Return the tasks as they are: what the journal has as running is looked up on the disk."""
    return {task_id: task_now(records, task, looks) for task_id, task in records.state().tasks.items()}


def task_now(records: CampaignRecords, task: TaskState, looks: Looks = ANEW) -> TaskState:
    """Return a task as it is: one whose attempt was at work is looked up on the disk."""
    if not (task.at_work and task.exists):
        return task
    summary = looks.at(task, SUMMARY, lambda: task_summary(records, task))
    if summary is None or summary.status != "complete":
        return task
    task = copy.copy(task)
    task.status, task.estimate, task.uncertainty = TaskStatus.COMPLETE, summary.estimate, summary.uncertainty
    task.seconds, task.attempts, task.reason = summary.seconds, summary.attempts, summary.message or summary.left_out
    task.left_out = summary.left_out
    return task


def task_summary(records: CampaignRecords, task: TaskState) -> TaskSummary | None:
    """Return what the summary of a task says, None if there is none that can be read."""
    try:
        return TaskSummary.of(current(records.task_path(task)))
    except (OSError, FormatError):
        return None


def _driver(records: CampaignRecords) -> View | None:
    holder = records.holder()
    if holder is None:
        return None
    return {"host": holder.process.host, "pid": holder.process.pid, "since": holder.since}


def _standing(records: CampaignRecords) -> View:
    standing = records.state().standing
    return {"state": str(standing.state), "weight": standing.weight}


def strategy_status(records: CampaignRecords) -> View:
    """Return the name, mode and status of the strategy."""
    plan, state = records.plan().strategy, records.driver_state().get("strategy", {})
    return {
        "name": plan.name,
        "mode": plan.mode,
        "status": state.get("status", "awake"),
        "iterations": state.get("iterations", 0),
        "last_iteration": state.get("last_iteration"),
        "exception": state.get("exception"),
    }


def status_view(records: CampaignRecords, looks: Looks = ANEW) -> View:
    """Return counts of tasks by status, who drives, the strategy's status, and what fails altogether."""
    tasks = tasks_now(records, looks)
    holds = holds_now(records, tasks.values(), looks)
    counts = Counter(str(shown_status(task, holds)) for task in tasks.values())
    return {
        "campaign": records.name,
        "path": str(records.path),
        "driver": _driver(records),
        **_standing(records),
        "strategy": strategy_status(records),
        "transformations": len(records.index.transformations),
        "gone_transformations": len(records.in_force.gone),
        "tasks": {str(status): counts.get(str(status), 0) for status in TaskStatus},
        "queued": sum(hold.kind == QUEUED for hold in holds.values()),
        "gone": sum(hold.kind == GONE for hold in holds.values()),
        "paused": sum(hold.kind == PAUSED for hold in holds.values()),
        "needs_user": sentences(holds, is_lasting=True),
        "held_up": sentences(holds, is_lasting=False),
        "left_out": _left_out(records, tasks) if counts.get(TaskStatus.ERROR) else [],
        "repeats_left_out": repeats_left_out_view(records, grouped(tasks.values())),
        "failing_hosts": _failing_hosts(records),
        "budget": spent_view(records),
    }


def _left_out(records: CampaignRecords, tasks: Mapping[str, TaskState]) -> list[dict[str, Any]]:
    from xpm_alchem.failures.left_out import left_out  # networkx takes its time

    return [
        {"id": one.transformation, "transformation": one.name, "cut_off": list(one.cut_off), "sentence": one.sentence}
        for one in left_out(records.index, grouped(tasks.values()))
    ]


def repeats_left_out_view(records: CampaignRecords, tasks: Mapping[str, list[TaskState]]) -> list[dict[str, Any]]:
    """Return the complete repeats that count in nothing, with why; `tasks` by transformation."""
    if not any(task.left_out for group in tasks.values() for task in group):
        return []
    from xpm_alchem.failures.left_out import repeats_left_out

    found = repeats_left_out(records.index, tasks)
    return [{"id": one.task, "task": one.name, "sentence": one.sentence} for one in found]


def _failing_hosts(records: CampaignRecords) -> list[dict[str, Any]]:
    hosts, now = records.state().hosts, time.time()
    avoided = hosts.avoided_nodes(now)
    return [
        {
            "host": name,
            "device": None,
            "tasks": list(record.course.failed),
            "avoided": name in avoided,
            "sentence": hosts.sentence(name, now),
        }
        for name, record in sorted(hosts.failing().items())
    ] + [
        {
            "host": name,
            "device": device,
            "tasks": list(hosts.hosts[name].devices[device].failed),
            "avoided": True,
            "sentence": hosts.device_sentence(name, device),
        }
        for name, devices in sorted(hosts.avoided_devices(now).items())
        for device in devices
    ]


def show_view(records: CampaignRecords, tasks: Tasks | None = None, looks: Looks = ANEW) -> View:
    """Return a row for every transformation; `tasks` as `tasks_now` has returned them, if it was called already."""
    tasks = tasks_now(records, looks) if tasks is None else tasks
    groups, holds = grouped(tasks.values()), holds_now(records, tasks.values(), looks)
    results = transformation_results(records.index, groups)
    known = records.driver_state()
    weights = known.get("weights", {})
    driven = records.holder() is not None
    asleep = known.get("strategy", {}).get("status", "awake") != "awake"
    ledger, money = records.state().ledger, spent_view(records)
    closed = {one["id"] for one in money["closed"]}
    mostly_lost = {one["id"] for one in money["mostly_lost"]}
    rows = []
    for record in records.index.transformations:
        group, result = groups.get(record.id, []), results[record.id]
        counts = Counter(shown_status(task, holds) for task in group)
        rows.append(
            {
                "id": record.id,
                "transformation": record.name,
                "leg": record.environment,
                "complete": counts[TaskStatus.COMPLETE],
                "running": counts[TaskStatus.RUNNING],
                "waiting": counts[TaskStatus.WAITING],
                "error": counts[TaskStatus.ERROR],
                "devices": _devices(records, group, holds, looks),
                "queued": sum(task.task in holds and holds[task.task].kind == QUEUED for task in group),
                "estimate": result.estimate,
                "sd": result.sd,
                "weight": weights.get(record.id),
                "cost": sum((ledger.cost(task.task, money["unit"]) for task in group), 0.0),
                "next": _with_counts(
                    group,
                    mostly_lost,
                    "closed: costs more than per_result"
                    if record.id in closed and not any(task.in_flight for task in group)
                    else _next(records, group, holds, weights.get(record.id), looks, asleep=asleep, driven=driven),
                ),
            }
        )
    return {
        "campaign": records.name,
        "unit": "kcal/mol",
        "cost_unit": money["unit"],
        "rows": rows,
        "gone_transformations": len(records.in_force.gone),
        "gone_rows": [],
        "needs_user": sentences(holds, is_lasting=True),
        "held_up": sentences(holds, is_lasting=False),
    }


def _devices(records: CampaignRecords, tasks: list[TaskState], holds: Holds, looks: Looks) -> list[str]:
    """Return what running attempts compute on, as far as they have said so."""
    running = [task for task in tasks if task.status is TaskStatus.RUNNING and task.task not in holds]
    summaries = [looks.at(task, SUMMARY, partial(task_summary, records, task)) for task in running]
    return sorted(summary.devices for summary in summaries if summary is not None and summary.devices)


def _with_counts(tasks: list[TaskState], mostly_lost: Collection[str], what: str) -> str:
    """Return what is next, with how many repeats count in nothing, or are mostly computed in vain."""
    left_out = sum(bool(task.left_out) and task.status is TaskStatus.COMPLETE for task in tasks)
    lost = sum(task.task in mostly_lost for task in tasks)
    return "; ".join(
        filter(None, [f"{left_out} left out" if left_out else "", what, f"{lost} mostly lost" if lost else ""])
    )


def _next(
    records: CampaignRecords,
    tasks: list[TaskState],
    holds: Holds,
    weight: float | None,
    looks: Looks,
    *,
    asleep: bool,
    driven: bool,
) -> str:
    errors = [task for task in tasks if task.status is TaskStatus.ERROR]
    if errors:
        return f"error: {errors[0].reason.split(' (')[0][:60]}"
    held = [holds[task.task] for task in tasks if task.task in holds]
    if needs_user := [hold for hold in held if hold.is_lasting]:
        return needs_user[0].sentence
    running = [task for task in tasks if task.status is TaskStatus.RUNNING and task.task not in holds]
    if running:
        summary = looks.at(running[0], SUMMARY, lambda: task_summary(records, running[0]))
        if summary is None or not summary.units_total:
            return "starting"
        return (
            f"repeat {running[0].repeat}: unit {min(summary.units_done + 1, summary.units_total)}/{summary.units_total}"
        )
    if held:
        return held[0].sentence
    if any(task.leaving for task in tasks):
        return "an attempt is ending"
    if any(task.in_flight for task in tasks):
        return "waits for a free slot" if driven else "waits; nobody drives"
    return "" if tasks and (asleep or weight is None) else "the strategy decides"


def summary_view(
    records: CampaignRecords, launcher: PricedLauncher, tasks: Tasks | None = None, looks: Looks = ANEW
) -> View:
    """Return one row for the whole campaign; `launcher` is the plan's, `tasks` as for `show_view`."""
    tasks = tasks_now(records, looks) if tasks is None else tasks
    holds = holds_now(records, tasks.values(), looks)
    counts = Counter(shown_status(task, holds) for task in tasks.values())
    groups = grouped(tasks.values())
    results = transformation_results(records.index, groups)
    money, status = spent_view(records), strategy_status(records)["status"]
    return {
        "campaign": records.name,
        "transformations": len(records.index.transformations),
        "with_result": sum(bool(result.repeats) for result in results.values()),
        "tasks": sum(task.exists for task in tasks.values()),
        "complete": counts[TaskStatus.COMPLETE],
        "running": counts[TaskStatus.RUNNING],
        "waiting": counts[TaskStatus.WAITING],
        "error": counts[TaskStatus.ERROR],
        "queued": sum(hold.kind == QUEUED for hold in holds.values()),
        "gone": sum(hold.kind == GONE for hold in holds.values()),
        "needs_user": sentences(holds, is_lasting=True),
        "hours": sum(task.seconds for task in tasks.values()) / 3600,
        "cost": money["spent"],
        "cost_unit": money["unit"],
        "lost": money["lost"],
        "mostly_lost": money["mostly_lost"],
        "strategy": status,
        **_standing(records),
        "driver": _driver(records),
        **pace_view(records, tasks, launcher, is_awake=status == "awake", looks=looks),
    }


def find_task(records: CampaignRecords, text: str) -> TaskState:
    """Return the task called 'TRANSFORMATION:REPEAT' (name, id, or beginning of an id) or by its task id.

    Raises
    ------
    InputError
        There is none.
    """
    tasks = records.state().everything
    if text in tasks:
        return tasks[text]
    name, _, repeat = text.rpartition(":")
    if not name or not repeat.isdigit():
        raise InputError(f"'{text}' names no task; write TRANSFORMATION:REPEAT, for example 'a_b_solvent:2'.")
    record = records.in_force.find(name)
    found = [task for task in tasks.values() if task.transformation == record.id and task.repeat == int(repeat)]
    if not found:
        have = sorted(task.repeat for task in tasks.values() if task.transformation == record.id)
        raise InputError(f"'{record.name}' has no repeat {repeat}; it has: {', '.join(map(str, have)) or 'none yet'}.")
    return found[0]


def task_name(records: CampaignRecords, task: TaskState) -> str:
    """Return how a user may call a task, also in a command: as `find_task` takes it."""
    name = records.transformation_name(task.transformation)
    plain = bool(name) and printable(name) == name and records.index.names[name] <= 1
    return f"{name if plain else task.transformation}:{task.repeat}"


def list_view(
    campaigns: Iterable[CampaignRecords], summary: Callable[[CampaignRecords], View], *, deleted: bool = False
) -> View:
    """Return a `summary` for every campaign of a workspace, and a sentence for each that cannot be looked at.

    Parameters
    ----------
    deleted
        Whether those are listed too whose network is deleted.
    """
    rows, broken = [], []
    for records in campaigns:
        try:
            row = summary(records)
        except (XpmAlchemError, OSError) as error:  # a broken file of one hides no other
            broken.append({"campaign": records.name, "path": str(records.path), "sentence": str(error)})
            continue
        if deleted or row["state"] != NetworkState.DELETED:
            rows.append(row)
    return {"campaigns": rows, "broken": broken}
