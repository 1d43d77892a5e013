"""Attempts in containers: what they note is true outside, what ends the one outside ends them, nothing stays behind.

A real Podman where there is one; Apptainer, which Debian does not have, is stood in for (stand_in_apptainer.py).
"""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import forked
import psutil
import pytest
from campaigns import SmallCampaign
from containers import Podman, StandIn
from patience import communicate, wait_for

pytestmark = pytest.mark.slow
HELD = {"simulate 0": {"do": "wait", "file": "/never", "times": 1}}


@pytest.fixture(params=["apptainer", "podman"])
def runtime(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn | Podman:
    """Return a runtime, with a directory for temporary files that is not one of everything of the test's."""
    (tmp_path / "scratch").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "scratch"))
    if request.param == "apptainer":
        return StandIn(tmp_path / "apptainer", monkeypatch)
    if shutil.which("podman") is None or os.getuid():
        pytest.skip("podman, and root's rights, are lacking here")
    podman = Podman(tmp_path / "podman", monkeypatch)
    if why := podman.why_not():
        pytest.skip(why)
    return podman


def campaign_in(runtime: StandIn | Podman, path: Path, *, edges: int = 1, **more: Any) -> SmallCampaign:
    path.mkdir()
    container = runtime.with_bound(path) if "script" in more else runtime.profile  # a script is beside the workspace
    launcher = {"kind": "local", "slots": 2, "container": container, **more.pop("launcher", {})}
    return SmallCampaign(path, edges=[(0, n + 1) for n in range(edges)], plan={"launcher": launcher}, **more)


def held_attempt(campaign: SmallCampaign) -> psutil.Process:
    """Return the process of the attempt that is held, as its record names it."""
    (attempt,) = campaign.wait_until_at_work()
    assert attempt.process.is_here and attempt.process.is_alive()
    return psutil.Process(attempt.process.pid)


def wait_until_gone(process: psutil.Process) -> None:
    wait_for(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE, what="its end")


def test_a_campaign_is_complete_and_no_container_is_left(runtime, tmp_path, monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "hush")
    campaign = campaign_in(runtime, tmp_path / "c", edges=3, launcher={"env": {"MY_KEY": "hush"}})
    done = campaign.run()
    assert done.returncode == 0, done.stdout + done.stderr
    histories = campaign.attempts()
    assert [[str(attempt.outcome) for attempt in attempts] for attempts in histories.values()] == [["complete"]] * 3
    if isinstance(runtime, Podman):
        assert runtime.containers() == []
    else:
        calls = runtime.calls()
        assert len(calls) == 3 and all(call["image"] == str(runtime.image) for call in calls)
        assert all(call["flags"] == ["--nv"] and "hush" not in str(call) for call in calls)
        assert {call["pid"] for call in calls}.isdisjoint(a[0].process.pid for a in histories.values())


def test_an_attempt_ends_with_the_process_that_was_started_for_it(runtime, tmp_path):
    campaign = campaign_in(runtime, tmp_path / "c", script=HELD)
    driver = campaign.start()
    inside = held_attempt(campaign)
    assert os.getsid(inside.pid) == inside.pid
    (task,) = campaign.records.state().tasks.values()
    (pid_file,) = campaign.records.task_path(task).glob("*.pid")
    outside = _pid(pid_file)
    assert outside != inside.pid
    os.kill(outside, signal.SIGKILL)
    wait_until_gone(inside)
    out, _ = communicate(driver)
    assert driver.returncode == 0, out
    ((first, second),) = campaign.attempts().values()
    assert (str(first.outcome), str(second.outcome)) == ("lost", "complete")


def test_another_driver_takes_up_the_attempt(runtime, tmp_path):
    go = tmp_path / "c" / "go"
    campaign = campaign_in(runtime, tmp_path / "c", script={"simulate 0": {"do": "wait", "file": str(go)}})
    driver = campaign.start()
    inside = held_attempt(campaign)
    driver.kill()
    communicate(driver)
    again = campaign.start()
    assert inside.is_running()
    go.touch()
    out, _ = communicate(again)
    assert again.returncode == 0, out
    ((only,),) = campaign.attempts().values()
    assert str(only.outcome) == "complete" and only.process.pid == inside.pid


def test_a_node_is_looked_at_from_inside(runtime, tmp_path):
    campaign = campaign_in(runtime, tmp_path / "c")
    done = campaign.call("doctor", "--node", campaign.file, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["faults"] == 0
    if isinstance(runtime, StandIn):
        assert "xpm_alchem.doctor.node_program" in runtime.calls()[0]["words"]


def test_a_worker_ends_its_attempt_in_a_container(tmp_path: Path, monkeypatch) -> None:
    runtime = StandIn(tmp_path / "apptainer", monkeypatch)
    launcher = {"kind": "workers", "margin": "2s", "container": runtime.with_bound(tmp_path / "c")}
    (tmp_path / "c").mkdir()
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1)], plan={"launcher": launcher}, script=HELD)
    driver = campaign.start()
    wait_for(lambda: campaign.is_made)  # before it there is no workspace
    command = campaign.command("work", "-w", "./workspace", "--slots", "1", "--max-tasks", "1")
    first = forked.Popen(command, cwd=campaign.path)
    inside = held_attempt(campaign)
    assert inside.ppid() == runtime.calls()[0]["pid"]
    first.send_signal(signal.SIGTERM)
    wait_until_gone(inside)
    communicate(first)
    second = forked.Popen(command, cwd=campaign.path)
    out, _ = communicate(driver)
    assert driver.returncode == 0, out
    communicate(second)
    ((_, last),) = campaign.attempts().values()
    assert str(last.outcome) == "complete" and len(runtime.calls()) == 2


def _pid(file: Path) -> int:
    return int(json.loads(file.read_text())["pid"])
