"""`doctor --node` on a real SLURM cluster: one short job as a task's would be, and no job left behind."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from patience import communicate, wait_for
from slurm_campaigns import SlurmCampaign

pytestmark = pytest.mark.slurm
CONFIG = Path("~/.config/experimaestro/settings.yaml")


def test_a_node_is_looked_at_through_a_profile(start_cluster, tmp_path: Path) -> None:
    cluster = start_cluster()
    profile = {
        "cpus": 2,
        "exclude": "n1",
        "prologue": ["export TMPDIR=/nowhere"],
        "tasks_per_job": 4,
        "side_by_side": 2,
    }
    campaign = SlurmCampaign(tmp_path / "c", profile=profile)
    settings = CONFIG.expanduser()
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(json.dumps({"xpm_alchem": {"launchers": {"lab": campaign.plan["launcher"]}}}))
    done = campaign.call("doctor", "--node", "lab", "--workspace", "./workspace", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    view = json.loads(done.stdout)
    found = {check["check"]: check["found"] for check in view["checks"] if check["verdict"] == "ok"}
    (job,) = cluster.jobs()
    assert f"SLURM job {job['id']} has looked at" in found["job"]
    assert "2 thread(s)" in found["cores"]
    assert "is refused here" in found["locks"]
    assert "TMPDIR is /nowhere" in " ".join(check["found"] for check in view["checks"] if check["check"] == "scratch")
    assert f"SLURM job {job['id']}: " in done.stderr  # how it was while it was waited for
    asked = cluster.call("scontrol", "show", "job", job["id"])
    assert "TimeLimit=00:10:00" in asked and "ExcNodeList=n1" in asked
    assert not (campaign.path / "workspace").exists()


def test_a_prologue_that_fails_is_told_with_what_it_printed(start_cluster, tmp_path: Path) -> None:
    start_cluster()
    campaign = SlurmCampaign(tmp_path / "c", profile={"prologue": ["echo no such module: cuda >&2", "exit 3"]})
    done = campaign.call("doctor", "--node", campaign.file)
    assert done.returncode == 1
    said = " ".join(done.stdout.replace("│", " ").split())
    assert "gave no answer: ended as FAILED" in said and "no such module: cuda" in said


def test_a_profile_that_slurm_refuses_is_told_in_its_words(start_cluster, tmp_path: Path) -> None:
    cluster = start_cluster()
    campaign = SlurmCampaign(tmp_path / "c", profile={"partition": "gpu"})
    done = campaign.call("doctor", "--node", campaign.file)
    assert done.returncode == 1 and "invalid partition specified: gpu" in " ".join(done.stdout.split())
    assert cluster.jobs() == []


def test_a_job_that_waits_is_told_why_and_cancelled_when_nobody_waits_for_it(start_cluster, tmp_path: Path) -> None:
    cluster = start_cluster()
    campaign = SlurmCampaign(tmp_path / "c", profile={"sbatch": ["--hold"]})
    done = campaign.call("doctor", "--node", campaign.file, "--timeout", "8s")
    assert done.returncode == 1 and "no answer within 8 s" in done.stdout
    assert "JobHeldUser" in done.stderr
    doctor = campaign.begin(campaign.command("doctor", "--node", campaign.file))
    wait_for(lambda: len(cluster.jobs()) == 2)
    doctor.send_signal(signal.SIGINT)
    communicate(doctor, 60)
    assert doctor.returncode != 0
    wait_for(lambda: {job["state"] for job in cluster.jobs()} == {"CANCELLED"})
    assert not (campaign.path / "workspace").exists()
