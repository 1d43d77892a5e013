"""Campaigns whose tasks workers take: each once, whatever becomes of workers, attempts and drivers."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from campaigns import SmallCampaign, held
from device_use import devices_seen, using
from patience import communicate, end_of, scaled, wait_for
from places import SUPPORT
from workers import Workers, in_pool, send, tree

from xpm_alchem.execution.processes import HOST
from xpm_alchem.launchers.workers import members, queue, worker

pytestmark = pytest.mark.slow
OFTEN = {f"{queue.__name__}:_WORKERS_SECONDS": 0.1}


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Workers]:
    with Workers(tmp_path / "c" / "workspace", tmp_path / "workers.log") as found:
        yield found


def make(path: Path, *, tasks: int = 1, slots: int = 20, script: dict[str, Any] | None = None) -> SmallCampaign:
    launcher = {"kind": "workers", "slots": slots, "margin": "2s"}
    edges = [(0, number + 1) for number in range(tasks)]
    return SmallCampaign(path / "c", edges=edges, script=script, plan={"launcher": launcher})


def drive(campaign: SmallCampaign, durations: dict[str, float]) -> subprocess.Popen[str]:
    """Start a driver in which some durations are others."""
    return campaign.begin(
        [sys.executable, str(SUPPORT / "tuned.py"), json.dumps(durations), "0", "run", str(campaign.file)]
    )


def finish(driver: subprocess.Popen[str], workers: Workers) -> None:
    """Wait for a driver's end."""
    out, _ = communicate(driver)
    assert driver.returncode == 0, out + workers.said()


def outcomes(campaign: SmallCampaign) -> list[list[str]]:
    return [[str(attempt.outcome) for attempt in attempts] for attempts in campaign.attempts().values()]


def offers(campaign: SmallCampaign) -> list[str]:
    return [name for name in in_pool(campaign.path / "workspace") if name.startswith("offers/")]


def listed(campaign: SmallCampaign) -> list[dict[str, Any]]:
    """Return what `workers --json` tells of each worker."""
    done = campaign.call("workers", "-w", campaign.path / "workspace", "--json")
    assert done.returncode == 0, done.stderr
    return [row for pool in json.loads(done.stdout)["pools"] for row in pool["workers"]]


def test_each_task_is_computed_once_by_workers_of_different_sizes(tmp_path, workers):
    go = tmp_path / "go"
    campaign = make(tmp_path, tasks=9, script=held(at="setup", until=go))
    pids = [workers.start("--idle", "never", "--slots", slots).pid for slots in (2, 3)]
    driver = campaign.start()
    campaign.wait_until_at_work(5)
    rows = {row["pid"]: row for row in listed(campaign)}
    assert {pid: (row["slots"], row["taken"], row["status"]) for pid, row in rows.items()} == {
        pids[0]: (2, 2, "works"),
        pids[1]: (3, 3, "works"),
    }
    assert len(offers(campaign)) == 4
    go.touch()
    finish(driver, workers)
    assert outcomes(campaign) == [["complete"]] * 9
    by = {attempt.launched_as for attempts in campaign.attempts().values() for attempt in attempts}
    assert by == {row["worker"] for row in rows.values()}
    workers.end()
    assert in_pool(campaign.path / "workspace") == []


def test_attempts_go_on_when_their_worker_alone_is_killed(tmp_path, workers):
    go = tmp_path / "go"
    campaign = make(tmp_path, tasks=2, script=held(until=go))
    one = workers.start("--slots", 2)
    driver = drive(campaign, OFTEN)
    campaign.wait_until_at_work(2, units=1)
    one.kill()
    wait_for(lambda: [row["status"] for row in listed(campaign)] == ["dead"])
    time.sleep(2.0)  # in which the driver looks at it many times
    go.touch()
    finish(driver, workers)
    assert outcomes(campaign) == [["complete"]] * 2


def test_another_worker_goes_on_where_one_was_killed_with_its_attempts(tmp_path, workers):
    campaign = make(tmp_path, script=held(times=1))
    one = workers.start()
    driver = drive(campaign, OFTEN)
    campaign.wait_until_at_work(units=1)
    for pid in tree(one.pid):
        send(pid, signal.SIGKILL)
    workers.start()
    finish(driver, workers)
    ((first, second),) = campaign.attempts().values()
    assert (first.outcome, second.outcome) == ("lost", "complete")
    assert "killed" in first.reason
    assert [unit["resumed"] for unit in second.units if unit["name"] == "simulate 0" and unit.get("ok")] == [True]
    workers.end()
    assert {row["status"] for row in listed(campaign)} == {"dead"}
    assert "died without a word" in campaign.call("doctor", campaign.file).stdout
    campaign.call("doctor", campaign.file, "--fix")
    assert in_pool(campaign.path / "workspace") == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_worker_that_is_told_to_end_stops_its_attempts_at_their_checkpoints(tmp_path, workers, number):
    campaign = make(tmp_path, tasks=2, script=held(times=2))
    one = workers.start("--slots", 2, "--idle", "never")
    driver = campaign.start()
    campaign.wait_until_at_work(2, units=1)
    one.send_signal(number)
    assert end_of(one) == 0
    assert [name for name in in_pool(campaign.path / "workspace") if not name.startswith(("offers", "ended"))] == []
    workers.start("--slots", 2)
    finish(driver, workers)
    for first, second in campaign.attempts().values():
        assert (first.outcome, first.progress, second.outcome) == ("timeout", True, "complete")
        assert [unit["resumed"] for unit in second.units if unit["name"] == "simulate 0" and unit.get("ok")] == [True]


def test_a_driver_that_was_killed_finds_its_tasks_again(tmp_path, workers):
    go = tmp_path / "go"
    campaign = make(tmp_path, tasks=5, script=held(until=go))
    workers.start("--slots", 2, "--idle", "never")
    driver = campaign.start()
    campaign.wait_until_at_work(2, units=1)
    wait_for(lambda: len(offers(campaign)) == 3)
    driver.kill()
    communicate(driver)
    driver = campaign.start()
    wait_for(lambda: (holder := campaign.records.holder()) is not None and holder.process.pid == driver.pid)
    go.touch()
    finish(driver, workers)
    assert outcomes(campaign) == [["complete"]] * 5


def test_what_ends_while_no_driver_is_there_is_taken_in_by_the_next(tmp_path, workers):
    go = tmp_path / "go"
    campaign = make(tmp_path, tasks=3, script=held(until=go))
    one = workers.start("--slots", 3, "--max-tasks", 3, "--idle", "never")
    driver = campaign.start()
    campaign.wait_until_at_work(3, units=1)
    driver.kill()
    communicate(driver)
    go.touch()
    assert end_of(one) == 0
    assert campaign.run().returncode == 0
    assert outcomes(campaign) == [["complete"]] * 3
    assert in_pool(campaign.path / "workspace") == []


def test_stop_takes_offers_back_and_stops_what_is_at_work(tmp_path, workers):
    campaign = make(tmp_path, tasks=4, script=held(times=2))
    workers.start("--slots", 2, "--idle", "never")
    driver = campaign.start()
    campaign.wait_until_at_work(2, units=1)
    wait_for(lambda: len(offers(campaign)) == 2)
    assert campaign.call("stop", campaign.file).returncode == 3
    communicate(driver)
    assert not campaign.at_work()
    assert [name for name in in_pool(campaign.path / "workspace") if not name.startswith("workers/")] == []
    assert sorted(outcomes(campaign)) == [[], [], ["cancelled"], ["cancelled"]]
    assert campaign.run().returncode == 0
    assert sorted(outcomes(campaign)) == [["cancelled", "complete"]] * 2 + [["complete"]] * 2


def test_offered_and_running_tasks_are_cancelled_alone(tmp_path, workers):
    campaign = make(
        tmp_path, tasks=3, script={"simulate 0": {"do": "insist", "file": str(tmp_path / "go"), "times": 1}}
    )
    driver = campaign.start()
    wait_for(lambda: campaign.is_made and len(offers(campaign)) == 3)
    before = set(offers(campaign))
    assert campaign.call("cancel", campaign.file, "ligand_0_ligand_3_vacuum:1").returncode == 0
    wait_for(lambda: len(before - set(offers(campaign))) == 1, what="the offer is taken back")
    workers.start("--idle", "never")
    (attempt,) = campaign.wait_until_at_work(units=1)
    name = next(name for name, attempts in campaign.attempts().items() if attempts)
    state = campaign.records.state().tasks[name]
    names = {record.id: record.name for record in campaign.records.index.transformations}
    task = f"{names[state.transformation]}:{state.repeat}"
    assert campaign.call("cancel", campaign.file, task, "--now").returncode == 0
    wait_for(lambda: not attempt.process.is_alive(), what="the worker ends the attempt that does not listen")
    communicate(driver)
    never, cancelled, *others = sorted(outcomes(campaign))  # the strategy asks for others instead
    assert (never, cancelled) == ([], ["cancelled"])
    assert others == [["complete"]] * len(others)


def test_two_workers_of_a_machine_never_share_a_device(tmp_path, workers, monkeypatch):
    for variable in ("CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"):
        monkeypatch.setenv(variable, "0,1")
    used = tmp_path / "used"
    campaign = make(tmp_path, tasks=12, script=using(used))
    for _ in range(2):
        workers.start("--idle", "never")
    assert campaign.run().returncode == 0, workers.said()
    assert set(devices_seen(used)) == {("here", "0"), ("here", "1")}
    assert outcomes(campaign) == [["complete"]] * 12


def another_machine(name: str) -> list[str]:
    """Return a command that starts another one under another host name; skip where that cannot be done."""
    command = ["unshare", "--uts", "sh", "-c", f'hostname {name} && exec "$@"', "sh"]
    if shutil.which("unshare") is None or subprocess.run([*command, "true"], capture_output=True).returncode:
        pytest.skip("only root can give a process another host name (unshare --uts)")
    return command


def test_a_task_of_a_machine_of_which_nothing_is_heard_goes_to_another(tmp_path, workers):
    before = another_machine("far-away")
    campaign = make(tmp_path, script=held(times=1))
    one = workers.start(before=before)
    silent = scaled(8.0)
    quickly = {f"{module.__name__}:SILENT_SECONDS": silent for module in (members, queue)}
    driver = drive(campaign, {**OFTEN, **quickly})
    (attempt,) = campaign.wait_until_at_work(units=1)
    assert attempt.process.host == "far-away" != HOST
    assert [(row["host"], row["status"]) for row in listed(campaign)] == [("far-away", "works")]
    for pid in tree(one.pid):
        send(pid, signal.SIGKILL)
    workers.start("--idle", "never")
    finish(driver, workers)
    ((first, second),) = campaign.attempts().values()
    assert (first.outcome, second.outcome) == ("lost", "complete")
    assert "no sign of life" in first.reason
    assert second.process.host == HOST


def test_a_worker_elsewhere_that_lives_is_not_taken_for_dead(tmp_path, workers):
    go = tmp_path / "go"
    campaign = make(tmp_path, tasks=2, script=held(until=go))
    workers.start("--slots", 2, "--idle", "never", before=another_machine("far-away"))
    driver = drive(campaign, OFTEN)
    campaign.wait_until_at_work(2, units=1)
    time.sleep(2.0)  # in which the driver looks at it many times
    go.touch()
    finish(driver, workers)
    assert outcomes(campaign) == [["complete"]] * 2


def test_workers_end_by_themselves(tmp_path, workers):
    campaign = make(tmp_path, tasks=5)
    two = workers.start("--max-tasks", 2, "--idle", "never")
    driver = campaign.start()
    assert end_of(two) == 0
    assert "as many as it should; 2 task(s) were taken" in workers.said()
    one = workers.start("--idle", "2s")
    finish(driver, workers)
    assert end_of(one) == 0
    assert "had nothing to do for 2 s; 3 task(s) were taken" in workers.said()


def test_attempts_stop_at_their_checkpoints_before_the_time_of_their_worker_is_over(tmp_path, workers):
    campaign = make(tmp_path, script=held(times=1))
    short = {f"{worker.__name__}:_LEAST_SECONDS": 5.0}
    driver = campaign.start()
    wait_for(lambda: campaign.is_made and offers(campaign))
    one = workers.start("--time", f"{scaled(20.0):.0f}s", durations=short)
    assert end_of(one, 120) == 0
    workers.start()
    finish(driver, workers)
    ((first, second),) = campaign.attempts().values()
    assert (first.outcome, first.progress, second.outcome) == ("timeout", True, "complete")
