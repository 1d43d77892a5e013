"""A file system that fails: calls of this process on what is below a directory fail as they are told to.

    python faults.py ORDER run campaign.yaml

ORDER is JSON; see `install`. What is hooked is what Python programs use: functions of os, fcntl, and open with the
reads and writes of what it opens. C libraries (sqlite, HDF5) are not.
"""

from __future__ import annotations

import _io
import builtins
import errno
import fcntl
import io
import itertools
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

BY_PATH = ("open", "stat", "lstat", "listdir", "scandir", "mkdir", "rmdir", "unlink", "remove", "utime", "chmod")
BY_PATH += ("truncate", "readlink", "rename", "replace", "link", "symlink")
BY_NUMBER = ("fsync", "fstat", "fdatasync", "ftruncate", "fchmod")
LOCKS = ("flock", "lockf")

_real_open, _real_os_open, _real_write, _real_readlink = io.open, os.open, os.write, os.readlink
_real_stat = os.stat
Choice = Callable[[int, str, str], int | None]


class Faults:
    """Counts the calls on what is below a directory, and lets some of them fail.

    Parameters
    ----------
    root
        The directory.
    choose
        Told the number of a call (from 0), its name and its path; returns an errno, or None to let it be.
    """

    def __init__(self, root: Path, choose: Choice) -> None:
        self.root, self._choose = str(root.resolve()), choose
        self.calls, self._lock = itertools.count(), threading.Lock()
        self.made: list[tuple[int, str, str]] = []  # calls that failed: errno, name, path

    def look(self, name: str, path: Any) -> None:
        """Count a call, and raise if it is to fail."""
        where = self._below(path)
        if where is None:
            return
        with self._lock:
            number = self._choose(next(self.calls), name, where)
            if number is not None:
                self.made.append((number, name, where))
        if number is not None:
            raise OSError(number, os.strerror(number), where)

    def _below(self, path: Any) -> str | None:
        try:
            if isinstance(path, int):
                path = _real_readlink(f"/proc/self/fd/{path}")
            text = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 (no call on a file)
        except (OSError, TypeError, ValueError):
            return None
        return text if text == self.root or text.startswith(self.root + "/") else None

    # ----------------------------------------------------------------------------------------------------- hooks
    def open(self, file: Any, mode: str = "r", buffering: int = -1, *rest: Any, **more: Any) -> Any:
        """Stand for `open`; what it opens fails in reads and writes too."""
        if isinstance(file, int) or self._below(file) is None:
            return _real_open(file, mode, buffering, *rest, **more)
        names = ("encoding", "errors", "newline", "closefd", "opener")
        options = {**dict(zip(names, rest, strict=False)), **more}
        raw_mode = "".join(letter for letter in mode if letter in "rwax+")
        raw = _File(self, file, raw_mode, opener=options.get("opener"))
        if buffering == 0:
            return raw
        size = buffering if buffering > 1 else io.DEFAULT_BUFFER_SIZE
        kind = io.BufferedRandom if "+" in mode else io.BufferedReader if "r" in mode else io.BufferedWriter
        buffered = kind(raw, size)
        if "b" in mode:
            return buffered
        text = io.TextIOWrapper(
            buffered, options.get("encoding"), options.get("errors"), options.get("newline"), buffering == 1
        )
        text.mode = mode  # type: ignore[misc]
        return text

    @contextmanager
    def in_force(self) -> Iterator[Faults]:
        """Hook in while a block runs."""
        undo = [(module, name, getattr(module, name)) for module, name in _places()]
        self.install()
        try:
            yield self
        finally:
            for module, name, real in undo:
                setattr(module, name, real)

    def install(self) -> None:
        """Hook in for good."""
        for module, name in _places():
            if name == "open" and module is not os:
                setattr(module, name, self.open)
            else:
                setattr(module, name, self._hooked(name, getattr(module, name)))

    def _hooked(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        both = name in ("rename", "replace", "link")

        def hooked(*arguments: Any, **options: Any) -> Any:
            at = options.get("dir_fd") is not None or options.get("src_dir_fd") is not None
            if arguments and not at:
                self.look(name, arguments[1] if name == "symlink" or (both and len(arguments) > 1) else arguments[0])
            return real(*arguments, **options)

        return hooked


class _File(io.FileIO):
    def __init__(self, faults: Faults, file: Any, mode: str, opener: Any = None) -> None:
        self._faults, self._path = faults, file
        if opener is None:
            faults.look("open", file)
        super().__init__(file, mode, opener=opener)

    def readinto(self, buffer: Any) -> Any:
        self._faults.look("read", self._path)
        return super().readinto(buffer)

    def read(self, size: int | None = -1) -> Any:
        self._faults.look("read", self._path)
        return super().read(size)

    def readall(self) -> Any:
        self._faults.look("read", self._path)
        return super().readall()

    def write(self, content: Any) -> Any:
        self._faults.look("write", self._path)
        return super().write(content)


def _places() -> Iterator[tuple[Any, str]]:
    yield from ((module, "open") for module in (builtins, io, _io))
    yield from ((os, name) for name in (*BY_PATH, *BY_NUMBER) if hasattr(os, name))
    yield from ((fcntl, name) for name in LOCKS)


def install(order: dict[str, Any]) -> None:
    """Let calls of this process fail from now on.

    Parameters
    ----------
    order
        'root': the directory; 'errors': names of errnos, taken in turn; 'every' and 'first': every how many calls one
        fails, from which on; or 'at': the numbers of those that fail; or 'name' and 'path': 'times' calls of that name
        (of any, without) on a path that ends so, the first or those 'after' as many; with 'only_first' on the
        first such path alone. 'until': a file whose existence
        ends it all. 'log': a file that gets a line for each. 'durations': as for `tuned.tune`.
    """
    numbers = itertools.cycle([getattr(errno, name) for name in order["errors"]])
    log = _real_os_open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    count, done, hit = [0], itertools.count(), list[str]()

    def is_chosen(call: int, name: str, path: str) -> bool:
        if "at" in order:
            return call in order["at"]
        if "path" in order:
            fits = path.endswith(order["path"]) and order.get("name") in (None, name)
            if fits and order.get("only_first"):
                hit.append(path)
                fits = path == hit[0]
            return fits and order.get("after", 0) <= next(done) < order.get("after", 0) + order["times"]
        return call >= order["first"] and (call - order["first"]) % order["every"] == 0

    def is_over() -> bool:
        try:
            _real_stat(order["until"])
        except (KeyError, OSError):
            return False
        return True

    def choose(call: int, name: str, path: str) -> int | None:
        count[0] = call + 1
        if not is_chosen(call, name, path) or is_over():
            return None
        number = next(numbers)
        _real_write(log, f"{call} {name} {errno.errorcode[number]} {path}\n".encode())
        return number

    if "durations" in order:
        from tuned import tune

        tune(order["durations"])
    Faults(Path(order["root"]), choose).install()
    if "count" in order:
        import atexit

        atexit.register(lambda: _write_count(order["count"], count[0]))


def _write_count(path: str, count: int) -> None:
    number = _real_os_open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    _real_write(number, str(count).encode())


if __name__ == "__main__":
    install(json.loads(sys.argv[1]))
    sys.argv[1:2] = []
    from xpm_alchem.cli import main

    main(prog_name="xpm-alchem")
