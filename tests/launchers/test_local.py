"""The local launcher: no attempt is beside another, also where a driver was killed before it could note one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import attrs
import psutil
import pytest
from campaigns import SmallCampaign
from patience import communicate, hear
from places import SUPPORT

from xpm_alchem.base.errors import SupersededError
from xpm_alchem.execution.attempts import Attempt, Outcome
from xpm_alchem.execution.directory import TaskDirectory
from xpm_alchem.execution.fence import Fence, Orders
from xpm_alchem.execution.processes import ProcessIdentity
from xpm_alchem.launchers.base import Ending
from xpm_alchem.launchers.local import LocalLauncher


@pytest.mark.slow
def test_an_attempt_that_its_driver_could_not_note_is_found_by_the_next_one(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("XPM_ALCHEM_TEST_REAL", "1")  # its command line is what it is found by
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1)], plan={"launcher": {"kind": "local", "slots": 1}})
    program = [sys.executable, str(SUPPORT / "orphaning_driver.py"), str(campaign.file)]
    killed = subprocess.run(program, cwd=campaign.path, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stdout + killed.stderr
    orphan = psutil.Process(int(killed.stdout))
    (task,) = campaign.records.state().tasks.values()
    assert not list(campaign.records.task_path(task).glob("*.pid"))
    driver = campaign.start()
    hear(driver, "taken up again")
    os.kill(orphan.pid, signal.SIGCONT)
    out, _ = communicate(driver)
    assert driver.returncode == 0, out
    ((only,),) = campaign.attempts().values()
    assert only.outcome is Outcome.COMPLETE and only.process.pid == orphan.pid


def test_a_process_of_an_earlier_launch_may_not_begin(tmp_path: Path) -> None:
    launcher = LocalLauncher()
    launcher.prepare(tmp_path)
    first = Orders.read(tmp_path).launch
    Fence(tmp_path, first)
    launcher.prepare(tmp_path)
    assert Orders.read(tmp_path).launch != first
    with pytest.raises(SupersededError, match="came too late"):
        Fence(tmp_path, first)


def test_what_runs_another_script_is_no_attempt_of_a_task(tmp_path: Path) -> None:
    assert not LocalLauncher().has_launched(tmp_path)


def test_an_attempt_on_another_machine_is_waited_for_until_it_is_silent_for_long(tmp_path: Path) -> None:
    launcher, directory = LocalLauncher(), tmp_path / "jobs" / "a" / "b"
    directory.mkdir(parents=True)
    (tmp_path / "campaigns" / "c").mkdir(parents=True)
    launcher.open(tmp_path, "c")
    process = attrs.evolve(ProcessIdentity.of(), host="far-away")
    attempt = Attempt(number=1, process=process, start=time.time())
    assert launcher.is_running(directory, attempt) is None  # of a version that gave no signs of life
    alive = TaskDirectory(directory).alive
    alive.touch()
    assert launcher.is_running(directory, attempt) is None
    long_ago = time.time() - 7200
    os.utime(alive, (long_ago, long_ago))
    TaskDirectory(directory).printed("stdout").touch()  # what it prints is a sign of life too
    assert launcher.is_running(directory, attempt) is None
    TaskDirectory(directory).printed("stdout").unlink()
    assert launcher.is_running(directory, attempt) is False
    ending = launcher.ending(directory, attempt)
    assert ending == Ending(Outcome.LOST, "no sign of life from far-away for 1 h; it was fenced off", is_certain=False)
