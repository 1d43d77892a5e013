"""What a local attempt knows of its limits; set in its process."""

from __future__ import annotations

import os
import signal
import threading
import time

import psutil
from experimaestro.taskglobals import Env

from xpm_alchem.devices.slots import Given
from xpm_alchem.execution.attempts import Launched
from xpm_alchem.execution.processes import kill_own_session
from xpm_alchem.launchers.base import AttemptLimits
from xpm_alchem.launchers.watchdog import kill_after

LAUNCH = "XPM_ALCHEM_LAUNCH"  # the variable that tells a process as which launch it was started
HANGS_SECONDS = 5.0  # after which others end an attempt that should have ended itself


class LocalLaunch(AttemptLimits):
    """An attempt without a time limit: all it is told is as which launch it was started."""

    def __init__(self) -> None:
        self.launched = Launched(launch=os.environ.get(LAUNCH) or None, given=Given.read(os.environ))

    def remaining_time(self) -> float | None:
        """Return None: there is no limit."""
        return None


class LocalLimits(LocalLaunch):
    """A time limit counted from the start of the process."""

    def __init__(self, limit: float, margin: float) -> None:
        super().__init__()
        self._end = time.monotonic() + limit - (time.time() - psutil.Process().create_time())
        self.margin = margin

    def remaining_time(self) -> float:
        """Return the seconds left."""
        return self._end - time.monotonic()


def name_this_launch() -> None:
    """Tell this process as which launch it was started; called in an attempt's script."""
    Env.instance().launcher_info = LocalLaunch()


def limit_this_process(limit: float, *, margin: float, grace: float) -> None:
    """Give this process a time limit (seconds): it is told, and killed with its session if it overruns by `grace`."""
    limits = LocalLimits(limit, margin)
    Env.instance().launcher_info = limits

    def kill() -> None:
        kill_own_session()
        os.kill(os.getpid(), signal.SIGKILL)

    seconds = max(0.0, limits.remaining_time()) + grace
    timer = threading.Timer(seconds, kill)
    timer.daemon = True
    timer.start()
    kill_after(seconds + HANGS_SECONDS)
