"""Small campaigns on a real SLURM cluster, and getting in the way of its commands."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import psutil
from campaigns import SmallCampaign
from patience import communicate, slowness
from places import SUPPORT
from pytest import MonkeyPatch

from xpm_alchem.execution.attempts import Attempt
from xpm_alchem.launchers.slurm import submission

ONE_EDGE = [(0, 1)]
SUBMISSION = submission.__name__


class SlurmCampaign(SmallCampaign):
    """A small campaign whose launcher is SLURM.

    Parameters
    ----------
    profile
        Changes its profile. The time limit is longer than any test, also where an attempt takes minutes to begin.
    together
        A driver submits nothing before it has so many tasks, and then all of them at once; 0 leaves that to the time
        for which a driver waits for more tasks, as long as the machine needs for it.
    durations
        Durations in a driver that are others than usual, see `tuned`.
    """

    def __init__(
        self,
        path: Path,
        *,
        profile: dict[str, Any] | None = None,
        together: int | None = None,
        durations: dict[str, float] | None = None,
        **options: Any,
    ) -> None:
        options.setdefault("edges", ONE_EDGE)
        launcher = {"kind": "slurm", "time": "30min", "margin": "10s", **(profile or {})}
        plan = {"launcher": launcher, **options.pop("plan", {})}
        self._together, self._durations = together, durations or {}
        super().__init__(path, plan=plan, **options)

    def command(self, *arguments: object) -> list[str]:
        """Return the command line of ``xpm-alchem ARGUMENTS``, tuned if the campaign is to be."""
        if self._together is None and not self._durations:
            return super().command(*arguments)
        durations = dict(self._durations)
        if self._together == 0:
            window = {name: getattr(submission, name) * slowness() for name in ("_GATHER_SECONDS", "_GATHER_MOST")}
            durations |= {f"{SUBMISSION}:{name}": seconds for name, seconds in window.items()}
        tuned = [str(SUPPORT / "tuned.py"), json.dumps(durations), str(self._together or 0)]
        return [sys.executable, *tuned, *map(str, arguments)]

    def one_task(self) -> list[Attempt]:
        """Return the attempts of the only task."""
        (attempts,) = self.attempts().values()
        return attempts

    def wait_for_one(self) -> Attempt:
        """Return the attempt of the only task as soon as it is at work and has finished its setup."""
        (attempt,) = self.wait_until_at_work(units=1)
        return attempt


def wrap(monkeypatch: MonkeyPatch, directory: Path, program: str, shell: str) -> None:
    """Put a shell script before a SLURM command: it may end by itself, or fall through to the real one, "$real"."""
    directory.mkdir(exist_ok=True)
    real = shutil.which(program)
    script = directory / program
    script.write_text(f'#!/bin/bash\nreal={real}\n{shell}\nexec $real "$@"\n')
    script.chmod(0o755)
    if str(directory) not in os.environ["PATH"].split(os.pathsep):
        monkeypatch.setenv("PATH", f"{directory}{os.pathsep}{os.environ['PATH']}")


def calls(log: Path) -> int:
    """Return how many lines a wrapper has written."""
    return log.read_text().count("\n") if log.exists() else 0


def finished(driver, seconds: float = 240) -> str:
    """Wait for a driver that is to end well and return what it printed."""
    out, _ = communicate(driver, seconds)
    assert driver.returncode == 0, out
    return str(out)


def kill_with_its_job(attempt: Attempt) -> None:
    """SIGKILL an attempt and before it the job's own process, which would have noted the end."""
    process = psutil.Process(attempt.process.pid)
    job = process.parent()
    assert job is not None
    for each in (job, process):
        each.kill()
