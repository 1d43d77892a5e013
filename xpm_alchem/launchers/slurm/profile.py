"""A SLURM profile: what a job asks for, checked key by key, and the batch script that asks for it."""

from __future__ import annotations

import hashlib
import math
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from xpm_alchem.base.errors import CampaignError
from xpm_alchem.base.interpreter import python
from xpm_alchem.base.near_miss import check_keys
from xpm_alchem.devices.slots import THREADS, devices_each
from xpm_alchem.execution.demand import Demand
from xpm_alchem.launchers.container import Container, describe
from xpm_alchem.launchers.price import Price, count_gpus
from xpm_alchem.launchers.slurm.ended_jobs import EndedJobs
from xpm_alchem.launchers.slurm.profile_keys import CHECKS

_LONGEST_SIGNAL = 65535  # seconds before the limit, for sbatch
_SRUN = "srun --ntasks={nodes} --cpus-per-task=${{SLURM_CPUS_PER_TASK:-1}} --kill-on-bad-exit=0"
_TOLERANCE = 600.0  # seconds that SLURM may let a job run beyond its limit (OverTimeLimit, KillWait)


@attrs.frozen
class SlurmProfile:
    """What a job asks for, in sbatch's words. Times in seconds, memory in megabytes, None: the site's default.

    Attributes
    ----------
    time, max_time
        The job's time limit, and how far it may grow after repeated time-outs without progress.
    mem, max_mem
        Memory of the node for the job, and how far it may grow after it ran out.
    cpus, gpus, gres
        ``--cpus-per-task``, ``--gpus``, ``--gres``.
    partition, account, qos, constraint, exclude, reservation
        As sbatch's options.
    modules, prologue
        Modules to load, and shell lines to run, before the attempt begins.
    sbatch
        More options of sbatch, e.g. ``--mail-type=FAIL``.
    env
        Environment variables of the attempts.
    slots
        Most tasks of this profile in SLURM's queue at once, waiting or running.
    margin
        Seconds before the limit at which an attempt is told to stop; grows where stopping was seen to take longer.
    tasks_per_job
        For how many tasks one job is submitted. It takes on one after another, and then others that are ready, until
        its time is nearly over.
    side_by_side
        How many of them at once, each with its share of the GPUs and of the cores.
    tasks_per_gpu
        How many of those share a GPU.
    mps
        Whether NVIDIA's MPS is started for them.
    nodes
        On how many nodes a job is; cores and memory are each node's, GPUs and tasks at once the whole job's.
    exclusive
        Whether it has them to itself.
    platform
        OpenMM's, which must work before an attempt begins; 'none': nothing is tried; None: what the job has.
    container
        Where an attempt runs; None: on its node itself.
    price
        What an hour of a job costs; None: GPU hours, or core hours where it has no GPUs.
    avoided
        Nodes that are excluded too, for what happened there; no key of a profile.
    """

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    time: float | None = None
    max_time: float | None = None
    cpus: int | None = None
    mem: int | None = None
    max_mem: int | None = None
    gpus: str | None = None
    gres: str | None = None
    constraint: str | None = None
    exclude: str | None = None
    reservation: str | None = None
    modules: tuple[str, ...] = ()
    prologue: tuple[str, ...] = ()
    sbatch: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    slots: int = 200
    margin: float = 120.0
    tasks_per_job: int = 1
    side_by_side: int = 1
    tasks_per_gpu: int = 1
    mps: bool = False
    nodes: int = 1
    exclusive: bool = False
    platform: str | None = None
    container: Container | None = None
    price: Price | None = None
    avoided: tuple[str, ...] = ()

    @classmethod
    def parse(cls, given: Mapping[str, Any], where: str) -> SlurmProfile:
        """Check a profile as it stands in settings.yaml or campaign.yaml.

        Raises
        ------
        CampaignError
            Says which key cannot be used, and what would do.
        """
        check_keys(given, ("kind", *CHECKS), where)
        values: dict[str, Any] = {
            key: CHECKS[key](value, f"{where}.{key}")
            for key, value in given.items()
            if key != "kind" and value is not None
        }
        profile = cls(**values)._shared_out(values, where)
        profile._check(where)
        return profile

    def _shared_out(self, given: Mapping[str, Any], where: str) -> SlurmProfile:
        """Return it with what follows from how many tasks share the GPUs of a job."""
        gpus = self.gpu_count
        if "tasks_per_gpu" not in given:
            shares = gpus and self.side_by_side > gpus and self.side_by_side % gpus == 0
            return attrs.evolve(self, tasks_per_gpu=self.side_by_side // gpus) if shares else self
        if not gpus:
            raise CampaignError(f"{where}.tasks_per_gpu: needs 'gpus', the GPUs that tasks share.")
        side_by_side = given.get("side_by_side", gpus * self.tasks_per_gpu)
        return attrs.evolve(self, side_by_side=side_by_side, tasks_per_job=given.get("tasks_per_job", side_by_side))

    def _check(self, where: str) -> None:
        if self.time is not None and self.time <= self.margin:
            raise CampaignError(
                f"{where}: time ({self.time:g} s) must be longer than margin ({self.margin:g} s), the time before the "
                "limit at which an attempt is told to stop."
            )
        for key, most in (("time", "max_time"), ("mem", "max_mem")):
            least, largest = getattr(self, key), getattr(self, most)
            if largest is not None and (least is None or largest < least):
                raise CampaignError(f"{where}.{most}: needs '{key}', and must not be smaller.")
        if self.side_by_side > self.tasks_per_job:
            raise CampaignError(f"{where}.side_by_side: {self.side_by_side} is more than tasks_per_job.")
        if self.side_by_side % self.nodes:
            raise CampaignError(
                f"{where}.nodes: {self.side_by_side} task(s) at once (side_by_side) do not divide by {self.nodes} "
                f"nodes. Give for example side_by_side: {self.nodes}."
            )
        gpus = self.gpu_count
        if gpus % self.nodes:
            raise CampaignError(
                f"{where}.nodes: {gpus} GPU(s) do not divide by {self.nodes} nodes; 'gpus' are those of the whole job."
            )
        if gpus and self.side_by_side > 1:
            devices_each(gpus, self.side_by_side, self.tasks_per_gpu, where)
        if self.mps and self.tasks_per_gpu == 1:
            raise CampaignError(f"{where}.mps: is for several tasks on one GPU: give 'tasks_per_gpu'.")
        if self.price is not None:
            self.price.check(self.gpu_count, f"{where}.price")

    def grown(self, demand: Demand) -> SlurmProfile:
        """Return the profile for a task whose earlier attempts demand more, within the profile's bounds."""
        time, mem, margin = self.time, self.mem, self.margin
        if time is not None:
            time = min(time * demand.time_factor, max(self.max_time or time, time))
        if mem is not None:
            mem = min(int(mem * demand.memory_factor), max(self.max_mem or mem, mem))
        margin = max(margin, 2 * demand.stop_seconds) * demand.margin_factor
        if time is not None:
            margin = max(self.margin, min(margin, time / 2))
        margin = min(margin, _LONGEST_SIGNAL)
        return attrs.evolve(self, time=time, mem=mem, margin=margin, avoided=demand.avoid)

    @property
    def gpu_count(self) -> int:
        """GPUs of a job, as `gpus` has it, or `gres`, which is for each node."""
        return count_gpus(self.gpus, self.gres) * (self.nodes if self.gpus is None else 1)

    @property
    def has_choice(self) -> bool:
        """Whether a job has more GPUs on a node than one attempt is given."""
        return self.side_by_side > self.nodes and self.gpu_count > self.nodes

    @property
    def cost_per_hour(self) -> float:
        """What an hour of an attempt costs: its share of a job's price; a job without 'cpus' is taken to have one."""
        price = self.price or Price.default(self.gpu_count)
        return price.per_hour(cores=(self.cpus or 1) * self.nodes, gpus=self.gpu_count) / self.side_by_side

    @property
    def cost_unit(self) -> str:
        """What costs are counted in."""
        return (self.price or Price.default(self.gpu_count)).unit

    @property
    def longest(self) -> float | None:
        """Seconds after which an attempt is surely over, however far its time may grow; None: not known."""
        return None if self.time is None else math.ceil(max(self.time, self.max_time or 0) / 60) * 60 + _TOLERANCE

    @property
    def pool(self) -> str:
        """What jobs that can take on each other's tasks have in common."""
        return hashlib.sha256(repr(attrs.astuple(self)).encode()).hexdigest()[:16]

    def describe(self) -> str:
        """Return what a job asks for, in a few words."""
        parts = [f"partition {self.partition}" if self.partition else "the default partition"]
        parts += ["the default time limit" if self.time is None else f"{_clock(self.time)} each"]
        if self.cpus:
            parts.append("1 core" if self.cpus == 1 else f"{self.cpus} cores")
        if self.nodes > 1:
            parts.append(f"{self.nodes} nodes")
        if self.exclusive:
            parts.append("nothing else beside it")
        if self.gpus or self.gres:
            parts.append(f"gpus {self.gpus}" if self.gpus else f"gres {self.gres}")
        if self.mem:
            parts.append(f"{self.mem} MB")
        if self.tasks_per_job > 1:
            parts.append(
                f"a job for {self.tasks_per_job} tasks, {self.side_by_side} at once{' under MPS' if self.mps else ''}"
            )
        if self.price:
            parts.append(str(self.price))
        return f"SLURM: {', '.join(parts)}{describe(self.container)}; at most {self.slots} tasks in its queue"

    def script(
        self,
        *,
        name: str,
        directory: Path,
        jobs: int | None,
        campaign: str = "",
        command: Sequence[str] | None = None,
    ) -> str:
        """Return a batch script.

        Parameters
        ----------
        name
            The job's name.
        directory
            The batch's directory; see batch.py.
        jobs
            How many elements the job array has; None for a plain job.
        campaign
            Whose driver is told when a job ends before its task begins.
        command
            What to run; None: the batch's tasks.
        """
        log = str(directory).replace("%", "%%") + ("/%a.log" if jobs is not None else "/0.log")
        options = [f"--job-name={name}", f"--output={_quoted(log)}", "--open-mode=append", "--no-requeue"]
        if jobs is not None:
            options.append(f"--array=0-{jobs - 1}")
        several = self.nodes > 1
        options.append(f"--signal={'' if several else 'B:'}USR1@{math.ceil(self.margin)}")  # B: not to srun's tasks
        named = {
            "nodes": self.nodes if several else None,
            "ntasks-per-node": 1 if several else None,
            "partition": self.partition,
            "account": self.account,
            "qos": self.qos,
            "time": None if self.time is None else _clock(self.time),
            "cpus-per-task": self.cpus,
            "mem": None if self.mem is None else f"{self.mem}M",
            "gpus": self.gpus,
            "gres": self.gres,
            "constraint": self.constraint,
            "exclude": ",".join([*([self.exclude] if self.exclude else []), *self.avoided]) or None,
            "reservation": self.reservation,
        }
        options += [f"--{option}={_quoted(str(value))}" for option, value in named.items() if value is not None]
        options += ["--exclusive"] if self.exclusive else []
        lines = ["#!/bin/bash", *(f"#SBATCH {option}" for option in (*options, *self.sbatch)), ""]
        lines.append("trap '' USR1  # SLURM's warning is for the attempt; it must not kill what comes before it")
        if self.tasks_per_job == 1:  # what ends before `exec` says with which code
            number = "$SLURM_ARRAY_TASK_ID" if jobs is not None else "0"
            ended = f"{shlex.quote(str(directory))}/ended/{number}"
            told = EndedJobs(directory.parent, campaign).file(f"{directory.name}/")
            tell = f"; {{ : > {shlex.quote(str(told))}{number}; }} 2> /dev/null" if campaign else ""
            lines.append(f'ended_early() {{ echo "$1" > {ended}.tmp && mv {ended}.tmp {ended}{tell}; }}')
            lines += ["trap 'ended_early $?' EXIT", "trap 'exit 143' TERM", "shopt -s execfail"]
        lines += [f"module load {shlex.quote(module)}" for module in self.modules]
        lines += self.prologue
        threads = "${SLURM_CPUS_PER_TASK:-1}"
        if self.side_by_side > 1:
            beside = self.side_by_side // self.nodes
            threads = f"$(( (${{SLURM_CPUS_PER_TASK:-1}} + {beside - 1}) / {beside} ))"
        lines += [f"export {variable}={threads}" for variable in THREADS]
        lines += [f"export {variable}={shlex.quote(value)}" for variable, value in self.env]
        job = python("-m", "xpm_alchem.launchers.slurm.job", directory)
        if several and command is None:
            lines.append(f"exec {_SRUN.format(nodes=self.nodes)} {shlex.join(job)} || exit $?")
        else:
            lines.append(f"exec {shlex.join(command or job)} || exit $?")
        return "\n".join(lines) + "\n"


def _clock(seconds: float) -> str:
    """Return seconds as sbatch writes times; whole minutes are what it counts in."""
    minutes = math.ceil(seconds / 60)
    days, hours = divmod(minutes // 60, 24)
    return (f"{days}-" if days else "") + f"{hours:02d}:{minutes % 60:02d}:00"


def _quoted(text: str) -> str:
    return f'"{text}"' if re.search(r"[\s&|()*#]", text) else text
