"""`xpm-alchem tasks ...`, `cancel` and `retry`: on a campaign's records, without a driver and by way of the inbox."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from dummy_protocol import dummy_network

from xpm_alchem import gufe_seam
from xpm_alchem.base.errors import CampaignError, InputError
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.task_state import TaskStatus
from xpm_alchem.campaign.workspace import find_workspace, read_settings
from xpm_alchem.cli import main
from xpm_alchem.client import Campaign
from xpm_alchem.driver.loop import Driver
from xpm_alchem.execution.attempt_log import AttemptLog
from xpm_alchem.execution.attempts import Outcome
from xpm_alchem.execution.directory import TaskDirectory, TaskSummary
from xpm_alchem.execution.fence import Orders
from xpm_alchem.launchers.local import LocalLauncher
from xpm_alchem.network.loading import load_network
from xpm_alchem.plan.campaign_yaml import parse_plan
from xpm_alchem.requests.inbox import apply_inbox
from xpm_alchem.strategies.changes import counts_of
from xpm_alchem.tables.task import tasks_table

TEXT = """\
name: small
network: network.json
strategy: {name: uniform, settings: {repeats: 2}}
trusted_modules: [dummy_protocol]
"""
A, B = "ligand_0_ligand_1_vacuum", "ligand_1_ligand_2_vacuum"


@pytest.fixture
def campaign(tmp_path: Path) -> Campaign:
    """A campaign of two transformations in which nothing has happened yet."""
    network_file = tmp_path / "network.json"
    gufe_seam.save(dummy_network([(0, 1), (1, 2)]), network_file)
    plan = parse_plan(TEXT, tmp_path / "campaign.yaml")
    network = load_network(network_file, plan.trusted_modules)
    return Campaign(CampaignRecords.create(tmp_path / "workspace", plan, TEXT, network))


@pytest.fixture
def call(campaign: Campaign):
    """Return a function that calls `xpm-alchem COMMAND CAMPAIGN ...`; `code` is the expected exit code."""

    def run(command: str, *arguments: object, code: int = 0, typed: str | None = None) -> str:
        words = [*command.split(), str(campaign.path), *map(str, arguments)]
        done = CliRunner().invoke(main, words, input=typed)
        assert done.exit_code == code, done.output
        assert "Traceback" not in done.output
        return done.output

    return run


def tasks(campaign: Campaign) -> dict:
    """Return the tasks by name."""
    records = CampaignRecords.open(campaign.path)
    return {records.name_of(task): task for task in records.state().tasks.values()}


def statuses(campaign: Campaign) -> dict[str, str]:
    """Return the statuses by name."""
    return {name: str(task.status) for name, task in tasks(campaign).items()}


def note(campaign: Campaign, name: str, *events: dict) -> None:
    """Write events of a task to the journal."""
    with campaign.records.lock():
        campaign.records.write(*({"task": tasks(campaign)[name].task, **event} for event in events))


def status(value: str, **more: object) -> dict:
    return {"event": "status", "status": value, **more}


SUBMITTED = {"event": "submitted", "attempts": 0}
COMPLETE = status("complete", estimate=1.5, seconds=2.0, attempts=1)


def driver(campaign: Campaign, **options) -> Driver:
    records = CampaignRecords.open(campaign.path)
    return Driver(records, find_workspace(str(records.workspace), read_settings()), LocalLauncher(), **options)


def files(campaign: Campaign, name: str) -> TaskDirectory:
    return TaskDirectory(campaign.records.task_path(tasks(campaign)[name]))


def attempt(campaign: Campaign, name: str, outcome: Outcome | None = None) -> AttemptLog:
    """Note an attempt of this process."""
    files(campaign, name).make()
    log = AttemptLog(files(campaign, name).attempts)
    begun = log.start(limit=None, versions={})
    if outcome is not None:
        log.end(begun, outcome, reason="so")
    return log


# ------------------------------------------------------------------------------------------------- create and extend
def test_create_makes_tasks_that_are_to_be_run(campaign, call):
    said = call("tasks create", A, "--count", 2, "--priority", 3)
    assert said.splitlines() == [f"{A}:{n}: created; `xpm-alchem run` runs it" for n in (1, 2)]
    call("tasks create", tasks(campaign)[f"{A}:1"].transformation[:6])
    made = tasks(campaign)
    assert [(name, t.priority, t.actioned, t.extends) for name, t in made.items()] == [
        (f"{A}:1", 3, True, None),
        (f"{A}:2", 3, True, None),
        (f"{A}:3", 10, True, None),
    ]
    assert len({task.directory for task in made.values()}) == 3
    assert {task.reason for task in made.values()} == {"created by the user"}


def test_extend_makes_tasks_that_each_extend_the_one_named(campaign, call):
    call("tasks create", A)
    assert call("tasks extend", f"{A}:1", "--count", 2).startswith(f"{A}:2: created")
    call("tasks create", A, "--extends", f"{A}:2", "--priority", 1)
    made = tasks(campaign)
    first, second = made[f"{A}:1"].task, made[f"{A}:2"].task
    assert [task.extends for task in made.values()] == [None, first, first, second]
    # what it extends belongs to what a task is, and so to its directory
    assert made[f"{A}:2"].directory != made[f"{A}:3"].directory


def test_a_number_is_not_given_again(campaign, call):
    call("tasks create", A)
    call("tasks delete", f"{A}:1", "--yes")
    call("tasks create", A)
    assert statuses(campaign) == {f"{A}:1": "deleted", f"{A}:2": "waiting"}


# ----------------------------------------------------------------------------------------------------------- refusals
@pytest.fixture
def varied(campaign: Campaign, call) -> Campaign:
    """A campaign with a task of every status, A:1 complete, ... and B:1 waiting."""
    call("tasks create", A, "--count", 6)
    call("tasks create", B)
    for n, events in enumerate(
        [[COMPLETE], [status("error")], [status("invalid")], [status("deleted")], [SUBMITTED]], start=1
    ):
        note(campaign, f"{A}:{n}", *events)
    note(campaign, f"{A}:6", {"event": "cancelled", "by": "user"})
    return campaign


ITS_NAME = "no transformation is called 'ligand_0_ligand_1_vacum'; did you mean 'ligand_0_ligand_1_vacuum'?"


@pytest.mark.parametrize(
    ("command", "arguments", "message"),
    [
        ("tasks list", ["--status", "waitng"], "status: there is no 'waitng'; did you mean 'waiting'?"),
        ("tasks list", ["--transformation", "x"], "no transformation is called 'x'; `xpm-alchem show` lists them."),
        ("tasks create", [A[:-2] + "m"], ITS_NAME),
        ("tasks create", [A, "--count", "0"], "count 0: give how many tasks, a whole number from 1 to 1000."),
        ("tasks create", [A, "--count", "1001"], "count 1001: give how many tasks"),
        ("tasks create", [A, "--priority", "0"], "priority 0: give a whole number from 1 (the most urgent)"),
        ("tasks create", [A, "--extends", f"{A}:3"], f"'{A}:3' is invalid: it cannot be extended."),
        ("tasks create", [A, "--extends", f"{B}:1"], f"'{B}:1' is no task of '{A}': a task extends one of its own"),
        ("tasks create", [A, "--extends", f"{A}:9"], f"'{A}' has no repeat 9; it has: 1, 2, 3, 4, 5, 6."),
        ("tasks extend", [f"{A}:4"], f"'{A}:4' is deleted: it cannot be extended."),
        ("tasks extend", [A], f"'{A}' names no task; write TRANSFORMATION:REPEAT"),
        ("tasks extend", [f"{A[:-2]}m:1"], ITS_NAME),
        ("tasks cancel", [f"{A}:1"], f"'{A}:1' is complete: there is nothing to cancel."),
        ("cancel", [f"{A}:2"], f"'{A}:2' is error: there is nothing to cancel."),
        ("cancel", [f"{A}:6", "--now"], f"'{A}:6' is cancelled already: there is nothing to cancel."),
        ("tasks retry", [f"{A}:1"], f"'{A}:1' is complete and cannot become waiting: it can become invalid or"),
        ("retry", [f"{A}:3"], f"'{A}:3' is invalid and cannot become waiting: that is final."),
        ("tasks retry", [], "give tasks as TRANSFORMATION:REPEAT, or --all."),
        ("retry", [f"{A}:2", "--all"], "give tasks as TRANSFORMATION:REPEAT, or --all."),
        ("tasks invalidate", [f"{A}:4"], f"'{A}:4' is deleted and cannot become invalid: that is final."),
        ("tasks delete", [f"{A}:3", "-y"], f"'{A}:3' is invalid and cannot become deleted: that is final."),
        ("tasks priority", ["0", f"{B}:1"], "priority 0: give a whole number from 1"),
        ("tasks priority", [str(2**63), f"{B}:1"], "to 9223372036854775807 (2**63 - 1)"),
        ("tasks priority", ["1", "nothing"], "'nothing' names no task"),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_is_changed(varied, call, command, arguments, message):
    journal = varied.path / "tasks.jsonl"
    before = journal.read_bytes()
    assert message in " ".join(call(command, *arguments, code=2).split())
    with varied.records.lock():  # nor is anything asked for that could not be granted
        call(command, *arguments, code=2)
    assert (journal.read_bytes(), (varied.path / "inbox.jsonl").exists()) == (before, False)


@pytest.mark.parametrize("command", ["cancel", "tasks retry", "tasks invalidate", "tasks delete --yes"])
def test_of_several_tasks_one_that_is_refused_refuses_all(varied, call, command):
    before = (varied.path / "tasks.jsonl").read_bytes()
    call(command, f"{B}:1", f"{A}:3" if command != "tasks invalidate" else f"{A}:4", code=2)
    assert (varied.path / "tasks.jsonl").read_bytes() == before


def test_a_launcher_that_there_is_not_is_refused_before_anything_is_cancelled(varied, call):
    assert "nope" in call("cancel", f"{B}:1", "--now", "--launcher", "nope", code=2)
    assert tasks(varied)[f"{B}:1"].actioned


@pytest.mark.parametrize("command", ["cancel", "invalidate", "delete", "priority", "extend", "create"])
def test_a_command_without_its_arguments_is_bad_usage(campaign, call, command):
    assert "Missing argument" in call(f"tasks {command}", code=2)


def test_a_campaign_without_a_task_in_error_has_nothing_to_retry(campaign, call):
    assert "campaign 'small' has no task in error." in call("retry", "--all", code=2)


# --------------------------------------------------------------------------------------------- cancel, retry, action
def test_cancel_and_retry(campaign, call):
    call("tasks create", A, "--count", 3)
    assert call("tasks cancel", f"{A}:1", f"{A}:2", f"{A}:1").splitlines() == [
        f"{A}:1: cancelled",
        f"{A}:2: cancelled",
    ]
    cancelled = tasks(campaign)[f"{A}:1"]
    assert (cancelled.status, cancelled.actioned, cancelled.cancelled_by) == (TaskStatus.WAITING, False, "user")
    assert "waits; `xpm-alchem run` goes on" in call("retry", f"{A}:1", f"{A}:3")
    assert [task.actioned for task in tasks(campaign).values()] == [True, False, True]
    change = campaign.action_tasks(f"{A}:2")
    assert (change.tasks, change.later) == ((f"{A}:2",), False)
    assert all(task.actioned for task in tasks(campaign).values())


def test_retry_all_takes_those_in_error_and_their_retries_count_anew(campaign, call):
    call("tasks create", A, "--count", 3)
    for n in (1, 3):
        attempt(campaign, f"{A}:{n}", Outcome.ERROR)
        note(campaign, f"{A}:{n}", SUBMITTED, status("error"))
    assert [line.partition(": ")[0] for line in call("tasks retry", "--all").splitlines()] == [f"{A}:1", f"{A}:3"]
    assert set(statuses(campaign).values()) == {"waiting"}
    (last,) = AttemptLog(files(campaign, f"{A}:3").attempts).read()
    assert (last.decision, last.decision_reason) == ("retry", "asked for by the user; counts start again")


def test_retrying_a_running_task_tells_its_attempt_to_stop_and_lets_it_say_how_it_ended(campaign, call):
    call("tasks create", A)
    log = attempt(campaign, f"{A}:1")
    note(campaign, f"{A}:1", SUBMITTED)
    call("retry", f"{A}:1")
    task = tasks(campaign)[f"{A}:1"]
    assert (task.status, task.actioned, task.is_to_end) == (TaskStatus.WAITING, True, True)
    assert Orders.read(files(campaign, f"{A}:1").path).stop == "retried by the user"
    assert log.read()[-1].decision is None
    assert "its attempt is ending" in call("tasks list")
    assert "an attempt is ending" in call("show")


def test_a_status_may_be_set_to_waiting_without_having_it_run(campaign, call):
    call("tasks create", A)
    note(campaign, f"{A}:1", SUBMITTED, {"event": "cancelled", "by": "user"}, status("error"))
    assert campaign.set_tasks_status([f"{A}:1"], "waiting").tasks == (f"{A}:1",)
    task = tasks(campaign)[f"{A}:1"]
    assert (task.status, task.actioned) == (TaskStatus.WAITING, False)


def test_cancel_now_without_an_attempt_at_work_is_over_at_once(campaign, call):
    call("tasks create", A)
    assert call("cancel", f"{A}:1", "--now") == f"{A}:1: cancelled\n"


# --------------------------------------------------------------------------------------------- invalidate and delete
@pytest.fixture
def chain(campaign: Campaign, call) -> Campaign:
    """A:1 complete; A:2 and A:3 extend it, A:4 extends A:2, A:5 stands alone; A:2 is complete too, A:3 deleted."""
    call("tasks create", A)
    call("tasks extend", f"{A}:1", "--count", 2)
    call("tasks extend", f"{A}:2")
    call("tasks create", A)
    for n in (1, 2):
        note(campaign, f"{A}:{n}", COMPLETE)
    note(campaign, f"{A}:3", status("deleted"))
    return campaign


def test_invalidate_takes_all_that_extend_a_task_along(chain, call):
    said = call("tasks invalidate", f"{A}:1")
    assert said.splitlines() == [f"{A}:{n}: invalid" for n in (1, 2, 4)]
    assert list(statuses(chain).values()) == ["invalid", "invalid", "deleted", "invalid", "waiting"]
    reasons = [task.reason for task in tasks(chain).values()]
    assert reasons[:2] == ["set invalid by the user", f"it extends {A}:1, which is invalid"]
    assert reasons[3] == f"it extends {A}:2, which is invalid"
    assert "nothing" not in call("tasks invalidate", f"{A}:1")  # what is invalid may be set invalid


@pytest.mark.parametrize(("typed", "code"), [("y\n", 0), ("n\n", 2), ("", 2)])
def test_delete_asks_first_and_names_all_that_goes(chain, call, typed, code):
    said = call("tasks delete", f"{A}:1", f"{A}:5", typed=typed, code=code)
    assert said.splitlines()[:4] == [
        f"  {A}:1",
        f"  {A}:5",
        f"  {A}:2 (extends one of these)",
        f"  {A}:4 (extends one of these)",
    ]
    assert "set these tasks deleted, for good? [y/N]" in said
    assert ("nothing was deleted (--yes does it without a question)." in said) == bool(code)
    assert set(statuses(chain).values()) == ({"deleted"} if not code else {"complete", "deleted", "waiting"})


def test_the_cascade_of_several_is_one_line_of_the_journal(chain, call):
    before = len((chain.path / "tasks.jsonl").read_bytes().splitlines())
    call("tasks delete", f"{A}:1", f"{A}:5", "--yes")
    assert set(statuses(chain).values()) == {"deleted"}
    assert len((chain.path / "tasks.jsonl").read_bytes().splitlines()) == before + 1


def test_results_that_were_set_aside_count_nowhere(chain, call):
    assert chain.results()["transformations"][0]["repeats"] == [1.5, 1.5]
    assert (chain.summary()["complete"], chain.summary()["tasks"]) == (2, 4)
    call("tasks invalidate", f"{A}:2")
    assert chain.results()["transformations"][0]["repeats"] == [1.5]
    assert chain.show()["rows"][0]["complete"] == 1
    counts = chain.status()["tasks"]
    assert counts == {"waiting": 1, "running": 0, "complete": 1, "error": 0, "invalid": 2, "deleted": 1}
    assert (chain.summary()["complete"], chain.summary()["tasks"]) == (1, 2)
    assert "2 invalid, 1 deleted" in call("status")
    rows = {row["transformation"]: row for row in chain.explain_network_strategy()["rows"]}
    assert rows[A]["results"] == 1
    count = counts_of(list(tasks(chain).values()))
    assert (count.complete, count.total, count.extended, count.extendable) == (1, 2, 0, (tasks(chain)[f"{A}:1"].task,))


def test_an_attempt_of_an_invalid_task_that_is_complete_by_now_is_not_shown_as_a_result(campaign, call):
    call("tasks create", A)
    attempt(campaign, f"{A}:1")
    note(campaign, f"{A}:1", SUBMITTED)
    call("tasks invalidate", f"{A}:1")
    assert Orders.read(files(campaign, f"{A}:1").path).stop == "set invalid by the user"
    task = tasks(campaign)[f"{A}:1"]
    TaskSummary(task.transformation, 1, "complete", estimate=2.5).write(files(campaign, f"{A}:1").summary)
    assert campaign.results()["transformations"][0]["repeats"] == []
    (row,) = campaign.get_tasks()["rows"]
    assert (row["status"], row["at_work"], row["estimate"]) == ("invalid", True, None)


# ------------------------------------------------------------------------------------------------------------- looking
def test_list(varied, call):
    attempt(varied, f"{A}:5")
    call("tasks extend", f"{A}:5", "--priority", 4)
    view = json.loads(call("tasks list", "--json"))
    assert (view["campaign"], view["unit"], len(view["rows"])) == ("small", "kcal/mol", 8)
    rows = {row["task"]: row for row in view["rows"]}
    assert [row["status"] for row in rows.values()] == [
        *("complete", "error", "invalid", "deleted", "running", "waiting", "waiting", "waiting")
    ]
    row = rows[f"{A}:5"]
    assert row.pop("id") == tasks(varied)[f"{A}:5"].task
    assert row.pop("host")
    assert row.pop("devices") == []
    assert row == {
        "task": f"{A}:5",
        "transformation": A,
        "gone": False,
        "repeat": 5,
        "status": "running",
        "actioned": True,
        "at_work": True,
        "priority": 10,
        "extends": None,
        "attempts": 1,
        "estimate": None,
        "reason": "",
        "hold": None,
        "not_before": None,
    }
    assert (rows[f"{A}:7"]["extends"], rows[f"{A}:7"]["priority"]) == (f"{A}:5", 4)
    assert (rows[f"{A}:1"]["estimate"], rows[f"{A}:1"]["attempts"]) == (1.5, 1)
    text = call("tasks list")
    assert "waiting, cancelled" in text and "1.500" in text and "small: 8 task(s) (kcal/mol)" in text


def test_list_some(varied, call):
    attempt(varied, f"{A}:5")

    def names(*options: str) -> list[str]:
        return [row["task"] for row in json.loads(call("tasks list", *options, "--json"))["rows"]]

    assert names("--status", "waiting") == [f"{A}:6", f"{B}:1"]
    assert names("--transformation", B) == [f"{B}:1"]
    assert names("--transformation", B, "--status", "error") == []
    assert varied.get_tasks(status=TaskStatus.ERROR)["rows"][0]["task"] == f"{A}:2"
    assert "0 task(s)" in call("tasks list", "--status", "error", "--transformation", B)


def test_a_list_of_very_many_tasks_is_plain_text(varied):
    view = varied.get_tasks()
    view["rows"] *= 50
    assert len(str(tasks_table(view)).splitlines()) == 352


def test_looking_changes_nothing(varied, call):
    before = {path: path.read_bytes() for path in varied.path.rglob("*") if path.is_file()}
    call("tasks list")
    assert before == {path: path.read_bytes() for path in varied.path.rglob("*") if path.is_file()}


# --------------------------------------------------------------------------------------------------- while one drives
def test_what_is_asked_for_while_a_driver_works_is_taken_in_by_it(campaign, call):
    at_work = driver(campaign)
    with at_work.records.lock():
        at_work.steps.planning.remember()
        assert "the driver creates 2 task(s) within seconds" in call("tasks create", A, "--count", 2)
        assert campaign.create_tasks(B).tasks == ()
        assert tasks(campaign) == {}
        at_work.steps.planning.take_requests()
        assert list(tasks(campaign)) == [f"{A}:1", f"{A}:2", f"{B}:1"]
        assert call("tasks priority", 2, f"{A}:2") == f"{A}:2: the driver sets priority 2 within seconds\n"
        assert "the driver ends it within seconds" in call("cancel", f"{A}:1")
        assert "the driver sets it invalid within seconds" in call("tasks invalidate", f"{B}:1")
        assert "creates 1 task(s)" in call("tasks extend", f"{A}:2")
        at_work.steps.planning.take_requests()
        made = tasks(campaign)
        assert [task.actioned for task in made.values()] == [False, True, True, True]
        assert made[f"{A}:2"].priority == 2
        assert made[f"{B}:1"].status == "invalid"
        assert made[f"{A}:3"].extends == made[f"{A}:2"].task
        assert "takes it up within seconds" in call("retry", f"{A}:1")
        assert "the driver sets it deleted within seconds" in call("tasks delete", f"{A}:2", "--yes")
        at_work.steps.planning.take_requests()
        assert statuses(campaign) == {
            f"{A}:1": "waiting",
            f"{A}:2": "deleted",
            f"{B}:1": "invalid",
            f"{A}:3": "deleted",
        }


def test_a_request_that_makes_no_sense_any_more_is_refused_whole(campaign, call):
    call("tasks create", A, "--count", 2)
    said = []
    at_work = driver(campaign, observe=lambda event: said.append(event.what))
    with at_work.records.lock():
        at_work.steps.planning.remember()
        call("cancel", f"{A}:1", f"{A}:2")
        call("tasks priority", 1, f"{A}:1")
        at_work.records.write({"task": tasks(campaign)[f"{A}:2"].task, **COMPLETE})
        at_work.steps.planning.take_requests()
    assert f"could not be granted: '{A}:2' is complete: there is nothing to cancel." in said
    assert tasks(campaign)[f"{A}:1"].actioned
    assert tasks(campaign)[f"{A}:1"].priority == 1  # the next one is granted


def test_a_request_is_granted_once_although_a_driver_was_killed_before_it_noted_that(campaign, call):
    with campaign.records.lock():
        call("tasks create", A)
    for _ in range(2):
        with campaign.records.lock():
            apply_inbox(campaign.records, 0)
    assert list(tasks(campaign)) == [f"{A}:1"]


@pytest.mark.parametrize(
    "asked",
    [
        {"request": "cancel"},
        {"request": "cancel", "tasks": "a-1"},
        {"request": "cancel", "tasks": [7]},
        {"request": ["cancel"], "tasks": ["a-1"]},
        {"request": "priority", "tasks": ["a-1"], "id": []},
        {"request": "create", "transformation": None},
        {"request": "create", "transformation": "a", "extends": []},
    ],
)
def test_a_request_that_is_none_is_passed_over(campaign, asked):
    campaign.records.ask(**asked)
    with campaign.records.lock():
        assert apply_inbox(campaign.records, 0)[1] == []


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"request": "cancel", "tasks": []}, "no task was named."),
        ({"request": "retry", "tasks": ["gone-1"]}, "there is no task 'gone-1'."),
        ({"request": "create", "transformation": "gone"}, "there is no transformation 'gone'."),
        ({"request": "create", "transformation": "gone", "count": True}, "there is no transformation 'gone'."),
    ],
)
def test_a_request_about_what_is_not_there_is_refused(campaign, asked, message):
    campaign.records.ask(**asked)
    with campaign.records.lock():
        ((refused,)) = apply_inbox(campaign.records, 0)[1]
    assert refused["refused"] == message


@pytest.mark.parametrize("change", ["invalidate", "retry"])
def test_a_dormant_strategy_thinks_again_after_a_command(campaign, call, change):
    """Else a task in flight that is set aside would never be replaced: the number of results is the same."""
    call("tasks create", A)
    with campaign.records.lock():
        campaign.records.set_driver_state({"strategy": {"status": "dormant", "iterations": 4}, "weights": {}})
    call(f"tasks {change}", f"{A}:1")
    assert campaign.records.driver_state()["strategy"] == {
        **campaign.records.driver_state()["strategy"],
        **{"status": "awake", "iterations": 4},
    }


# -------------------------------------------------------------------------------------------------------- from Python
def test_alchemiscale_s_names(campaign):
    change = campaign.create_tasks(A, count=2, priority=5)
    assert (change.tasks, change.later) == ((f"{A}:1", f"{A}:2"), False)
    assert campaign.create_tasks(A, extends=f"{A}:1").tasks == (f"{A}:3",)
    assert campaign.set_tasks_priority([f"{A}:1"], 7).tasks == (f"{A}:1",)
    assert campaign.cancel_tasks([f"{A}:2"]).tasks == (f"{A}:2",)
    assert campaign.action_tasks([f"{A}:2", f"{A}:2"]).tasks == (f"{A}:2",)
    assert campaign.get_tasks_extending([f"{A}:1"]) == [f"{A}:3"]
    assert campaign.set_tasks_status([f"{A}:1"], "deleted").tasks == (f"{A}:1", f"{A}:3")
    assert [row["status"] for row in campaign.get_tasks()["rows"]] == ["deleted", "waiting", "deleted"]
    for verb in (campaign.action_tasks, campaign.cancel_tasks, campaign.retry_tasks):
        with pytest.raises(InputError, match=r"deleted"):
            verb([f"{A}:2", f"{A}:1"])
        with pytest.raises(InputError, match="no task was named"):
            verb([])
    with pytest.raises(InputError, match="a user may set a task waiting, invalid or deleted, not running"):
        campaign.set_tasks_status([f"{A}:2"], "running")
    with pytest.raises(InputError, match="give how many tasks"):
        campaign.create_tasks(A, count=1.0)
    with pytest.raises(CampaignError):
        campaign.cancel_tasks(f"{A}:2", now=True, launcher="nope")
    assert tasks(campaign)[f"{A}:2"].actioned
