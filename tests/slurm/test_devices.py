"""GPUs of SLURM jobs: each task at once has its own, on one node and on several; SLURM gives them out, none is real."""

from __future__ import annotations

from pathlib import Path

import pytest
from device_use import devices_seen, seen, using
from patience import communicate, wait_for
from slurm_campaigns import SlurmCampaign

pytestmark = [pytest.mark.slurm, pytest.mark.slow]
GPUS = {str(number) for number in range(4)}


def plan(repeats: int, **more: object) -> dict[str, object]:
    strategy = {"name": "uniform", "settings": {"repeats": repeats}, "max_tasks_per_transformation": repeats}
    return {"strategy": strategy, **more}


def test_four_tasks_of_a_job_have_one_of_its_four_gpus_each(start_cluster, tmp_path: Path) -> None:
    cluster = start_cluster(nodes=1, cpus=8, gpus=4)
    used, go_on = tmp_path / "used", tmp_path / "go on"
    profile = {"gpus": 4, "side_by_side": 4, "tasks_per_job": 8, "cpus": 8, "platform": "none"}
    script = using(used, **{"simulate 0": {"do": "wait", "file": str(go_on)}})
    campaign = SlurmCampaign(tmp_path / "c", plan=plan(8), profile=profile, script=script, together=8)
    driver = campaign.start()
    wait_for(lambda: len(seen(used)) == 4, what="four tasks at once")
    assert set(devices_seen(used)) == {("n1", name) for name in GPUS}
    go_on.touch()
    out, _ = communicate(driver, 400)
    assert driver.returncode == 0, out
    assert devices_seen(used).total() == 8
    assert len(cluster.jobs()) == 1
    for (attempt,) in campaign.attempts().values():
        (device,) = attempt.devices
        assert device.index in GPUS
        assert attempt.devices_there == 4
        assert (attempt.cost_per_hour, attempt.cost_unit) == (1.0, "gpu-h")  # its own GPU's, and not the job's


def test_several_tasks_share_a_gpu_under_mps_that_ends_with_the_job(start_cluster, tmp_path: Path) -> None:
    start_cluster(nodes=1, cpus=8, gpus=2)
    control, log = tmp_path / "bin" / "nvidia-cuda-mps-control", tmp_path / "mps.log"
    control.parent.mkdir()
    control.write_text(f'#!/bin/sh\n[ "$1" ] && echo "start $1 $CUDA_MPS_PIPE_DIRECTORY" >> {log} || cat >> {log}\n')
    control.chmod(0o755)
    used, seen_there = tmp_path / "used", tmp_path / "environment.json"
    profile = {"gpus": 2, "tasks_per_gpu": 3, "mps": True, "cpus": 8, "platform": "none"}
    profile |= {"prologue": [f"export PATH={control.parent}:$PATH"]}
    script = using(used, 3, analyse={"do": "environment", "file": str(seen_there)})
    campaign = SlurmCampaign(tmp_path / "c", plan=plan(12), profile=profile, script=script, together=12)
    result = campaign.run(seconds=400)
    assert result.returncode == 0, result.stdout
    assert set(devices_seen(used)) == {("n1", "0"), ("n1", "1")}
    wait_for(lambda: "quit" in log.read_text(), what="the end of the job")
    pipes = [line.removeprefix("start -d ") for line in log.read_text().splitlines() if line.startswith("start")]
    assert any(pipe in seen_there.read_text() for pipe in pipes)
    wait_for(lambda: not Path(pipes[0]).exists())
    assert all(attempt.cost_per_hour == pytest.approx(1 / 3) for (attempt,) in campaign.attempts().values())


def test_a_job_on_two_nodes_has_a_worker_on_each(start_cluster, tmp_path: Path) -> None:
    cluster = start_cluster(nodes=2, cpus=8, gpus=4)
    used, go_on = tmp_path / "used", tmp_path / "go on"
    profile = {"nodes": 2, "gpus": 8, "side_by_side": 8, "tasks_per_job": 16, "cpus": 8, "exclusive": True}
    script = using(used, **{"simulate 0": {"do": "wait", "file": str(go_on)}})
    campaign = SlurmCampaign(
        tmp_path / "c", plan=plan(16), profile={**profile, "platform": "none"}, script=script, together=16
    )
    driver = campaign.start()
    wait_for(lambda: len(seen(used)) == 8, what="eight tasks at once")
    assert set(devices_seen(used)) == {(node, name) for node in ("n1", "n2") for name in GPUS}
    go_on.touch()
    out, _ = communicate(driver, 400)
    assert driver.returncode == 0, out
    assert len(cluster.jobs()) == 1
    assert devices_seen(used).total() == 16
    assert all(set(units.values()) == {1} for units in campaign.units_done().values())
    assert {attempt.node for (attempt,) in campaign.attempts().values()} == {"n1", "n2"}


def test_tasks_of_a_job_on_two_nodes_stop_at_their_checkpoints_when_its_time_is_over(
    start_cluster, tmp_path: Path
) -> None:
    start_cluster(nodes=2)
    profile = {"nodes": 2, "side_by_side": 2, "tasks_per_job": 2, "cpus": 2, "time": "1min", "margin": "25s"}
    slow = {"n_steps": 500, "step_seconds": 0.2}
    campaign = SlurmCampaign(tmp_path / "c", plan=plan(2), profile=profile, together=2, **slow)
    driver = campaign.start()
    wait_for(lambda: campaign.is_made and [len(a) > 1 for a in campaign.attempts().values()] == [True] * 2, seconds=300)
    assert {attempts[0].outcome for attempts in campaign.attempts().values()} == {"timeout"}
    assert {attempts[0].node for attempts in campaign.attempts().values()} == {"n1", "n2"}
    assert all(attempts[0].progress for attempts in campaign.attempts().values())
    assert campaign.call("stop", campaign.file, seconds=400).returncode == 3
    communicate(driver, 60)


def test_a_gpu_on_which_everything_fails_is_avoided_while_its_node_goes_on(start_cluster, tmp_path: Path) -> None:
    start_cluster(nodes=1, cpus=8, gpus=4)
    used = tmp_path / "used"
    broken = {"simulate 0": {"do": "raise", "device": "2", "message": "CUDA error: uncorrectable ECC error"}}
    profile = {"gpus": 4, "side_by_side": 4, "tasks_per_job": 40, "cpus": 8, "platform": "none"}
    campaign = SlurmCampaign(
        tmp_path / "c",
        edges=[(0, number + 1) for number in range(20)],
        plan={"restarts": [{"pattern": "ECC", "allowed": 20}]},
        profile=profile,
        script=using(used, **broken),
        together=20,
        n_steps=3,
        step_seconds=0.3,
    )
    result = campaign.run(seconds=600)
    assert result.returncode == 0, result.stdout
    attempts = [attempt for history in campaign.attempts().values() for attempt in history]
    failed = [attempt for attempt in attempts if attempt.outcome == "error"]
    assert failed and {device.index for attempt in failed for device in attempt.devices} == {"2"}
    (said,) = campaign.json("status")["failing_hosts"]
    assert (said["host"], said["device"], said["avoided"]) == ("n1", "2", True)
    assert {attempt.node for attempt in attempts} == {"n1"}


def test_a_job_on_a_node_whose_platform_does_not_work_fails_one_task_and_takes_no_other(
    start_cluster, tmp_path: Path
) -> None:
    start_cluster(nodes=1, cpus=8, gpus=2)
    profile = {"gpus": 2, "side_by_side": 2, "tasks_per_job": 8, "cpus": 8, "platform": "CUDA"}
    campaign = SlurmCampaign(tmp_path / "c", plan=plan(8, max_retries=0), profile=profile, script={}, together=8)
    result = campaign.run(seconds=400)
    assert result.returncode == 1, result.stdout
    attempts = [attempt for history in campaign.attempts().values() for attempt in history]
    assert {attempt.outcome for attempt in attempts} == {"node failure"}
    assert all("CUDA does not work on GPU" in attempt.reason for attempt in attempts)
    assert not any(attempt.units_done for attempt in attempts)
    jobs = {attempt.launched_as for attempt in attempts}
    assert len(attempts) <= 2 * len(jobs)  # one in each slot of a job
