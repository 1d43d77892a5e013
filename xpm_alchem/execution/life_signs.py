"""Signs of life of an attempt: files that it, or its job, writes while it is alive, by the file system's own clock."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from xpm_alchem.execution.directory import TaskDirectory


def files_of(directory: Path) -> tuple[Path, ...]:
    """Return the files of a task that its attempt writes to as long as it lives."""
    files = TaskDirectory(directory)
    return files.alive, files.attempts, files.summary, files.printed("stdout"), files.printed("stderr")


class FileClock:
    """The clock of a file system, which may be another machine's: what it says now is the time of a file written now.

    Parameters
    ----------
    path
        A file that is there for this alone.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def now(self) -> float:
        """Return the time there, seconds since the epoch; this machine's where the file cannot be written."""
        try:
            self._path.touch()
            return self._path.stat().st_mtime
        except OSError:
            return time.time()

    def quiet(self, signs: Iterable[Path]) -> float:
        """Return the seconds since the newest of some files was written; infinity if there is none of them."""
        newest = max((_written(path) for path in signs), default=0.0)
        return max(0.0, self.now() - newest) if newest else float("inf")


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
