"""What SLURM jobs and their attempts print, on a real cluster."""

from __future__ import annotations

from pathlib import Path

import pytest
from slurm_campaigns import SlurmCampaign

from xpm_alchem.execution.attempts import Outcome

pytestmark = pytest.mark.slurm
TASK = "ligand_0_ligand_1_vacuum:1"


def test_what_jobs_and_attempts_printed_is_found_by_attempt(start_cluster, tmp_path: Path) -> None:
    start_cluster()
    campaign = SlurmCampaign(
        tmp_path / "c",
        profile={"prologue": ["echo prologue of attempt in $SLURM_JOB_NAME"]},
        script={
            "setup": {"do": "print", "text": "the first attempt"},
            "simulate 0 step 1": {"do": "kill", "times": 1},
            "analyse": {"do": "print", "text": "the second attempt"},
        },
    )
    done = campaign.run()
    assert done.returncode == 0, done.stdout
    one, two = campaign.one_task()
    assert (one.outcome, two.outcome) == (Outcome.LOST, Outcome.COMPLETE)
    first, latest = (campaign.json("logs", TASK, *options) for options in (["--attempt", "1"], []))
    said = ["the first attempt", "the second attempt"]
    jobs = []
    for view, text in ((first, said[0]), (latest, said[1])):
        logs = {log["stream"]: Path(log["path"]).read_text() for log in view["logs"]}
        assert set(logs) == {"stdout", "stderr", "job"}
        assert text in logs["stdout"]
        assert "prologue of attempt in small-" in logs["job"]
        jobs.append(logs["job"])
    assert jobs[0] != jobs[1]  # each its own job's
    shown = campaign.call("logs", campaign.file, TASK, "--attempt", 1, "--stream", "job")
    assert shown.returncode == 0
    assert "prologue of attempt" in shown.stdout
    why = campaign.call("why", campaign.file, TASK).stdout
    assert str(one.launched_as) in why
    (group,) = campaign.json("failures")["restarted"]
    assert group["hosts"] == {one.node: 1}
