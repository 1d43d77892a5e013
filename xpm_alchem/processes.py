"""Processes of this machine: who one is beyond its pid, and ending it with all its children."""

from __future__ import annotations

import os
import socket

import attrs
import psutil

HOST = socket.gethostname()
_CLOCK_TOLERANCE = 2.0  # seconds; psutil derives start times from the boot time, which the kernel adjusts


@attrs.frozen
class ProcessIdentity:
    """A process that cannot be confused with a later one of the same pid.

    Attributes
    ----------
    host, pid
        Where it runs and its number there.
    start
        When it started, seconds since the epoch.
    """

    host: str
    pid: int
    start: float

    @classmethod
    def of(cls, pid: int | None = None) -> ProcessIdentity:
        """Return the identity of a process of this machine (default: this one).

        Raises
        ------
        psutil.NoSuchProcess
            There is none of that pid.
        """
        process = psutil.Process(pid)
        return cls(HOST, process.pid, process.create_time())

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
            same = abs(process.create_time() - self.start) < _CLOCK_TOLERANCE
            return same and process.status() != psutil.STATUS_ZOMBIE
        except (psutil.NoSuchProcess, ValueError, OverflowError):  # the last two: a number that no process can have
            return False


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


def kill_session(session: int, started: float | None) -> int:
    """SIGKILL every process of a session, except any that is older than `started` (a recycled number).

    The numbers may be from a file that was damaged: a session whose first process is another one is left alone, and so
    is that of the machine's first process.

    Parameters
    ----------
    session, started
        The number of the session, and when its first process started; None for this process's own session.

    Returns
    -------
    int
        How many were killed.
    """
    killed = 0
    if session <= 1 or not _may_be_session(session, started):
        return 0
    for process in session_members(session):
        try:
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                continue
            if started is None or process.create_time() > started - _CLOCK_TOLERANCE:
                process.kill()
                killed += 1
        except psutil.NoSuchProcess:
            continue
    return killed


def _may_be_session(session: int, started: float | None) -> bool:
    """Whether a session's first process started then, or is gone."""
    if started is None:
        return session == os.getsid(0)
    try:
        return started > 0 and abs(psutil.Process(session).create_time() - started) < _CLOCK_TOLERANCE
    except psutil.NoSuchProcess:
        return True
    except OverflowError:  # a number that no process can have
        return False
