"""Tasks created, ordered, cancelled, set back and set aside while a campaign runs, with real processes."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from campaigns import SmallCampaign
from click.testing import CliRunner
from dummy_protocol import seeds
from patience import communicate, wait_for

from xpm_alchem import gufe_seam
from xpm_alchem.campaign.task_state import TaskState
from xpm_alchem.cli import main
from xpm_alchem.client import Campaign
from xpm_alchem.execution.attempts import Attempt, Outcome
from xpm_alchem.execution.directory import TaskDirectory

A, B = "ligand_0_ligand_1_vacuum", "ligand_1_ligand_2_vacuum"
BY_HAND = {"name": None, "mode": "disabled"}


class Tasks:
    """A small campaign whose tasks are made by hand unless it has a strategy, and what is known of them."""

    def __init__(self, path: Path, *, slots: int = 2, strategy: dict[str, Any] | None = None, **options: Any) -> None:
        launcher = {"kind": "local", "slots": slots}
        plan = {"strategy": strategy or BY_HAND, "launcher": launcher}
        self.campaign = SmallCampaign(path, plan=plan, **{"edges": [(0, 1)], **options})
        Campaign.create(self.campaign.file)

    def __call__(self, command: str, *arguments: object, code: int = 0) -> str:
        """Return what ``xpm-alchem tasks COMMAND CAMPAIGN ...`` says."""
        done = CliRunner().invoke(main, ["tasks", command, str(self.campaign.file), *map(str, arguments)])
        assert done.exit_code == code, done.output
        return str(done.output)

    def __getitem__(self, name: str) -> TaskState:
        records = self.campaign.records
        return next(task for task in records.state().tasks.values() if records.name_of(task) == name)

    @property
    def names(self) -> list[str]:
        records = self.campaign.records
        return [records.name_of(task) for task in records.state().tasks.values()]

    def attempts(self, name: str) -> list[Attempt]:
        return self.campaign.attempts()[self[name].task] if name in self.names else []

    def files(self, name: str) -> TaskDirectory:
        return TaskDirectory(self.campaign.records.task_path(self[name]))

    def wait_at_work(self, name: str, *, units: int = 0, attempts: int = 1) -> None:
        """Wait until an attempt is at work and has finished units."""

        def at_work() -> bool:
            found = self.attempts(name)
            is_at_work = len(found) == attempts and found[-1].outcome is None and found[-1].units_done >= units
            return is_at_work and self.campaign.is_holding(1)

        wait_for(at_work, what=f"attempt {attempts} of {name}")

    def wait_until(self, name: str, status: str) -> None:
        """Wait until a task has a status by the journal."""
        wait_for(lambda: name in self.names and self[name].status == status, what=f"{name} {status}")

    def events(self, name: str) -> list[str]:
        """Return what the journal has of a task, in order."""
        lines = [json.loads(line) for line in (self.campaign.records.path / "tasks.jsonl").read_text().splitlines()]
        changes = [change for line in lines for change in line.get("changes", [line])]
        return [change.get("status", change["event"]) for change in changes if change.get("task") == self[name].task]

    def finish(self, driver: Any, code: int = 0) -> str:
        """Wait for the end of the driver; return what it said."""
        out, _ = communicate(driver, 200)
        assert driver.returncode == code, out
        return str(out)


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Tasks]:
    """Return a function that makes a campaign whose first task holds in a unit, until the file 'go on' is there."""

    def made(*, hold: str = "", how: str = "wait", times: int = 1, **options: Any) -> Tasks:
        script = {hold: {"do": how, "file": str(tmp_path / "go on"), "times": times}} if hold else {}
        return Tasks(tmp_path / "c", script=script, **options)

    return made


def test_tasks_are_started_by_priority_then_in_the_order_of_their_creation(make, tmp_path: Path) -> None:
    tasks = make(hold="simulate 0", slots=1, edges=[(0, 1), (1, 2)])
    for transformation, priority in ((A, 10), (B, 5), (B, 10), (A, 1), (B, 5)):
        tasks("create", transformation, "--priority", priority)
    driver = tasks.campaign.start()
    tasks.wait_at_work(f"{A}:2", units=1)
    tasks("create", A, "--count", 2)
    tasks.wait_until(f"{A}:4", "waiting")
    assert "within seconds" in tasks("priority", 7, f"{A}:4")
    wait_for(lambda: tasks[f"{A}:4"].priority == 7, what="the request")
    (tmp_path / "go on").touch()
    tasks.finish(driver)
    first = {name: tasks.attempts(name)[0].start for name in tasks.names}
    assert sorted(first, key=first.__getitem__) == [
        f"{A}:2",
        f"{B}:1",
        f"{B}:3",
        f"{A}:4",
        f"{A}:1",
        f"{B}:2",
        f"{A}:3",
    ]


def test_a_running_task_that_is_cancelled_stops_at_its_checkpoint_and_goes_on_when_retried(make, tmp_path) -> None:
    tasks = make(hold="simulate 0 step 3")
    tasks("create", A)
    driver = tasks.campaign.start()
    tasks.wait_at_work(f"{A}:1", units=1)
    assert "the driver ends it within seconds" in tasks("cancel", f"{A}:1")
    tasks.finish(driver)
    (attempt,) = tasks.attempts(f"{A}:1")
    assert (attempt.outcome, attempt.decision) == (Outcome.CANCELLED, "stopped")
    assert tasks("list").count("waiting, cancelled") == 1
    (tmp_path / "go on").touch()
    tasks("retry", f"{A}:1")
    assert tasks.campaign.run().returncode == 0
    assert starts(tasks, f"{A}:1") == 2
    assert set(tasks.campaign.units_done()[tasks[f"{A}:1"].task].values()) == {1}


def starts(tasks: Tasks, name: str) -> int:
    """Return how often the simulation that led to the result went on from its checkpoint, the first start included."""
    result = gufe_seam.load(tasks.files(name).result, lambda module: None)
    return next(r.outputs["starts"] for r in result.protocol_unit_results if "starts" in r.outputs)


@pytest.mark.parametrize("driven", [True, False])
def test_cancel_now_ends_an_attempt_that_heeds_nothing(make, tmp_path: Path, driven: bool) -> None:
    """It would go on until the file is there; the next one goes on from the last checkpoint."""
    tasks = make(hold="simulate 0 step 3", how="insist", times=2)
    tasks("create", A)
    driver = tasks.campaign.start()
    tasks.wait_at_work(f"{A}:1", units=1)
    if not driven:
        driver.kill()
        driver.communicate()
    said = tasks.campaign.call("cancel", tasks.campaign.file, f"{A}:1", "--now").stdout
    assert said == f"{A}:1: {'the driver ends it within seconds' if driven else 'cancelled'}\n"
    if driven:
        tasks.finish(driver)
    (attempt,) = tasks.attempts(f"{A}:1")
    assert (attempt.outcome, attempt.decision) == (Outcome.LOST, "stopped")
    assert tasks[f"{A}:1"].reason == "cancelled by the user"
    (tmp_path / "go on").touch()
    tasks("retry", f"{A}:1")
    assert tasks.campaign.run().returncode == 0
    assert starts(tasks, f"{A}:1") == 2


def test_a_running_task_that_is_retried_stops_at_its_checkpoint_and_begins_again(make, tmp_path: Path) -> None:
    tasks = make(hold="simulate 0 step 3")
    tasks("create", A)
    driver = tasks.campaign.start()
    tasks.wait_at_work(f"{A}:1", units=1)
    assert "takes it up within seconds" in tasks("retry", f"{A}:1")
    out = tasks.finish(driver)
    assert "its attempt has ended" in out
    first, second = tasks.attempts(f"{A}:1")
    assert (first.outcome, first.decision, second.outcome) == (Outcome.CANCELLED, "retry", Outcome.COMPLETE)
    assert tasks.events(f"{A}:1") == ["created", "submitted", "waiting", "actioned", "ended", "submitted", "complete"]
    assert starts(tasks, f"{A}:1") == 2


@pytest.mark.parametrize("driven", [True, False])
def test_a_late_result_of_a_task_that_was_set_back_is_kept_and_counted_once(make, tmp_path: Path, driven: bool) -> None:
    """The attempt does not heed its orders, and completes after its task was set back to waiting."""
    tasks = make(hold="analyse", how="insist", strategy={"name": "uniform", "settings": {"repeats": 1}})
    driver = tasks.campaign.start()
    tasks.wait_at_work(f"{A}:1", units=2)
    if not driven:
        driver.kill()
        driver.communicate()
    tasks("retry", f"{A}:1")
    tasks.wait_until(f"{A}:1", "waiting")
    wait_for((tmp_path / "go on.interrupted").exists, what="the order to stop")
    (tmp_path / "go on").touch()
    if not driven:
        wait_for(lambda: tasks.attempts(f"{A}:1")[0].outcome is not None, what="the late result")
        driver = tasks.campaign.start()
    tasks.finish(driver)
    (attempt,) = tasks.attempts(f"{A}:1")
    assert attempt.outcome is Outcome.COMPLETE
    assert "complete all the same (retried by the user)" in (attempt.decision_reason or "")
    assert tasks.names == [f"{A}:1"] and tasks.events(f"{A}:1").count("complete") == 1
    assert len(tasks.campaign.estimates()[A]) == 1
    assert "is complete and cannot become waiting" in tasks("retry", f"{A}:1", code=2)


def test_a_running_task_that_is_set_invalid_ends_and_its_result_does_not_count(make, tmp_path: Path) -> None:
    tasks = make(hold="analyse", how="insist", strategy={"name": "uniform", "settings": {"repeats": 1}})
    driver = tasks.campaign.start()
    tasks.wait_at_work(f"{A}:1", units=2)
    assert "the driver sets it invalid" in tasks("invalidate", f"{A}:1")
    tasks.wait_until(f"{A}:2", "complete")  # what the strategy has made in its place
    assert "invalid, its attempt is ending" in tasks("list")
    (tmp_path / "go on").touch()  # the driver was there until then: it notes the end
    tasks.finish(driver)
    assert tasks.events(f"{A}:1") == ["created", "submitted", "invalid", "ended"]
    assert tasks.files(f"{A}:1").result.exists()
    (attempt,) = tasks.attempts(f"{A}:1")
    assert "complete, but it does not count (set invalid by the user)" in (attempt.decision_reason or "")
    assert len(tasks.campaign.estimates()[A]) == 1
    assert tasks.campaign.json("status")["tasks"]["invalid"] == 1
    before = (tasks.campaign.records.path / "tasks.jsonl").read_bytes()
    assert tasks.campaign.run().returncode == 0
    assert (tasks.campaign.records.path / "tasks.jsonl").read_bytes() == before


def test_a_complete_task_that_is_deleted_is_replaced_by_the_strategy(make) -> None:
    tasks = make(strategy={"name": "uniform", "settings": {"repeats": 2}})
    assert tasks.campaign.run().returncode == 0
    before = tasks.campaign.estimates()[A]
    tasks("delete", f"{A}:1", "--yes")
    assert tasks.campaign.estimates()[A] == before[1:]
    assert tasks.campaign.run().returncode == 0
    after = tasks.campaign.estimates()[A]
    assert (len(after), after[0]) == (2, before[1])
    assert tasks[f"{A}:3"].status == "complete" and tasks[f"{A}:1"].status == "deleted"


def test_a_task_that_extends_another_waits_for_it_and_goes_on_from_its_result(make, tmp_path: Path) -> None:
    tasks = make(hold="simulate 0")
    tasks("create", A)
    tasks("extend", f"{A}:1", "--priority", 1)
    driver = tasks.campaign.start()
    tasks.wait_at_work(f"{A}:1", units=1)
    assert "the driver creates 1 task(s)" in tasks("extend", f"{A}:2")
    (tmp_path / "go on").touch()
    tasks.finish(driver)
    histories = [tasks.attempts(f"{A}:{n}") for n in (1, 2, 3)]
    assert [len(attempts) for attempts in histories] == [1, 1, 1]
    for (before,), (after,) in itertools.pairwise(histories):
        assert before.end is not None and after.start >= before.end
    (transformation,) = tasks.campaign.records.network.alchemical_network.edges
    dag = gufe_seam.load(tasks.files(f"{A}:3").dag, lambda module: None)
    extended = gufe_seam.load(tasks.files(f"{A}:2").result, lambda module: None)
    assert seeds(dag) == seeds(gufe_seam.create_dag(transformation, repeat=3, extends=extended))  # it was told


def test_a_cascade_while_a_driver_runs_ends_what_runs_and_keeps_what_waits_from_running(make) -> None:
    tasks = make(hold="simulate 0 step 3")
    tasks.campaign.script.write_text("{}")
    tasks("create", A)
    assert tasks.campaign.run().returncode == 0
    script = {"simulate 0 step 3": {"do": "wait", "file": str(tasks.campaign.path / "never")}}
    tasks.campaign.script.write_text(json.dumps(script))
    tasks("extend", f"{A}:1")
    tasks("extend", f"{A}:2")
    driver = tasks.campaign.start()
    tasks.wait_at_work(f"{A}:2", units=1)
    assert len(tasks("invalidate", f"{A}:1").splitlines()) == 3
    tasks.finish(driver)
    assert [str(tasks[f"{A}:{n}"].status) for n in (1, 2, 3)] == ["invalid"] * 3
    assert [attempt.outcome for attempt in tasks.attempts(f"{A}:2")] == [Outcome.CANCELLED]
    assert tasks.attempts(f"{A}:3") == []
    assert "it cannot be extended" in tasks("extend", f"{A}:2", code=2)


def test_stop_waits_for_an_attempt_whose_task_was_deleted(make, tmp_path: Path) -> None:
    tasks = make(hold="simulate 0 step 3")
    tasks("create", A)
    driver = tasks.campaign.start()
    tasks.wait_at_work(f"{A}:1", units=1)
    driver.kill()
    driver.communicate()
    tasks("delete", f"{A}:1", "--yes")
    stopped = tasks.campaign.call("stop", tasks.campaign.file)
    assert stopped.returncode == 3, stopped.stdout + stopped.stderr
    (attempt,) = tasks.attempts(f"{A}:1")
    assert attempt.outcome is Outcome.CANCELLED and not tasks[f"{A}:1"].at_work
