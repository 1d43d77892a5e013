"""Processes of this machine: who one is beyond its pid, and ending it with all its children."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import attrs
import psutil

from xpm_alchem.base.values import count, number, number_or_none, text, text_or_none

HOST = socket.gethostname()
_TOLERANCE = 2.0  # seconds; where no boot is known a start is told by a clock that is adjusted


@attrs.frozen
class ProcessIdentity:
    """A process that cannot be confused with a later one of the same pid.

    Attributes
    ----------
    host, pid
        Where it runs and its number there.
    start
        When it started, seconds since the epoch, by the clock of that moment.
    boot, since_boot
        Which boot of the machine it belongs to and how many seconds after it the process started, where the system
        tells: that stays the same when the clock is set (a laptop wakes up, a virtual machine goes on, NTP steps).
    """

    host: str
    pid: int
    start: float
    boot: str | None = None
    since_boot: float | None = None

    @classmethod
    def of(cls, pid: int | None = None) -> ProcessIdentity:
        """Return the identity of a process of this machine (default: this one).

        Raises
        ------
        psutil.NoSuchProcess
            There is none of that pid.
        """
        process = psutil.Process(pid)
        boot = _boot()
        since_boot = None if boot is None else _since_boot(process)
        return cls(HOST, process.pid, process.create_time(), boot, since_boot)

    @classmethod
    def from_record(cls, record: Mapping[str, Any], start: str = "start") -> ProcessIdentity:
        """Return what `to_record` has written, or an earlier version, which noted no boot."""
        return cls(
            text(record.get("host")),
            count(record.get("pid")),
            number(record.get(start)),
            text_or_none(record.get("boot")),
            number_or_none(record.get("since_boot")),
        )

    def to_record(self, start: str = "start") -> dict[str, Any]:
        """Return it as a part of a JSON record, the start under a name of its own if that is taken."""
        return {start if name == "start" else name: value for name, value in attrs.asdict(self).items()}

    @property
    def is_here(self) -> bool:
        """Whether it belongs to this machine."""
        return self.host == HOST

    def is_alive(self) -> bool:
        """Whether it runs (a zombie does not).

        Raises
        ------
        ValueError
            It belongs to another machine: that cannot be known from here.
        """
        if not self.is_here:
            raise ValueError(f"process {self.pid} belongs to {self.host}, this is {HOST}")
        try:
            process = psutil.Process(self.pid)
            return abs(self.seconds_until(process)) < _TOLERANCE and process.status() != psutil.STATUS_ZOMBIE
        except (psutil.NoSuchProcess, ValueError, OverflowError):  # the last two: a number that no process can have
            return False

    def age(self) -> float | None:
        """Return how long ago it started (seconds) by a clock that nobody sets; None where that cannot be asked."""
        if self.since_boot is None or self.boot is None or not self.is_here or self.boot != _boot():
            return None
        return time.clock_gettime(time.CLOCK_BOOTTIME) - self.since_boot

    def seconds_until(self, process: psutil.Process) -> float:
        """Return how long after this one a process of this machine started, negative if before."""
        if self.since_boot is not None and self.boot is not None and self.boot == _boot():
            return _since_boot(process) - self.since_boot
        return float(process.create_time()) - self.start


@cache
def _boot() -> str | None:
    """Return the identity of this boot of the machine; None where the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip() or None
    except OSError:
        return None


def _since_boot(process: psutil.Process) -> float:
    """Return when a process started, in seconds after the boot: what the clock says now of both cancels out."""
    boot_time = psutil.boot_time()  # first: earlier versions of psutil remember it for the other
    return float(psutil.Process(process.pid).create_time() - boot_time)


def ended_with(code: int, means: Mapping[str, str] | None = None) -> str:
    """Return in words how a process ended, by its exit code, negative for a signal.

    Parameters
    ----------
    means
        What is to be said after the name of a signal.
    """
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        return f"was killed by signal {-code}"
    return f"was killed by {name}{(means or {}).get(name, '')}"


def session_members(session: int) -> list[psutil.Process]:
    """Return the processes of a session of this machine; a task's processes share the session of its first one."""
    members = []
    for pid in psutil.pids():
        try:
            if os.getsid(pid) == session:
                members.append(psutil.Process(pid))
        except (ProcessLookupError, PermissionError, psutil.NoSuchProcess):
            continue
    return members


def kill_session(leader: ProcessIdentity) -> int:
    """SIGKILL every process of the session of a first process, except any that is older than it (a recycled number).

    The numbers may be from a file that was damaged: a session whose first process is another one is left alone, and so
    is that of the machine's first process.

    Returns
    -------
    int
        How many were killed.
    """
    if leader.pid <= 1 or leader.start <= 0 or not _may_be(leader):
        return 0
    return _kill(process for process in session_members(leader.pid) if _is_younger(process, leader))


def kill_own_session() -> int:
    """SIGKILL every other process of this one's session; return how many."""
    return _kill(session_members(os.getsid(0)))


def _kill(processes: Iterable[psutil.Process]) -> int:
    killed = 0
    for process in processes:
        try:
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                continue
            process.kill()
            killed += 1
        except psutil.NoSuchProcess:
            continue
    return killed


def _is_younger(process: psutil.Process, leader: ProcessIdentity) -> bool:
    """Whether a process started with the leader or after it; what has ended meanwhile is no process at all."""
    try:
        return leader.seconds_until(process) > -_TOLERANCE
    except psutil.NoSuchProcess:
        return False


def _may_be(leader: ProcessIdentity) -> bool:
    """Whether the process of the leader's pid is the leader, or gone."""
    try:
        return abs(leader.seconds_until(psutil.Process(leader.pid))) < _TOLERANCE
    except psutil.NoSuchProcess:
        return True
    except OverflowError:  # a number that no process can have
        return False
