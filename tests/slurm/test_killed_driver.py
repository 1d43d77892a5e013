"""A driver killed between any two steps of a submission loses no task and submits none twice."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from campaigns import held
from killed_driver import POINTS
from patience import communicate, hear, run, scaled
from places import SUPPORT
from slurm_campaigns import SlurmCampaign

from xpm_alchem.launchers.slurm import absence

pytestmark = pytest.mark.slurm

NOT_SUBMITTED = ("before the intent", "after the intent", "after the orders")
UNDER_WAY = f"{absence.__name__}:_UNDER_WAY_SECONDS"  # of a killed driver's sbatch


@pytest.mark.parametrize("point", POINTS)
def test_nothing_is_lost_or_doubled_if_the_driver_is_killed(start_cluster, tmp_path: Path, point: str) -> None:
    cluster = start_cluster()
    go_on = tmp_path / "go on"
    options = {"script": held(until=go_on), "durations": {UNDER_WAY: scaled(5.0)}}
    campaign = SlurmCampaign(tmp_path / "c", edges=[(0, 1), (1, 2)], **options)
    program = [sys.executable, str(SUPPORT / "killed_driver.py"), point, "2", str(campaign.file)]
    killed = run(program, seconds=120)
    assert killed.returncode == -9, killed.stdout + killed.stderr
    assert len(cluster.jobs()) == (0 if point in NOT_SUBMITTED else 2)
    driver = campaign.start()
    said = hear(driver, "submitted|taken up again", times=2)
    go_on.touch()
    out, _ = communicate(driver)
    assert driver.returncode == 0, said + out
    assert len(cluster.jobs()) == 2
    assert all(len(attempts) == 1 for attempts in campaign.attempts().values())
    assert all(set(units.values()) == {1} for units in campaign.units_done().values())
