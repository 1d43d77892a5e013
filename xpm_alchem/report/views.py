"""What the commands show, as plain data with stable keys (docs/json.md). Works with and without a driver."""

from __future__ import annotations

import copy
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from xpm_alchem.attempts import AttemptLog
from xpm_alchem.campaign import CampaignRecords
from xpm_alchem.directory import TaskDirectory, TaskSummary
from xpm_alchem.errors import FormatError, InputError
from xpm_alchem.results import transformation_results
from xpm_alchem.task_state import TaskState, TaskStatus, grouped

View = dict[str, Any]


def tasks_now(records: CampaignRecords) -> dict[str, TaskState]:
    """Return the tasks as they are: what the journal has as running is looked up on the disk."""
    tasks = {}
    for task_id, task in records.state().tasks.items():
        tasks[task_id] = task
        if task.status is not TaskStatus.RUNNING:
            continue
        summary = _summary(records, task)
        if summary is not None and summary.status == "complete":
            tasks[task_id] = task = copy.copy(task)
            task.status, task.estimate, task.uncertainty = TaskStatus.COMPLETE, summary.estimate, summary.uncertainty
            task.seconds, task.attempts = summary.seconds, summary.attempts
    return tasks


def _summary(records: CampaignRecords, task: TaskState) -> TaskSummary | None:
    try:
        return TaskSummary.read(TaskDirectory(records.task_path(task)).summary)
    except (OSError, FormatError):
        return None


def _driver(records: CampaignRecords) -> View | None:
    holder = records.holder()
    if holder is None:
        return None
    return {"host": holder.process.host, "pid": holder.process.pid, "since": holder.since}


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


def status_view(records: CampaignRecords) -> View:
    """Return counts of tasks by status, who drives, the strategy's status, and what fails altogether."""
    tasks = tasks_now(records)
    counts = Counter(str(task.status) for task in tasks.values())
    return {
        "campaign": records.name,
        "path": str(records.path),
        "driver": _driver(records),
        "strategy": strategy_status(records),
        "transformations": len(records.index.transformations),
        "tasks": {str(status): counts.get(str(status), 0) for status in TaskStatus},
        "left_out": _left_out(records, tasks) if counts.get(TaskStatus.ERROR) else [],
        "failing_hosts": _failing_hosts(records),
    }


def _left_out(records: CampaignRecords, tasks: Mapping[str, TaskState]) -> list[dict[str, Any]]:
    from xpm_alchem.left_out import left_out  # networkx takes its time

    return [
        {"id": one.transformation, "transformation": one.name, "cut_off": list(one.cut_off), "sentence": one.sentence}
        for one in left_out(records.index, grouped(tasks.values()))
    ]


def _failing_hosts(records: CampaignRecords) -> list[dict[str, Any]]:
    hosts, now = records.state().hosts, time.time()
    avoided = hosts.avoided_nodes(now)
    return [
        {"host": name, "tasks": list(record.failed), "avoided": name in avoided, "sentence": hosts.sentence(name, now)}
        for name, record in sorted(hosts.failing().items())
    ]


def show_view(records: CampaignRecords) -> View:
    """Return a row for every transformation."""
    tasks = grouped(tasks_now(records).values())
    results = transformation_results(records.index, tasks)
    known = records.driver_state()
    weights = known.get("weights", {})
    driven = records.holder() is not None
    asleep = known.get("strategy", {}).get("status", "awake") != "awake"
    rows = []
    for record in records.index.transformations:
        group, result = tasks.get(record.id, []), results[record.id]
        counts = Counter(task.status for task in group)
        rows.append(
            {
                "id": record.id,
                "transformation": record.name,
                "leg": record.environment,
                "complete": counts[TaskStatus.COMPLETE],
                "running": counts[TaskStatus.RUNNING],
                "waiting": counts[TaskStatus.WAITING],
                "error": counts[TaskStatus.ERROR],
                "estimate": result.estimate,
                "sd": result.sd,
                "weight": weights.get(record.id),
                "next": _next(records, group, weights.get(record.id), asleep=asleep, driven=driven),
            }
        )
    return {"campaign": records.name, "unit": "kcal/mol", "rows": rows}


def _next(records: CampaignRecords, tasks: list[TaskState], weight: float | None, *, asleep: bool, driven: bool) -> str:
    errors = [task for task in tasks if task.status is TaskStatus.ERROR]
    if errors:
        return f"error: {errors[0].reason.split(' (')[0][:60]}"
    running = [task for task in tasks if task.status is TaskStatus.RUNNING]
    if running:
        summary = _summary(records, running[0])
        if summary is None or not summary.units_total:
            return "starting"
        return (
            f"repeat {running[0].repeat}: unit {min(summary.units_done + 1, summary.units_total)}/{summary.units_total}"
        )
    if any(task.in_flight for task in tasks):
        return "waits for a free slot" if driven else "waits; nobody drives"
    return "" if tasks and (asleep or weight is None) else "the strategy decides"


def summary_view(records: CampaignRecords) -> View:
    """Return one row for the whole campaign."""
    tasks = tasks_now(records)
    counts = Counter(task.status for task in tasks.values())
    groups = grouped(tasks.values())
    results = transformation_results(records.index, groups)
    return {
        "campaign": records.name,
        "transformations": len(records.index.transformations),
        "with_result": sum(bool(result.repeats) for result in results.values()),
        "tasks": len(tasks),
        "complete": counts[TaskStatus.COMPLETE],
        "running": counts[TaskStatus.RUNNING],
        "waiting": counts[TaskStatus.WAITING],
        "error": counts[TaskStatus.ERROR],
        "hours": sum(task.seconds for task in tasks.values()) / 3600,
        "strategy": strategy_status(records)["status"],
        "driver": _driver(records),
    }


def find_task(records: CampaignRecords, text: str) -> TaskState:
    """Return the task called 'TRANSFORMATION:REPEAT' (name, id, or beginning of an id) or by its task id.

    Raises
    ------
    InputError
        There is none.
    """
    tasks = records.state().tasks
    if text in tasks:
        return tasks[text]
    name, _, repeat = text.rpartition(":")
    if not name or not repeat.isdigit():
        raise InputError(f"'{text}' names no task; write TRANSFORMATION:REPEAT, for example 'a_b_solvent:2'.")
    record = records.index.find(name)
    found = [task for task in tasks.values() if task.transformation == record.id and task.repeat == int(repeat)]
    if not found:
        have = sorted(task.repeat for task in tasks.values() if task.transformation == record.id)
        raise InputError(f"'{record.name}' has no repeat {repeat}; it has: {', '.join(map(str, have)) or 'none yet'}.")
    return found[0]


def why_view(records: CampaignRecords, text: str) -> View:
    """Return the history of one task: every attempt, what was decided, and the last traceback."""
    task = find_task(records, text)
    directory = records.task_path(task)
    attempts = AttemptLog(TaskDirectory(directory).attempts).read()
    return {
        "task": task.task,
        "transformation": records.index.by_id[task.transformation].name,
        "repeat": task.repeat,
        "status": str(tasks_now(records)[task.task].status),
        "reason": task.reason,
        "directory": str(directory),
        "imported": task.reason if task.imported else None,
        "estimate": task.estimate,
        "attempts": [
            {
                "attempt": attempt.number,
                "host": attempt.node or attempt.process.host,
                "job": attempt.launched_as,
                "pid": attempt.process.pid,
                "start": attempt.start,
                "end": attempt.end,
                "outcome": None if attempt.outcome is None else str(attempt.outcome),
                "reason": attempt.reason,
                "units_done": attempt.units_done,
                "progress": attempt.progress,
                "seconds": attempt.seconds if attempt.outcome else time.time() - attempt.start,
                "cpu_seconds": attempt.cpu_seconds,
                "peak_memory_bytes": attempt.peak_memory_bytes,
                "set_aside": [str(unit["set_aside"]) for unit in attempt.units if unit.get("set_aside")],
                "versions": dict(attempt.versions),
                "decision": attempt.decision,
                "decision_reason": attempt.decision_reason,
            }
            for attempt in attempts
        ],
        "traceback": next((attempt.traceback for attempt in reversed(attempts) if attempt.traceback), None),
    }


def list_view(campaigns: list[CampaignRecords]) -> View:
    """Return a row for every campaign of a workspace."""
    return {"campaigns": [summary_view(records) for records in campaigns]}
