"""Breaking things at random times, and mending what was broken: drivers, tasks' processes, SLURM's daemons."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import psutil
from slurm_cluster import SlurmCluster

_TASKS = ("run.py", "xpm_alchem.launchers.slurm.job")  # what an attempt's commands end with


class Victim(Protocol):
    """A driver, as far as a storm knows it."""

    @property
    def pid(self) -> int:
        """Its number."""

    def poll(self) -> int | None:
        """Return its exit code, None while it runs."""

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal."""


class Storm:
    """Kills the driver and tasks' processes.

    Parameters
    ----------
    place
        Where the campaign is; only processes that name it are tasks.
    weights
        How often each fault happens: 'driver' and 'task' (SIGKILL), 'driver term' and 'task term' (SIGTERM), 'group'
        (SIGKILL of an attempt with all it started).
    longest
        Most seconds between two faults.

    Attributes
    ----------
    hits
        Faults that hit something, by kind.
    events
        What was done when, in words.
    """

    def __init__(
        self, place: Path, rng: random.Random, weights: Mapping[str, float], *, longest: float, first: float = 10.0
    ) -> None:
        self._place, self._rng, self._weights, self._longest = place, rng, dict(weights), longest
        self._next = time.time() + first
        self.hits: Counter[str] = Counter()
        self.events: list[str] = []

    def is_due(self) -> bool:
        """Whether it is time for the next fault."""
        return time.time() >= self._next

    def step(self, driver: Victim | None) -> None:
        """Mend what is due, and break something if it is time; without a driver none is hit."""
        self.mend(time.time())
        if not self.is_due():
            return
        self._next = time.time() + self._rng.uniform(min(0.5, self._longest / 4), self._longest)
        fault = self._rng.choices(list(self._weights), list(self._weights.values()))[0]
        if (what := self._strike(fault, driver)) is not None:
            self.hits[fault] += 1
            self.note(f"{fault}: {what}")

    def note(self, sentence: str) -> None:
        """Remember what happened, and when."""
        self.events.append(f"{time.strftime('%H:%M:%S')}  {sentence}")

    def mend(self, until: float = float("inf")) -> None:
        """Mend what is to be mended by then."""

    def end(self) -> None:
        """End what was started for it alone."""

    def _strike(self, fault: str, driver: Victim | None) -> str | None:
        """Break something; return what, None if there is nothing of that kind to break."""
        number = signal.SIGTERM if fault.endswith(" term") else signal.SIGKILL
        if fault.startswith("driver"):
            if driver is None or driver.poll() is not None:
                return None
            driver.send_signal(number)
            return f"pid {driver.pid}"
        tasks = campaign_processes(self._place, *_TASKS)
        if not tasks:
            return None
        process = self._rng.choice(tasks)
        return _end_group(process) if fault == "group" else _end(process, number)


def _end(process: psutil.Process, number: signal.Signals) -> str | None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return None
    return f"pid {process.pid}"


def _end_group(process: psutil.Process) -> str | None:
    try:
        group = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return None
    for each in group:
        with suppress(psutil.NoSuchProcess):
            each.kill()
    return f"pids {', '.join(str(each.pid) for each in group)}"


class SlurmStorm(Storm):
    """Breaks a cluster as well.

    Its own faults: 'scancel' of a job; 'slurmd' of a node (for less than SlurmdTimeout), 'node' (for longer, so that it
    fails), 'slurmctld' and 'slurmdbd', each killed and started again later.

    Parameters
    ----------
    slurmd_timeout
        The cluster's SlurmdTimeout in seconds.
    down
        Least and most seconds that slurmctld and slurmdbd are down.

    Attributes
    ----------
    by_themselves
        Daemons that ended by themselves: slurmctld may, without a slurmdbd.
    """

    def __init__(
        self, cluster: SlurmCluster, *args: Any, slurmd_timeout: float, down: tuple[float, float] = (5, 40), **more: Any
    ) -> None:
        super().__init__(*args, **more)
        self._cluster, self._slurmd_timeout, self._down_seconds = cluster, slurmd_timeout, down
        self._down: dict[str, float] = {}  # daemon: when it is to be started again
        self.by_themselves: Counter[str] = Counter()
        self._looked = 0.0

    def mend(self, until: float = float("inf")) -> None:
        """Start again what is to be started by then, and what ended by itself."""
        for name, when in list(self._down.items()):
            if when <= until:
                del self._down[name]
                self._start(name)
                self.note(f"{name} is started again")
        for name, process in self._cluster.ended():
            self.by_themselves[name] += 1
            self.note(f"{name} ended by itself, code {process.returncode}")
            self._down[name] = time.time() + 2.0
        if time.time() - self._looked > 5.0 and "slurmctld" not in self._down:
            self._looked = time.time()
            self._resume_drained_nodes()

    def _resume_drained_nodes(self) -> None:
        """Do what only an administrator can: slurmctld drains a node with jobs that it forgot in a crash."""
        try:
            out = self._cluster.call(real("sinfo"), "-h", "-N", "-o", "%N %T", check=False, seconds=30)
            for name, state in (line.split() for line in out.splitlines()):
                if "drain" in state:
                    change = ("update", f"nodename={name}", "state=resume")
                    self._cluster.call(real("scontrol"), *change, check=False, seconds=30)
                    self.note(f"{name} was drained by SLURM and is resumed")
        except subprocess.TimeoutExpired:  # slurmctld is busy
            return

    def _start(self, name: str) -> None:
        match name:
            case "slurmctld":
                self._cluster.start_slurmctld()
            case "slurmdbd":
                self._cluster.start_slurmdbd()
            case _:
                self._cluster.start_slurmd(name)

    def _strike(self, fault: str, driver: Victim | None) -> str | None:
        nodes = [f"n{i + 1}" for i in range(self._cluster.nodes)]
        match fault:
            case "scancel":
                return None if "slurmctld" in self._down else self._scancel()
            case "slurmd":
                return self._end(nodes, min(1.0, self._slurmd_timeout / 4), self._slurmd_timeout / 2)
            case "node":
                return self._end(nodes, 1.5 * self._slurmd_timeout, 4.0 * self._slurmd_timeout)
            case "slurmctld" | "slurmdbd":
                return self._end([fault], *self._down_seconds)
            case _:
                return super()._strike(fault, driver)

    def _scancel(self) -> str | None:
        state = self._rng.choice(("RUNNING", "PENDING"))
        try:
            out = self._cluster.call(real("squeue"), "-h", "-r", "-t", state, "-o", "%i %T", check=False, seconds=30)
            if not (jobs := out.splitlines()):
                return None
            job = self._rng.choice(jobs)
            self._cluster.call(real("scancel"), job.split()[0], check=False, seconds=30)
        except subprocess.TimeoutExpired:  # slurmctld is busy
            return None
        return job

    def _end(self, daemons: list[str], least: float, most: float) -> str | None:
        up = [name for name in daemons if name not in self._down]
        if not up:
            return None
        name = self._rng.choice(up)
        self._cluster.end(name)
        seconds = self._rng.uniform(least, most)
        self._down[name] = time.time() + seconds
        return f"{name} for {seconds:.1f} s"


def campaign_processes(place: Path, *names: str) -> list[psutil.Process]:
    """Return the live processes whose command names the place, of all or of those with one of these names."""
    found = []
    for process in psutil.process_iter(["pid", "cmdline", "status"]):
        command = process.info["cmdline"] or []
        inside = any(str(place) in part for part in command)
        if process.info["status"] == psutil.STATUS_ZOMBIE or process.pid == os.getpid() or not inside:
            continue
        if not names or any(part.endswith(name) for part in command for name in names):
            found.append(process)
    return found


def real(program: str) -> str:
    """Return the path of a program of SLURM's, which is not counted."""
    path = shutil.which(program)
    assert path is not None
    return path
