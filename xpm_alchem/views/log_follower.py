"""A task's logs as they grow, over its restarts, until it has ended: like ``tail -F``."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import attrs

from xpm_alchem.base.errors import FormatError
from xpm_alchem.base.stamps import NO_FILE, stamp_of
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.task_state import TaskState, TaskStatus
from xpm_alchem.execution.attempt_log import AttemptLog
from xpm_alchem.execution.attempts import Attempt
from xpm_alchem.execution.directory import TaskDirectory
from xpm_alchem.execution.task_logs import PRINTED, LogFile, chunks, seek_tail, unit_logs
from xpm_alchem.views.log import job_logs, printed_logs
from xpm_alchem.views.overview import task_now

_PAUSE_SECONDS = 0.3
_LIST_SECONDS = 2.0  # between two looks for new logs of units
_UNIT_LOGS = 10  # that are watched, those written last
_LONGEST_LINE = 65536  # bytes of a line that is not ended yet


@attrs.frozen
class Piece:
    """What was added to a log, or, where `log` is None, a line about the task itself."""

    log: LogFile | None
    data: bytes

    @classmethod
    def notice(cls, text: str) -> Piece:
        """Return a line about the task."""
        return cls(None, text.encode())


@attrs.define
class _Growing:
    """A log that is read as it grows; the file stays open, so that its end is read also when it has been renamed."""

    log: LogFile
    file: IO[bytes]
    rest: bytes = b""

    def is_replaced(self) -> bool:
        """Whether another file has its name now, or none."""
        identity = _identity(self.file)
        return identity is None or _identity(self.log.path) != identity

    def news(self) -> Iterator[Piece]:
        """Yield what was added, in whole lines."""
        try:
            if os.fstat(self.file.fileno()).st_size < self.file.tell():  # begun anew in place
                self.file.seek(0)
                self.rest = b""
            for chunk in chunks(self.file):
                data = self.rest + chunk
                end = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1 or (len(data) if len(data) > _LONGEST_LINE else 0)
                self.rest = data[end:]
                if end:
                    yield Piece(self.log, data[:end])
        except OSError:  # of a network file system: the file was deleted on another machine
            return

    def end(self) -> Iterator[Piece]:
        """Yield what is left."""
        yield from self.news()
        if self.rest:
            yield Piece(self.log, self.rest + b"\n")
            self.rest = b""


def _identity(file: Path | IO[bytes]) -> tuple[int, int] | None:
    """Return what tells a file from others, whatever its name is; None if there is none, or if it was deleted."""
    try:
        found = file.stat() if isinstance(file, Path) else os.fstat(file.fileno())
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if found.st_nlink else None


class LogFollower:
    """Follows the logs of one task.

    Parameters
    ----------
    stream
        'stdout', 'stderr', 'unit', 'job' or 'all'.
    lines
        How many last lines of what is there already; None for all.
    """

    def __init__(self, records: CampaignRecords, task: TaskState, *, stream: str, lines: int | None) -> None:
        self._records, self._task_id, self._stream, self._lines = records, task.task, stream, lines
        self._files = TaskDirectory(records.task_path(task))
        self._open: dict[Path, _Growing] = {}
        self._passed: dict[tuple[int, int] | None, int] = {}  # how far files were read that are closed
        self._listed = 0.0
        self._watched: set[Path] | None = None
        self._stamp = NO_FILE  # of the journal of attempts
        self._attempts: list[Attempt] = []
        self._began = False

    def follow(self) -> Iterator[Piece]:
        """Yield what is there and what is added, until the task has ended or nobody can go on with it."""
        yield from self._history()
        try:
            while True:
                over = self._over()  # before the last look, so that nothing is missed
                yield from self._look()
                if over is not None:
                    for growing in self._open.values():
                        yield from growing.end()
                    yield Piece.notice(over)
                    return
                self._began = True
                time.sleep(_PAUSE_SECONDS)
        finally:
            for growing in self._open.values():
                growing.file.close()

    def _look(self) -> Iterator[Piece]:
        logs = self._logs()
        for path, growing in list(self._open.items()):
            if growing.is_replaced() or (self._watched is not None and path not in self._watched):
                yield from growing.end()
                self._shut(path)
            else:
                yield from growing.news()
        yield from self._history()
        for log in logs:
            if log.path not in self._open and self._opened(log):
                yield from self._open[log.path].news()

    def _logs(self) -> list[LogFile]:
        """Return the logs there are to follow; for the units' and SLURM's it is looked now and then."""
        logs: list[LogFile] = []
        if self._stream in (*PRINTED, "all"):
            paths = [self._files.printed(stream) for stream in PRINTED if self._stream in (stream, "all")]
            logs += [log for log in printed_logs(self._task(), self._files, self._attempts) if log.path in paths]
        self._watched = None
        if time.time() - self._listed > _LIST_SECONDS:
            self._listed = time.time()
            if self._stream in ("unit", "all"):
                found = unit_logs(self._files)
                logs += found[-_UNIT_LOGS:]
                for log in () if self._began else found[:-_UNIT_LOGS]:
                    self._passed[_identity(log.path)] = log.size
            if self._stream in ("job", "all"):
                logs += job_logs(self._records, self._files, self._attempts[-1:], is_latest=True)
            self._watched = {log.path for log in logs}
        return logs

    def _opened(self, log: LogFile) -> bool:
        """Open a log where it is to be read from: what was shown under another name is not shown again."""
        try:
            file = open(log.path, "rb")  # noqa: SIM115 (see _shut)
        except OSError:
            return False
        passed = self._passed.pop(_identity(file), None)
        if passed is not None:
            file.seek(passed)
        else:
            seek_tail(file, None if self._began else self._lines)
        self._open[log.path] = _Growing(log, file)
        return True

    def _shut(self, path: Path) -> None:
        growing = self._open.pop(path)
        if growing.log.stream == "unit":  # set aside, or out of sight; a deleted one's identity is given away again
            self._passed[_identity(growing.file)] = growing.file.tell()
            self._passed.pop(None, None)
        growing.file.close()

    # ------------------------------------------------------------------------------------------ what the task does
    def _task(self) -> TaskState:
        return task_now(self._records, self._records.state().everything[self._task_id])

    def _history(self) -> Iterator[Piece]:
        """Yield a line for what the journal of attempts has gained."""
        try:
            if (stamp := stamp_of(self._files.attempts)) in (self._stamp, NO_FILE):
                return
            self._stamp = stamp
            attempts = AttemptLog(self._files.attempts).read()
        except (OSError, FormatError):
            return
        before, self._attempts = {attempt.number: attempt for attempt in self._attempts}, attempts
        for attempt in attempts if self._began else ():
            was = before.get(attempt.number)
            if was is None:
                yield Piece.notice(f"attempt {attempt.number} began on {attempt.machine}")
            if attempt.outcome is not None and (was is None or was.outcome is None):
                said = f": {attempt.reason}" if attempt.reason else ""
                yield Piece.notice(f"attempt {attempt.number} ended: {attempt.outcome}{said}")
            if attempt.decision is not None and (was is None or was.decision != attempt.decision):
                said = f": {attempt.decision_reason}" if attempt.decision_reason else ""
                yield Piece.notice(f"then: {attempt.decision}{said}")

    def _over(self) -> str | None:
        """Return why nothing more is to come, None while something may."""
        task = self._task()
        if task.status not in (TaskStatus.WAITING, TaskStatus.RUNNING):
            status = "in error" if task.status is TaskStatus.ERROR else str(task.status)
            return f"the task is {status}" + (f": {task.reason}" if task.reason else "")
        if task.status is TaskStatus.WAITING and not task.actioned:
            return f"the task is not to be run: {task.reason}"
        if self._records.holder() is not None:
            return None
        if task.status is TaskStatus.WAITING:
            return "the task waits, and nobody drives the campaign: `xpm-alchem run` goes on"
        last = self._attempts[-1] if len(self._attempts) > task.attempts_before else None
        if last is None:
            return None
        gone = last.outcome is None and last.process.is_here and not last.process.is_alive()
        if gone or last.outcome is not None:
            return f"attempt {last.number} is over, and nobody drives the campaign: `xpm-alchem run` goes on"
        return None
