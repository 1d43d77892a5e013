"""A process that hangs where no Python runs, or is stopped, is ended from outside when its time is over."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable

import psutil
import pytest
from one_task import ended
from patience import wait_for

from xpm_alchem.launchers.watchdog import kill_after


def forked(body: Callable[[], object], seconds: float) -> int:
    """Run `body` in a process that is watched, in a session of its own; return its pid."""
    pid = os.fork()
    if pid == 0:
        os.setsid()
        kill_after(seconds)
        body()
        os._exit(7)
    return pid


def watchdogs(pid: int) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = process.info["cmdline"] or []
        if "watchdog" in line and line[-1] == str(pid):
            found.append(process)
    return found


@pytest.mark.parametrize(
    "hang",
    [
        lambda: ctypes.PyDLL(None).sleep(600),  # native code that keeps the interpreter to itself
        lambda: os.kill(os.getpid(), signal.SIGSTOP),
        lambda: (signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals)), ctypes.PyDLL(None).sleep(600)),
    ],
    ids=["native", "stopped", "deaf"],
)
def test_what_hangs_is_killed(hang):
    assert ended(forked(hang, 0.5)) == -signal.SIGKILL


def test_its_children_are_killed_too():
    inner, outer = os.pipe()

    def with_a_child() -> None:
        child = os.fork()
        if child == 0:
            ctypes.CDLL(None).sleep(600)
        os.write(outer, str(child).encode())
        os.kill(os.getpid(), signal.SIGSTOP)

    assert ended(forked(with_a_child, 0.5)) == -signal.SIGKILL
    child = int(os.read(inner, 20))
    wait_for(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE)


def test_no_watchdog_outlives_what_it_watches():
    inner, outer = os.pipe()
    pid = forked(lambda: os.read(inner, 1), 600)
    wait_for(lambda: watchdogs(pid))
    os.write(outer, b"x")
    assert ended(pid) == 7
    wait_for(lambda: not watchdogs(pid))


def test_a_process_that_shares_its_session_with_others_is_left_alone():
    pid = os.fork()
    if pid == 0:
        kill_after(0.01)
        os._exit(bool(watchdogs(os.getpid())))
    assert ended(pid) == 0
