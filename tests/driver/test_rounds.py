"""What attempts at work write is told when it is their turn: each unit once, and what was there before not at all."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from xpm_alchem.driver import rounds
from xpm_alchem.driver.rounds import Rounds
from xpm_alchem.execution.attempt_log import AttemptLog
from xpm_alchem.execution.attempts import Outcome


@pytest.fixture
def place(tmp_path, monkeypatch):
    return SimpleNamespace(
        records=SimpleNamespace(task_path=lambda task: tmp_path / task.task),
        log=lambda name: AttemptLog(_made(tmp_path / name) / "attempts.jsonl"),
        task=lambda name, submitted: SimpleNamespace(task=name, submitted=submitted, attempts_before=0),
    )


def _made(path):
    path.mkdir(exist_ok=True)
    return path


def look(made: Rounds, task):
    made._turn = {task.task}
    made.last(task)
    return made.new_units(task)


def test_units_are_told_once_each(place):
    made = Rounds(place.records)
    task, log = place.task("a", made._began + 1), place.log("a")
    assert look(made, task) == []
    attempt = log.start(limit=None, versions={})
    log.unit(attempt, name="setup", ok=True)
    assert look(made, task) == ["setup"]
    assert look(made, task) == []
    log.unit(attempt, name="simulate", ok=False)
    log.unit(attempt, name="analyse", ok=True)
    assert look(made, task) == ["analyse"]
    log.end(attempt, Outcome.TIMEOUT)
    log.unit(log.start(limit=None, versions={}), name="simulate", ok=True)
    assert look(made, task) == ["simulate"]


def test_what_was_finished_before_this_driver_is_not_told(place):
    made = Rounds(place.records)
    task, log = place.task("a", made._began - 60), place.log("a")
    attempt = log.start(limit=None, versions={})
    log.unit(attempt, name="setup", ok=True)
    assert look(made, task) == []
    log.unit(attempt, name="simulate", ok=True)
    assert look(made, task) == ["simulate"]


def test_an_attempt_that_says_it_has_ended_is_looked_at_until_that_is_dealt_with(place):
    made = Rounds(place.records)
    task, log = place.task("a", made._began + 1), place.log("a")
    attempt = log.start(limit=None, versions={})
    look(made, task)
    assert not made.is_to_be_looked_at(task) and made.seconds_over(task) == 0
    log.end(attempt, Outcome.ERROR)
    look(made, task)
    assert made.is_to_be_looked_at(task)
    again = place.task("a", task.submitted + 5)
    again.attempts_before = 1
    look(made, again)
    assert not made.is_to_be_looked_at(again) and made.seconds_over(again) == 0


def test_an_attempt_whose_time_is_over_is_looked_at(place):
    made = Rounds(place.records)
    for name, limit, expected in (("a", 1000.0, False), ("b", -5.0, True)):
        task = place.task(name, made._began + 1)
        place.log(name).start(limit=limit, versions={})
        look(made, task)
        assert made.is_to_be_looked_at(task) is expected


def test_an_attempt_out_of_sight_rests_after_a_while_but_for_its_turn(place, monkeypatch):
    made = Rounds(place.records)
    task = place.task("a", made._began + 1)
    assert not made.rests(task)
    monkeypatch.setattr(rounds, "_IN_VAIN_SECONDS", -1.0)
    assert made.rests(task)
    made._turn = {"a"}
    assert not made.rests(task)
    assert made.rests(task)
