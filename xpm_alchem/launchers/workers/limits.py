"""What an attempt knows of the time of its worker."""

from __future__ import annotations

import json
import os
import time
from typing import Any

from experimaestro.taskglobals import Env

from xpm_alchem.devices.slots import Given
from xpm_alchem.execution.attempts import Launched
from xpm_alchem.execution.processes import HOST
from xpm_alchem.launchers.base import AttemptLimits

VARIABLE = "XPM_ALCHEM_WORKER"


class WorkerLimits(AttemptLimits):
    """The time that a worker has left, by a clock that nobody sets; it warns by SIGUSR1 when it must end sooner."""

    def __init__(self, facts: dict[str, Any]) -> None:
        self.margin = float(facts["margin"])
        end = facts.get("ends")
        self._end = None if end is None else float(end)
        self.launched = Launched(str(facts["worker"]), str(facts["launch"]), HOST, Given.read(os.environ))

    def remaining_time(self) -> float | None:
        """Return the seconds left, None where there is no limit."""
        return None if self._end is None else self._end - steady_time()


def steady_time() -> float:
    """Return seconds of a clock that all processes of a machine share, and nobody sets."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def limit_this_attempt() -> None:
    """Tell this process of its worker; called in an attempt's script."""
    Env.instance().launcher_info = WorkerLimits(json.loads(os.environ[VARIABLE]))
