"""Stopping a unit from outside: before its time limit, or because the process was told to end.

A signal handler raises gufe's ExecutionInterrupt, which passes through a unit without becoming its failure, but only
while the unit's own code runs: between units, and while a result is being written, the wish is only remembered.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import attrs

from xpm_alchem.gufe_seam import ExecutionInterrupt

INTERRUPT_SIGNAL = signal.SIGUSR1  # what a launcher, or our own watch on the deadline, sends before the limit
_WATCH_SECONDS = 30.0


@attrs.frozen
class Deadline:
    """How long an attempt may run.

    Attributes
    ----------
    remaining
        Returns the seconds left, or None where there is no limit. Asked again and again: a limit may change.
    margin
        Seconds before the limit at which a unit is interrupted, so that it can unwind and its state be kept.
    """

    remaining: Callable[[], float | None]
    margin: float = 10.0

    def left(self) -> float | None:
        """Return the seconds until a unit would be interrupted, or None."""
        remaining = self.remaining()
        return None if remaining is None else remaining - self.margin


class Stopped(BaseException):
    """The attempt ends here, resumable.

    Attributes
    ----------
    timeout
        True where the time limit is near, False where the process was told to end.
    """

    def __init__(self, timeout: bool, reason: str) -> None:
        self.timeout, self.reason = timeout, reason
        super().__init__(reason)


class Interrupts:
    """Turns signals and the deadline into `Stopped`; use `watch` around an attempt, `unit` around a unit."""

    def __init__(self, deadline: Deadline | None) -> None:
        self._deadline = deadline
        self._in_unit = False
        self._ending = threading.Lock()  # after `watch` our signal would end the process: none is sent then
        self.wish: Stopped | None = None

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Handle SIGUSR1, SIGTERM and SIGINT, and watch the deadline, while the block runs.

        Outside of the main thread, where Python allows no handlers, the deadline is checked between units only.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._handle) for number in _SIGNALS}
        ended = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(ended,), daemon=True, name="deadline")
        if self._deadline is not None:
            watcher.start()
        try:
            yield
        finally:
            with self._ending:
                ended.set()
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def unit(self) -> Iterator[None]:
        """Let an interrupt unwind what runs in the block."""
        self.check()
        self._in_unit = True
        try:
            yield
        except ExecutionInterrupt as interrupt:
            raise (self.wish or Stopped(False, f"interrupted: {interrupt}")) from None
        finally:
            self._in_unit = False

    def check(self) -> None:
        """Raise `Stopped` if the attempt is to end."""
        left = None if self._deadline is None else self._deadline.left()
        if self.wish is None and left is not None and left <= 0:
            self.wish = Stopped(True, "the time limit is near")
        if self.wish is not None:
            raise self.wish

    def _watch(self, ended: threading.Event) -> None:
        assert self._deadline is not None
        while (left := self._deadline.left()) is None or left > 0:
            if ended.wait(_WATCH_SECONDS if left is None else max(0.01, min(_WATCH_SECONDS, left))):
                return
        with self._ending:
            if not ended.is_set():
                os.kill(os.getpid(), INTERRUPT_SIGNAL)

    def _handle(self, number: int, frame: FrameType | None) -> Any:
        if self.wish is None:
            left = None if self._deadline is None else self._deadline.left()
            if number == INTERRUPT_SIGNAL or (left is not None and left <= 0):
                self.wish = Stopped(True, "the time limit is near")
            else:
                self.wish = Stopped(False, f"told to end by {signal.Signals(number).name}")
        elif number != INTERRUPT_SIGNAL:
            return  # SLURM sends SIGTERM twice: the first is being obeyed
        if self._in_unit and _in_unit_code(frame):
            raise ExecutionInterrupt(self.wish.reason)


_SIGNALS = (INTERRUPT_SIGNAL, signal.SIGTERM, signal.SIGINT)


def _in_unit_code(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_name == "_execute":
            return True
        frame = frame.f_back
    return False
