"""How often a unit writes its checkpoint, so that an attempt near its limit stops just after one.

What is computed between the last checkpoint and the limit is lost: up to one interval in every slice. An attempt whose
next checkpoint would come after its limit stops at the one before, and its slot is free for the next slice.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from xpm_alchem.execution.reach import checkpoints_in

_ALIKE = 1.3  # two intervals, the longer by the shorter, that make a pace
_LATE = 1.1  # the next checkpoint may take so much longer than the pace says
_SETTLED = 2.0  # seconds without a write: the checkpoint is whole; of a fast one, a quarter of its pace


class CheckpointPace:
    """Learns the pace of a unit's checkpoints: the files that are named so.

    Parameters
    ----------
    shared
        The unit's shared directory.
    began
        When the unit began, by the clock (seconds) that `look` is given.
    learned
        Seconds between two checkpoints, as an earlier attempt saw them; None if none did.
    is_empty
        Whether the directory is known to be empty now.
    """

    def __init__(self, shared: Path, began: float, learned: float | None = None, *, is_empty: bool = False) -> None:
        self._shared, self.seconds = shared, learned
        self._stamp = 0 if is_empty else self._look_at_files()
        self._marks = [began]  # when the unit began, and when checkpoints were seen to be written

    @property
    def writes(self) -> int:
        """How often a checkpoint's file was seen to be written to."""
        return len(self._marks) - 1

    @property
    def start_up(self) -> float | None:
        """Seconds from the unit's begin until a checkpoint's file was first written to; None before that."""
        return next(iter(_intervals(self._marks)), None)

    def look(self, now: float) -> None:
        """Look at the files; `now` is the time by a clock that only goes forward (seconds)."""
        stamp = self._look_at_files()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        self._marks.append(now)
        intervals = _intervals(self._marks)[-2:]
        if len(intervals) == 2 and max(intervals) <= _ALIKE * min(intervals):
            self.seconds = max(intervals)

    def is_best_moment(self, now: float, left: float) -> bool:
        """Whether to stop now: a checkpoint has just been written, and the next one would come too late.

        Parameters
        ----------
        now
            As for `look`.
        left
            The seconds until the attempt is interrupted.
        """
        if self.seconds is None or not self.writes:
            return False
        if _intervals(self._marks)[-1] < self.seconds / _ALIKE / 2:
            return False  # a file that was only opened to write
        since = now - self._marks[-1]
        return since >= min(_SETTLED, self.seconds / 4) and since + left < _LATE * self.seconds

    def _look_at_files(self) -> int:
        """Return when a checkpoint was last written, in nanoseconds by the file system's clock; 0 if there is none."""
        newest = 0
        for path in checkpoints_in(self._shared):
            try:
                newest = max(newest, path.stat().st_mtime_ns)
            except OSError:
                continue
        return newest


def _intervals(marks: Sequence[float]) -> list[float]:
    return [after - before for before, after in pairwise(marks)]
