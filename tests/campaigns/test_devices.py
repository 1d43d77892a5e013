"""Attempts on this machine that are given devices: each its own, whatever is killed and whoever drives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from campaigns import SmallCampaign
from device_use import devices_seen, seen, using
from kill_loop import kill_loop
from patience import wait_for

pytestmark = pytest.mark.slow
ALL = {("here", name) for name in "0123"}


@pytest.fixture(autouse=True)
def four_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3")
    monkeypatch.setenv("ROCR_VISIBLE_DEVICES", "0,1,2,3")  # as SLURM does without a word on the vendor


def make(
    path: Path,
    used: Path,
    *,
    tasks: int,
    tasks_per_gpu: int = 1,
    script: dict[str, Any] | None = None,
    plan: dict[str, Any] | None = None,
    settings: dict[str, Any] | None = None,
    **launcher: Any,
) -> SmallCampaign:
    launcher = {"kind": "local", "gpus": "all", "tasks_per_gpu": tasks_per_gpu, **launcher}
    return SmallCampaign(
        path,
        edges=[(0, number + 1) for number in range(tasks)],
        script=using(used, tasks_per_gpu, **(script or {})),
        plan={"launcher": launcher, **(plan or {})},
        **(settings or {}),
    )


@pytest.mark.parametrize("tasks_per_gpu", [1, 2])
def test_each_attempt_has_its_own_device_through_kills_and_other_drivers(tmp_path, tasks_per_gpu):
    slow = {"n_steps": 4, "step_seconds": 0.2}
    campaign = make(
        tmp_path / "c", tmp_path / "used", tasks=40, tasks_per_gpu=tasks_per_gpu, settings=slow, slots=4 * tasks_per_gpu
    )
    hits = kill_loop(campaign.file, kills=12, seed=tasks_per_gpu, longest=1.5)
    assert hits.total() == 12
    assert set(devices_seen(tmp_path / "used")) == ALL
    histories = campaign.attempts()
    assert all(attempts[-1].outcome == "complete" for attempts in histories.values())
    for attempts in histories.values():
        assert all(len(attempt.devices) == 1 and attempt.devices_there == 4 for attempt in attempts if attempt.began)


def show(campaign: SmallCampaign, workspace: Path) -> dict[str, Any]:
    done = campaign.call("show", campaign.plan["name"], "-w", workspace, "--json")
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_two_campaigns_of_a_workspace_share_the_devices(tmp_path):
    used, go = tmp_path / "used", tmp_path / "go"
    hold = {"simulate 0": {"do": "wait", "file": str(go)}}
    first, second = (
        make(tmp_path / name, used, tasks=4, script=hold, plan={"name": name, "workspace": str(tmp_path / "w")})
        for name in ("a", "b")
    )
    drivers = [campaign.start() for campaign in (first, second)]
    wait_for(lambda: len(seen(used)) == 4)
    assert set(devices_seen(used)) == ALL

    def shown() -> set[str]:
        rows = [row for campaign in (first, second) for row in show(campaign, tmp_path / "w")["rows"]]
        return {device for row in rows for device in row["devices"]}

    wait_for(lambda: shown() == {"GPU 0", "GPU 1", "GPU 2", "GPU 3"})
    go.touch()
    for driver in drivers:
        driver.communicate()
        assert driver.returncode == 0
    assert devices_seen(used).total() == 8


def test_slices_and_a_stop_give_the_devices_back(tmp_path):
    used = tmp_path / "used"
    campaign = make(
        tmp_path / "c", used, tasks=4, settings={"n_steps": 80, "step_seconds": 0.2}, time_limit="12s", margin="4s"
    )
    driver = campaign.start()
    wait_for(lambda: campaign.is_made and any(len(attempts) > 1 for attempts in campaign.attempts().values()))
    assert campaign.call("stop", campaign.file).returncode in (0, 3)
    driver.communicate()
    campaign.write_plan(launcher={"kind": "local", "gpus": "all"})
    assert campaign.run().returncode == 0
    devices_seen(used)


def test_a_device_on_which_everything_fails_is_avoided_and_said(tmp_path):
    used = tmp_path / "used"
    broken = {"simulate 0": {"do": "raise", "device": "2", "message": "CUDA error: uncorrectable ECC error"}}
    plan = {"restarts": [{"pattern": "ECC", "allowed": 6}]}
    campaign = make(tmp_path / "c", used, tasks=16, script=broken, plan=plan)
    result = campaign.run()
    assert result.returncode == 0, result.stdout
    attempts = [attempt for history in campaign.attempts().values() for attempt in history]
    failed = [attempt for attempt in attempts if attempt.outcome == "error"]
    assert failed
    assert {device.name for attempt in failed for device in attempt.devices} == {"2"}
    (said,) = campaign.json("status")["failing_hosts"]
    assert said["device"] == "2"
    assert said["avoided"]
    assert "no tasks are sent there" in said["sentence"]
    late = max(attempt.end for attempt in failed)
    assert not [attempt for attempt in attempts if attempt.start > late and attempt.devices[0].name == "2"]
    name = next(name for name, history in campaign.attempts().items() if history[0].outcome == "error")
    assert "GPU 2" in campaign.call("why", campaign.file, name).stdout


def test_devices_that_are_not_here_are_refused_before_anything_starts(tmp_path):
    campaign = make(tmp_path / "c", tmp_path / "used", tasks=1, gpus=5)
    result = campaign.run()
    assert result.returncode not in (0, 1)
    assert "asks for 5 GPUs; found GPU 0, GPU 1, GPU 2, GPU 3" in " ".join(result.stderr.split())
    assert not any(campaign.attempts().values())
