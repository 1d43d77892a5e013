"""Under random kills, retries, queues, driver deaths and budget changes no limit is ever passed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import attrs
import pytest
from budget_simulation import HOUR, Simulation
from hypothesis import example, given, settings
from hypothesis import strategies as st

from xpm_alchem.campaign.lost_work import lost_seconds
from xpm_alchem.campaign.task_state import TaskStatus
from xpm_alchem.driver import budget_watch
from xpm_alchem.execution.attempts import Outcome
from xpm_alchem.plan.budget import Budget

totals = st.none() | st.floats(0.0, 60.0)
rates = st.none() | st.floats(4.0, 20.0)
results = st.none() | st.floats(0.2, 8.0)
budgets = st.builds(Budget, total=totals, rate=rates, per_result=results)
changes = st.dictionaries(st.integers(0, 44), budgets, max_size=4)


def simulate(seed: int, budget: Budget, changes: dict[int, Budget], deaths: set[int], **launcher: Any) -> Simulation:
    made = Simulation(seed, budget, **launcher)
    budget_watch.time = SimpleNamespace(time=lambda: made.now)
    for number in range(45):
        made.budget = changes.get(number, made.budget)
        if number in deaths:
            made.new_driver()
        made.step(made.random.choice([1.0, 30.0, made.random.uniform(0, HOUR), made.random.uniform(0, HOUR)]))
    return made


@pytest.fixture(autouse=True)
def own_clock(monkeypatch):
    monkeypatch.setattr(budget_watch, "time", budget_watch.time)  # put back at the end


simulations = given(
    seed=st.integers(0, 2**32),
    budget=budgets,
    changes=changes,
    deaths=st.sets(st.integers(0, 44), max_size=4),
    price=st.sampled_from([1.0, 2.5, 4.0]),
    longest=st.sampled_from([None, 300.0, 1800.0, 2 * HOUR]),
    slots=st.integers(1, 8),
    tasks=st.integers(1, 24),
)


@settings(max_examples=500, deadline=None)
@simulations
@pytest.mark.slow
def test_no_limit_is_passed_whatever_happens(seed, budget, changes, deaths, price, longest, slots, tasks):
    made = simulate(seed, budget, changes, deaths, price=price, longest=longest, slots=slots, tasks=tasks)
    for begin, cost, rate in made.windows():
        assert rate is None or cost <= rate * (1 + 1e-6), begin
    for life in made.lives:
        total = life.budget.total
        assert total is None or life.spent_before < total  # whatever passes it was in flight when it was reached
    goes_on_until_all_is_complete(made)
    account_is_right(made)


def goes_on_until_all_is_complete(made: Simulation) -> None:
    """Without a total, and with a rate that one attempt fits in, a driver that is only left alone finishes."""
    made.budget, made.kills = Budget(rate=made.budget.rate), False
    for _ in range(3000):
        made.step(600.0)
        tasks = made.records.state().tasks.values()
        if all(task.status in (TaskStatus.COMPLETE, TaskStatus.ERROR) for task in tasks):
            break
    else:
        raise AssertionError(f"it waits for ever; it said {made.said[-3:]}")
    made.step(1.0)
    assert not made.watch.exhausted
    for begin, cost, rate in made.windows():
        assert rate is None or cost <= rate * (1 + 1e-6), begin


def account_is_right(made: Simulation) -> None:
    """What the journal says is what the attempts themselves say, however often it is read."""
    truth = sum(attempt.cost for attempts in made.attempts.values() for attempt in attempts)
    assert truth == pytest.approx(made.spent_by(made.now))
    lost = {t: lost_seconds(attempts) for t, attempts in made.attempts.items()}
    for _ in range(2):
        ledger = made.records.state().ledger
        assert ledger.total("EUR") == pytest.approx(truth)
        for task, attempts in made.attempts.items():
            assert ledger.cost(task, "eur") == pytest.approx(sum(attempt.cost for attempt in attempts))
            expected = sum(attempt.cost_of(lost[task][attempt.number]) for attempt in attempts)
            assert ledger.lost(task, "EUR") == pytest.approx(expected)
        assert ledger.other_units("gpu-h") == ({"EUR": pytest.approx(truth)} if truth else {})
        made.records.read_again()


@settings(max_examples=100, deadline=None)
@simulations
@example(seed=177, budget=Budget(), changes={}, deaths=set(), price=4.0, longest=300.0, slots=2, tasks=2)  # 18 thirds
def test_the_total_is_passed_by_no_more_than_what_was_in_flight(
    seed, budget, changes, deaths, price, longest, slots, tasks
):
    budget = attrs.evolve(budget, total=6.0)
    made = simulate(seed, budget, {}, deaths, price=price, longest=longest, slots=slots, tasks=tasks)
    if made.spent_by(made.now) < 6.0:
        return
    early, late = 0.0, made.now
    while late - early > 1e-3:
        middle = (early + late) / 2
        early, late = (early, middle) if made.spent_by(middle) >= 6.0 else (middle, late)
    in_flight = [life for life in made.lives if life.admitted <= late and life.end >= early]
    after = sum(life.cost(first=late) for life in made.lives)
    assert after <= sum(life.cost(first=late) for life in in_flight) + 1e-9


@settings(max_examples=100, deadline=None)
@simulations
def test_a_closed_transformation_gets_nothing(seed, budget, changes, deaths, price, longest, slots, tasks):
    """Seen from the attempts alone: nothing is submitted for one that has cost too much for what it gave."""
    budget = attrs.evolve(budget, per_result=0.5, total=None)
    made = simulate(seed, budget, {}, deaths, price=price, longest=longest, slots=slots, tasks=tasks)
    for life in made.lives:
        group = {task for task in made.attempts if task.startswith(life.task[:3])}
        known = [other for other in made.lives if other.task in group and other.noticed <= life.admitted]
        spent = sum(other.cost() for other in known)
        complete = {other.task for other in known if other.outcome is Outcome.COMPLETE}
        cheap = {t for t in group - complete if 0 < sum(o.cost() for o in known if o.task == t) <= 0.5}
        assert spent < 2 * 0.5 or spent <= 0.5 * (len(complete) + len(cheap)) * (1 + 1e-9)
