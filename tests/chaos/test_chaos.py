"""Short runs of the chaos program (see tests/chaos): thirty faults each, and everything is right in the end."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from places import ROOT


def survived(tmp_path: Path, *options: str) -> int:
    """Run the program; return how many faults were survived."""
    short = ("--short", "--faults", "30", "--tasks", "8", "--longest", "1.0", "--place", str(tmp_path / "chaos"))
    done = subprocess.run(
        [sys.executable, "-m", "tests.chaos", *short, *options],
        cwd=ROOT,
        env=os.environ.copy(),
        capture_output=True,
        text=True,
        timeout=1500,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    found = re.search(r"faults survived +(\d+)", done.stdout)
    assert found is not None
    return int(found[1])


@pytest.mark.long
def test_thirty_faults_are_survived_on_this_machine(tmp_path: Path) -> None:
    assert survived(tmp_path, "--seed", "11") >= 30


@pytest.mark.slurm
@pytest.mark.long
def test_thirty_faults_are_survived_on_a_cluster(tmp_path: Path, need_slurm) -> None:
    need_slurm(accounting=True)
    assert survived(tmp_path, "--seed", "12", "--launcher", "slurm") >= 30
