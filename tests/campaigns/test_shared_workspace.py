"""One workspace and several people: a guest who may only read, a group, a copy, a gufe that was upgraded."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from campaigns import SmallCampaign, held
from fuzzed_campaign import name_with, snapshot
from ordinary_user import needs_root
from patience import communicate, wait_for

from xpm_alchem import gufe_seam
from xpm_alchem.campaign.task_state import TaskState, TaskStatus
from xpm_alchem.execution.attempt_log import AttemptLog
from xpm_alchem.execution.attempts import Outcome
from xpm_alchem.execution.directory import TaskDirectory

OWNER, GROUP = 65534, 54321
POWERS = "-dac_override,-dac_read_search,-fowner,-chown"  # root without them is somebody who owns nothing here


@pytest.fixture
def campaign(standing_campaign: Path, tmp_path: Path) -> SmallCampaign:
    """Return a campaign with tasks complete, in error, interrupted and waiting; the user has asked for nothing."""
    shutil.copytree(standing_campaign, tmp_path / "c", symlinks=True)
    made = SmallCampaign.at(tmp_path / "c")
    (made.records.path / "inbox.jsonl").unlink()
    shutil.rmtree(made.records.workspace / "slurm")
    for task in made.records.state().tasks.values():
        TaskDirectory(made.records.task_path(task)).orders.unlink(missing_ok=True)
    return made


def by_status(campaign: SmallCampaign) -> dict[str, int]:
    """Return how many tasks there are of each status."""
    return {status: n for status, n in campaign.json("status")["tasks"].items() if n}


def task_in(campaign: SmallCampaign, status: str) -> TaskState:
    """Return the first task of a status; 'interrupted' is one that its journal has as running."""
    wanted = TaskStatus.RUNNING if status == "interrupted" else TaskStatus(status)
    return next(task for task in campaign.records.state().tasks.values() if task.status is wanted)


def is_refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """Check that a command was refused with one clear sentence."""
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.strip().count("\n") == 0, done.stderr
    for word in words:
        assert word in done.stderr


# ------------------------------------------------------------------------------------------------------- other people
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def somebody(campaign: SmallCampaign, tmp_path: Path) -> Run:
    """Return a function that runs a command as somebody else; everything belongs to OWNER and GROUP."""
    needs_root()
    for path in [campaign.path, *campaign.path.rglob("*")]:
        os.chown(path, OWNER, GROUP, follow_symlinks=False)
    home = tmp_path / "guest"
    home.mkdir()

    def run(
        *arguments: object, groups: str = "0", umask: str = "022", python: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        asked = campaign.command(*arguments) if python is None else [sys.executable, "-c", python, *map(str, arguments)]
        command = ["setpriv", f"--bounding-set={POWERS}", f"--inh-caps={POWERS}", f"--groups={groups}"]
        command += ["sh", "-c", f'umask {umask}; exec "$@"', "sh", *asked]
        return subprocess.run(command, cwd="/", env={**os.environ, "HOME": str(home)}, capture_output=True, text=True)

    return run


def test_a_guest_sees_everything_and_changes_nothing(campaign: SmallCampaign, somebody: Run) -> None:
    path, before = campaign.records.path, snapshot(campaign.path)
    for command in ("status", "show", "summary", "results"):
        looked = somebody(command, path, "--json")
        assert looked.returncode == 0, looked.stderr
        found, owners = json.loads(looked.stdout), campaign.json(command)
        assert found.keys() == owners.keys()
        moving = {"cost_last_hour", "time_left"}  # an attempt is at work
        assert all(found[key] == owners[key] for key in found.keys() - moving)
    for command in (
        ["why", path, f"{name_with(campaign, 'error')}:1"],
        ["list", "--workspace", campaign.records.workspace],
    ):
        looked = somebody(*command)
        assert looked.returncode == 0, looked.stderr
        assert looked.stdout
    for command in ("show", "health", "explain"):
        looked = somebody("strategy", command, path)
        assert looked.returncode == 0, looked.stderr
        assert "uniform" in looked.stdout or command == "health"
    assert snapshot(campaign.path) == before


PRESS_P = """
import sys
from pathlib import Path
from watched import SMALL, watch
from xpm_alchem.campaign.records import CampaignRecords

async def pause(watched):
    print(watched.screen)
    await watched.press("p")
    await watched.until(lambda: watched.said("message"))
    print(watched.said("message"))

watch(CampaignRecords.open(Path(sys.argv[1])), SMALL, pause)
"""


def test_a_guest_watches_and_is_told_why_pausing_is_not_possible(campaign: SmallCampaign, somebody: Run) -> None:
    before = snapshot(campaign.path)
    watched = somebody(campaign.records.path, python=PRESS_P)
    assert watched.returncode == 0, watched.stderr
    assert "transformations" in watched.stdout
    assert watched.stdout.splitlines()[-1].endswith("this campaign is read-only for you (Permission denied).")
    assert snapshot(campaign.path) == before


def test_a_guest_who_wants_to_change_something_is_refused(campaign: SmallCampaign, somebody: Run) -> None:
    path, before = campaign.records.path, snapshot(campaign.path)
    is_refused(somebody("run", campaign.file), "cannot be used as a workspace (Permission denied)")
    for command in (
        ["cancel", path, f"{name_with(campaign, 'complete')}:3"],
        ["retry", path, f"{name_with(campaign, 'error')}:1"],
        ["retry", path, "--all"],
        ["stop", path],
        ["strategy", "set", "uniform", path, "-s", "repeats=9"],
        ["strategy", "mode", "full", path],
        ["strategy", "awake", path],
        ["strategy", "clear", path],
    ):
        is_refused(somebody(*command), "this campaign is read-only for you", "Permission denied")
    assert snapshot(campaign.path) == before


def test_a_guest_may_not_look_where_the_owner_does_not_let_anybody(campaign: SmallCampaign, somebody: Run) -> None:
    campaign.records.path.chmod(0o700)
    is_refused(somebody("status", campaign.records.path), str(campaign.records.path), "Permission denied")
    campaign.records.path.chmod(0o755)
    (campaign.records.path / "tasks.jsonl").chmod(0o600)
    is_refused(somebody("show", campaign.records.path), "tasks.jsonl", "Permission denied")


def test_a_group_that_may_write_goes_on_with_the_campaign(campaign: SmallCampaign, somebody: Run) -> None:
    for path in [campaign.path, *campaign.path.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o2775 if path.is_dir() else 0o664)
    is_refused(somebody("run", campaign.file), "Permission denied")
    asked = somebody("retry", campaign.records.path, "--all", groups=str(GROUP), umask="002")
    assert asked.returncode == 0, asked.stderr
    done = somebody("run", campaign.file, groups=str(GROUP), umask="002")
    assert done.returncode == 0, done.stdout + done.stderr
    assert by_status(campaign) == {"complete": 6}


def test_a_guest_looks_while_the_owner_s_driver_runs(tmp_path: Path) -> None:
    needs_root()
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1)], script=held())
    driver = campaign.start()
    wait_for(lambda: list((campaign.path / "workspace").glob("campaigns/*/holder.json")), what="the driver")
    guest = ["setpriv", f"--bounding-set={POWERS}", f"--inh-caps={POWERS}"]
    for path in (campaign.records.path, *campaign.records.path.iterdir()):
        os.chown(path, OWNER, GROUP)

    def somebody(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*guest, *campaign.command(*arguments)], cwd="/", capture_output=True, text=True)

    looked = somebody("status", campaign.records.path, "--json")
    assert json.loads(looked.stdout)["driver"]["pid"] == driver.pid
    is_refused(somebody("cancel", campaign.records.path, "ligand_0_ligand_1_vacuum:1"), "read-only for you")
    is_refused(somebody("stop", campaign.records.path), "read-only for you")
    driver.send_signal(signal.SIGINT)
    communicate(driver, 60)
    assert campaign.call("stop", campaign.records.path).returncode == 3


# ------------------------------------------------------------------------------------------------------------- copies
def copied(campaign: SmallCampaign, to: Path) -> SmallCampaign:
    """Return a copy of a campaign with its workspace, as cp makes it."""
    subprocess.run(["cp", "-a", campaign.path, to], check=True)
    return SmallCampaign.at(to)


def test_a_copy_shows_the_same_and_goes_on_without_touching_the_original(
    campaign: SmallCampaign, tmp_path: Path
) -> None:
    copy = copied(campaign, tmp_path / "copy")
    before = snapshot(campaign.path)
    for command in ("show", "results"):
        assert copy.json(command) == campaign.json(command)
    assert copy.json("summary").keys() == campaign.json("summary").keys()  # what the last hour cost moves on
    by_directory = json.loads(copy.call("results", copy.records.path, "--json").stdout)
    assert by_directory == campaign.json("results")
    done = copy.run()
    assert done.returncode == 1, done.stdout + done.stderr  # the task in error stays so
    assert by_status(copy) == {"complete": 3, "error": 1}
    assert snapshot(campaign.path) == before
    check_that_what_was_finished_was_kept(copy)


def check_that_what_was_finished_was_kept(copy: SmallCampaign) -> None:
    """Check that no unit of the interrupted task was made twice, and that it went on from its checkpoint."""
    task = next(t for t in copy.records.state().tasks.values() if t.repeat == 2)
    attempts = copy.attempts()[task.task]
    assert [attempt.outcome for attempt in attempts] == [Outcome.LOST, Outcome.COMPLETE]
    assert set(copy.units_done()[task.task].values()) == {1}
    files = TaskDirectory(copy.records.task_path(task))
    entries = [entry for _, entry in json.loads(files.result.read_text())]
    outputs = {entry["name"]: entry["outputs"] for entry in entries if "outputs" in entry}
    assert outputs["simulate 0"]["starts"] == 2
    assert Path(outputs["setup"]["system"]["path"]).is_relative_to(files.path)


def test_a_workspace_that_was_moved_goes_on(campaign: SmallCampaign, tmp_path: Path) -> None:
    results = campaign.json("results")
    campaign.path.rename(tmp_path / "moved")
    moved = SmallCampaign.at(tmp_path / "moved")
    assert moved.json("results") == results
    done = moved.run()
    assert done.returncode == 1, done.stdout + done.stderr
    assert by_status(moved) == {"complete": 3, "error": 1}
    assert not (tmp_path / "c").exists()
    check_that_what_was_finished_was_kept(moved)


def test_only_the_workspace_was_copied(campaign: SmallCampaign, tmp_path: Path) -> None:
    shutil.copytree(campaign.path / "workspace", tmp_path / "scratch", symlinks=True)
    before = snapshot(campaign.path / "workspace")
    done = campaign.run("--workspace", tmp_path / "scratch")
    assert done.returncode == 1, done.stdout + done.stderr
    looked = campaign.call("status", "small", "--workspace", tmp_path / "scratch", "--json")
    assert json.loads(looked.stdout)["tasks"]["complete"] == 3
    assert snapshot(campaign.path / "workspace") == before


def test_a_copy_made_while_the_original_runs_knows_that_nobody_drives_it(tmp_path: Path) -> None:
    go_on = tmp_path / "go on"
    script = {"simulate 0 step 2": {"do": "wait", "file": str(go_on)}}
    original = SmallCampaign(tmp_path / "c", edges=[(0, 1)], script=script)
    driver = original.start()
    wait_for(lambda: original.is_made and checkpoint_of(original), what="a checkpoint")
    copy = copied(original, tmp_path / "copy")
    status = copy.json("status")
    assert status["driver"] is None
    assert status["tasks"]["running"] == 1
    stopped = copy.call("stop", copy.file)
    assert stopped.returncode == 3, stopped.stderr
    (attempt,) = next(iter(copy.attempts().values()))
    assert attempt.outcome is Outcome.LOST
    assert "of which this one is a copy" in attempt.reason
    assert driver.poll() is None, "the original's driver was ended"
    go_on.touch()
    out, _ = communicate(driver, 300)
    assert driver.returncode == 0, out
    (attempts,) = original.attempts().values()
    assert [attempt.outcome for attempt in attempts] == [Outcome.COMPLETE]
    assert copy.run().returncode == 0
    assert copy.estimates() == original.estimates()
    (units,) = copy.units_done().values()
    assert set(units.values()) == {1}


def checkpoint_of(campaign: SmallCampaign) -> bool:
    """Whether the campaign's attempt has written a checkpoint."""
    return any((campaign.path / "workspace" / "jobs").glob("*/*/shared/Simulate-*/checkpoint.json"))


# --------------------------------------------------------------------------------------------------------- gufe's keys
def upgrade(campaign: SmallCampaign) -> None:
    """Change everything that another version of gufe changes: the keys, in the network as given and in all files."""
    network = json.loads((campaign.path / "network.json").read_text())
    keys = {key: f"{key.partition('-')[0]}-{number:032x}" for number, (key, _) in enumerate(network)}
    paths = [campaign.path / "network.json", campaign.records.network_path, campaign.records.path / "index.json"]
    for path in paths:
        text = path.read_text()
        for old, new in keys.items():
            text = text.replace(old, new)
        path.write_text(text)
    for path in campaign.path.rglob("attempts.jsonl"):
        path.write_text(path.read_text().replace(f'"gufe": "{installed_gufe()}"', '"gufe": "0.1"'))
    for path in (campaign.records.path / "cache").iterdir():
        header, _, text = path.read_text().partition("\n")
        path.write_text(header.replace(gufe_seam.GUFE_VERSION, "v0.1") + "\n" + text.replace("1", "2"))


def installed_gufe() -> str:
    """Return the version as packages know it."""
    from importlib.metadata import version

    return version("gufe")


def test_after_an_upgrade_of_gufe_results_count_and_interrupted_tasks_go_on(campaign: SmallCampaign) -> None:
    results = campaign.json("results")
    upgrade(campaign)
    assert campaign.json("results") == results
    done = campaign.run()
    assert done.returncode == 1, done.stdout + done.stderr
    assert by_status(campaign) == {"complete": 3, "error": 1}
    check_that_what_was_finished_was_kept(campaign)
    task = next(t for t in campaign.records.state().tasks.values() if t.repeat == 2)
    versions = [a.versions["gufe"] for a in AttemptLog(TaskDirectory(campaign.records.task_path(task)).attempts).read()]
    assert versions == ["0.1", installed_gufe()]


def test_a_dag_that_the_new_gufe_cannot_read_is_kept_and_the_task_starts_over(campaign: SmallCampaign) -> None:
    task = task_in(campaign, "interrupted")
    files = TaskDirectory(campaign.records.task_path(task))
    chain = json.loads(files.dag.read_text())
    chain[-1][1]["of_another_version"] = True
    files.dag.write_text(json.dumps(chain))
    done = campaign.run()
    assert done.returncode == 1, done.stdout + done.stderr
    assert by_status(campaign) == {"complete": 3, "error": 1}
    assert json.loads((files.path / "dag.json.set-aside-1").read_text()) == chain
    assert len(list((files.path / "results.set-aside-1").iterdir())) == 1
    why = campaign.call("why", campaign.file, f"{name_with(campaign, 'complete')}:2")
    said = " ".join(why.stdout.split())
    assert "dag.json.set-aside-1" in said and "results.set-aside-1" in said
