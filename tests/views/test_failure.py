"""`xpm-alchem failures` and `why` on campaigns in which much has happened."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner
from histories import TRACEBACK, PastCampaign

from xpm_alchem.campaign.task_state import TaskState
from xpm_alchem.cli import main
from xpm_alchem.client import Campaign
from xpm_alchem.execution.attempt_log import AttemptLog
from xpm_alchem.execution.attempts import Outcome
from xpm_alchem.views.commands import Address

EDGES = [(n, n + 1) for n in range(6)]
NAN = "openmm.OpenMMException: Particle coordinate is NaN (ligand_{0})"
MISSING = "FileNotFoundError: [Errno 2] No such file or directory: '/scratch/{0}/system.xml'"


@pytest.fixture
def past(tmp_path: Path) -> PastCampaign:
    return PastCampaign(tmp_path / "c", EDGES)


def failures(past: PastCampaign) -> dict:
    return Campaign(past.records).failures()


def call(past: PastCampaign, *arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(main, [arguments[0], str(past.records.path), *arguments[1:]])
    assert done.exit_code == code, done.output
    assert "Traceback" not in done.output or "why" in arguments
    return done.output


def names(past: PastCampaign, tasks: list[TaskState]) -> list[str]:
    return [past.name(task) for task in tasks]


# -------------------------------------------------------------------------------------------------------- failures
def test_nothing_in_error_is_said(past):
    assert "no task is in error" in call(past, "failures")
    assert json.loads(call(past, "failures", "--json")) == {
        "campaign": "past",
        "in_error": 0,
        "failures": [],
        "restarted": [],
    }


def test_tasks_in_error_are_grouped_by_what_was_raised(past):
    tasks = past.fail([NAN.format(0), MISSING.format(1), NAN.format(2), NAN.format(3), MISSING.format(4)])
    view = failures(past)
    assert view["in_error"] == 5
    many, few = view["failures"]
    assert many["line"] == "openmm.OpenMMException: Particle coordinate is NaN (<name>)"
    assert many["example"] == NAN.format(3)  # the latest, verbatim
    assert many["tasks"] == names(past, [tasks[0], tasks[2], tasks[3]])
    assert few["tasks"] == names(past, [tasks[1], tasks[4]])
    assert (many["attempts"], few["attempts"]) == (3, 2)
    assert many["reasons"] == {"an error that no restart pattern matches": 3}
    assert many["first"] <= many["last"]
    assert view["restarted"] == []


def test_what_may_pass_gets_a_restart_pattern_that_finds_the_group_and_no_other(past):
    lines = [NAN.format(0), MISSING.format(1), NAN.format(2), "ValueError: Particle coordinate is NaN"]
    past.fail(lines)
    group = next(group for group in failures(past)["failures"] if len(group["tasks"]) == 2)
    assert group["passing"]
    (command,) = group["commands"]
    words = shlex.split(command)
    assert words[:3] == ["xpm-alchem", "restarts", "add"]
    assert words[3] == str(past.records.path)
    assert words[5:] == ["--allowed", "2"]
    found = [bool(re.search(words[4], f"{TRACEBACK}{line}\n")) for line in lines]
    assert found == [True, False, True, False]


def test_what_will_not_pass_is_to_be_looked_at_and_tried_again(past):
    tasks = past.fail([MISSING.format(n) for n in range(3)])
    (group,) = failures(past)["failures"]
    assert not group["passing"]
    path = shlex.quote(str(past.records.path))
    why = f"xpm-alchem why {path} {past.name(tasks[0])}"
    assert group["commands"] == [why, f"xpm-alchem retry {path} --all"]
    past.attempt(past.task(5), Outcome.ERROR, "KeyError: 'x'", decision="stop")
    past.status(past.task(5), "error")
    group = failures(past)["failures"][0]
    assert group["commands"] == [why, *(f"xpm-alchem retry {path} {name}" for name in names(past, tasks))]
    assert "look at one, mend the cause" in call(past, "failures")


def test_what_failed_in_the_same_way_again_does_not_pass(past):
    past.attempt(past.task(), Outcome.ERROR, NAN.format(0))
    past.fail([NAN.format(0)])
    (group,) = failures(past)["failures"]
    assert group["attempts"] == 2
    assert not group["passing"]


@pytest.mark.parametrize(
    "why", ["the restart pattern 'NaN' is used up (1 restarts)", "default rule 'nan': taken to be reproducible"]
)
def test_no_pattern_is_suggested_against_a_decision_that_knew_the_failure(past, why):
    past.attempt(past.task(), Outcome.ERROR, NAN.format(0), decision="stop", why=why)
    past.status(past.task(), "error")
    (group,) = failures(past)["failures"]
    assert not group["passing"]
    assert why in call(past, "failures")


def test_what_others_have_survived_may_pass(past):
    line = "RuntimeError: strange"
    past.fail([line])
    assert not failures(past)["failures"][0]["passing"]
    other = past.task(1)
    past.attempt(other, Outcome.ERROR, line)
    past.attempt(other, Outcome.COMPLETE)
    past.status(other, "complete")
    view = failures(past)
    assert view["failures"][0]["passing"]
    (restarted,) = view["restarted"]
    assert restarted["tasks"] == names(past, [other])
    assert restarted["now"] == {"complete": 1}


def test_failures_that_were_restarted_are_told_apart(past):
    waiting, running, complete, sliced = (past.task(edge) for edge in range(4))
    past.attempt(waiting, Outcome.LOST, "its process on n7 ended without a word (killed?)", node="n7")
    past.status(waiting, "waiting")
    past.attempt(running, Outcome.LOST, "its process on n8 ended without a word (killed?)", node="n8")
    past.attempt(running, None)
    for _ in range(2):
        past.attempt(complete, Outcome.ERROR, NAN.format(0))
    past.attempt(complete, Outcome.COMPLETE)
    past.status(complete, "complete")
    past.attempt(sliced, Outcome.TIMEOUT, "the time limit is near", progress=True)
    past.attempt(sliced, Outcome.CANCELLED, "told to end")
    view = failures(past)
    assert view["in_error"] == 0
    lost, nan = sorted(view["restarted"], key=lambda group: group["outcome"], reverse=True)
    assert (lost["outcome"], lost["attempts"], lost["now"]) == ("lost", 2, {"waiting": 1, "running": 1})
    assert lost["hosts"] == {"n7": 1, "n8": 1}
    assert (nan["outcome"], nan["attempts"], nan["now"]) == ("error", 2, {"complete": 1})
    text = call(past, "failures")
    assert "no task is in error" in text
    assert "failures of tasks that are not in error any more" in text


def test_a_task_that_used_up_its_retries_is_grouped_by_its_outcome(past):
    for edge in range(2):
        task = past.task(edge)
        past.attempt(task, Outcome.TIMEOUT, "it overran its limit", decision="stop", why="used up")
        past.status(task, "error")
    (group,) = failures(past)["failures"]
    assert (group["outcome"], group["line"], group["reasons"]) == ("timeout", "it overran its limit", {"used up": 2})
    assert not group["passing"]
    assert group["pattern"] is None


def test_a_host_where_everything_fails_is_named(past):
    past.fail([NAN.format(n) for n in range(3)], node="bad")
    assert failures(past)["failures"][0]["only_host"] is None  # nothing has succeeded anywhere
    for edge in (4, 5):
        past.attempt(past.task(edge), Outcome.COMPLETE, node="good")
        past.status(past.task(edge), "complete")
    assert failures(past)["failures"][0]["only_host"] == {
        "host": "bad",
        "succeeded_there": 0,
        "succeeded_elsewhere": 2,
    }
    assert "all on bad" in call(past, "failures")
    past.attempt(past.task(3), Outcome.ERROR, NAN.format(3), node="good", decision="stop")
    past.status(past.task(3), "error")
    assert failures(past)["failures"][0]["only_host"] is None


def test_a_history_that_is_not_there_or_damaged_is_no_obstacle(past):
    gone, damaged, newer, sound = past.fail([NAN.format(n) for n in range(4)])
    past.files(gone).attempts.unlink()
    past.files(damaged).attempts.write_bytes(b"\xff\x00 nonsense\n{")
    past.files(newer).attempts.write_text('{"format": "xpm-alchem attempts", "format_version": 99}\n')
    view = failures(past)
    assert view["in_error"] == 4
    assert {group["outcome"] for group in view["failures"]} == {"error", "unknown"}
    assert {task for group in view["failures"] for task in group["tasks"]} == set(
        names(past, [gone, damaged, newer, sound])
    )
    call(past, "failures")


def test_tasks_set_aside_count_for_nothing(past):
    for task, status in zip(past.fail([NAN.format(0), NAN.format(1)]), ("deleted", "invalid"), strict=True):
        past.status(task, status)
    assert failures(past)["failures"] == failures(past)["restarted"] == []


def test_commands_name_the_campaign_as_the_user_did(past):
    past.fail([MISSING.format(0)])
    view = Campaign(past.records).failures(Address("my campaign.yaml", "./work space"))
    assert view["failures"][0]["commands"][0] == (
        f"xpm-alchem why 'my campaign.yaml' {past.name(past.task())} --workspace './work space'"
    )


def test_a_command_is_one_line_however_narrow_the_terminal(past, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    (task,) = past.fail([f"{NAN.format(0)} {'and more ' * 30}"])
    (command,) = failures(past)["failures"][0]["commands"]
    assert f"     {command}\n" in call(past, "failures")
    for item in Campaign(past.records).why(past.name(task))["commands"]:
        assert f"  {item['command']}  # {item['what']}\n" in call(past, "why", past.name(task))


def test_a_line_does_nothing_to_the_terminal(past):
    past.fail(["RuntimeError: \x1b[31mred\x07"])
    assert "\x1b" not in call(past, "failures")


def test_looking_changes_nothing(past):
    past.fail([NAN.format(0), MISSING.format(1)])
    root = past.records.workspace
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    call(past, "failures")
    call(past, "why", past.name(past.task()))
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


# ------------------------------------------------------------------------------------------------------------- why
def slices(past: PastCampaign, task: TaskState, number: int) -> None:
    for _ in range(number):
        past.attempt(
            task, Outcome.TIMEOUT, "the time limit is near", progress=True, units=1, why="a slice: goes on, free"
        )


def test_many_slices_are_shown_as_one_row(past):
    task = past.task()
    past.attempt(task, Outcome.LOST, "its process ended without a word")
    slices(past, task, 60)
    past.attempt(task, Outcome.ERROR, NAN.format(0), node="n5", decision="stop", why="no pattern matches")
    past.status(task, "error", "NaN")
    past.summary(task, status="error", units_total=100)
    text = call(past, "why", past.name(task))
    assert "2-61" in text
    assert "60 times timeout: the time limit is near" in text
    assert "60/100" in text
    assert len(text.splitlines()) < 35
    assert "--all shows each" in text
    every = call(past, "why", past.name(task), "--all")
    assert every.count("timeout: the time limit is near") == 60
    assert "--all shows each" not in every
    view = json.loads(call(past, "why", past.name(task), "--json"))
    assert [attempt["units_so_far"] for attempt in view["attempts"]] == [0, *range(1, 61), 60]


def test_few_slices_are_all_shown(past):
    task = past.task()
    slices(past, task, 5)
    assert call(past, "why", past.name(task)).count("timeout: the time limit is near") == 5


def test_attempts_that_differ_are_not_folded(past):
    task = past.task()
    for number in range(20):
        past.attempt(task, Outcome.ERROR, f"RuntimeError: number {number}")
    text = call(past, "why", past.name(task))
    assert all(f"error: RuntimeError: number {number}" in text for number in range(20))


def test_what_was_set_aside_and_made_again_is_told(past):
    task = past.task()
    past.attempt(task, Outcome.ERROR, NAN.format(0))
    log = AttemptLog(past.files(task).attempts)
    attempt = log.start(limit=None, versions={})
    log.unit(attempt, name="all units", fresh=True, reason="from scratch; kept: shared.set-aside-1")
    log.unit(attempt, name="simulate", damaged="x.json.set-aside-1", reason="not JSON")
    log.unit(attempt, name="simulate", ok=False, set_aside="Simulate-1.set-aside-1")
    log.end(attempt, Outcome.COMPLETE)
    (past.files(task).path / "shared.set-aside-1").mkdir()
    text = " ".join(call(past, "why", past.name(task)).split())
    assert "all units: from scratch; kept: shared.set-aside-1" in text
    assert "simulate: its result was damaged and is made again; the old one is x.json.set-aside-1" in text
    assert "began afresh; the old one is Simulate-1.set-aside-1" in text
    assert "set aside shared.set-aside-1" in text


def test_why_shows_the_last_traceback_the_files_and_what_can_be_done(past):
    (task,) = past.fail([MISSING.format(0)])
    files = past.files(task)
    files.printed("stderr").write_text("something on stderr\n")
    files.shared("Unit-1").mkdir(parents=True)
    (files.shared("Unit-1") / "simulation.log").write_text("step 1\n")
    past.attempt(past.task(), Outcome.LOST, "gone", decision="stop")
    past.status(task, "error")
    text = call(past, "why", past.name(task))
    assert f"the last traceback, of attempt 1:\n{TRACEBACK}{MISSING.format(0)}" in text
    assert "the last lines on stderr of attempt 2:\nsomething on stderr" in text
    assert f"files in {files.path}" in text.replace("\n", "")
    assert "run.err" in text
    assert "shared/Unit-1/simulation.log" in text
    path = past.records.path
    for verb in ("logs", "retry"):
        assert f"xpm-alchem {verb} {path} {past.name(task)}" in text
    assert f"xpm-alchem failures {path}" in text


def commands(past: PastCampaign, task: TaskState) -> list[str]:
    view = Campaign(past.records).why(past.name(task), Address("c.yaml"))
    return [item["command"].split()[1] for item in view["commands"]]


def test_what_can_be_done_depends_on_the_status(past):
    task = past.task()
    past.write({"event": "actioned", "task": task.task})
    assert commands(past, task) == ["run"]  # nobody drives
    with past.records.lock():
        assert commands(past, task) == []
    past.attempt(task, None)
    assert commands(past, task) == ["logs", "cancel"]
    AttemptLog(past.files(task).attempts).end(AttemptLog(past.files(task).attempts).read()[-1], Outcome.CANCELLED)
    past.status(task, "waiting")
    past.write({"event": "cancelled", "task": task.task, "by": "user"})
    assert commands(past, task) == ["logs", "retry"]
    past.status(task, "complete")
    assert commands(past, task) == ["logs", "results"]


def test_a_task_can_be_called_by_its_id_where_names_are_not_unique(past, monkeypatch):
    (task,) = past.fail([MISSING.format(0)])
    record = past.records.index.by_id[task.transformation]
    monkeypatch.setitem(past.records.index.names, record.name, 2)
    assert failures(past)["failures"][0]["tasks"] == [f"{record.id}:1"]
    call(past, "why", f"{record.id}:1")
