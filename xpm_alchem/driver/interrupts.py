"""Signals that ask a driver to leave its attempts alone and end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Interrupts:
    """Makes SIGTERM and SIGHUP (the login session ended) detach like Ctrl-C; what nohup ignores stays ignored."""

    def __init__(self) -> None:
        self._came = False

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Raise KeyboardInterrupt for them in the block, if this is the main thread."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def interrupt(number: int, frame: Any) -> None:
            self._came = True
            raise KeyboardInterrupt

        signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        heard = [number for number in signals if signal.getsignal(number) is not signal.SIG_IGN]
        before = {number: signal.signal(number, interrupt) for number in heard}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def check(self) -> None:
        """Raise KeyboardInterrupt if one came.

        Python drops an exception that a signal raises in a weakref's callback, say.
        """
        if self._came:
            raise KeyboardInterrupt
