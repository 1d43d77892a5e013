"""What the attempts of a task print and its units log: which files there are, keeping them, and reading their ends.

run.out and run.err are the latest attempt's. Before the next one starts they become run.<attempt>.out and .err; those
of the last attempts are kept, of each no more than its end. No log is ever read whole into memory.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import attrs

from xpm_alchem.base.files import atomic_write, exists, remove, rename
from xpm_alchem.base.passing import patiently
from xpm_alchem.base.permissions import permissions_of
from xpm_alchem.execution.directory import TaskDirectory

PRINTED = ("stdout", "stderr")
KEPT_ATTEMPTS = 10
KEPT_BYTES = 1_000_000
_TAIL_BYTES = 1_000_000  # of the last lines: one endless line (a progress bar) is not printed whole
_BLOCK = 65536
_UNIT_LOGS = (".log", ".out", ".err")


@attrs.frozen
class LogFile:
    """A file with what somebody printed.

    Attributes
    ----------
    stream
        'stdout' or 'stderr' of an attempt's process, 'unit' (a log that a unit wrote), or 'job' (what a SLURM job
        printed before and beside its attempts).
    attempt
        Its number; None for what is not of one attempt alone.
    size, written
        Bytes, and when it was last written (seconds since the epoch).
    """

    stream: str
    path: Path
    attempt: int | None
    size: int
    written: float

    @classmethod
    def of(cls, stream: str, path: Path, attempt: int | None = None) -> LogFile | None:
        """Return what there is at `path`; None if that is no file, or cannot be seen."""
        try:
            found = path.lstat()
        except OSError:
            return None
        if not stat.S_ISREG(found.st_mode):  # a link may lead anywhere
            return None
        return cls(stream, path, attempt, found.st_size, found.st_mtime)

    @classmethod
    def from_view(cls, view: Mapping[str, Any]) -> LogFile:
        """Return what a view (docs/json.md) describes."""
        return cls(view["stream"], Path(view["path"]), view["attempt"], view["size"], view["written"])

    @property
    def title(self) -> str:
        """The file, and whose it is."""
        whose = self.stream if self.attempt is None else f"{self.stream} of attempt {self.attempt}"
        return f"==> {self.path} ({whose}) <=="


# ------------------------------------------------------------------------------------------------------- keeping
def keep_printed(files: TaskDirectory, attempt: int) -> None:
    """Keep what the last attempt printed under its number; the next one gets new files.

    Parameters
    ----------
    attempt
        Its number; 0 for what was printed by a process that never became the first one.
    """
    for stream in PRINTED:
        latest, kept = files.printed(stream), files.printed(stream, attempt)
        if not _has_content(latest):
            continue
        if exists(kept):  # what was printed since then is of a process that never became an attempt
            with suppress(OSError):
                _write_ends(kept, kept, latest)
            remove(latest)
        else:
            rename(latest, kept)
            with suppress(OSError):  # a full disk: it stays as long as it is
                _write_ends(kept, kept)
        for number in sorted(kept_printed(files, stream))[:-KEPT_ATTEMPTS]:
            remove(files.printed(stream, number))


def kept_printed(files: TaskDirectory, stream: str) -> dict[int, Path]:
    """Return the files of earlier attempts by the attempts' numbers."""
    latest = files.printed(stream)
    expression = re.compile(rf"{re.escape(latest.stem)}\.([0-9]+){re.escape(latest.suffix)}")
    found = {}
    with suppress(OSError):
        for path in files.path.iterdir():
            if match := expression.fullmatch(path.name):
                found[int(match[1])] = path
    return found


def _has_content(path: Path) -> bool:
    return exists(path) and patiently(path.stat).st_size > 0


def _write_ends(target: Path, *sources: Path) -> None:
    """Make `target` the end of the sources, one after another; leave one that is short enough as it is."""
    if sources == (target,) and target.stat().st_size <= KEPT_BYTES:
        return
    with atomic_write(target, "wb", permissions=permissions_of(*sources)) as out:
        for source in sources:
            with open(source, "rb") as log:
                size = os.fstat(log.fileno()).st_size
                if size > KEPT_BYTES:
                    log.seek(size - KEPT_BYTES)
                    log.readline(_BLOCK)
                    out.write(b"[the first %d bytes were cut]\n" % log.tell())
                for chunk in chunks(log):
                    out.write(chunk)


# ------------------------------------------------------------------------------------------------------- reading
def chunks(log: IO[bytes], size: int | None = None) -> Iterator[bytes]:
    """Yield what an open file holds from where it stands on, at most `size` bytes."""
    while size is None or size > 0:
        chunk = log.read(_BLOCK if size is None else min(_BLOCK, size))
        if not chunk:
            return
        size = None if size is None else size - len(chunk)
        yield chunk


def seek_tail(log: IO[bytes], lines: int | None) -> None:
    """Go to where the last lines of an open file begin, at most 1 MB before its end; None means its beginning."""
    end = position = log.seek(0, os.SEEK_END)
    if lines is None:
        log.seek(0)
        return
    wanted = lines + 1
    if position:
        log.seek(position - 1)
        wanted -= log.read(1) != b"\n"  # a last line that is not ended yet
    while lines and position > max(0, end - _TAIL_BYTES):
        start = max(0, position - _BLOCK, end - _TAIL_BYTES)
        log.seek(start)
        block = log.read(position - start)
        if (count := block.count(b"\n")) >= wanted:
            at = len(block)
            for _ in range(wanted):
                at = block.rfind(b"\n", 0, at)
            log.seek(start + at + 1)
            return
        wanted, position = wanted - count, start
    log.seek(position)


def tail(path: Path, lines: int | None) -> Iterator[bytes]:
    """Yield the last lines of a file as it is now; None means all, and a number at most 1 MB."""
    try:
        with open(path, "rb") as log:
            seek_tail(log, lines)
            yield from chunks(log, os.fstat(log.fileno()).st_size - log.tell())
    except OSError as error:
        yield f"[cannot be read: {error.strerror}]\n".encode()


def last_lines(path: Path, lines: int) -> str:
    """Return the last lines of a file as text; at most 1 MB."""
    return b"".join(tail(path, lines)).decode(errors="replace")


# ----------------------------------------------------------------------------------------------------- unit logs
def unit_logs(files: TaskDirectory) -> list[LogFile]:
    """Return the logs that units have left, the one written last at the end.

    They are whatever a unit puts into gufe's ``ctx.stdout`` and ``ctx.stderr`` (gufe >= 1.7), and files called
    ``*.log``, ``*.out`` or ``*.err`` in its shared directory, or, while it is at work, in its scratch directory.
    """
    found = []
    for room in ("stdout", "stderr", "shared", "scratch"):
        for directory, _, names in os.walk(files.path / room):
            for name in names:
                if room in PRINTED or Path(name).suffix in _UNIT_LOGS:
                    log = LogFile.of("unit", Path(directory) / name)
                    found += [log] if log is not None and log.size else []
    return sorted(found, key=lambda log: (log.written, log.path))
