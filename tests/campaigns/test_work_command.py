"""`xpm-alchem work` and `workers` as a newcomer meets them."""

from __future__ import annotations

import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from campaigns import SmallCampaign, deaf, held
from patience import communicate, wait_for

PLAN = {"launcher": {"kind": "workers", "margin": "5s"}}
HERE = ("-w", "./workspace")


@pytest.fixture
def campaign(tmp_path: Path) -> SmallCampaign:
    return SmallCampaign(tmp_path / "c", edges=[(0, 1), (0, 2)], plan=PLAN, script=held(until=tmp_path / "go on"))


def start_worker(campaign: SmallCampaign, *options: str) -> subprocess.Popen[str]:
    return campaign.begin(campaign.command("work", *HERE, *options))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("-w", "./nowhere"), "nowhere: there is no such directory here. Mount the workspace"),
        (("-w", "./campaign.yaml"), "campaign.yaml: there is no such directory here"),
        ((*HERE, "--pool", "a/b"), "--pool: 'a/b' is no name of a pool"),
        ((*HERE, "--gpus", "9"), "--gpus: asks for 9 GPUs"),
        ((*HERE, "--time", "soon"), "--time: 'soon' is no duration"),
        ((*HERE, "--time", "0"), "--time: 0 must be longer"),
        ((*HERE, "--slots", "0"), "--slots: 0 is not a whole number"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_begins(campaign, options, said):
    (campaign.path / "workspace").mkdir()
    done = campaign.call("work", *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert not any((campaign.path / "workspace").iterdir())


def test_a_pool_that_nobody_knows_is_pointed_out(campaign):
    (campaign.path / "workspace").mkdir()
    assert campaign.call("work", *HERE, "--idle", "1s", "--gpus", "none").returncode == 0
    done = campaign.call("work", *HERE, "--idle", "1s", "--gpus", "none", "--pool", "man")
    assert "there was no pool man until now: is that its name? Others here: main" in done.stdout
    assert "had nothing to do for 1 s" in done.stdout
    done = campaign.call("workers", *HERE, "--pool", "men")
    assert done.returncode == 2 and "there is no pool men. Pools there: main, man" in done.stderr
    told = f"there is no worker: xpm-alchem work -w {campaign.path}/workspace"
    assert told in campaign.call("workers", *HERE).stdout


def test_a_worker_with_too_little_time_for_what_is_offered_ends(campaign):
    campaign.write_plan(launcher={"kind": "workers", "margin": "1h"})
    driver = campaign.start()
    wait_for(lambda: campaign.is_made and list(campaign.path.glob("workspace/pools/main/offers/*")))
    done = campaign.call("work", *HERE, "--time", "30min", "--idle", "never", "--gpus", "0")
    assert done.returncode == 0 and "its time is nearly over; 0 task(s) were taken" in done.stdout
    driver.send_signal(signal.SIGTERM)
    communicate(driver, 60)


def test_ctrl_c_stops_attempts_at_their_checkpoints_and_another_worker_goes_on(campaign, tmp_path, monkeypatch):
    driver = campaign.start()
    wait_for(lambda: campaign.is_made)
    worker = start_worker(campaign, "--slots", "2", "--gpus", "0")
    campaign.wait_until_at_work(2)
    monkeypatch.setenv("COLUMNS", "80")
    table = campaign.call("workers", *HERE).stdout
    assert max(map(len, table.splitlines())) <= 80
    assert "small: 2" in table and "2/2" in table
    wait_for(lambda: all(attempt.progress for attempt in campaign.at_work()) or campaign.is_holding(2))
    worker.send_signal(signal.SIGINT)
    said, _ = communicate(worker, 60)
    assert worker.returncode == 0
    assert "told to end by SIGINT; 2 attempt(s) are told to stop at their checkpoints" in said
    assert said.count("stopped; its next attempt goes on") == 2
    (tmp_path / "go on").touch()
    other = start_worker(campaign, "--max-tasks", "2", "--gpus", "0")
    out, _ = communicate(driver, 200)
    assert driver.returncode == 0, out
    said, _ = communicate(other, 60)
    assert "has taken 2 task(s), as many as it should" in said
    assert all(set(units.values()) == {1} for units in campaign.units_done().values())


def test_a_task_that_does_not_listen_is_ended_with_its_worker(tmp_path):
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1)], plan=PLAN, script=deaf(tmp_path / "fifo"))
    driver = campaign.start()
    wait_for(lambda: campaign.is_made)
    worker = start_worker(campaign, "--gpus", "0")
    wait_for(lambda: campaign.at_work() and campaign.is_holding(1))
    worker.send_signal(signal.SIGTERM)
    said, _ = communicate(worker, 90)
    assert "ended with exit code -9" in said
    assert not list(campaign.path.glob("workspace/pools/main/workers/*.json"))
    driver.send_signal(signal.SIGTERM)
    communicate(driver, 60)


def test_a_pool_that_is_removed_is_made_again(campaign, tmp_path):
    driver = campaign.start()
    wait_for(lambda: campaign.is_made)
    worker = start_worker(campaign, "--slots", "2", "--gpus", "0", "--idle", "never")
    campaign.wait_until_at_work(2)
    pool = campaign.path / "workspace" / "pools" / "main"
    pool.rename(tmp_path / "removed")
    wait_for(lambda: list(pool.glob("workers/*.json")), seconds=60, what="the worker's record")
    shutil.rmtree(tmp_path / "removed")
    (tmp_path / "go on").touch()
    out, _ = communicate(driver, 200)
    assert driver.returncode == 0, out
    worker.send_signal(signal.SIGTERM)
    communicate(worker, 60)
    assert all(set(units.values()) == {1} for units in campaign.units_done().values())
