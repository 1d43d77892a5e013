"""The driver of all campaigns of a workspace when things go wrong around it: nothing is lost, nothing is done twice."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from patience import communicate, wait_for
from places import SUPPORT
from workers import Workers
from workspaces import SmallWorkspace

pytestmark = pytest.mark.slow

SLOTS_4 = {"launcher": {"kind": "local", "slots": 4}}


def workspace(path: Path, *names: str, **given: Any) -> SmallWorkspace:
    made = SmallWorkspace(path)
    for name in names:
        made.add(name, **given)
    return made


def failing(made: SmallWorkspace, log: Path, *options: object, **order: Any) -> subprocess.Popen[str]:
    """Start the driver of all, some of whose calls on the workspace fail; `order` as for `faults.install`."""
    order = {"root": str(made.root), "log": str(log), "times": 10**9, **order}
    words = ["run", "--all", *map(str, options), "--workspace", str(made.root)]
    return next(iter(made.made.values())).begin([sys.executable, str(SUPPORT / "faults.py"), json.dumps(order), *words])


def units_once(made: SmallWorkspace) -> bool:
    return all(
        set(counts.values()) == {1} for campaign in made.made.values() for counts in campaign.units_done().values()
    )


def test_drivers_killed_at_random_moments_lose_nothing_and_compute_nothing_twice(tmp_path: Path) -> None:
    made = workspace(tmp_path, "a", "b", "c", repeats=4, plan=SLOTS_4, step_seconds=0.1)
    chance = random.Random(15)
    for _ in range(12):
        driver = made.start()
        time.sleep(chance.uniform(0.2, 3.0))
        driver.send_signal(signal.SIGKILL)
        communicate(driver)
    made.call("run", "--all")
    assert all(made.tasks(name, "complete") == 4 for name in made.made)
    assert units_once(made)
    assert all(len(attempts) == 1 for campaign in made.made.values() for attempts in campaign.attempts().values())


@pytest.mark.parametrize("after", [0, 20])
@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/campaigns/a/tasks.jsonl", "EIO"),
        ("/campaigns/a/tasks.jsonl", "EACCES"),
        ("/campaigns/a/inbox.jsonl", "ESTALE"),
        ("/campaigns/a/driver.json", "EIO"),
        ("/campaigns/a/index.json", "EIO"),
        ("/campaigns/a/campaign.yaml", "ESTALE"),
        ("/campaigns/a/holder.json", "EIO"),
        ("/campaigns", "EIO"),
        ("/driver/shares.json", "EIO"),
    ],
)
def test_files_that_fail_for_a_while_stop_no_other_campaign(tmp_path: Path, path: str, error: str, after: int) -> None:
    gates = {name: tmp_path / f"gate-{name}" for name in "ab"}
    mended = tmp_path / "mended"
    made = SmallWorkspace(tmp_path)
    for one, gate in gates.items():
        made.add(one, repeats=2, gate=gate, plan=SLOTS_4)
    driver = failing(made, tmp_path / "log", errors=[error], path=path, after=after, until=str(mended))
    gates["b"].touch()
    if path.startswith("/campaigns/a"):
        wait_for(lambda: made.tasks("b", "complete") == 2, what="the other campaign")
    else:
        time.sleep(3.0)
    assert driver.poll() is None, communicate(driver)[0]
    mended.touch()
    gates["a"].touch()
    out, _ = communicate(driver)
    assert driver.returncode == 0, out
    assert "Traceback" not in out and "something is wrong with it" not in out
    assert all(made.tasks(one, "complete") == 2 for one in "ab") and units_once(made)


@pytest.mark.parametrize("path", ["/driver/stop", "/driver/holder.json"])
def test_files_of_the_driver_itself_that_fail_once_it_drives_end_nothing(tmp_path: Path, path: str) -> None:
    made = workspace(tmp_path, "a", "b")
    driver = failing(made, tmp_path / "log", errors=["ESTALE"], path=path, after=4)
    out, _ = communicate(driver)
    assert driver.returncode == 0 and "Traceback" not in out, out


def test_a_disk_that_is_full_for_the_shares_is_borne(tmp_path: Path) -> None:
    made = workspace(tmp_path, "a", "b")
    driver = failing(made, tmp_path / "log", errors=["ENOSPC"], path="shares.json")
    out, _ = communicate(driver)
    assert driver.returncode == 0, out
    assert (tmp_path / "log").read_text()


@pytest.mark.parametrize("how", ["deleted", "renamed"])
def test_a_campaign_that_goes_away_while_it_is_driven_stops_no_other(tmp_path: Path, how: str) -> None:
    gate = tmp_path / "gate"
    made = workspace(tmp_path, "a", "b", gate=gate, plan=SLOTS_4)
    driver = made.start()
    for campaign in made.made.values():
        campaign.wait_until_at_work(1, units=1)
    there = made.root / "campaigns" / "a"
    if how == "deleted":
        shutil.rmtree(there)
    else:
        there.rename(made.root / "campaigns" / "z")
    time.sleep(5.0)
    gate.touch()
    out, _ = communicate(driver)
    assert made.tasks("b", "complete") == 1, out
    assert not there.exists(), out
    assert "Traceback" not in out
    if how == "renamed":
        assert made.tasks("z", "complete") == 1, out


def test_the_workspace_by_a_link_is_the_same_workspace(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    made = workspace(tmp_path, "a", gate=gate)
    link = tmp_path / "link"
    link.symlink_to(made.root)
    driver = made.start()
    made.made["a"].wait_until_at_work(1)
    done = made.made["a"].call("run", "--all", "--workspace", link)
    assert done.returncode == 2 and "driven by another process" in done.stderr
    gate.touch()
    out, _ = communicate(driver)
    assert driver.returncode == 0, out


def test_interrupts_at_odd_moments_detach_and_lose_nothing(tmp_path: Path) -> None:
    made = workspace(tmp_path, "a", "b", "c", repeats=3, plan=SLOTS_4, step_seconds=0.1)
    chance = random.Random(3)
    for _ in range(10):
        driver = made.start()
        time.sleep(chance.uniform(0.3, 2.0))
        for _ in range(chance.choice((1, 2, 3))):
            driver.send_signal(signal.SIGINT)
        out, _ = communicate(driver)
        assert driver.returncode in (0, 1, 3, 130, -signal.SIGINT), out
        assert "Traceback" not in out, out
    made.call("run", "--all")
    assert all(made.tasks(name, "complete") == 3 for name in made.made)
    assert units_once(made)


def test_workers_of_a_pool_take_tasks_of_all_campaigns_by_weight(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    pool = {"launcher": {"kind": "workers", "slots": 4, "margin": "2s"}}
    made = workspace(tmp_path, "a", "b", repeats=3, gate=gate, plan=pool)
    made.call("network", "weight", "a", 0.9)
    made.call("network", "weight", "b", 0.3)
    with Workers(made.root, tmp_path / "workers.log") as workers:
        workers.start("--idle", "never", "--slots", 4)
        driver = made.start()
        wait_for(lambda: [len(campaign.at_work(units=1)) for campaign in made.made.values()] == [3, 1])
        driver.send_signal(signal.SIGKILL)
        communicate(driver)
        driver = made.start()
        gate.touch()
        out, _ = communicate(driver)
        assert driver.returncode == 0, out + workers.said()
    assert all(made.tasks(name, "complete") == 3 for name in "ab") and units_once(made)
    assert all(len(attempts) == 1 for campaign in made.made.values() for attempts in campaign.attempts().values())


def test_a_launcher_that_cannot_start_anything_is_told_of_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = tmp_path / "gate"
    made = SmallWorkspace(tmp_path)
    made.add("a", gate=gate)
    made.add("b", plan={"launcher": {"kind": "slurm", "time": "1h"}})
    monkeypatch.setenv("PATH", str(tmp_path))  # there is no SLURM
    driver = made.start("--stay")
    made.made["a"].wait_until_at_work(1, units=1)
    log = made.root / "driver" / "driver.log"
    wait_for(lambda: "not on PATH" in log.read_text())
    time.sleep(6.0)  # it is tried again
    gate.touch()
    wait_for(lambda: made.tasks("a", "complete") == 1)
    driver.terminate()
    out, _ = communicate(driver)
    assert driver.returncode == 3
    assert out.count("not on PATH") == 1 and "goes on" not in out.replace("campaigns go on", ""), out


def test_a_clock_that_is_set_back_stops_no_heartbeat(tmp_path: Path) -> None:
    gate, back = tmp_path / "gate", tmp_path / "back"
    made = workspace(tmp_path, "a", "b", gate=gate)
    program = (
        "import os, time; real = time.time\n"
        f"time.time = lambda: real() - 86400 * os.path.exists({str(back)!r})\n"
        "from xpm_alchem.cli import main; main(prog_name='xpm-alchem')"
    )
    driver = made.made["a"].begin([sys.executable, "-c", program, "run", "--all", "--workspace", str(made.root)])
    for campaign in made.made.values():
        campaign.wait_until_at_work(1, units=1)
    beats = [made.root / "driver" / "holder.json", *made.root.glob("campaigns/*/holder.json")]
    back.touch()
    now = time.time()
    wait_for(lambda: len(beats) == 3 and all(beat.stat().st_mtime > now for beat in beats))
    gate.touch()
    out, _ = communicate(driver)
    assert driver.returncode == 0, out
    assert units_once(made)


def test_a_submission_that_fails_half_done_is_done_again(tmp_path: Path) -> None:
    made = workspace(tmp_path, "a", "b", plan=SLOTS_4)
    order = {"path": "/.events/experiments", "name": "stat", "times": 1}
    driver = failing(made, tmp_path / "log", errors=["EIO"], **order)
    out, _ = communicate(driver)
    assert driver.returncode == 0 and "something is wrong" not in out, out
    assert (tmp_path / "log").read_text() and units_once(made)
