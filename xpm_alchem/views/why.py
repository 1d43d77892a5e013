"""The history of one task, as plain data: every attempt, what was decided and why, where its files are, what to do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.task_state import TaskState, TaskStatus
from xpm_alchem.execution.attempt_log import AttemptLog
from xpm_alchem.execution.attempts import Attempt, Outcome
from xpm_alchem.execution.directory import TaskDirectory
from xpm_alchem.execution.task_logs import last_lines, unit_logs
from xpm_alchem.views.budget import attempt_costs
from xpm_alchem.views.commands import Address
from xpm_alchem.views.hold import QUEUED, Hold, holds_now, shown_status
from xpm_alchem.views.log import job_logs, printed_logs
from xpm_alchem.views.overview import View, find_task, task_name, task_now, task_summary

_STDERR_LINES = 20


def why_view(records: CampaignRecords, text: str, address: Address | None = None) -> View:
    """Return the history of one task.

    Parameters
    ----------
    text
        The task; see `find_task`.
    address
        The campaign's in suggested commands.

    Raises
    ------
    InputError
        There is no such task.
    FormatError
        Its history was written by a newer version.
    """
    task = task_now(records, find_task(records, text))
    files = TaskDirectory(records.task_path(task))
    attempts = AttemptLog(files.attempts).read()
    summary = task_summary(records, task)
    total = summary.units_total if summary is not None else 0
    holds = holds_now(records, [task])
    hold = holds.get(task.task)
    failed = next((attempt for attempt in reversed(attempts) if attempt.traceback), None)
    return {
        "task": task.task,
        "transformation": records.transformation_name(task.transformation),
        "repeat": task.repeat,
        "status": str(shown_status(task, holds)),
        "hold": None if hold is None else hold.view(),
        "actioned": task.actioned,
        "reason": task.reason,
        "trouble": task.trouble or None,
        "left_out": task.left_out or None,
        "directory": str(files.path),
        "imported": task.reason if task.imported else None,
        "estimate": task.estimate,
        "units_total": total or None,
        "attempts": list(_rows(attempts, total)),
        "traceback": failed.traceback if failed is not None else None,
        "traceback_attempt": failed.number if failed is not None else None,
        "stderr": _stderr(task, files, attempts),
        "files": _files(records, task, files, attempts),
        "commands": _commands(records, task, hold, attempts, address or Address.of(records)),
    }


def _rows(attempts: list[Attempt], total: int) -> Iterator[dict[str, Any]]:
    so_far, costs = 0, attempt_costs(attempts)
    for attempt in attempts:
        so_far += attempt.units_done
        yield {
            "attempt": attempt.number,
            "host": attempt.machine,
            "devices": [str(device) for device in attempt.devices],
            "job": attempt.launched_as,
            "pid": attempt.process.pid,
            "start": attempt.start,
            "end": attempt.end,
            "outcome": None if attempt.outcome is None else str(attempt.outcome),
            "reason": attempt.reason,
            "units_done": attempt.units_done,
            "units_so_far": min(so_far, total) if total else so_far,  # one that was damaged was made twice
            "progress": attempt.progress,
            "seconds": attempt.seconds if attempt.outcome else time.time() - attempt.start,
            "cpu_seconds": attempt.cpu_seconds,
            "peak_memory_bytes": attempt.peak_memory_bytes,
            "set_aside": [
                str(unit[key]) for unit in attempt.units for key in ("set_aside", "damaged") if unit.get(key)
            ],
            "notes": list(_notes(attempt)),
            "versions": dict(attempt.versions),
            "decision": attempt.decision,
            "decision_reason": attempt.decision_reason,
            **costs[attempt.number],
        }


def _notes(attempt: Attempt) -> Iterator[str]:
    """Yield what else happened to its units, in words."""
    for unit in attempt.units:
        if unit.get("fresh"):
            yield f"{unit.get('name')}: {unit.get('reason')}"
        elif unit.get("warning"):
            yield f"{unit.get('name')}: {unit['warning']}"
        elif unit.get("damaged"):
            yield f"{unit.get('name')}: its result was damaged and is made again; the old one is {unit['damaged']}"


def _stderr(task: TaskState, files: TaskDirectory, attempts: list[Attempt]) -> str | None:
    """Return the last lines on stderr of a last attempt that failed without a traceback: all there is to see."""
    last = attempts[-1] if attempts else None
    if last is None or last.traceback or last.outcome not in (Outcome.LOST, Outcome.ERROR, Outcome.OUT_OF_MEMORY):
        return None
    if last.stderr:
        return "\n".join(last.stderr.splitlines()[-_STDERR_LINES:]).strip() or None
    logs = [log for log in printed_logs(task, files, attempts) if log.stream == "stderr" and log.attempt == last.number]
    return last_lines(logs[0].path, _STDERR_LINES).strip() or None if logs else None


def _files(records: CampaignRecords, task: TaskState, files: TaskDirectory, attempts: list[Attempt]) -> dict[str, Any]:
    """Return where the files are that tell more; those that exist."""
    number = attempts[-1].number if attempts else None
    printed = [log for log in printed_logs(task, files, attempts) if log.attempt == number]
    printed += job_logs(records, files, attempts[-1:], is_latest=True)
    named = {"history": files.attempts, **{log.stream: log.path for log in printed}}
    found: dict[str, Any] = {name: str(path) for name, path in named.items() if path.exists()}
    listed = {
        "unit_failures": sorted((files.path / "failures").glob("*.json"), key=_written),
        "unit_logs": [log.path for log in unit_logs(files)],
        "set_aside": sorted([*files.path.glob("*.set-aside-*"), *files.path.glob("*/*.set-aside-*")]),
    }
    return found | {name: [str(path) for path in paths] for name, paths in listed.items() if paths}


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _commands(
    records: CampaignRecords, task: TaskState, hold: Hold | None, attempts: list[Attempt], address: Address
) -> list[dict[str, str]]:
    """Return what a user can do now, each a command and what it does."""
    name = task_name(records, task)

    def command(verb: str, what: str, *options: str) -> dict[str, str]:
        return {"command": address.command(verb, name, options=options), "what": what}

    logs = [command("logs", "what it printed")] if attempts else []
    if attempts and attempts[-1].outcome is Outcome.NODE_FAILURE:
        logs.append({"command": address.command("doctor --node"), "what": "what works on such a machine"})
    match task.status:
        case TaskStatus.ERROR:
            others = {"command": address.command("failures"), "what": "whether others failed in the same way"}
            return [*logs, others, command("retry", "try it again; finished units are kept")]
        case TaskStatus.RUNNING if hold is not None and hold.kind == QUEUED:
            job = [{"command": f"squeue --all -j {hold.job}", "what": "what SLURM says"}] if hold.job else []
            return [*logs, *job, command("cancel", "take it out of the queue")]
        case TaskStatus.RUNNING if hold is not None:
            return [*logs, _run(address, "nobody drives: go on")]
        case TaskStatus.RUNNING:
            return [
                command("logs", "watch what it prints", "-f"),
                command("cancel", "end it at its next checkpoint"),
            ]
        case TaskStatus.WAITING if not task.actioned:
            return [*logs, command("retry", "take it up again")]
        case TaskStatus.WAITING if records.holder() is None:
            return [*logs, _run(address, "nobody drives: go on")]
        case TaskStatus.COMPLETE:
            return [*logs, {"command": address.command("results"), "what": "the results"}]
    return logs


def _run(address: Address, what: str) -> dict[str, str]:
    plan = address.campaign if Path(address.campaign).is_file() else "campaign.yaml"
    return {"command": Address(plan, address.workspace).command("run"), "what": what}
