"""What an attempt knows of the time limit of its SLURM job."""

from __future__ import annotations

import json
import os
import threading
import time
from typing import Any

from experimaestro.taskglobals import Env

from xpm_alchem.devices.slots import Given
from xpm_alchem.execution.attempts import Launched
from xpm_alchem.execution.deadline import Deadline
from xpm_alchem.launchers.base import AttemptLimits
from xpm_alchem.launchers.slurm.commands import Slurm


class SlurmLimits(AttemptLimits):
    """The time limit of a job: computed at first, asked from SLURM afresh when it comes near, for it may be changed."""

    def __init__(self, facts: dict[str, Any], slurm: Slurm | None = None) -> None:
        self._slurm, self._job = slurm or Slurm(timeout=20.0), str(facts["job"])
        self.margin = float(facts["margin"])
        given = Given.read(os.environ)
        self.launched = Launched(self._job, facts.get("launch"), os.environ.get("SLURMD_NODENAME"), given)
        self._end: float | None = None
        self._warned = threading.Event()
        if end := os.environ.get("SLURM_JOB_END_TIME"):  # since SLURM 22.05.9
            self._end = float(end)
        else:
            if (known := facts.get("end")) is not None:
                self._end = float(known)
            if self._end is None or self._end - time.time() < 6 * self.margin:
                self.refresh()
        threading.Thread(target=self._keep_fresh, name="time limit", daemon=True).start()

    def remaining_time(self) -> float | None:
        """Return the seconds left, None where there is no limit or it is not known."""
        return None if self._end is None or self._end == float("inf") else self._end - time.time()

    def refresh(self) -> None:
        """Ask SLURM for the end; what was known stays if SLURM does not answer."""
        asked = time.time()  # an answer may be late
        left = self._slurm.time_left(self._job)
        if left is not None:
            self._end = asked + left

    def deadline(self) -> Deadline:
        """Return the limits; a warning by SLURM while time seems to be left makes us ask."""
        return Deadline(self.remaining_time, self.margin, self._warned.set)

    def pause(self) -> float:
        """Return the seconds until SLURM is to be asked again: a while before an attempt would be stopped, and then."""
        if self._end is None:
            return 60.0
        left = self._end - time.time()
        for before in (2 * self.margin + 60.0, self.margin + 15.0):
            if left > before + 1.0:
                return min(left - before, 86400.0)
        return 30.0

    def _keep_fresh(self) -> None:
        while True:
            self._warned.wait(self.pause())
            self._warned.clear()
            self.refresh()


def limit_this_job() -> None:
    """Tell this process of its job; called in an attempt's script."""
    Env.instance().launcher_info = SlurmLimits(json.loads(os.environ["XPM_ALCHEM_SLURM"]))
