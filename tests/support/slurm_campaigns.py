"""Small campaigns on a real SLURM cluster, and getting in the way of its commands."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from campaigns import SmallCampaign, wait_for
from pytest import MonkeyPatch

from xpm_alchem.execution.attempts import Attempt

ONE_EDGE = [(0, 1)]


class SlurmCampaign(SmallCampaign):
    """A small campaign whose launcher is SLURM; `profile` changes its profile."""

    def __init__(self, path: Path, *, profile: dict[str, Any] | None = None, **options: Any) -> None:
        options.setdefault("edges", ONE_EDGE)
        launcher = {"kind": "slurm", "time": "5min", "margin": "10s", **(profile or {})}
        plan = {"launcher": launcher, **options.pop("plan", {})}
        super().__init__(path, plan=plan, **options)

    def one_task(self) -> list[Attempt]:
        """Return the attempts of the only task."""
        (attempts,) = self.attempts().values()
        return attempts

    def wait_until_at_work(self, *, units: int = 1, attempts: int = 1, seconds: float = 90) -> Attempt:
        """Return the attempt of the only task as soon as it is the given one, at work, and has finished units."""

        def at_work() -> Attempt | None:
            if not (self.path / "workspace" / "campaigns" / "small" / "index.json").exists():
                return None
            found = [a for task in self.attempts().values() for a in task]
            last = found[-1] if len(found) >= attempts else None
            return last if last is not None and last.outcome is None and last.units_done >= units else None

        attempt: Attempt = wait_for(at_work, seconds=seconds, what="an attempt at work")
        return attempt


def wrap(monkeypatch: MonkeyPatch, directory: Path, program: str, shell: str) -> None:
    """Put a shell script before a SLURM command: it may end by itself, or fall through to the real one."""
    directory.mkdir(exist_ok=True)
    real = shutil.which(program)
    script = directory / program
    script.write_text(f'#!/bin/bash\n{shell}\nexec {real} "$@"\n')
    script.chmod(0o755)
    if str(directory) not in os.environ["PATH"].split(os.pathsep):
        monkeypatch.setenv("PATH", f"{directory}{os.pathsep}{os.environ['PATH']}")
