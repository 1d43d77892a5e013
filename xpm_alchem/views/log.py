"""Which logs a task has: what its attempts and its SLURM jobs printed, and what its units logged."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from xpm_alchem.base.errors import FormatError, InputError
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.task_state import TaskState, TaskStatus
from xpm_alchem.execution.attempt_log import AttemptLog
from xpm_alchem.execution.attempts import Attempt
from xpm_alchem.execution.directory import TaskDirectory
from xpm_alchem.execution.fence import Orders
from xpm_alchem.execution.task_logs import PRINTED, LogFile, kept_printed, unit_logs
from xpm_alchem.launchers.slurm.batch import parse_launch
from xpm_alchem.views.overview import View, find_task, task_now

STREAMS = ("stdout", "stderr", "unit", "job")


def logs_view(
    records: CampaignRecords,
    text: str,
    *,
    stream: str = "all",
    attempt: int | None = None,
    most_unit_logs: int | None = None,
) -> View:
    """Return the logs of a task, in the order in which they are printed.

    Parameters
    ----------
    text
        The task; see `find_task`.
    stream
        'stdout', 'stderr', 'unit', 'job' or 'all'.
    attempt
        Its number; default the latest one.
    most_unit_logs
        How many logs of units at most, those written last; None for all.

    Raises
    ------
    InputError
        There is no such task or attempt, or what that one printed was not kept.
    """
    task = task_now(records, find_task(records, text))
    files = TaskDirectory(records.task_path(task))
    attempts = AttemptLog(files.attempts).read()
    latest = latest_attempt(task, files, attempts)
    number = latest if attempt is None else attempt
    printed = printed_logs(task, files, attempts)
    kept = sorted({log.attempt for log in printed if log.attempt is not None and log.size})
    if number not in (latest, *kept):
        raise InputError(_not_there(number, attempts, latest, kept))
    of_units = _unit_logs(files, attempts, attempt)
    older = 0 if most_unit_logs is None else max(0, len(of_units) - most_unit_logs)
    logs = [
        *(log for log in printed if log.attempt == number),
        *of_units[older:],
        *job_logs(records, files, [a for a in attempts if a.number == number], number == latest),
    ]
    return {
        "task": task.task,
        "status": str(task.status),
        "attempt": number,
        "attempts_kept": kept,
        "older_unit_logs": older if stream in ("all", "unit") else 0,
        "logs": [
            {
                "stream": log.stream,
                "attempt": log.attempt,
                "path": str(log.path),
                "size": log.size,
                "written": log.written,
            }
            for log in logs
            if stream in (log.stream, "all")
        ],
    }


def _not_there(number: int, attempts: list[Attempt], latest: int, kept: list[int]) -> str:
    have = f"there is something of: {', '.join(map(str, kept))}" if kept else "nothing was printed yet"
    if any(attempt.number == number for attempt in attempts):
        return f"what attempt {number} printed was not kept, or it printed nothing; {have}."
    return f"the task has no attempt {number}, the latest is {latest}; {have}."


def latest_attempt(task: TaskState, files: TaskDirectory, attempts: list[Attempt]) -> int:
    """Return the number of the attempt that prints to the latest files: the last one, or one that is to begin."""
    number = attempts[-1].number if attempts else 1
    if task.status is TaskStatus.RUNNING:
        number = max(number, task.attempts_before + 1)
    kept = {kept for stream in PRINTED for kept in kept_printed(files, stream)}
    return max([number, *(earlier + 1 for earlier in kept)])


def printed_logs(task: TaskState, files: TaskDirectory, attempts: list[Attempt]) -> list[LogFile]:
    """Return what the processes of the attempts printed, the oldest first."""
    latest = latest_attempt(task, files, attempts)
    found = []
    for stream in PRINTED:
        paths = {**kept_printed(files, stream), latest: files.printed(stream)}
        found += [LogFile.of(stream, path, number) for number, path in paths.items()]
    there = [log for log in found if log is not None]
    return sorted(there, key=lambda log: (log.attempt or 0, PRINTED.index(log.stream)))


def _unit_logs(files: TaskDirectory, attempts: list[Attempt], attempt: int | None) -> list[LogFile]:
    """Return the logs of units; with a number, those that were last written during that attempt."""
    logs = unit_logs(files)
    begun = {a.number: a.start for a in attempts}
    if attempt is None:
        return logs
    if attempt not in begun:
        return []
    until = min((start for number, start in begun.items() if number > attempt), default=float("inf"))
    return [log for log in logs if begun[attempt] <= log.written < until]


def job_logs(
    records: CampaignRecords, files: TaskDirectory, attempts: Iterable[Attempt], is_latest: bool
) -> list[LogFile]:
    """Return what the SLURM jobs of attempts printed before and beside them: modules, prologue, SLURM itself."""
    root, paths = records.workspace / "slurm", []
    for attempt in attempts:
        job, _, index = (attempt.launched_as or "").partition("_")
        if job and (batch := _batch_of(root, job)) is not None:
            paths.append(batch / f"{index or 0}.log")
    if is_latest and not paths and (launch := _launch(root, files)) is not None:
        paths.append(launch[0] / f"{launch[1]}.log")
    logs = [LogFile.of("job", path) for path in paths]
    return [log for log in logs if log is not None]


def _batch_of(root: Path, job: str) -> Path | None:
    """Return the batch whose job has this id, the latest where SLURM has given the id away again."""
    for path in sorted(root.glob("*/job"), reverse=True):
        try:
            if path.read_text().strip() == job:
                return path.parent
        except (OSError, ValueError):
            continue
    return None


def _launch(root: Path, files: TaskDirectory) -> tuple[Path, int] | None:
    try:
        return parse_launch(root, Orders.read(files.path).launch or "")
    except (OSError, FormatError):
        return None
