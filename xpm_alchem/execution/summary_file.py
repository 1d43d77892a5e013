"""summary.json while an attempt is at work: units may take milliseconds, and each need not be shown at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from xpm_alchem.execution.directory import TaskSummary

_PACE_SECONDS = 1.0


class SummaryFile:
    """Writes an attempt's summary, at most once a second before its end.

    Parameters
    ----------
    path
        The file.
    guard
        Raises if the task was given to another attempt: nothing may be written then.
    """

    def __init__(self, path: Path, guard: Callable[[], None]) -> None:
        self._path, self._guard = path, guard
        self._writing = threading.Lock()  # the thread that watches catches up
        self._waiting: TaskSummary | None = None
        self._wrote = float("-inf")

    def show(self, summary: TaskSummary) -> None:
        """Write the summary of an attempt that goes on, now or when `catch_up` is called."""
        with self._writing:
            self._waiting = summary
            if self._is_due():
                self._guard()
                self._write()

    def catch_up(self) -> None:
        """Write what waits; to be called every few seconds, by whoever has just looked whether the attempt may."""
        with self._writing:
            if self._waiting is not None and self._is_due():
                self._write()

    def close(self, summary: TaskSummary) -> None:
        """Write the summary of an attempt that has ended; what waits is out of date."""
        with self._writing:
            self._guard()
            self._waiting = None
            summary.write(self._path)

    def _is_due(self) -> bool:
        return time.monotonic() - self._wrote >= _PACE_SECONDS

    def _write(self) -> None:
        assert self._waiting is not None
        self._wrote = time.monotonic()
        self._waiting.evolve(updated=time.time()).write(self._path, is_final=False)
        self._waiting = None
