"""`doctor --node` on this machine: one short process, what it found, and nothing left behind."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from campaigns import SmallCampaign
from fake_openmm import put_openmm
from patience import communicate, wait_for

from xpm_alchem.execution.processes import HOST

pytestmark = pytest.mark.slow


def campaign_with(path: Path, **launcher: Any) -> SmallCampaign:
    return SmallCampaign(path, edges=[(0, 1)], plan={"launcher": {"kind": "local", **launcher}})


@pytest.fixture
def openmm_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have OpenMM hang when it is imported; return the file that it makes first."""
    begun = tmp_path / "begun"
    text = f"open({str(begun)!r}, 'w').close(); import time; time.sleep(600)"
    put_openmm(tmp_path / "fake", monkeypatch, text)
    return begun


def test_a_machine_is_looked_at_by_name_of_a_launcher_and_of_a_campaign(tmp_path: Path) -> None:
    campaign = campaign_with(tmp_path / "c", platform="Reference")
    done = campaign.call("doctor", "--node", "local", "--workspace", "./elsewhere")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"node {HOST}" in done.stdout and "0 fault(s)" in done.stdout
    assert not (campaign.path / "elsewhere").exists()
    for name in (campaign.file, campaign.path / "workspace" / "campaigns" / "small"):  # not run yet; run
        done = campaign.call("doctor", "--node", name, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        view = json.loads(done.stdout)
        assert view["node"] == HOST and {check["area"] for check in view["checks"]} == {"node"}
        assert any("Reference works" in check["found"] for check in view["checks"])
        assert campaign.run().returncode == 0
        assert not (campaign.path / "workspace" / "doctor").exists()


def test_it_has_the_variables_of_the_workspace(tmp_path: Path) -> None:
    campaign = campaign_with(tmp_path / "c")
    settings = Path("~/.config/experimaestro/settings.yaml").expanduser()
    settings.parent.mkdir(parents=True, exist_ok=True)
    space = tmp_path / "space"
    space.mkdir()
    settings.write_text(f"workspaces:\n  - {{id: work, path: {tmp_path / 'w'}, env: {{TMPDIR: {space}}}}}\n")
    done = campaign.call("doctor", "--node", "local", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert any(check["found"].startswith(f"{space}: ") for check in json.loads(done.stdout)["checks"])


def test_what_does_not_work_is_a_fault(tmp_path: Path) -> None:
    campaign = campaign_with(tmp_path / "c", platform="CUDA")
    done = campaign.call("doctor", "--node", campaign.file)
    assert done.returncode == 1
    assert f"CUDA does not work on {HOST}" in " ".join(done.stdout.split())


def test_gpus_that_are_not_here_are_told_and_nothing_is_started(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    campaign = campaign_with(tmp_path / "c", gpus=3)
    done = campaign.call("doctor", "--node", campaign.file)
    assert done.returncode == 1 and "asks for 3 GPUs" in done.stdout
    campaign.write_plan(launcher={"kind": "local", "gpus": 1, "platform": "none"})
    done = campaign.call("doctor", "--node", campaign.file)
    assert done.returncode == 0 and "GPU 0" in done.stdout


def test_it_waits_no_longer_than_it_is_told_to_and_ends_what_it_has_started(tmp_path: Path, openmm_that_hangs) -> None:
    campaign = campaign_with(tmp_path / "c", platform="CUDA")
    done = campaign.call("doctor", "--node", campaign.file, "--timeout", "4s")
    assert done.returncode == 1
    assert "no answer within 4 s" in done.stdout and "at work" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_what_it_has_started(tmp_path: Path, openmm_that_hangs, number: signal.Signals) -> None:
    campaign = campaign_with(tmp_path / "c", platform="CUDA")
    doctor = campaign.begin(campaign.command("doctor", "--node", campaign.file))
    wait_for(openmm_that_hangs.exists)
    doctor.send_signal(number)
    communicate(doctor, 60)
    assert doctor.returncode != 0
    assert not (campaign.path / "workspace").exists()


def test_what_cannot_be_looked_at_is_refused(tmp_path: Path) -> None:
    campaign = campaign_with(tmp_path / "c")
    for options, said in (
        (["--node", "gpuu", "-w", "./w"], "launcher"),
        (["--node", "local", "--fix"], "--fix"),
        (["--timeout", "3s"], "--timeout goes with --node"),
        (["--node", "local", "-w", "./w", "--timeout", "soon"], "no duration"),
    ):
        done = campaign.call("doctor", *options)
        assert done.returncode == 2 and said in done.stderr, (options, done.stderr)
        assert "Traceback" not in done.stderr
