"""Short runs of the chaos program (see tests/chaos): thirty faults each, and everything is right in the end."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from patience import run
from places import ROOT


def survived(tmp_path: Path, *options: str) -> int:
    """Run the program; return how many faults were survived."""
    short = ["--short", "--faults", "30", "--minutes", "30", "--tasks", "8", "--longest", "1.0"]
    place = ("--place", str(tmp_path / "chaos"))
    done = run([sys.executable, "-m", "tests.chaos", *short, *place, *options], cwd=ROOT, seconds=1500)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    found = re.search(r"faults survived +(\d+)", done.stdout)
    assert found is not None
    return int(found[1])


@pytest.mark.long
def test_thirty_faults_are_survived_on_this_machine(tmp_path: Path) -> None:
    assert survived(tmp_path, "--seed", "11") >= 30


@pytest.mark.long
def test_thirty_faults_are_survived_with_workers(tmp_path: Path) -> None:
    assert survived(tmp_path, "--seed", "13", "--launcher", "workers") >= 30


@pytest.mark.slurm
@pytest.mark.long
def test_thirty_faults_are_survived_on_a_cluster(tmp_path: Path, need_slurm) -> None:
    need_slurm(accounting=True)
    assert survived(tmp_path, "--seed", "12", "--launcher", "slurm") >= 30
