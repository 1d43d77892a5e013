"""What `--fix` does: steps that cannot lose anything. The caller holds the campaign's lock.

Each step looks again before it acts, and returns what it did, or None if there was nothing to be done any more. In a
task's directory nothing is done while an attempt holds the task's lock.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from xpm_alchem.base.disk_cache import is_whole
from xpm_alchem.base.errors import FormatError
from xpm_alchem.base.files import copy_file, first_free, not_through_links, set_aside
from xpm_alchem.campaign.task_state import TaskState
from xpm_alchem.doctor.check import Repair
from xpm_alchem.doctor.gufe_files import Unusable, check_result
from xpm_alchem.doctor.litter import is_stale
from xpm_alchem.execution.attempt_log import AttemptLog
from xpm_alchem.execution.directory import TaskDirectory, TaskSummary
from xpm_alchem.network.trust import check_module


def mend(repairs: Iterable[Repair]) -> Iterator[tuple[bool, str]]:
    """Make repairs, and yield for each whether it worked, and what was done or why not."""
    for repair in repairs:
        try:
            if (done := repair()) is not None:
                yield True, done
        except Exception as error:  # also whatever gufe raises when it reads a result
            yield False, f"{type(error).__name__}: {error}"


def remove_temporary(path: Path, lock: Path | None = None) -> str | None:
    """Remove a file or directory that a killed writer has left.

    Parameters
    ----------
    lock
        Of the task it belongs to.
    """
    with _free(lock) as free:
        if not free or not is_stale(path):
            return None
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    return f"removed {path}"


def drop_cache_entry(path: Path) -> str | None:
    """Remove a damaged entry of the cache; it is made again when it is needed."""
    if not path.exists() or is_whole(path):
        return None
    path.unlink()
    return f"removed {path}"


def drop_snapshot(path: Path) -> str | None:
    """Remove a snapshot of tasks that is damaged, or tells another state than the journal; it is made again."""
    path.unlink(missing_ok=True)
    return f"removed {path}"


def clear_scratch(files: TaskDirectory) -> str | None:
    """Remove what a complete task has left in scratch/."""
    scratch = files.path / "scratch"
    with _free(files.lock) as free:
        if not free or TaskSummary.of(files).status != "complete":
            return None
        check_result(files.result)
        left = list(scratch.iterdir()) if scratch.is_dir() and not scratch.is_symlink() else []
        for path in left:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    return f"removed what was in {scratch}" if left else None


def close_last_line(path: Path) -> str | None:
    """Close the last line of a journal that was cut short; a copy of the file as it was is kept beside it."""
    with open(path, "rb+") as journal:
        size = journal.seek(0, os.SEEK_END)
        journal.seek(max(size - 1, 0))
        if journal.read(1) in (b"\n", b""):
            return None
        copy = first_free(lambda number: path.with_name(f"{path.name}.before-fix-{number}"))
        copy_file(path, copy)
    with open(path, "ab", opener=not_through_links) as journal:
        journal.write(b"\n")
        journal.flush()
        os.fsync(journal.fileno())
    return f"closed the last line of {path} (as it was: {copy.name})"


def remake_summary(files: TaskDirectory, task: TaskState, units: int) -> str | None:
    """Make the summary of a complete task again, of what journal and attempts say; a wrong one is kept beside it."""
    with _free(files.lock) as free:
        if not free:
            return None
        check_result(files.result)
        try:
            if TaskSummary.of(files).status == "complete":
                return None
        except FormatError as error:
            if error.newer:
                return None
        except FileNotFoundError:
            pass
        attempts = AttemptLog(files.attempts).read()
        if files.summary.exists():
            set_aside(files.summary)
        TaskSummary(
            transformation=task.transformation,
            repeat=task.repeat,
            status="complete",
            units_total=units,
            units_done=units,
            estimate=task.estimate,
            uncertainty=task.uncertainty,
            left_out=task.left_out,
            message=task.reason or None,
            attempts=task.attempts,
            seconds=task.seconds,
            cpu_seconds=sum(attempt.cpu_seconds for attempt in attempts),
            peak_memory_bytes=max((attempt.peak_memory_bytes for attempt in attempts), default=0),
            set_aside=sum(bool(unit.get("set_aside")) for attempt in attempts for unit in attempt.units),
            updated=time.time(),
            versions=dict(attempts[-1].versions) if attempts else {},
        ).write(files.summary)
    return f"made {files.summary} again"


def remake_result(files: TaskDirectory, trusted: tuple[str, ...]) -> str | None:
    """Make the result of a task again from those of its units; a damaged one is kept beside it.

    Raises
    ------
    UntrustedModuleError
        The files name a module that is not trusted.
    ValueError
        The results are not those of all units.
    """
    from xpm_alchem import gufe_seam

    check = check_module(str(files.path), trusted)
    with _free(files.lock) as free:
        if not free:
            return None
        try:
            check_result(files.result)
            return None
        except Unusable:
            pass
        dag = gufe_seam.load(files.dag, check)
        results = [gufe_seam.load(files.unit_result(str(unit.key)), check) for unit in dag.protocol_units]
        result = gufe_seam.make_dag_result(dag, results)
        if not gufe_seam.dag_ok(result):
            raise ValueError(f"{files.path}: the results are not those of all units")
        if files.result.exists():
            set_aside(files.result)
        gufe_seam.save(result, files.result, exclusive=True)
    return f"made {files.result} again from the results of its units"


@contextmanager
def _free(lock: Path | None) -> Iterator[bool]:
    """Hold a task's lock meanwhile; yield False if an attempt holds it."""
    if lock is None or not lock.exists():  # without the file nobody has begun, or whoever did was fenced off
        yield True
        return
    held = filelock.FileLock(lock)
    try:
        held.acquire(timeout=0)
    except filelock.Timeout:
        yield False
        return
    try:
        yield True
    finally:
        held.release()
