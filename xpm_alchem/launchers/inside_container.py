"""The side of a process that was started in a container: container.py starts it."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil

from xpm_alchem.execution.processes import HOST, kill_own_session

INSIDE = "XPM_ALCHEM_CONTAINER"  # the variable that tells a process in a container of what is outside
STARTED = "XPM_ALCHEM_CONTAINER_PROCESS"  # the number of the process outside that was started for it
_POLL_SECONDS = 2.0


def settle() -> None:
    """Lead a session, use no other cores, and end with the process outside; does nothing outside of a container.

    Raises
    ------
    SystemExit
        What this process would note of itself would not be true outside.
    """
    given, started = os.environ.pop(INSIDE, None), os.environ.pop(STARTED, None)
    if given is None or started is None:
        return
    told = json.loads(given)
    if (HOST, pids()) != (told["host"], told["pids"]):
        sys.exit(
            "the container has processes with numbers of its own, or another name than its node: the options of the "
            "profile's 'container', or the runtime's settings, must leave both as they are"
        )
    with suppress(OSError):  # a runtime may forbid it: the numbers of threads are set anyway
        os.sched_setaffinity(0, told["cores"])
    if os.getsid(0) != os.getpid():
        with suppress(OSError):  # it leads a group
            os.setsid()
    threading.Thread(target=_end_with, args=(int(started),), name="container", daemon=True).start()


def pids() -> str:
    """Return what all processes have in common whose numbers are counted together."""
    return str(Path("/proc/self/ns/pid").readlink())


def _end_with(pid: int) -> None:
    """Kill this process and its session when another has ended: whoever ended that meant this one too."""
    _wait_for(pid)
    kill_own_session()
    os.kill(os.getpid(), signal.SIGKILL)


def _wait_for(pid: int) -> None:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    except (OSError, AttributeError):  # an old system, or a container that forbids it
        while psutil.pid_exists(pid):
            time.sleep(_POLL_SECONDS)
        return
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    poll.poll()
