"""How long a worker may work: as its user says, and as the scheduler says whose job it is."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable, Mapping

from xpm_alchem.launchers.slurm.commands import Slurm
from xpm_alchem.launchers.workers.limits import steady_time

_ANSWER_SECONDS = 30.0
_FAR, _NEAR = 600.0, 60.0  # seconds between two questions, while the end is far or near
_LETTERS = re.compile(r"(?:(\d+)-)?(\d+):(\d\d)(?::(\d\d))?")


class TimeLimit:
    """The time that is left. A scheduler is asked again and again: a limit may be changed.

    Parameters
    ----------
    given
        Seconds from now, as the user says; None: without end.
    job
        The scheduler's name of the job that this is, None for none.
    ask
        Returns the seconds that the scheduler leaves, None where there is no limit or it does not answer.
    """

    def __init__(
        self, given: float | None = None, job: str | None = None, ask: Callable[[], float | None] | None = None
    ) -> None:
        self.job, self._ask = job, ask
        self._own = None if given is None else steady_time() + given
        self._told: float | None = None
        self._asked = float("-inf")

    def left(self) -> float | None:
        """Return the seconds left, None without a limit."""
        now = steady_time()
        if self._ask is not None:
            is_near = self._told is not None and self._told - now < 2 * _FAR
            if time.monotonic() - self._asked > (_NEAR if is_near else _FAR):
                left = self._ask()
                self._told = self._told if left is None else now + left
                self._asked = time.monotonic()
        ends = [end for end in (self._own, self._told) if end is not None]
        return min(ends) - now if ends else None

    def is_over(self) -> bool:
        """Whether no time is left at all."""
        left = self.left()
        return left is not None and left <= 0


def find_limit(given: float | None, environment: Mapping[str, str] | None = None) -> TimeLimit:
    """Return the limit of this process: of SLURM, PBS, LSF or Grid Engine where it is in a job of theirs.

    Parameters
    ----------
    given
        Seconds that the user gives it at most.
    """
    environment = os.environ if environment is None else environment
    for variable, of_job in _SCHEDULERS.items():
        if job := environment.get(variable):
            name, ask = of_job(job, environment)
            return TimeLimit(given, name, ask)
    return TimeLimit(given)


_Job = tuple[str, Callable[[], float | None]]  # its name, and what asks for the time that is left


def _slurm(job: str, environment: Mapping[str, str]) -> _Job:
    return f"SLURM {job}", lambda: Slurm(timeout=_ANSWER_SECONDS).time_left(job)


def _pbs(job: str, environment: Mapping[str, str]) -> _Job:
    walltime = environment.get("PBS_WALLTIME", "")  # Torque's
    left = _counted_down(float(walltime) if walltime.isdigit() else None)

    def ask() -> float | None:
        told = pbs_left(_said("qstat", "-f", job))
        return left() if told is None else told

    return f"PBS {job}", ask


def _lsf(job: str, environment: Mapping[str, str]) -> _Job:
    index = environment.get("LSB_JOBINDEX", "0")
    name = job if index == "0" else f"{job}[{index}]"
    return f"LSF {name}", lambda: lsf_left(_said("bjobs", "-noheader", "-o", "time_left", name))


def _grid_engine(root: str, environment: Mapping[str, str]) -> _Job:
    job, task = environment.get("JOB_ID", ""), environment.get("SGE_TASK_ID", "undefined")
    left = _counted_down(grid_engine_limit(_said("qstat", "-j", job)))  # it tells the whole limit only
    return f"Grid Engine {job}{'' if task == 'undefined' else f'.{task}'}", left


_SCHEDULERS: Mapping[str, Callable[[str, Mapping[str, str]], _Job]] = {
    "SLURM_JOB_ID": _slurm,
    "PBS_JOBID": _pbs,
    "LSB_JOBID": _lsf,
    "SGE_TASK_ID": _grid_engine,
}


def _counted_down(whole: float | None) -> Callable[[], float | None]:
    """Return what tells how much is left of a time that begins now."""
    began = steady_time()
    return lambda: None if whole is None else max(0.0, whole - (steady_time() - began))


def pbs_left(text: str) -> float | None:
    """Return the seconds left by what ``qstat -f`` prints of a job of PBS or Torque; None where that says nothing."""
    asked = re.search(r"Resource_List\.walltime = (\S+)", text)
    used = re.search(r"resources_used\.walltime = (\S+)", text)
    whole = _seconds(asked[1]) if asked else None
    return None if whole is None else whole - ((_seconds(used[1]) if used else None) or 0.0)


def lsf_left(text: str) -> float | None:
    """Return the seconds left by ``bjobs -o time_left``: hours and minutes, L for a limit ('5:20 L'); None for none."""
    match = re.search(r"(\d+):(\d\d) L", text)
    return None if match is None else int(match[1]) * 3600.0 + int(match[2]) * 60.0


def grid_engine_limit(text: str) -> float | None:
    """Return the seconds of a whole job by what ``qstat -j`` prints of it, h_rt or s_rt; None for none."""
    limits = [_seconds(value) for value in re.findall(r"\b[hs]_rt=([\d:]+)", text)]
    return min((limit for limit in limits if limit is not None), default=None)


def _seconds(text: str) -> float | None:
    """Return what a scheduler writes as seconds, or as days, hours, minutes and seconds."""
    if text.isdigit():
        return float(text)
    if match := _LETTERS.fullmatch(text):
        days, first, second, third = (int(part or 0) for part in match.groups())
        hours, minutes, seconds = (first, second, third) if match[4] else (0, first, second)
        return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
    return None


def _said(*command: str) -> str:
    """Return what a command prints; nothing where it fails, or is not there."""
    try:
        answer = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_ANSWER_SECONDS,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout if answer.returncode == 0 else ""
