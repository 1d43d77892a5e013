"""A driver killed between any two steps of a submission loses no task and submits none twice."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from killed_driver import POINTS
from places import SUPPORT
from slurm_campaigns import SlurmCampaign

pytestmark = pytest.mark.slurm

NOT_SUBMITTED = ("before the intent", "after the intent", "after the orders")


@pytest.mark.parametrize("point", POINTS)
def test_nothing_is_lost_or_doubled_if_the_driver_is_killed(start_cluster, tmp_path: Path, point: str) -> None:
    cluster = start_cluster()
    campaign = SlurmCampaign(tmp_path / "c", edges=[(0, 1), (1, 2)], n_steps=40, step_seconds=0.25)
    program = [sys.executable, str(SUPPORT / "killed_driver.py"), point, str(campaign.file)]
    killed = subprocess.run(program, capture_output=True, text=True, timeout=120)
    assert killed.returncode == -9, killed.stdout + killed.stderr
    assert len(cluster.jobs()) == (0 if point in NOT_SUBMITTED else 2)
    done = campaign.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(cluster.jobs()) == 2
    assert all(len(attempts) == 1 for attempts in campaign.attempts().values())
    assert all(set(units.values()) == {1} for units in campaign.units_done().values())
