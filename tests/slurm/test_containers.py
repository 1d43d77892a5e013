"""Containers of SLURM jobs, by what stands in for Apptainer: the warning of the limit reaches the attempt."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest
from containers import StandIn
from patience import communicate
from slurm_campaigns import SlurmCampaign

pytestmark = [pytest.mark.slurm, pytest.mark.slow]


def test_a_job_warns_its_attempt_and_its_last_one_completes(start_cluster, tmp_path: Path, monkeypatch) -> None:
    runtime = StandIn(tmp_path / "apptainer", monkeypatch)
    cluster = start_cluster()
    campaign = SlurmCampaign(
        tmp_path / "c",
        profile={"container": runtime.with_bound(tmp_path / "c"), "time": "1min", "margin": "30s"},
        script={"simulate 0": {"do": "wait", "file": "/never", "times": 1}},
    )
    driver = campaign.start()
    attempt = campaign.wait_for_one()
    inside = psutil.Process(attempt.process.pid)
    (call,) = runtime.calls()
    assert inside.ppid() == call["pid"] and call["flags"] == ["--nv"]
    out, _ = communicate(driver, 400)
    assert driver.returncode == 0, out
    assert [str(attempt.outcome) for attempt in campaign.one_task()] == ["timeout", "complete"]
    assert len(cluster.jobs()) == 2 and len(runtime.calls()) == 2
