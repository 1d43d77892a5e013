"""`stop` returns when nothing is at work, whatever becomes of the driver meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from campaigns import SmallCampaign, held
from patience import communicate, wait_for

from xpm_alchem.execution.fence import Orders


def test_stop_ends_the_attempts_itself_if_the_driver_is_killed_before_it_has_done_so(tmp_path: Path) -> None:
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1)], script=held())
    driver = campaign.start("--quiet")
    campaign.wait_until_at_work(units=1)
    driver.send_signal(signal.SIGSTOP)  # it hears nothing any more
    stop = subprocess.Popen(
        campaign.command("stop", campaign.file), env=os.environ.copy(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    inbox = campaign.records.path / "inbox.jsonl"
    wait_for(lambda: inbox.exists() and "stop" in inbox.read_text(), what="the request")
    driver.kill()
    driver.communicate()
    out, _ = communicate(stop, 200)
    assert stop.returncode == 3, out
    (task,) = campaign.records.state().tasks.values()
    assert task.status == "waiting"
    ((attempt,),) = campaign.attempts().values()
    assert (attempt.outcome, attempt.reason) == ("cancelled", "stopped by the user")


def test_an_attempt_that_does_not_stop_can_be_ended_at_once_while_the_driver_is_stopping(tmp_path: Path) -> None:
    script = {"simulate 0": {"do": "insist", "file": str(tmp_path / "never")}}
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1)], script=script)
    driver = campaign.start("--quiet")
    (attempt,) = campaign.wait_until_at_work(units=1)
    stop = subprocess.Popen(
        campaign.command("stop", campaign.file), env=os.environ.copy(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    (task,) = campaign.records.state().tasks.values()
    wait_for(lambda: Orders.read(campaign.records.task_path(task)).stop, what="the driver that stops")
    assert attempt.process.is_alive()
    campaign.call("cancel", campaign.file, "ligand_0_ligand_1_vacuum:1", "--now")
    assert communicate(driver, 200) is not None and driver.returncode == 3
    communicate(stop, 200)
    assert not attempt.process.is_alive()
    (task,) = campaign.records.state().tasks.values()
    assert task.status == "waiting"
