"""Who waits for the end of an entry: coroutines of other threads, told by the queue's thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

import attrs

Entry = TypeVar("Entry")


@attrs.frozen
class _Waiter(Generic[Entry]):
    entry: Entry
    loop: asyncio.AbstractEventLoop
    end: asyncio.Future[None]

    def tell(self) -> None:
        """Wake it; no matter if its loop is closed, or it waits no more."""
        with suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        if not self.end.done():
            self.end.set_result(None)


class Waiters(Generic[Entry]):
    """Those who wait.

    Parameters
    ----------
    lock
        Held while entries are changed.
    """

    def __init__(self, lock: threading.RLock) -> None:
        self._lock = lock
        self._waiting: list[_Waiter[Entry]] = []

    def add(self, entry: Entry) -> asyncio.Future[None]:
        """Return what the coroutine that calls this awaits: it is done soon after the entry's end."""
        loop = asyncio.get_running_loop()
        waiter = _Waiter(entry, loop, loop.create_future())
        with self._lock:
            self._waiting.append(waiter)
        return waiter.end

    def tell(self, is_over: Callable[[Entry], bool]) -> None:
        """Wake those who wait for an entry that is over."""
        over, left = list[_Waiter[Entry]](), list[_Waiter[Entry]]()
        with self._lock:
            for waiter in self._waiting:
                (over if is_over(waiter.entry) else left).append(waiter)
            self._waiting = left
        for waiter in over:
            waiter.tell()
