"""`xpm-alchem strategy ...`: on a campaign's records, without a driver and by way of the inbox."""

from __future__ import annotations

import json
import time
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
from xpm_alchem.launchers.local import LocalLauncher
from xpm_alchem.network.loading import load_network
from xpm_alchem.plan.campaign_yaml import parse_plan
from xpm_alchem.plan.strategy import StrategyPlan
from xpm_alchem.requests.inbox import apply_inbox
from xpm_alchem.strategies.choose import BUILT_IN
from xpm_alchem.strategies.uniform import UniformStrategy, UniformStrategySettings
from xpm_alchem.strategy import StrategyState
from xpm_alchem.tables.strategy import explain_table

TEXT = """\
name: small
network: network.json
# how it is decided
strategy: {name: uniform, settings: {repeats: 2}}
trusted_modules: [dummy_protocol]
"""


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
    """Return a function that calls `xpm-alchem strategy COMMAND ...`; the campaign comes after `first` arguments."""

    def run(command: str, *arguments: str, ok: bool = True):
        done = CliRunner().invoke(main, ["strategy", command, *(a or str(campaign.path) for a in arguments)])
        assert (done.exit_code == 0) == ok, done.output
        return done.output

    return run


def driver(campaign: Campaign, **options) -> Driver:
    records = CampaignRecords.open(campaign.path)
    workspace = find_workspace(str(records.workspace), read_settings())
    return Driver(records, workspace, LocalLauncher(), **options)


def state_of(campaign: Campaign, **values) -> StrategyState:
    """Write what a driver remembers of the strategy."""
    with campaign.records.lock():
        campaign.records.set_driver_state({"strategy": values, "weights": {"x": 1.0}, "unwanted": {"x-1": 5.0}})
    return StrategyState(**values)


# ----------------------------------------------------------------------------------------------------- set and show
def test_set_changes_the_plan_in_force_and_show_shows_it(campaign, call):
    said = call("set", "connectivity", "", "-s", "max_runs=4", "--max-tasks-per-network", "9", "--patience", "1h")
    assert "strategy connectivity: in force" in said
    assert "change it there too" in said
    assert campaign.records.plan().strategy == StrategyPlan(
        "connectivity", {"max_runs": 4}, max_tasks_per_network=9, patience=3600.0
    )
    assert "# how it is decided" in (campaign.path / "campaign.yaml").read_text()
    shown = json.loads(call("show", "", "--json"))
    assert (shown["name"], shown["settings"], shown["patience"]) == ("connectivity", {"max_runs": 4}, 3600.0)
    text = call("show", "")
    assert "settings.max_runs" in text and "3600 s" in text
    call("set", "connectivity", "", "--max-tasks-per-network", "none", "-s", "decay_rate=0.25")
    assert campaign.get_network_strategy()["settings"] == {"max_runs": 4, "decay_rate": 0.25}
    assert campaign.get_network_strategy()["max_tasks_per_network"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["connectivty", ""], "there is no 'connectivty'; did you mean 'connectivity'?"),
        (["connectivity", "", "-s", "max_run=2"], "unknown key 'max_run'; did you mean 'max_runs'?"),
        (["uniform", "", "-s", "repeats=many"], "bad settings"),
        (["uniform", "", "-s", "repeats"], "give a setting as KEY=VALUE"),
        (["uniform", "", "-s", "repeats=[1"], "is not a value as campaign.yaml may hold it"),
        (["uniform", "", "--mode", "fast"], "strategy.mode: 'fast' is not one of partial, full, disabled"),
        (["uniform", "", "--max-tasks-per-transformation", "0"], "0 is not a whole number of at least 1"),
        (["uniform", "", "--extends-preference", "2"], "2 is not a number from 0 to 1"),
        (["uniform", "", "--sleep-interval", "soon"], "'soon' is no duration"),
        (["somewhere:Mine", ""], "'somewhere', which is not trusted"),
        (["uniform", "nowhere"], "no workspace"),
    ],
)
def test_what_cannot_be_set_is_refused_and_nothing_is_written(campaign, call, arguments, message):
    before = (campaign.path / "campaign.yaml").read_bytes(), (campaign.path / "driver.json").read_bytes()
    said = call("set", *arguments, ok=False)
    assert message in " ".join(said.split())
    assert "Traceback" not in said
    with campaign.records.lock():  # nor is anything asked for that could not be granted
        call("set", *arguments, ok=False)
    assert not (campaign.path / "inbox.jsonl").exists()
    assert before == ((campaign.path / "campaign.yaml").read_bytes(), (campaign.path / "driver.json").read_bytes())


def test_mode_and_clear(campaign, call):
    state_of(campaign, status="error", iterations=4, exception="X: y", traceback="Traceback")
    call("mode", "full", "")
    assert campaign.records.plan().strategy.mode == "full"
    assert campaign.get_network_strategy_status() == "awake"
    call("clear", "")
    assert campaign.get_network_strategy() is None
    assert campaign.records.plan().strategy == StrategyPlan(name=None, mode="disabled")
    assert campaign.get_network_strategy_health()["iterations"] == 0
    assert "weights" not in campaign.records.driver_state()
    assert "none: nothing is proposed" in call("show", "")
    assert "there is no strategy" in call("mode", "full", "", ok=False)
    assert "has no strategy" in call("awake", "", ok=False)
    assert {row["why"] for row in json.loads(call("explain", "", "--json"))["rows"]} == {"there is no strategy"}
    assert "none, mode disabled" in CliRunner().invoke(main, ["status", str(campaign.path)]).output
    call("set", "uniform", "")
    assert campaign.records.plan().strategy == StrategyPlan()


# -------------------------------------------------------------------------------------------------- health and awake
def test_health_and_awake_after_an_error(campaign, call):
    state_of(campaign, status="error", iterations=4, last_iteration=5.0, exception="X: y", traceback="Traceback: X")
    health = json.loads(call("health", "", "--json"))
    assert health == {
        "campaign": "small",
        "mode": "partial",
        "status": "error",
        "iterations": 4,
        "sleep_interval": 0.0,
        "last_iteration": 5.0,
        "last_iteration_result_count": None,
        "exception": "X: y",
        "traceback": "Traceback: X",
    }
    text = call("health", "")
    assert "X: y" in text and "Traceback: X" in text and "strategy awake" in text
    assert campaign.get_network_strategy_state()["max_tasks_per_transformation"] == 3
    assert "awake" in call("awake", "")
    assert campaign.records.driver_state()["strategy"]["status"] == "awake"
    assert campaign.get_network_strategy_health()["exception"] is None
    assert campaign.records.driver_state()["weights"] == {"x": 1.0}
    call("mode", "disabled", "")
    assert "mode is disabled" in call("awake", "", ok=False)


# --------------------------------------------------------------------------------------------------- while one drives
class Raises(UniformStrategy):
    """Wants one result each, and raises as long as it is told to."""

    broken = True

    def propose(self, network, results):
        if self.broken:
            raise ZeroDivisionError("nothing to divide")
        return super().propose(network, results)


def test_what_is_asked_for_while_a_driver_works_is_taken_in_by_it(campaign, call):
    said = []
    at_work = driver(campaign, observe=lambda event: said.append(event.what))
    with at_work.records.lock():
        at_work.steps.planning.remember()
        at_work.steps.planning.iterate()
        assert len(at_work.records.state().tasks) == 4
        assert "within seconds" in call("set", "uniform", "", "-s", "repeats=3", "--task-scaling", "linear")
        assert "within seconds" in call("mode", "full", "")
        assert campaign.records.plan().strategy.settings == {"repeats": 2}
        at_work.steps.planning.take_requests()
        at_work.steps.planning.iterate()
        assert campaign.records.plan().strategy == StrategyPlan("uniform", {"repeats": 3}, "full", "linear")
        assert len(at_work.records.state().tasks) == 6
        call("set", "uniform", "", "-s", "repeats=1")
        at_work.steps.planning.take_requests()
        at_work.steps.planning.iterate()
        actioned = [task.task for task in at_work.records.state().tasks.values() if task.actioned]
        assert [task[-2:] for task in actioned] == ["-1", "-1"]
        call("set", "uniform", "", "-s", "repeats=2")
        at_work.steps.planning.take_requests()
        at_work.steps.planning.iterate()
        tasks = at_work.records.state().tasks.values()
        assert (len(tasks), sum(task.actioned for task in tasks)) == (6, 4)  # taken up again, not created
    assert "plan changed: strategy.settings: {'repeats': 2} -> {'repeats': 3}" in said


def test_a_user_s_change_during_an_iteration_is_kept(campaign, call):
    class Slow(UniformStrategy):
        def propose(self, network, results):
            if not (campaign.path / "inbox.jsonl").exists():
                call("set", "uniform", "", "-s", "repeats=1", "--sleep-interval", "30")
            return super().propose(network, results)

    at_work = driver(campaign, strategy=Slow(UniformStrategySettings(repeats=2)))
    with at_work.records.lock():
        at_work.steps.planning.remember()
        at_work.steps.planning.iterate()
        at_work.steps.planning.take_requests()
    assert campaign.records.plan().strategy == StrategyPlan("uniform", {"repeats": 1}, sleep_interval=30.0)
    known = campaign.records.driver_state()
    assert (known["strategy"]["status"], known["strategy"]["iterations"]) == ("awake", 1)


def test_an_exception_stays_until_it_is_set_awake_whatever_else_happens(campaign, call):
    strategy = Raises(UniformStrategySettings(repeats=1))
    said = []
    at_work = driver(campaign, strategy=strategy, observe=lambda event: said.append(event.what))
    with at_work.records.lock():
        at_work.steps.planning.remember()
        at_work.steps.planning.iterate()
        assert "the strategy raised ZeroDivisionError: nothing to divide" in said
        strategy.broken = False
        record = campaign.records.index.transformations[0]
        created = {"event": "created", "transformation": record.id, "repeat": 1, "directory": "jobs/x"}
        task = f"{record.id}-1"
        at_work.records.write({**created, "task": task})
        at_work.records.write({"event": "status", "task": task, "status": "error"})
        campaign.retry_tasks(task)
        at_work.steps.planning.take_requests()
        at_work.steps.planning.iterate()
        assert "in propose" in campaign.get_network_strategy_health()["traceback"]
        assert len(at_work.records.state().tasks) == 1
        call("awake", "")
        at_work.steps.planning.take_requests()
        at_work.steps.planning.iterate()
        assert len(at_work.records.state().tasks) == 2
    assert campaign.get_network_strategy_status() == "awake"


def test_what_is_asked_for_while_a_driver_is_about_to_leave_keeps_it(campaign, call):
    call("mode", "disabled", "")
    at_work = driver(campaign)
    with at_work.records.lock():
        at_work.steps.planning.remember()
        assert at_work.steps.is_over()
        call("mode", "partial", "")
        assert not at_work.steps.is_over()
        at_work.steps.planning.iterate()
        assert len(at_work.records.state().tasks) == 4


def test_a_request_that_can_no_longer_be_granted_is_said_and_passed_over(campaign):
    said = []
    at_work = driver(campaign, observe=lambda event: said.append(event.what))
    with at_work.records.lock():
        at_work.steps.planning.remember()
        campaign.records.ask(request="strategy", changes={"name": "connectivity", "settings": {"repeats": 3}})
        campaign.records.ask(request="strategy", changes={"mode": "full"})
        at_work.steps.planning.take_requests()
    assert campaign.records.plan().strategy.mode == "full"
    (sentence,) = [text for text in said if "could not be granted" in text]
    assert "unknown key 'repeats'" in sentence


@pytest.mark.parametrize("asked", [{}, {"request": "strategy"}, {"request": "strategy", "changes": 3}, {"request": 7}])
def test_a_request_that_makes_no_sense_is_passed_over(campaign, asked):
    campaign.records.ask(**asked)
    with campaign.records.lock():
        assert apply_inbox(campaign.records, 0)[1] == []


def test_what_a_command_took_in_is_not_taken_in_again(campaign, call):
    """A driver was killed before it read its inbox; what the user asks for next is newer."""
    campaign.records.ask(request="strategy", changes={"mode": "full"})
    call("mode", "disabled", "")
    assert campaign.records.plan().strategy.mode == "disabled"
    at_work = driver(campaign)
    with at_work.records.lock():
        at_work.steps.planning.remember()
        at_work.steps.planning.take_requests()
    assert campaign.records.plan().strategy.mode == "disabled"


# -------------------------------------------------------------------------------------------- unwanted running tasks
def test_running_tasks_that_are_unwanted_end_after_patience_unless_they_are_about_to(campaign, call):
    call("set", "uniform", "", "-s", "repeats=3", "--mode", "full", "--patience", "100")
    at_work = driver(campaign)
    records = at_work.records
    with records.lock():
        at_work.steps.planning.remember()
        at_work.steps.planning.iterate()
        first, second = (record.id for record in records.index.transformations)
        for task in (f"{first}-1", f"{first}-2", f"{second}-1", f"{second}-2"):
            records.write({"event": "submitted", "task": task, "attempts": 0})
        records.write({"event": "status", "task": f"{first}-1", "status": "complete", "seconds": 1e-9, "estimate": 1.0})
        call("set", "uniform", "", "-s", "repeats=1")
        at_work.steps.planning.take_requests()
        at_work.steps.planning.iterate()
        assert set(at_work.steps.planning._unwanted) == {f"{first}-2", f"{second}-2"}
        again = driver(campaign)  # the next driver is as patient
        again.steps.planning.records = records
        again.steps.planning.remember()
        assert again.steps.planning._unwanted == at_work.steps.planning._unwanted
        again.steps.planning.end_unwanted()
        assert all(task.actioned for task in running(records))
        again.steps.planning._unwanted = {task: time.time() - 101 for task in again.steps.planning._unwanted}
        again.steps.planning._seconds_used = lambda task: 5.0  # of an expected 1e-9 s: about to end
        again.steps.planning.end_unwanted()
        (ended,) = [task for task in running(records) if not task.actioned]
        assert (ended.task, ended.spare) == (f"{second}-2", True)
        assert "no longer wants it (mode full), for 10" in ended.reason
        campaign.cancel_tasks(ended.task)  # the user's word: the strategy may not take it up again
        again.steps.planning.take_requests()
        assert not records.state().tasks[ended.task].spare


def running(records: CampaignRecords):
    return [task for task in records.state().tasks.values() if task.status is TaskStatus.RUNNING]


# ---------------------------------------------------------------------------------------------------------- explain
class Talkative(UniformStrategy):
    """Explains itself."""

    def explain(self, network, results):
        return {str(t.key): f"waits for {t.name}" for t in sorted(network.edges)[:1]}

    def remarks(self, network, results):
        return ["not reachable by repeats"]


def test_explain_says_what_would_be_done_and_why_and_changes_nothing(campaign, call):
    before = {path: path.read_bytes() for path in campaign.path.iterdir() if path.is_file()}
    view = json.loads(call("explain", "", "--json"))
    assert [(row["decision"], row["why"]) for row in view["rows"]] == [
        ("create 2", "its weight of 1 is worth 3 task(s)")
    ] * 2
    assert (view["due"], view["name"], view["status"], view["remarks"]) == (True, "uniform", "awake", [])
    assert before == {path: path.read_bytes() for path in campaign.path.iterdir() if path.is_file()}
    name = campaign.records.index.transformations[1].name
    (row,) = json.loads(call("explain", "", name, "--json"))["rows"]
    assert row["transformation"] == name
    assert "no transformation is called 'x'" in call("explain", "", "x", ok=False)
    text = call("explain", "")
    assert "an iteration is due" in text and "create 2" in text


def test_explaining_a_large_network_is_plain_text(campaign):
    view = campaign.explain_network_strategy()
    (first, second) = explain_table(view).renderables[:2]
    assert "an iteration is due" in str(first) and not isinstance(second, str)
    view["rows"] *= 150
    lines = str(explain_table(view).renderables[1]).splitlines()
    assert len(lines) == 302
    assert lines[-1].endswith("create 2  its weight of 1 is worth 3 task(s)")


def explained(campaign: Campaign, *tasks: tuple[int, str, dict]) -> dict:
    """Return the rows by number after tasks (number of the transformation, status, event's values) were made."""
    records = campaign.records
    ids = [record.id for record in records.index.transformations]
    with records.lock():
        for repeat, (number, status, values) in enumerate(tasks, start=1):
            created = {"event": "created", "transformation": ids[number], "repeat": repeat, "directory": "jobs/x"}
            task = f"{ids[number]}-{repeat}"
            records.write({**created, "task": task}, {"event": "status", "task": task, "status": status, **values})
    rows = {row["id"]: row for row in campaign.explain_network_strategy()["rows"]}
    return {number: rows[stable_id] for number, stable_id in enumerate(ids)}


COMPLETE = ("complete", {"estimate": 1.5, "seconds": 2.0})


def test_explain_tells_reasons_apart(campaign):
    rows = explained(campaign, (0, *COMPLETE), (0, *COMPLETE), (1, "waiting", {}), (1, "waiting", {}))
    assert (rows[0]["results"], rows[0]["estimate"], rows[0]["sd"], rows[0]["weight"]) == (2, 1.5, 0.0, None)
    assert rows[0]["why"] == "weight none: the strategy wants no more results here"
    assert (rows[1]["in_flight"], rows[1]["decision"]) == (2, "nothing")
    assert rows[1]["why"] == "in flight already enough: 2 result(s) are to come"


def test_explain_names_tasks_in_error_and_caps(campaign):
    campaign.set_network_strategy("uniform", {"repeats": 9}, max_tasks_per_transformation=1, max_tasks_per_network=1)
    rows = explained(campaign, (0, "error", {}), (1, "waiting", {}))
    assert rows[0]["why"].startswith("1 task(s) in error: nothing new until you deal with it")
    assert rows[1]["why"] == "capped by max_tasks_per_transformation (1)"
    campaign.set_network_strategy("uniform", max_tasks_per_transformation=5)
    assert explained(campaign)[1]["why"] == "capped by max_tasks_per_network (1)"
    campaign.set_network_strategy("uniform", {"repeats": 1}, mode="full")
    row = explained(campaign, (1, "waiting", {}))[1]
    assert (row["in_flight"], row["decision"]) == (2, "cancel 1 waiting")
    assert row["why"] == "wanted in flight: 1, there are 2 (mode full)"
    campaign.set_network_strategy_mode("disabled")
    assert explained(campaign)[1]["why"] == "the mode is disabled"


def test_explain_shows_what_the_strategy_itself_says(campaign, monkeypatch, tmp_path):
    monkeypatch.setitem(BUILT_IN, "uniform", (__name__, "Talkative"))
    view = campaign.explain_network_strategy()
    assert view["remarks"] == ["not reachable by repeats"]
    (said,) = [row["why"] for row in view["rows"] if row["why"].startswith("waits for")]
    assert said in {f"waits for {row['transformation']}" for row in view["rows"]}
    monkeypatch.setattr(Talkative, "explain", lambda *arguments: 1 / 0)
    view = campaign.explain_network_strategy()
    assert view["remarks"] == ["the strategy could not explain itself: ZeroDivisionError: division by zero"]
    monkeypatch.setitem(BUILT_IN, "uniform", (__name__, "Raises"))
    view = campaign.explain_network_strategy()
    assert view["would_raise"] == "ZeroDivisionError: nothing to divide"
    assert {row["why"] for row in view["rows"]} == {"the strategy raised an exception"}


# ------------------------------------------------------------------------------------------------------ from Python
def test_alchemiscale_s_names(campaign):
    assert campaign.set_network_strategy("connectivity", {"max_runs": 2}, mode="full").later is False
    assert campaign.get_network_strategy()["mode"] == "full"
    assert campaign.get_network_strategy_state()["task_scaling"] == "exponential"
    assert campaign.set_network_strategy_awake().later is False
    assert campaign.set_network_strategy_mode("partial").later is False
    with pytest.raises(CampaignError, match="did you mean 'task_scaling'"):
        campaign.set_network_strategy("uniform", task_scalling="linear")
    assert campaign.set_network_strategy(None).later is False
    assert campaign.get_network_strategy() is None
    with pytest.raises(InputError):
        campaign.set_network_strategy_awake()
