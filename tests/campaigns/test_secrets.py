"""Secrets of settings.yaml and campaign.yaml: for their owner alone, and in nothing that is handed on."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from campaigns import SmallCampaign
from patience import wait_for

SETTINGS = """
env: {GLOBAL_TOKEN: sesame}
workspaces: [{id: lab, path: WORKSPACE, env: {WORKSPACE_TOKEN: sesame}}]
xpm_alchem: {launchers: {lab: {kind: local, env: {LAUNCHER_TOKEN: sesame}}, queue: {kind: slurm, env: {KEY: sesame}}}}
"""
NOTIFY = {
    "command": ["sh", "-c", "echo nobody listens at $0 >&2; exit 3", "sesame-1"],
    "url": "http://127.0.0.1:9/sesame/?token=sesame",
}


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def campaign(tmp_path: Path, own_home: Path) -> SmallCampaign:
    """Return a campaign whose files are for its owner alone."""
    settings = own_home / ".config/experimaestro/settings.yaml"
    settings.parent.mkdir(parents=True)
    settings.write_text(SETTINGS.replace("WORKSPACE", str(tmp_path / "c" / "workspace")))
    settings.chmod(0o600)
    made = SmallCampaign(tmp_path / "c", edges=[(0, 1)], plan={"launcher": "lab", "notify": NOTIFY})
    made.file.chmod(0o600)
    return made


def open_files(campaign: SmallCampaign, whom: int = 0o077) -> list[Path]:
    """Return the files below the campaign's directory that hold a secret and are open to others."""
    files = [path for path in campaign.path.rglob("*") if path.is_file() and not path.is_symlink()]
    return [path for path in files if b"sesame" in path.read_bytes() and path.stat().st_mode & whom]


def wait_for_messenger(campaign: SmallCampaign) -> None:
    """Wait until the last messenger has given up: the address is nobody's."""
    wait_for(lambda: "given up" in (campaign.records.path / "notify.log").read_text(), what="the last messenger")


def test_what_holds_a_secret_is_for_its_owner_alone(campaign: SmallCampaign) -> None:
    assert campaign.run().returncode == 0
    wait_for_messenger(campaign)
    assert open_files(campaign) == []
    scripts = list((campaign.path / "workspace/jobs").rglob("run.py"))
    assert len(scripts) == 1 and "sesame" in scripts[0].read_text()  # there is something to be kept
    campaign.write_plan(notify={**NOTIFY, "timeout": 20})
    changed = campaign.run()
    assert changed.returncode == 0
    assert "sesame" not in changed.stdout
    assert open_files(campaign) == []


def test_in_a_group_s_workspace_the_group_may_read_scripts_and_nobody_else(campaign: SmallCampaign) -> None:
    workspace = campaign.path / "workspace"
    workspace.mkdir()
    workspace.chmod(0o2775)
    assert campaign.run().returncode == 0
    wait_for_messenger(campaign)
    assert open_files(campaign, 0o007) == []
    (script,) = (workspace / "jobs").rglob("run.py")
    assert stat.S_IMODE(script.stat().st_mode) == 0o640


def test_nothing_that_is_handed_on_holds_a_secret(campaign: SmallCampaign, tmp_path: Path) -> None:
    dry = campaign.run("--dry-run", "--launcher", "queue")
    assert "KEY=" in dry.stdout and "sesame" not in dry.stdout
    campaign.write_plan(launcher={"kind": "local", "env": {"SOME": "sesame"}})
    shown = campaign.run()
    assert shown.returncode == 0
    wait_for_messenger(campaign)
    name = campaign.json("results")["transformations"][0]["transformation"]
    said = [shown.stdout, shown.stderr]
    for command in (
        ["report", campaign.file, "--out", tmp_path / "r.html"],
        ["why", campaign.file, f"{name}:1"],
        ["show", campaign.file, "--json"],
        ["strategy", "show", campaign.file, "--json"],
        ["doctor", campaign.file],
        ["export", campaign.file, "--format", "json", "--out", tmp_path / "r.json"],
    ):
        done = campaign.call(*command)
        assert done.returncode in (0, 1), done.stderr
        said += [done.stdout, done.stderr]
    for file in ("r.html", "r.json"):
        said.append((tmp_path / file).read_text())
    said += [(campaign.records.path / name).read_text() for name in ("notify.log", "driver.log", "tasks.jsonl")]
    assert not [text for text in said if "sesame" in text]
    assert "exit code 3 (nobody listens at ***)" in (campaign.records.path / "notify.log").read_text()


def test_what_is_made_of_a_private_network_is_private(campaign: SmallCampaign, tmp_path: Path) -> None:
    (campaign.path / "network.json").chmod(0o600)
    assert campaign.run().returncode == 0
    for what, out in (("json", "r.json"), ("csv", "tables")):
        assert campaign.call("export", campaign.file, "--format", what, "--out", tmp_path / out).returncode == 0
    made = [campaign.records.path / "network.json", campaign.records.path / "index.json", tmp_path / "r.json"]
    made += [*(tmp_path / "tables").iterdir(), *(campaign.path / "workspace/jobs").glob("*/*/dag.json")]
    made += [*(campaign.path / "workspace/jobs").glob("*/*/result*.json")]
    assert len(made) > 8
    assert [path for path in made if path.stat().st_mode & 0o077] == []
