"""What attempts cost and what of them was lost, from attempts.jsonl alone."""

from __future__ import annotations

import json
import os
import signal
import time

import attrs
import pytest
from dummy_protocol import dummy_network, times_left
from hypothesis import given
from hypothesis import strategies as st
from patience import wait_for

from xpm_alchem.base.errors import FormatError
from xpm_alchem.base.files import write_json
from xpm_alchem.campaign.lost_work import lost_seconds
from xpm_alchem.execution.attempt_log import AttemptLog
from xpm_alchem.execution.attempts import Attempt, Outcome, Priced
from xpm_alchem.execution.dag_run import TaskSpec, run
from xpm_alchem.execution.directory import TaskDirectory
from xpm_alchem.execution.fence import Orders, give_orders
from xpm_alchem.execution.interrupts import Stopped
from xpm_alchem.execution.processes import ProcessIdentity
from xpm_alchem.execution.progress import close_lost


def attempt(number: int, seconds: float, outcome: Outcome | None = Outcome.LOST, *, units=(), kept=None) -> Attempt:
    """Return an attempt that began at 0; `units`: (when it was finished or set aside, what)."""
    done = tuple({"name": "u", "time": when, what: True} for when, what in units)
    return Attempt(
        number=number,
        process=ProcessIdentity("here", 1, 0.0),
        start=0.0,
        outcome=outcome,
        seconds=seconds,
        units=done,
        units_done=sum(what == "ok" for _, what in units),
        kept_seconds=kept,
        cost_per_hour=3600.0,
        cost_unit="EUR",
    )


def lost(*attempts: Attempt) -> list[float]:
    return list(lost_seconds(attempts).values())


def test_nothing_of_an_attempt_that_completes_its_task_or_is_at_work_is_lost():
    assert lost(attempt(1, 10.0, Outcome.COMPLETE)) == [0.0]
    assert lost(attempt(1, 0.0, None)) == [0.0]


def test_what_came_after_the_last_unit_or_checkpoint_is_lost():
    assert lost(attempt(1, 10.0)) == [10.0]
    assert lost(attempt(1, 10.0, units=[(4.0, "ok")])) == [6.0]
    assert lost(attempt(1, 10.0, units=[(4.0, "ok")], kept=7.0)) == [3.0]
    assert lost(attempt(1, 10.0, Outcome.TIMEOUT, kept=10.0)) == [0.0]


def test_a_checkpoint_that_is_set_aside_later_is_lost_back_to_the_last_finished_unit():
    history = [
        attempt(1, 10.0, units=[(4.0, "ok")], kept=9.0),
        attempt(2, 5.0, kept=5.0),
        attempt(3, 8.0, Outcome.COMPLETE, units=[(1.0, "set_aside"), (8.0, "ok")]),
    ]
    assert lost(*history[:2]) == [1.0, 0.0]
    assert lost(*history) == [6.0, 5.0, 0.0]


def test_a_checkpoint_that_is_set_aside_of_a_unit_begun_in_the_same_attempt_costs_earlier_ones_nothing():
    history = [attempt(1, 10.0, kept=9.0), attempt(2, 8.0, units=[(1.0, "ok"), (2.0, "set_aside")], kept=8.0)]
    assert lost(*history) == [1.0, 0.0]


def test_from_scratch_all_that_was_kept_is_lost():
    fresh = attrs.evolve(attempt(3, 2.0, kept=2.0), units=({"name": "all units", "fresh": True},))
    assert lost(attempt(1, 10.0, units=[(4.0, "ok")], kept=9.0), attempt(2, 5.0, kept=5.0), fresh) == [10.0, 5.0, 0.0]


_UNITS = st.lists(st.sampled_from(["ok", "set_aside", "fresh", "all fresh", "resumed"]), max_size=3)


@given(st.lists(st.tuples(_UNITS, st.sampled_from([None, 0.0, 6.0]), st.sampled_from(Outcome)), max_size=12))
def test_what_is_lost_is_what_going_back_from_each_attempt_tells(drawn):
    history = []
    for number, (units, kept, outcome) in enumerate(drawn, 1):
        made = attempt(number, 10.0, outcome, units=list(enumerate(units, 1)), kept=kept)
        scratch = {"name": "all units", "fresh": True}
        history.append(attrs.evolve(made, units=tuple(scratch if "all fresh" in unit else unit for unit in made.units)))
    left = {a.number: _kept_at_first(a) for a in history}
    for position, later in enumerate(history):
        for place, unit in enumerate(later.units):
            if unit["name"] == "all units":
                left |= dict.fromkeys(range(1, position + 1), 0.0)
            elif ("set_aside" in unit or "fresh" in unit) and not any("ok" in u for u in later.units[:place]):
                for earlier in reversed(history[:position]):
                    left[earlier.number] = earlier.seconds_in_units
                    if earlier.units_done:
                        break
    assert lost(*history) == [10.0 - left[a.number] for a in history]


def _kept_at_first(one: Attempt) -> float:
    if one.outcome is Outcome.COMPLETE:
        return one.seconds
    return one.seconds_in_units if one.kept_seconds is None else one.kept_seconds


def test_an_attempt_costs_its_time_at_its_price():
    assert attempt(1, 10.0).cost == 10.0
    assert attempt(1, 10.0).cost_of(2.5) == 2.5
    unpriced = Attempt(number=1, process=ProcessIdentity("here", 1, 0.0), start=0.0, seconds=10.0)
    assert (unpriced.cost, unpriced.cost_unit) == (0.0, None)


def test_an_attempt_that_never_began_cost_nothing(tmp_path):
    """It may have waited in a queue for days."""
    log = AttemptLog(tmp_path / "attempts.jsonl")
    log.never_began(Outcome.LOST, "node failure", None, since=time.time() - 86400)
    (only,) = log.read()
    assert (only.seconds, only.cost, lost(only)) == (0.0, 0.0, [0.0])


def test_the_price_that_was_ordered_is_in_the_history(tmp_path):
    task = TaskDirectory(tmp_path / "task")
    give_orders(task.path, cost_per_hour=36.0, cost_unit="EUR")
    (transformation,) = dummy_network([(0, 1)]).edges
    run(task.path, TaskSpec("id", 1, lambda: transformation, trusted=("dummy_protocol",)))
    (only,) = AttemptLog(task.attempts).read()
    assert (only.cost_per_hour, only.cost_unit) == (36.0, "EUR")
    assert only.cost == pytest.approx(only.seconds / 100)
    assert only.kept_seconds is not None and 0 < only.kept_seconds <= only.seconds
    assert sum(unit["seconds"] for unit in only.units) <= only.seconds


def test_a_stop_without_a_checkpoint_keeps_nothing_and_with_one_what_came_before_it(tmp_path):
    task, script = TaskDirectory(tmp_path / "task"), tmp_path / "script.json"
    write_json(script, {"simulate 0 step 3": {"do": "sleep", "seconds": 60, "times": 1}})
    (transformation,) = dummy_network([(0, 1)], script=str(script), step_seconds=0.1).edges
    spec = TaskSpec("id", 1, lambda: transformation, trusted=("dummy_protocol",))
    pid = os.fork()
    if pid == 0:
        try:
            run(task.path, spec)
        except Stopped:
            os._exit(7)
        os._exit(0)
    wait_for(lambda: times_left(script, "simulate 0 step 3") == 0, what="the third step")
    os.kill(pid, signal.SIGTERM)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    (only,) = AttemptLog(task.attempts).read()
    (checkpoint,) = task.path.glob("shared/*/checkpoint.json")
    assert only.kept_seconds == pytest.approx(checkpoint.stat().st_mtime - only.start, abs=0.01)
    assert lost(only) == [pytest.approx(only.seconds - only.kept_seconds)]


def test_a_killed_attempt_took_until_its_last_sign_of_life(tmp_path):
    task = TaskDirectory(tmp_path / "task")
    task.make()
    log = AttemptLog(task.attempts)
    began = log.start(limit=None, versions={}, priced=Priced(1.0, "core-h"))
    task.alive.touch()
    os.utime(task.alive, (began.start + 100.0,) * 2)
    checkpoint = task.shared("unit") / "checkpoint"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()
    os.utime(checkpoint, (began.start + 60.0,) * 2)
    close_lost(task, began, "killed")
    (only,) = log.read()
    assert (only.seconds, only.kept_seconds) == (pytest.approx(100.0, abs=0.01), pytest.approx(60.0, abs=0.01))
    assert lost(only) == [pytest.approx(40.0, abs=0.01)]


@pytest.mark.parametrize(
    "bad", [{"cost_per_hour": "1"}, {"cost_per_hour": -1.0}, {"cost_per_hour": True}, {"cost_unit": 3}]
)
def test_orders_with_a_price_that_makes_no_sense_are_damaged(tmp_path, bad):
    give_orders(tmp_path, generation=1)
    assert Orders.read(tmp_path).cost_per_hour is None
    path = TaskDirectory(tmp_path).orders
    path.write_text(json.dumps({**json.loads(path.read_text()), **bad}))
    with pytest.raises(FormatError):
        Orders.read(tmp_path)
