"""How long a worker may work: as its user says, and as the scheduler says whose job it is."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping

from xpm_alchem.launchers.workers.limits import steady_time
from xpm_alchem.launchers.workers.scheduler_jobs import SchedulerJob, find_job

_FAR, _NEAR = 600.0, 60.0  # seconds between two questions, while the end is far; while it is near, or not known


class TimeLimit:
    """The time that is left. A scheduler is asked again and again: a limit may be changed.

    Parameters
    ----------
    given
        Seconds from now, as the user says; None: without end.
    job
        The scheduler's job that this process is in, None for none.
    """

    def __init__(self, given: float | None = None, job: SchedulerJob | None = None) -> None:
        self._job = job
        self._own = math.inf if given is None else steady_time() + given
        self._told: float | None = None  # by the scheduler
        self._asked = float("-inf")

    @property
    def job(self) -> str | None:
        """The scheduler's name of the job that this is, None for none."""
        return None if self._job is None else self._job.name

    @property
    def is_known(self) -> bool:
        """Whether the scheduler has answered, if there is one."""
        return self._job is None or self._told is not None

    def left(self) -> float | None:
        """Return the seconds left, None without a limit."""
        now = steady_time()
        if self._job is not None:
            is_far = self._told is not None and self._told - now > 2 * _FAR
            if now - self._asked > (_FAR if is_far else _NEAR):
                if (left := self._job.ask()) is not None:
                    self._told = steady_time() + left
                self._asked = steady_time()
        end = min(self._own, math.inf if self._told is None else self._told)
        return None if end == math.inf else end - steady_time()


def find_limit(given: float | None, environment: Mapping[str, str] | None = None) -> TimeLimit:
    """Return the limit of this process: of SLURM, PBS, LSF or Grid Engine where it is in a job of theirs.

    Parameters
    ----------
    given
        Seconds that the user gives it at most.
    """
    return TimeLimit(given, find_job(os.environ if environment is None else environment))
