"""Small things that were told wrongly, each through the command that told it."""

from __future__ import annotations

from pathlib import Path

import pytest
from campaigns import SmallCampaign
from patience import wait_for

from xpm_alchem.execution.directory import TaskDirectory


def test_a_campaign_whose_strategy_is_disabled_is_not_satisfied_while_results_are_missing(tmp_path: Path) -> None:
    strategy = {"name": "uniform", "settings": {"repeats": 1}, "mode": "disabled"}
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1), (1, 2)], plan={"strategy": strategy})
    done = campaign.run()
    assert done.returncode == 3, done.stdout
    assert "mode is disabled" in done.stdout and "2 transformation(s) have no result" in done.stdout
    assert "satisfied" not in done.stdout
    attached = campaign.call("attach", campaign.file)
    assert attached.returncode == 3 and "2 transformation(s) have no result" in attached.stdout
    for record in campaign.records.index.transformations:
        assert campaign.call("tasks", "create", campaign.file, record.name).returncode == 0
    assert campaign.run().returncode == 0


@pytest.mark.parametrize("command", [["no-such-program", "x"], ["/no/such/program"], ["~/no/such/program"]])
def test_a_program_of_notify_that_is_not_there_is_told_before_it_is_needed(tmp_path: Path, command) -> None:
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1)], plan={"notify": {"command": command}})
    dry = campaign.run("--dry-run")
    assert dry.returncode == 0
    assert f"warning: notify.command: the program '{command[0]}' is not here" in dry.stdout
    campaign.write_plan(strategy={"name": None, "mode": "disabled"})
    campaign.run("--quiet")
    checks = [check for check in campaign.json("doctor")["checks"] if check["check"] == "campaign.yaml"]
    assert [check["verdict"] for check in checks] == ["ok", "warning"]
    assert command[0] in checks[1]["found"]


def test_a_result_that_is_missing_is_not_called_whole(tmp_path: Path) -> None:
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1)])
    assert campaign.run().returncode == 0
    (task,) = campaign.records.state().tasks.values()
    files = TaskDirectory(campaign.records.task_path(task))
    for path in (files.result, files.summary):
        path.unlink()
    done = campaign.call("doctor", campaign.file)
    assert done.returncode == 1
    assert "the result of 1 complete task(s) is missing" in done.stdout
    assert "results are whole" not in done.stdout
    mended = campaign.call("doctor", campaign.file, "--fix")
    assert mended.returncode == 0, mended.stdout
    assert files.result.exists() and files.summary.exists()


def test_who_could_not_be_notified_is_told_so_and_notified_when_the_program_is_there(tmp_path: Path) -> None:
    program = tmp_path / "tell"
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1)], plan={"notify": {"command": [str(program)]}})
    done = campaign.run()
    assert done.returncode == 0
    assert "nobody could be notified" in done.stdout and "notified: satisfied" not in done.stdout
    program.write_text(f"#!/bin/sh\ncat > {tmp_path}/told\n")
    program.chmod(0o755)
    assert "notified: satisfied" in campaign.run().stdout
    wait_for(lambda: (tmp_path / "told").exists(), what="the notification")
