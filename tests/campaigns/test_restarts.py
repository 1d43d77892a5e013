"""Restart patterns and default rules on campaigns with real processes; the commands, with and without a driver."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from campaigns import SmallCampaign
from patience import communicate, wait_for

from xpm_alchem.client import Campaign
from xpm_alchem.execution.attempts import Outcome
from xpm_alchem.execution.directory import TaskDirectory

NAN = "Particle coordinate is NaN"
ONE_SLOT = {"kind": "local", "slots": 1}


def fails(times: int, message: str = "weird fault 17", unit: str = "simulate 0") -> dict:
    return {unit: {"do": "raise", "message": message, "times": times}}


def restarts(campaign: SmallCampaign, command: str, *arguments: object, code: int = 0) -> str:
    done = campaign.call("restarts", command, campaign.file, *arguments)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def history(campaign: SmallCampaign) -> list[tuple[str, str]]:
    """Return outcome and reason of the decision of the only task's attempts."""
    ((attempts),) = campaign.attempts().values()
    return [(str(a.outcome), a.decision_reason or "") for a in attempts]


def test_patterns_without_a_driver_apply_at_once_to_what_is_in_error(tmp_path: Path) -> None:
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1)], script=fails(2))
    assert campaign.run().returncode == 1
    assert "0" in restarts(campaign, "list")
    restarts(campaign, "add", "weird fault", "--allowed", 1)
    assert campaign.json("status")["tasks"]["waiting"] == 1  # before anything runs
    assert campaign.run().returncode == 1  # it failed once more: one restart was allowed
    assert [outcome for outcome, _ in history(campaign)] == ["error", "error"]
    assert "used up (1 restarts)" in history(campaign)[-1][1]
    shown = json.loads(restarts(campaign, "list", "--json"))
    assert shown["patterns"] == [{"pattern": "weird fault", "allowed": 1, "from_scratch": False, "in_error": 1}]
    restarts(campaign, "set", "weird fault", "--allowed", 2)
    assert campaign.run().returncode == 0
    assert [outcome for outcome, _ in history(campaign)] == ["error", "error", "complete"]
    assert "'weird fault' 2 of 2" in history(campaign)[1][1]
    assert max(campaign.units_done().popitem()[1].values()) == 1  # it went on: setup ran once
    restarts(campaign, "remove", "weird fault")
    assert json.loads(restarts(campaign, "list", "--json"))["patterns"] == []


@pytest.mark.parametrize("ended", [True, False])
def test_an_attempt_that_nobody_waited_for_is_judged_before_another_one_begins(tmp_path: Path, ended: bool) -> None:
    """A driver was killed between the start of a process and the note of it, and the next one came before it began."""
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1)], script=fails(1))
    assert campaign.run().returncode == 1
    records = campaign.records
    (task,) = records.state().tasks.values()
    journal = TaskDirectory(records.task_path(task)).attempts
    lost = {"decision", "stderr"} if ended else {"decision", "stderr", "end"}
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(line for line in lines if json.loads(line).get("event") not in lost))
    with records.lock():
        reason = "the driver ended before its attempt was started"
        records.write({"event": "status", "task": task.task, "status": "waiting", "reason": reason})
    if ended:
        assert campaign.run().returncode == 1
        assert history(campaign) == [("error", "an error that no restart pattern matches")]
    else:
        assert campaign.run().returncode == 0
        assert [outcome for outcome, _ in history(campaign)] == ["lost", "complete"]
        assert history(campaign)[0][1] == "a lost attempt: retry 1 of 3"


def test_a_pattern_added_while_a_driver_runs_takes_a_failed_task_up_again(tmp_path: Path) -> None:
    go_on = tmp_path / "go on"
    script = {**fails(1, unit="setup"), "simulate 0": {"do": "wait", "file": str(go_on)}}
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1), (1, 2)], script=script)
    driver = campaign.start()

    def in_error() -> bool:
        return campaign.is_made and campaign.json("status")["tasks"]["error"] == 1

    wait_for(in_error, what="a task in error")
    assert "within seconds" in restarts(campaign, "add", "weird.*17", "--allowed", 3)
    wait_for(lambda: not in_error(), what="its restart")
    go_on.touch()
    out, _ = communicate(driver, 200)
    assert driver.returncode == 0, out
    assert "plan changed: restarts" in out


def test_from_scratch_sets_the_checkpoint_aside_and_computes_everything_again(tmp_path: Path) -> None:
    script = {"simulate 0 step 3": {"do": "raise", "message": "poison", "times": 1}}
    pattern = {"pattern": "poison", "allowed": 1, "from_scratch": True}
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1)], script=script, plan={"restarts": [pattern]})
    done = campaign.run()
    assert done.returncode == 0, done.stdout
    (task,) = campaign.records.state().tasks.values()
    files = TaskDirectory(campaign.records.task_path(task))
    assert "from scratch" in history(campaign)[0][1]
    assert campaign.units_done()[task.task]["setup"] == 2
    aside = {path.name for path in files.path.glob("*.set-aside-*")}
    assert aside == {"dag.set-aside-1", "results.set-aside-1", "shared.set-aside-1"} or aside == {
        "dag.json.set-aside-1",
        "results.set-aside-1",
        "shared.set-aside-1",
    }
    assert any((files.path / "shared.set-aside-1").rglob("checkpoint.json"))
    second = campaign.attempts()[task.task][1]
    assert any(unit.get("fresh") and "from scratch; kept" in unit["reason"] for unit in second.units)
    # resumed once more it goes on from there: the order was for one attempt
    assert json.loads(files.orders.read_text())["afresh_after"] == 1


def test_a_failing_create_is_an_error_with_its_reason_and_no_loop(tmp_path: Path) -> None:
    script = {"create": {"do": "raise", "message": "no parameters for ligand_1"}}
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1)], script=script)
    assert campaign.run().returncode == 1
    ((outcome, reason),) = history(campaign)
    assert (outcome, "no restart pattern matches" in reason) == ("error", True)
    ((attempts),) = campaign.attempts().values()
    assert "no parameters for ligand_1" in (attempts[0].traceback or "")


def test_tasks_that_die_without_a_word_are_restarted_by_what_they_printed(tmp_path: Path) -> None:
    campaign = SmallCampaign(
        tmp_path / "c",
        edges=[(0, 1)],
        script={"simulate 0": {"do": "say", "text": "GPU 3 fell asleep", "then": "kill", "times": 2}},
        plan={"max_retries": 0, "restarts": [{"pattern": "GPU . fell asleep", "allowed": 2}]},
    )
    done = campaign.run()
    assert done.returncode == 0, done.stdout
    assert [outcome for outcome, _ in history(campaign)] == ["lost", "lost", "complete"]
    assert "'GPU . fell asleep' 2 of 2" in history(campaign)[1][1]


def test_a_nan_waits_for_another_repeat_to_succeed(tmp_path: Path) -> None:
    """One slot: the first repeat fails, the second succeeds, then the first is tried again."""
    campaign = SmallCampaign(
        tmp_path / "c",
        edges=[(0, 1)],
        script=fails(1, NAN),
        plan={"strategy": {"name": "uniform", "settings": {"repeats": 2}}, "launcher": ONE_SLOT},
    )
    done = campaign.run()
    assert done.returncode == 0, done.stdout
    assert ":1: was in error, is tried again: default rule 'nan', 1 of 3" in done.stdout
    first, second = campaign.attempts().values()
    assert [a.outcome for a in first] == [Outcome.ERROR, Outcome.COMPLETE]
    assert [a.outcome for a in second] == [Outcome.COMPLETE]


@pytest.mark.parametrize("given", [False, ["gpu"]])
def test_default_rules_can_be_switched_off(tmp_path: Path, given) -> None:
    message = "OSError: [Errno 116] Stale file handle"
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1)], script=fails(1, message), plan={"default_restarts": given})
    assert campaign.run().returncode == 1
    campaign.write_plan(default_restarts=True)  # switched on again: what is in error is looked at again
    assert campaign.run().returncode == 0


def test_what_failed_altogether_is_left_out_and_said_so(tmp_path: Path) -> None:
    campaign = SmallCampaign(
        tmp_path / "c", edges=[(0, 1), (1, 2), (0, 2)], script=fails(1, "hopeless"), plan={"launcher": ONE_SLOT}
    )
    done = campaign.run()
    assert done.returncode == 1
    assert "failed in all its repeats and is left out: it is redundant" in done.stdout
    (left,) = campaign.json("status")["left_out"]
    assert left["cut_off"] == []


BAD = [
    (("add", "(", "--allowed", 1), "no regular expression"),
    (("add", "", "--allowed", 1), "not a text"),
    (("add", "x", "--allowed", 0), "not a whole number of at least 1"),
    (("add", "fine", "(", "--allowed", 1), "no regular expression"),
    (("set", "unknwn", "--allowed", 1), "there is no pattern 'unknwn'; did you mean 'unknown'?"),
    (("remove", "nothing like it"), "there is no pattern 'nothing like it'"),
]


def test_what_makes_no_sense_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1)])
    made = Campaign.create(campaign.file)
    made.add_task_restart_patterns(["unknown"], 2)
    before = (made.path / "campaign.yaml").read_bytes()
    for arguments, sentence in BAD:
        assert sentence in restarts(campaign, *arguments, code=2)
        assert (made.path / "campaign.yaml").read_bytes() == before
    assert made.get_task_restart_patterns() == {"unknown": 2}
    made.add_task_restart_patterns(["unknown", "CUDA"], 5)  # the limit of one that is there is overwritten
    made.set_task_restart_patterns_allowed_restarts(["CUDA"], 1)
    assert made.get_task_restart_patterns() == {"unknown": 5, "CUDA": 1}
    made.remove_task_restart_patterns(["unknown"])
    assert made.get_task_restart_patterns() == {"CUDA": 1}
    made.clear_task_restart_patterns()
    assert made.get_task_restart_patterns() == {}


def test_a_task_that_is_lost_again_and_again_waits_longer_each_time_also_for_the_next_driver(
    tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setenv("XPM_ALCHEM_PAUSES", "60")  # ten minutes after the second loss
    script = {"setup": {"do": "kill", "times": 2}}
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1)], script=script)
    driver = campaign.start()
    wait_for(lambda: _waits(campaign), what="the pause after the second loss")
    driver.kill()
    communicate(driver)
    assert campaign.run("--once").returncode == 3
    assert [outcome for outcome, _ in history(campaign)] == ["lost", "lost"]
    (row,) = campaign.json("show")["rows"]
    assert row["next"].startswith("waits until ")
    (task,) = json.loads(campaign.call("tasks", "list", campaign.file, "--json").stdout)["rows"]
    assert task["not_before"] > time.time() + 60
    why = campaign.call("why", campaign.file, f"{task['transformation']}:1").stdout
    assert "waits until " in why and "retry 2 of 3" in why
    monkeypatch.setenv("XPM_ALCHEM_PAUSES", "0")
    campaign.call("tasks", "cancel", campaign.file, task["id"])
    campaign.call("retry", campaign.file, task["id"])
    assert campaign.run().returncode == 0
    assert [outcome for outcome, _ in history(campaign)] == ["lost", "lost", "complete"]


def _waits(campaign: SmallCampaign) -> bool:
    tasks = campaign.records.state().tasks.values() if campaign.is_made else ()
    return any(task.waits_until(time.time()) for task in tasks)
