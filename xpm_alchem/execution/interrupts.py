"""Stopping a unit from outside: before its time limit, or because the process was told to end.

A signal handler raises gufe's ExecutionInterrupt, which passes through a unit without becoming its failure, but only
while the unit's own code runs: between units, and while a result is being written, the request is only remembered.
Before anything is raised the request is noted on the disk: a process that dies of it is known to have been told to end.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from xpm_alchem.execution.deadline import Deadline
from xpm_alchem.execution.unwinding import Unwinding
from xpm_alchem.gufe_seam import ExecutionInterrupt

INTERRUPT_SIGNAL = signal.SIGUSR1  # what a launcher, or our own watch on the deadline, sends before the limit
_ORDERS_SECONDS = 5.0
_AGAIN_SECONDS = 3.0
_NOTE_SECONDS = 2.0  # to wait for a disk that does not answer
_NEAR = "the time limit is near"


class Stopped(BaseException):
    """The attempt ends here, resumable.

    Attributes
    ----------
    timeout
        True where the time limit is near, False where the process was told to end.
    superseded
        True where the task belongs to another attempt now: nothing may be written any more.
    """

    def __init__(self, timeout: bool, reason: str, *, superseded: bool = False) -> None:
        self.timeout, self.reason, self.superseded = timeout, reason, superseded
        super().__init__(reason)


class Interrupts:
    """Turns signals, the deadline and orders into `Stopped`; use `watch` around an attempt, `unit` around a unit.

    Parameters
    ----------
    orders
        Returns what was ordered from outside, or None; asked every few seconds.
    note
        Notes on the disk that, and why, the attempt is to end; called once, in a thread, before anything is raised.
    """

    def __init__(
        self,
        deadline: Deadline | None,
        orders: Callable[[], Stopped | None] = lambda: None,
        note: Callable[[Stopped], None] = lambda request: None,
    ) -> None:
        self._deadline, self._orders, self._note = deadline, orders, note
        self._in_unit = self._noted = self._over = False
        self._unwinding = Unwinding()
        self._news: queue.SimpleQueue[None] = queue.SimpleQueue()  # the one that a signal handler may put into
        self._ending = threading.Lock()  # after `watch` our signal would end the process: none is sent then
        self.request: Stopped | None = None
        self.requested_at = 0.0  # when, by the monotonic clock (seconds)

    def _want(self, request: Stopped) -> None:
        if self.request is None:
            self.request, self.requested_at = request, time.monotonic()
            self._news.put(None)

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Handle SIGUSR1, SIGTERM and SIGINT, and watch the deadline, while the block runs.

        Outside of the main thread, where Python allows no handlers, the deadline is checked between units only.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._handle) for number in _SIGNALS}
        self._over = False
        watcher = threading.Thread(target=self._watch, daemon=True, name="deadline")
        watcher.start()
        try:
            yield
        finally:
            with self._ending:
                self._over = True
            self._news.put(None)
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def unit(self) -> Iterator[None]:
        """Let an interrupt unwind what runs in the block; orders are looked at by `check` before, and by `watch`."""
        self._check_request()
        self._in_unit = True
        try:
            yield
        except ExecutionInterrupt as interrupt:
            raise (self.request or Stopped(False, f"interrupted: {interrupt}")) from None
        finally:
            self._in_unit = False
            self._unwinding.forget()

    def check(self) -> None:
        """Raise `Stopped` if the attempt is to end."""
        if self.request is None:
            self._look_at_orders()
        self._check_request()

    def _check_request(self) -> None:
        self._look_at_deadline()
        self.check_known()

    def check_known(self) -> None:
        """Raise `Stopped` if the attempt is known to be about to end; nothing is asked."""
        if self.request is not None:
            raise self.request

    def _look_at_orders(self) -> None:
        if (order := self._orders()) is not None:
            self._want(order)

    def _look_at_deadline(self) -> None:
        left = self._left()
        if left is not None and left <= 0:
            self._want(Stopped(True, _NEAR))

    def _left(self) -> float | None:
        return None if self._deadline is None else self._deadline.left()

    def _watch(self) -> None:
        """Wait until the attempt is to end, then interrupt the main thread: again and again, until it has ended.

        An interrupt may come to nothing: just before the unit's own code begins, or in a finalizer or a weakref's
        callback, where Python drops exceptions (with gufe's registries measured: 1 of 150 while JSON was written).
        """
        while self.request is None:
            self._look_at_deadline()  # first: a file system that hangs must not hold up the end
            if self.request is None:
                with suppress(Exception):  # one that hiccups; looked at again in a moment
                    self._look_at_orders()
            if self.request is None:
                left = self._left()
                self._wait(_ORDERS_SECONDS if left is None else min(_ORDERS_SECONDS, max(0.01, left / 20)))
            if self._over:
                return
        self._note_request(self.request)
        self._noted = True
        while not self._over:
            self._interrupt()
            self._wait(_AGAIN_SECONDS)

    def _wait(self, seconds: float) -> None:
        """Wait for news, but not longer than so many seconds."""
        with suppress(queue.Empty):
            self._news.get(timeout=seconds)

    def _note_request(self, request: Stopped) -> None:
        """Note the request on the disk; one that fails, or does not answer, must not hold up the end."""

        def note() -> None:
            with suppress(Exception):
                self._note(request)

        noting = threading.Thread(target=note, daemon=True, name="note")
        noting.start()
        noting.join(_NOTE_SECONDS)

    def _interrupt(self) -> None:
        with self._ending:
            if not self._over:
                os.kill(os.getpid(), INTERRUPT_SIGNAL)

    def _handle(self, number: int, frame: FrameType | None) -> Any:
        if self.request is None:
            left = self._left()
            warned = None if self._deadline is None else self._deadline.warned
            if number == INTERRUPT_SIGNAL and warned is not None and left is not None and left > 0:
                warned()
                return
            if number == INTERRUPT_SIGNAL or (left is not None and left <= 0):
                self._want(Stopped(True, _NEAR))
            else:
                self._want(Stopped(False, f"told to end by {signal.Signals(number).name}"))
        elif number != INTERRUPT_SIGNAL:
            return  # SLURM sends SIGTERM twice: the first is being obeyed
        if self._noted and self._in_unit and not _is_unwinding():
            self._unwinding.interrupt(frame, self._error)

    def _error(self) -> BaseException:
        assert self.request is not None
        return ExecutionInterrupt(self.request.reason)


_SIGNALS = (INTERRUPT_SIGNAL, signal.SIGTERM, signal.SIGINT)


def _is_unwinding() -> bool:
    """Whether an interrupt is on its way through the unit, which may be keeping its state just now."""
    error = sys.exception()
    while error is not None:
        if isinstance(error, ExecutionInterrupt):
            return True
        error = error.__context__
    return False
