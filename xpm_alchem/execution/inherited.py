"""Whether a unit reads what an earlier attempt left: one that reads nothing of it begins again.

Linux tells who asks of every file that is read, on any file system, also below libraries and in other processes of the
same machine (inotify). Where that cannot be asked, nothing is known.
"""

from __future__ import annotations

import ctypes
import os
import struct
from contextlib import suppress
from pathlib import Path
from types import TracebackType

_READ, _ONCE = 0x1, 0x80000000  # IN_ACCESS, IN_ONESHOT
_OPTIONS = os.O_NONBLOCK | os.O_CLOEXEC
_HEADER = struct.Struct("iIII")
_MOST = 1000  # files that are watched: those written last


class InheritedFiles:
    """The files in a unit's shared directory before the unit begins; use it as a context.

    Parameters
    ----------
    shared
        The directory.
    is_empty
        Whether it is known to be empty.

    Attributes
    ----------
    written
        When each was last written (file system's time, seconds since the epoch), by path.
    """

    def __init__(self, shared: Path, *, is_empty: bool = False) -> None:
        self.written: dict[Path, float] = {}
        for path in () if is_empty else shared.rglob("*"):
            with suppress(OSError):
                if path.is_file():
                    self.written[path] = path.stat().st_mtime
        self._events: int | None = None
        self._watched: dict[int, Path] = {}
        self._read: set[Path] = set()

    def __enter__(self) -> InheritedFiles:
        if self.written:
            self._watch(sorted(self.written, key=lambda path: -self.written[path])[:_MOST])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.read()
        self._close()

    def read(self) -> frozenset[Path] | None:
        """Return which of them were read since, None where that is not known."""
        if self._events is not None:
            with suppress(BlockingIOError):
                while data := os.read(self._events, 1 << 16):
                    self._take_in(data)
        elif not self._watched:
            return None
        return frozenset(self._read)

    def _watch(self, paths: list[Path]) -> None:
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            events = libc.inotify_init1(_OPTIONS)
        except (OSError, AttributeError):  # not Linux
            return
        if events < 0:
            return
        self._events = events
        for path in paths:
            number = libc.inotify_add_watch(events, os.fsencode(path), ctypes.c_uint32(_READ | _ONCE))
            if number < 0:  # as many are watched as this user may: half an answer is none
                self._watched.clear()
                self._close()
                return
            self._watched[number] = path

    def _take_in(self, data: bytes) -> None:
        place = 0
        while place < len(data):
            number, what, _, length = _HEADER.unpack_from(data, place)
            place += _HEADER.size + length
            if what & _READ and number in self._watched:
                self._read.add(self._watched[number])

    def _close(self) -> None:
        if self._events is not None:
            os.close(self._events)
            self._events = None
