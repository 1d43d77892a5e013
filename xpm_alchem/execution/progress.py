"""How far an attempt came, as its files tell it: also one that can no longer say so itself."""

from __future__ import annotations

from pathlib import Path

from xpm_alchem.execution.attempts import Attempt, AttemptLog, Outcome
from xpm_alchem.execution.directory import TaskDirectory


def close_lost(files: TaskDirectory, attempt: Attempt, reason: str, outcome: Outcome = Outcome.LOST) -> None:
    """Note the outcome of an attempt that can no longer do so itself; it took until its last sign of life.

    One that died while it was being interrupted was not lost: that was its end, and why is known.
    """
    if outcome is Outcome.LOST and attempt.told is not None:
        outcome, told = attempt.told
        reason = f"{told}; its process died while it stopped ({reason})"
    said = [unit.get("time", 0.0) for unit in attempt.units]
    finished = [unit.get("time", 0.0) for unit in attempt.units if unit.get("ok")]
    newest = newest_checkpoint(files)
    seconds = max(attempt.start, newest, _modified(files.alive), *said) - attempt.start
    AttemptLog(files.attempts).end(
        attempt,
        outcome,
        reason=reason,
        progress=attempt.units_done > 0 or newest > attempt.start,
        seconds=seconds,
        kept_seconds=within(max(newest, *finished, 0.0) - attempt.start, seconds),
    )


def within(seconds: float, most: float) -> float:
    """Return a time (seconds) that is neither negative nor more than `most`."""
    return min(max(seconds, 0.0), most)


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def newest_checkpoint(files: TaskDirectory) -> float:
    """Return when anything in the units' shared directories was last written (seconds since the epoch), else 0."""
    newest = 0.0
    for path in (path for own in files.all_shared() for path in own.rglob("*")):
        try:
            if path.is_file() and path.suffix != ".log":
                newest = max(newest, path.stat().st_mtime)
        except OSError:
            continue
    return newest
