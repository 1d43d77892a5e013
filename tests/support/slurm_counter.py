"""Counting the calls of SLURM's commands: small wrappers, put first on PATH, that write a line and run the real one."""

from __future__ import annotations

import os
import shlex
import shutil
from collections import Counter
from pathlib import Path

PROGRAMS = ("sbatch", "squeue", "sacct", "scancel", "scontrol", "srun")


class SlurmCounter:
    """Wrappers of SLURM's commands in a directory. Jobs that inherit PATH are counted too.

    Parameters
    ----------
    path
        The directory; made if needed.

    Attributes
    ----------
    bin
        What is to be first on PATH.
    """

    def __init__(self, path: Path) -> None:
        self.bin = path.resolve() / "bin"
        self.bin.mkdir(parents=True)
        self._log = path.resolve() / "calls"
        self._log.touch()
        self._read = 0
        for name in PROGRAMS:
            real = shutil.which(name)
            assert real is not None, f"{name} is not installed"
            wrapper = self.bin / name
            wrapper.write_text(f'#!/bin/sh\necho {name} >> {shlex.quote(str(self._log))}\nexec {real} "$@"\n')
            wrapper.chmod(0o755)

    def environment(self) -> dict[str, str]:
        """Return this process's environment with the wrappers first on PATH."""
        return {**os.environ, "PATH": os.pathsep.join([str(self.bin), os.environ["PATH"]])}

    def take(self) -> Counter[str]:
        """Return how often each program was called since this was asked last."""
        with open(self._log) as lines:
            lines.seek(self._read)
            text = lines.read()
            self._read = lines.tell()
        return Counter(text.split())
