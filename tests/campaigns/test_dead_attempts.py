"""Attempts that nobody waits for: every view says that their processes are gone, and what goes on with them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from campaigns import SmallCampaign, held
from patience import communicate, wait_for

from xpm_alchem.execution.processes import kill_session


@pytest.mark.parametrize("death", ["killed", "ended"])
def test_what_died_while_no_driver_runs_is_not_shown_as_running(tmp_path: Path, death: str) -> None:
    go_on = tmp_path / "go on"
    script = held(until=go_on) if death == "killed" else {"simulate 0": {"do": "raise", "message": "odd", "times": 1}}
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1)], script=script)
    driver = campaign.start()
    if death == "killed":
        (attempt,) = campaign.wait_until_at_work(1)
        driver.kill()
        communicate(driver)
        assert campaign.json("status")["tasks"]["running"] == 1  # its process goes on
        kill_session(attempt.process)
        wait_for(lambda: not attempt.process.is_alive(), what="its end")
        said = "its process is gone"
    else:
        communicate(driver)
        records = campaign.records
        (task,) = records.state().tasks.values()
        with records.lock():  # as a driver leaves it that is killed before it hears of the end
            records.write({"event": "submitted", "task": task.task, "attempts": 0, "reason": ""})
        said = "its attempt has ended (error)"
    status, (row,) = campaign.json("status"), campaign.json("show")["rows"]
    assert (status["tasks"]["running"], status["gone"]) == (0, 1)
    assert said in row["next"] and "`run` goes on" in row["next"]
    done = campaign.call("why", campaign.file, f"{row['transformation']}:1")
    why = done.stdout + done.stderr
    assert said in why and "`run` goes on" in why and "nobody drives: go on" in why
    assert said in campaign.call("status", campaign.file).stdout
    (listed,) = json.loads(campaign.call("tasks", "list", campaign.file, "--json").stdout)["rows"]
    assert listed["hold"]["kind"] == "gone"
    go_on.touch()
    campaign.run()
    assert campaign.json("status")["gone"] == 0
