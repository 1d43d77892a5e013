"""A campaign that version 0.1.0 left in the middle goes on under the present version, its jobs in the queue as well."""

from __future__ import annotations

from pathlib import Path

import pytest
from slurm_campaigns import SlurmCampaign
from version_0_1 import Installed, everything_goes_on, leave_in_the_middle

pytestmark = pytest.mark.slurm


@pytest.mark.parametrize("tasks_per_job", [1, 2])
def test_jobs_that_run_and_wait_go_on_and_nothing_runs_twice(
    start_cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tasks_per_job: int
) -> None:
    start_cluster(nodes=1)  # of two CPUs: two jobs run, the others wait in the queue with the scripts of 0.1.0
    installed, gate = Installed(tmp_path / "environment"), tmp_path / "gate"
    monkeypatch.setenv("PYTHONPATH", installed.python_path)
    profile = {"time": "20min", "tasks_per_job": tasks_per_job}
    campaign = SlurmCampaign(tmp_path / "c", edges=[(0, 1), (1, 2), (2, 3)], script={}, profile=profile)
    leave_in_the_middle(campaign, gate)
    installed.upgrade()
    everything_goes_on(campaign, gate)
