"""How far an attempt came, as its files tell it: also one that can no longer say so itself.

Progress is what the next attempt need not do again: a finished unit, or a checkpoint that moved on. Of protocols whose
checkpoints are known (reach.py) it is read from them. Of any other, a unit begins again if it overwrites what was left
last and reads nothing that the attempt which wrote that had written: then none of it was a checkpoint.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from xpm_alchem.execution.attempt_log import AttemptLog
from xpm_alchem.execution.attempts import Attempt, Outcome, within
from xpm_alchem.execution.checkpoint_pace import CheckpointPace
from xpm_alchem.execution.directory import TaskDirectory
from xpm_alchem.execution.inherited import InheritedFiles
from xpm_alchem.execution.reach import Reach, is_sampler_at_work, reach_of

_BEGAN_AGAIN = "it began again: nothing that the attempt before wrote was read"
_WRITES_BEFORE = 2  # a sampler writes to its checkpoint's file when it is made, and in its first iteration
_NO_CHECKPOINT = "it began again: no checkpoint had been reached"


class UnitAtWork:
    """How far this attempt brings a unit.

    Parameters
    ----------
    shared
        The unit's shared directory.
    unit
        The ProtocolUnit.
    earlier
        The task's attempts before this one, oldest first.
    inherited
        Whether there is anything in that directory.
    anew
        Whether this attempt has set aside what it had inherited of the unit.
    """

    def __init__(
        self, shared: Path, unit: Any, earlier: Sequence[Attempt], *, inherited: bool = True, anew: bool = False
    ) -> None:
        self.name, self._key = str(unit.name), str(unit.key)
        self._shared, self._anew = shared, anew
        self._earlier = [attempt.began_on_disk for attempt in earlier if attempt.began]
        self._best = max((a.reached for a in earlier if a.at_work == self._key and a.reached is not None), default=0)
        self.inherited = InheritedFiles(shared, is_empty=not inherited)
        self._from = reach_of(shared) if self.inherited.written else None
        learned = next((a.checkpoint_seconds for a in reversed(earlier) if a.at_work == self._key), None)
        self._has_warned = False
        self._pace = CheckpointPace(shared, time.monotonic(), learned, is_empty=not inherited)

    def begins(self) -> dict[str, Any]:
        """Return what the journal is to say of the unit's begin; nothing where that is not known yet."""
        if self._from is None:
            return {}
        again = {} if self._from.steps else {"fresh": True, "reason": _NO_CHECKPOINT}
        written = {} if self._from.when is None else {"written": self._from.when}
        return {"at": self._from.steps, **written, **again}

    def began_again(self) -> dict[str, Any]:
        """Return what the journal is to say if the unit made no use of what it had inherited; nothing if it did."""
        files = self.inherited.written
        read = self.inherited.read()
        if self._from is not None or not files or read is None:
            return {}
        last = max(files, key=lambda path: files[path])
        since = max((began for began in self._earlier if began <= files[last]), default=0.0)  # of who wrote last
        goes_on = any(files[path] >= since or _modified(path) != files[path] for path in read)
        is_left_alone = _modified(last) == files[last]
        if goes_on or is_left_alone or any(path not in files for path in _kept_files(self._shared)):
            return {}
        return {"fresh": True, "reason": _BEGAN_AGAIN}

    def is_best_moment(self, left: float) -> bool:
        """Whether to stop now, just after a checkpoint, with so many seconds left until the limit."""
        now = time.monotonic()
        self._pace.look(now)
        return self._pace.is_best_moment(now, left)

    def warning(self, spent: float, left: float) -> str:
        """Return what to say of a sampler that has no checkpoint when half of its time is over; once, else ''.

        Parameters
        ----------
        spent, left
            Seconds that the attempt has taken, and has left.
        """
        if self._has_warned or spent < left or not is_sampler_at_work(self._shared):
            return ""
        self._has_warned = True
        if self._from is not None or self._pace.writes > _WRITES_BEFORE:
            return ""
        return (
            f"half of its time is over ({spent:.0f} s) and it has no checkpoint yet: its time limit holds less than "
            "two. Raise the time limit, or lower the protocol's checkpoint_interval"
        )

    def progress(self) -> tuple[bool, float, dict[str, Any]]:
        """Return whether it came further, until when that is kept, and what the journal is to say besides.

        The time is by the file system's clock (seconds since the epoch), 0 if nothing is kept.
        """
        now = reach_of(self._shared)
        if now is not None:
            start = self._from.steps if self._from is not None else 0
            kept_until = self._kept_until(now) if now.steps > start else 0.0
            moved = now.steps > (start or self._best)  # one that began again must come further than those before
            return moved, kept_until, {"reached": now.steps, **self._facts(moved)}
        written = {path: _modified(path) for path in _kept_files(self._shared)}
        changed = {when for path, when in written.items() if when != self.inherited.written.get(path)}
        moved = bool(changed) and not self._anew and not self.began_again()
        return moved, max(changed) if moved else 0.0, self._facts(moved)

    def advice(self, seconds: float) -> str:
        """Return what to do about a unit that came no further in an attempt of so many seconds."""
        if self.began_again():
            return (
                "nothing that it wrote is gone on from: its protocol keeps no checkpoint inside this unit, so the time "
                "limit must hold the whole unit"
            )
        start_up = self._pace.start_up
        spent = "" if start_up is None else f", of which the unit's start-up took {start_up:.0f} s"
        return (
            f"no checkpoint was reached in {seconds:.0f} s{spent}: raise the time limit, or have the protocol "
            "write its checkpoint more often (OpenFE: checkpoint_interval)"
        )

    def _facts(self, moved: bool) -> dict[str, Any]:
        """Return what the journal is to say of the unit; a pace that did not help is not handed on."""
        return {"at_work": self._key, "checkpoint_seconds": self._pace.seconds if moved else None}

    def _kept_until(self, now: Reach) -> float:
        return now.when if now.when is not None else max(map(_modified, _kept_files(self._shared)), default=0.0)


def close_lost(files: TaskDirectory, attempt: Attempt, reason: str, outcome: Outcome = Outcome.LOST) -> None:
    """Note the outcome of an attempt that can no longer do so itself; it took until its last sign of life.

    One that died while it was being interrupted was not lost: that was its end, and why is known.
    """
    if outcome is Outcome.LOST and attempt.told is not None:
        outcome, told = attempt.told
        reason = f"{told}; its process died while it stopped ({reason})"
    said = [unit.get("time", 0.0) - attempt.start for unit in attempt.units]
    kept = newest_checkpoint(files) - attempt.began_on_disk
    seconds = max(0.0, kept, _modified(files.alive) - attempt.began_on_disk, *said)
    AttemptLog(files.attempts).end(
        attempt,
        outcome,
        reason=reason,
        progress=attempt.units_done > 0 or kept > 0,
        seconds=seconds,
        kept_seconds=within(max(kept, attempt.seconds_in_units), seconds),
    )


def newest_checkpoint(files: TaskDirectory) -> float:
    """Return when anything in the units' shared directories was last written (seconds since the epoch), else 0."""
    return max((_modified(path) for own in files.all_shared() for path in _kept_files(own)), default=0.0)


def _kept_files(shared: Path) -> Iterable[Path]:
    """Yield the files in a unit's shared directory that could hold its state: logs do not."""
    for path in shared.rglob("*"):
        with suppress(OSError):
            if path.suffix != ".log" and path.is_file():
                yield path


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
