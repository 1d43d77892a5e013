"""The command `doctor`: exit codes, table and JSON, no traceback."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from campaigns import SmallCampaign, held
from doctored import Patient, told
from patience import communicate

KEYS = {"campaign", "path", "workspace", "launcher", "faults", "warnings", "checks", "mended", "not_mended"}
ROW_KEYS = {"area", "check", "verdict", "found", "mend", "can_fix", "places"}


def test_from_whole_to_broken_to_mended(tmp_path: Path) -> None:
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1)])
    before_run = campaign.call("doctor", campaign.file)
    assert before_run.returncode == 2 and "was not run yet" in before_run.stderr
    assert campaign.run().returncode == 0
    patient = Patient(campaign)
    done = campaign.call("doctor", campaign.file)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 fault(s), 0 warning(s)" in done.stdout and done.stderr == ""

    (patient.files.path / "scratch").mkdir()
    (patient.files.path / "scratch" / "left").write_bytes(b"0" * 1000)
    done = campaign.call("doctor", "small", "--workspace", "./workspace")
    assert done.returncode == 0 and "--fix mends what 1 check(s) found" in done.stdout

    patient.files.result.unlink()
    done = campaign.call("doctor", patient.path, "--json")
    assert done.returncode == 1 and done.stderr == ""
    view = json.loads(done.stdout)
    assert view.keys() == KEYS and view["faults"] == 1 and view["warnings"] == 1
    assert all(row.keys() == ROW_KEYS for row in view["checks"])
    assert {row["area"] for row in view["checks"]} == {"environment", "campaign"}
    assert {row["verdict"] for row in view["checks"]} == {"ok", "warning", "fault"}

    done = campaign.call("doctor", patient.path / "campaign.yaml", "--fix")
    assert done.returncode == 0
    assert done.stdout.count("mended: ") == 2 and "0 fault(s), 0 warning(s)" in done.stdout
    assert campaign.json("status")["tasks"]["complete"] == 1


def test_fix_names_the_driver_that_runs(tmp_path: Path) -> None:
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1)], script=held(at="simulate 0"))
    driver = campaign.start()
    try:
        campaign.wait_until_at_work(units=1)
        looked = campaign.call("doctor", campaign.file)
        refused = campaign.call("doctor", campaign.file, "--fix")
    finally:
        campaign.call("stop", campaign.file)
        communicate(driver, 60)
    assert looked.returncode == 0, looked.stdout
    assert f"pid {driver.pid}" in looked.stdout and "0 fault(s), 0 warning(s)" in looked.stdout
    assert refused.returncode == 2 and f"pid {driver.pid}" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "no workspace"),
        (["nowhere", "--workspace", "."], "has no campaign of this name"),
        (["n" * 5000, "--workspace", "."], "File name too long"),
        (["--fix"], "--fix mends a campaign"),
        (["--launcher", "nothing", "--workspace", "."], "there is no 'nothing'"),
        (["--workspace", "nothing"], "nothing"),
        (["broken.yaml"], "not valid YAML"),
        (["--no-such-option"], "No such option"),
    ],
)
def test_bad_usage(tmp_path: Path, arguments: list[str], words: str) -> None:
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1)])
    (campaign.path / "broken.yaml").write_text("name: [")
    done = campaign.call("doctor", *arguments)
    assert done.returncode == 2 and words in done.stderr
    assert "Traceback" not in done.stderr and done.stdout == ""


def test_a_workspace_that_cannot_even_be_looked_at(tmp_path: Path) -> None:
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1)])
    done = campaign.call("doctor", "--workspace", f"./{'n' * 5000}", "--json")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "File name too long" in told(json.loads(done.stdout), "workspace")


def test_a_machine_on_which_nothing_can_be_written_or_opened(tmp_path: Path) -> None:
    """Limits of the process stand for a full quota and a low limit of open files."""
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1)])
    done = subprocess.run(
        ["prlimit", "--fsize=1000", "--nofile=256", *campaign.command("doctor", "--workspace", ".", "--json")],
        cwd=campaign.path,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    view = json.loads(done.stdout)
    bad = {row["check"]: row["verdict"] for row in view["checks"] if row["verdict"] != "ok"}
    assert bad == {"home": "warning", "open files": "warning", "workspace": "fault"}
    assert not list(campaign.path.glob(".xpm-alchem*"))
