"""A profile's `platform`: it works where an attempt begins, or the attempt ends as a failure of the node."""

from __future__ import annotations

from pathlib import Path

import pytest
from campaigns import SmallCampaign
from fake_openmm import WITH_CUDA, put_openmm

from xpm_alchem.execution.attempts import Outcome
from xpm_alchem.execution.node_look import DEFAULT_PLATFORM

pytestmark = pytest.mark.slow


def with_platform(path: Path, platform: str, **options: object) -> SmallCampaign:
    launcher = {"kind": "local", "slots": 2, "platform": platform}
    return SmallCampaign(path, edges=[(0, 1), (1, 2)], plan={"launcher": launcher, "max_retries": 1}, **options)


def test_where_it_does_not_work_nothing_is_computed_and_everybody_says_why(tmp_path: Path) -> None:
    campaign = with_platform(tmp_path / "c", "cuda")
    done = campaign.run()
    assert done.returncode == 1
    assert "CUDA does not work on" in done.stdout
    histories = campaign.attempts()
    assert len(histories) == 2
    for attempts in histories.values():
        assert [attempt.outcome for attempt in attempts] == [Outcome.NODE_FAILURE] * 2
        assert not any(attempt.units for attempt in attempts)
        assert attempts[0].decision_reason == "a node failure: retry 1 of 1"
        assert "1 retries (max_retries) without progress are used up" in attempts[1].decision_reason
    why = " ".join(campaign.call("why", campaign.file, next(iter(histories))).stdout.split())
    assert "node failure: CUDA does not work on" in why and "OpenMM has no such platform here" in why
    advice = f"xpm-alchem doctor --node {campaign.file}"
    assert advice in why
    (group,) = campaign.json("failures")["failures"]
    assert group["outcome"] == "node failure" and len(group["tasks"]) == 2
    assert any("doctor --node" in command for command in group["commands"])
    campaign.write_plan(launcher={"kind": "local", "slots": 2, "platform": "none"})
    assert campaign.call("retry", campaign.file, "--all").returncode == 0
    assert campaign.run().returncode == 0


def test_where_it_works_the_attempts_run_and_their_protocols_get_no_other(tmp_path: Path) -> None:
    seen = tmp_path / "environment.json"
    campaign = with_platform(tmp_path / "c", "CPU", script={"setup": {"do": "environment", "file": str(seen)}})
    done = campaign.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert f'"{DEFAULT_PLATFORM}": "CPU"' in seen.read_text()


def test_a_gpu_on_which_it_does_not_work_is_left_for_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7,8")
    monkeypatch.setenv("BROKEN", "8")
    put_openmm(tmp_path / "fake", monkeypatch, WITH_CUDA)
    launcher = {"kind": "local", "gpus": "all", "platform": "CUDA"}
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, number) for number in range(1, 6)], plan={"launcher": launcher})
    done = campaign.run()
    assert done.returncode == 0, done.stdout + done.stderr
    attempts = [attempt for history in campaign.attempts().values() for attempt in history]
    failed = [attempt for attempt in attempts if attempt.outcome is Outcome.NODE_FAILURE]
    assert failed and not any(attempt.units for attempt in failed)
    assert {device.name for attempt in failed for device in attempt.devices} == {"8"}
    assert "does not work on GPU 8 of" in failed[0].reason and "CUDA_ERROR_ECC_UNCORRECTABLE" in failed[0].reason
    assert {attempt.devices[0].name for attempt in attempts if attempt.outcome is Outcome.COMPLETE} == {"7"}
