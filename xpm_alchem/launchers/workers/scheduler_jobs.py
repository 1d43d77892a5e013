"""What SLURM, PBS, LSF or Grid Engine say of the job that this process is in: the time it has left, and its cores."""

from __future__ import annotations

import math
import os
import re
import subprocess
import time
from collections.abc import Callable, Mapping

import attrs
import psutil

from xpm_alchem.launchers.slurm.commands import Slurm
from xpm_alchem.launchers.workers.limits import steady_time

_ANSWER_SECONDS = 30.0
_MINUTE = 60.0
_CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d{1,2})")


@attrs.frozen
class SchedulerJob:
    """A job that this process is in.

    Attributes
    ----------
    name
        Its scheduler and number, in words.
    ask
        Returns the seconds that are left to it now, infinity where it has no limit, None where nobody answers.
    """

    name: str
    ask: Callable[[], float | None]


def find_job(environment: Mapping[str, str]) -> SchedulerJob | None:
    """Return the job that an environment is of, None for none."""
    for variable, of_job in _SCHEDULERS.items():
        if job := environment.get(variable):
            return of_job(job, environment)
    return None


def cores_of_job(environment: Mapping[str, str]) -> int | None:
    """Return how many cores the job has that an environment is of, None where nothing says it."""
    names = [name for variable, names in _CORES.items() if environment.get(variable) for name in names]
    told = [int(environment[name]) for name in names if environment.get(name, "").isdecimal()]
    return next((number for number in told if number), None)


def _slurm(job: str, environment: Mapping[str, str]) -> SchedulerJob:
    return SchedulerJob(f"SLURM {job}", lambda: Slurm(timeout=_ANSWER_SECONDS).time_left(job))


def _pbs(job: str, environment: Mapping[str, str]) -> SchedulerJob:
    walltime = environment.get("PBS_WALLTIME", "")  # Torque's
    began = _job_began()

    def ask() -> float | None:
        age = steady_time() - began
        if (text := _said("qstat", "-f", job)) is not None:
            whole, used = pbs_times(text)
            return whole - max(used, age)  # what is used is told minutes late
        return float(walltime) - age if walltime.isdigit() else None

    return SchedulerJob(f"PBS {job}", ask)


def _lsf(job: str, environment: Mapping[str, str]) -> SchedulerJob:
    index = environment.get("LSB_JOBINDEX", "0")
    name = job if index == "0" else f"{job}[{index}]"
    fields = "time_left run_time runtimelimit delimiter='^'"
    end = -math.inf

    def ask() -> float | None:
        nonlocal end
        if (text := _said("bjobs", "-noheader", "-o", fields, name, LSB_HMS_TIME_FORMAT="y")) is None:
            return None
        now = steady_time()
        told = now + lsf_left(text)
        end = end if 0 < end - told < _MINUTE else told  # minutes, rounded down: the latest of these is the truest
        return end - now

    return SchedulerJob(f"LSF {name}", ask)


def _grid_engine(task: str, environment: Mapping[str, str]) -> SchedulerJob:
    job, queue = environment.get("JOB_ID", ""), environment.get("QUEUE")
    began, whole = _job_began(), None

    def ask() -> float | None:
        nonlocal whole
        if whole is None:  # what a job was begun with stays
            of_job = _said("qstat", "-j", job)
            of_queue = _said("qconf", "-sq", queue) if queue else None
            if of_job is None and of_queue is None:
                return None
            whole = grid_engine_limit(f"{of_job or ''}\n{of_queue or ''}")
        return whole - (steady_time() - began)

    return SchedulerJob(f"Grid Engine {job}{'' if task == 'undefined' else f'.{task}'}", ask)


_CORES = {  # where schedulers say how many a job has on this node
    "SLURM_JOB_ID": ("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE"),
    "PBS_JOBID": ("NCPUS", "PBS_NUM_PPN"),
    "LSB_JOBID": ("LSB_DJOB_NUMPROC",),
    "SGE_TASK_ID": ("NSLOTS",),
}
_SCHEDULERS: Mapping[str, Callable[[str, Mapping[str, str]], SchedulerJob]] = {
    "SLURM_JOB_ID": _slurm,
    "PBS_JOBID": _pbs,
    "LSB_JOBID": _lsf,
    "SGE_TASK_ID": _grid_engine,
}


def _job_began() -> float:
    """Return when this process's session began, by the steady clock: a scheduler's job has one of its own."""
    try:
        began = psutil.Process(os.getsid(0)).create_time()
    except psutil.Error:  # its leader is gone, or outside of the container
        began = psutil.Process().create_time()
    return steady_time() - max(0.0, time.time() - began)


def pbs_times(text: str) -> tuple[float, float]:
    """Return the seconds of a whole job of PBS or Torque (or infinity), and those used, by what ``qstat -f`` prints."""
    asked = re.search(r"^\s*Resource_List\.walltime = (\S+)", text, re.MULTILINE)
    used = re.search(r"^\s*resources_used\.walltime = (\S+)", text, re.MULTILINE)
    whole = _seconds(asked[1]) if asked else None
    return math.inf if whole is None else whole, (_seconds(used[1]) if used else None) or 0.0


def lsf_left(text: str) -> float:
    """Return the seconds left by ``bjobs -o "time_left run_time runtimelimit delimiter='^'"``, infinity for no limit.

    The time left is hours and minutes (with seconds where LSB_HMS_TIME_FORMAT is known) and L where it is to a limit;
    with E and X it is an estimate, after which LSF ends nothing.
    """
    left, _, rest = text.strip().partition("^")
    if match := re.match(r"(\d+):(\d\d)(?::(\d\d))? *L", left):
        return int(match[1]) * 3600.0 + int(match[2]) * 60.0 + int(match[3] or 0)
    run, _, limit = rest.partition("^")
    used, whole = re.match(r"[\d:]+", run), re.match(r"[\d:.]+", limit)
    if used is None or whole is None or (used_seconds := _seconds(used[0])) is None:
        return math.inf
    if ":" in whole[0]:
        whole_seconds = _seconds(whole[0])
        return math.inf if whole_seconds is None else whole_seconds - used_seconds
    return float(whole[0]) * _MINUTE - used_seconds


def grid_engine_limit(text: str) -> float:
    """Return the seconds of a whole job, or infinity, by what ``qstat -j`` prints of it and ``qconf -sq`` of its queue.

    The least of its h_rt and s_rt, and of what the queue gives to any of its hosts.
    """
    text = re.sub(r"\\\n\s*", "", text)
    asked = re.findall(r"^(?:hard|soft) resource_list:.*", text, re.MULTILINE)
    values = re.findall(r"\b[hs]_rt=([\d:]+)", "\n".join(asked))
    for of_queue in re.findall(r"^[hs]_rt\s+(\S+)", text, re.MULTILINE):
        values += re.findall(r"(?:^|=)([\d:]+)(?=[],]|$)", of_queue)
    limits = [_seconds(value) for value in values]
    return min((limit for limit in limits if limit is not None), default=math.inf)


def _seconds(text: str) -> float | None:
    """Return what a scheduler writes as seconds, or as hours, minutes and seconds."""
    if text.isdigit():
        return float(text)
    if match := _CLOCK.fullmatch(text):
        hours, minutes, seconds = (int(part or 0) for part in match.groups())
        return float((hours * 60 + minutes) * 60 + seconds)
    return None


def _said(*command: str, **variables: str) -> str | None:
    """Return what a command prints; None where it fails, does not answer, or is not there."""
    try:
        answer = subprocess.run(
            command,
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_ANSWER_SECONDS,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout if answer.returncode == 0 else None
