"""A driver under a budget, simulated: its watch and its journal are the real ones, attempts and time are made up."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import attrs

from xpm_alchem.campaign.task_state import CampaignState, TaskState, TaskStatus
from xpm_alchem.costs.admission import Word
from xpm_alchem.driver import budget_watch
from xpm_alchem.driver.budget_watch import BudgetWatch
from xpm_alchem.execution.attempts import Attempt, Outcome
from xpm_alchem.execution.processes import ProcessIdentity
from xpm_alchem.plan.budget import Budget

HOUR = 3600.0
EPOCH = 1_800_000_000.0


class Records:
    """A campaign's records in memory."""

    def __init__(self, names: list[str]) -> None:
        self.journal: list[Mapping[str, Any]] = []
        self._state = CampaignState()
        one = {name: SimpleNamespace(name=name, environment=name[-1], protocol="p") for name in names}
        self.index = SimpleNamespace(by_id=one)

    def state(self) -> CampaignState:
        return self._state

    @property
    def position(self) -> int:
        return len(self.journal)

    def write(self, *events: Mapping[str, Any], now: float | None = None) -> None:
        for event in events:
            self.journal.append({"time": now, **event})
            self._state.apply(self.journal[-1])

    def read_again(self) -> None:
        """A new driver knows only the journal."""
        self._state = CampaignState()
        for event in self.journal:
            self._state.apply(event)


class Watch(BudgetWatch):
    """A watch that is told of the simulation's attempts."""

    simulation: Simulation

    def _began(self, task: TaskState) -> float | None:
        last = self.simulation.lives[-1] if not task else self.simulation.life_of(task.task)
        return last.start if last is not None and last.start <= self.simulation.now else None


@attrs.define
class Life:
    """What will become of an attempt; the driver learns of it bit by bit."""

    task: str
    admitted: float
    start: float
    end: float
    cost_per_hour: float
    outcome: Outcome
    noticed: float
    budget: Budget
    spent_before: float  # in truth, when it was admitted
    over: bool = False

    def cost(self, first: float = -math.inf, last: float = math.inf) -> float:
        """Return what it costs between two moments."""
        return self.cost_per_hour * max(0.0, min(self.end, last) - max(self.start, first)) / HOUR


class Simulation:
    """One campaign."""

    def __init__(
        self, seed: int, budget: Budget, *, price: float, longest: float | None, slots: int, tasks: int
    ) -> None:
        self.random, self.now, self.budget = random.Random(seed), EPOCH, budget
        self.launcher = SimpleNamespace(cost_per_hour=price, cost_unit="EUR", longest=longest, slots=slots)
        names = ["a1", "b1", "c2"]
        self.records = Records(names)
        self.attempts: dict[str, list[Attempt]] = {}
        self.lives: list[Life] = []
        self.said: list[str] = []
        self.typical = {name: self.random.uniform(0.05, 3.0) * HOUR for name in names}
        self.kills = True
        for number in range(tasks):
            name = names[number % len(names)]
            task = {"task": f"{name}-{number}", "transformation": name, "repeat": number, "directory": "jobs/x"}
            self.records.write({"event": "created", **task}, now=self.now)
            self.attempts[f"{name}-{number}"] = []
        self.new_driver()

    def new_driver(self) -> None:
        """The driver was killed: another one begins."""
        self.records.read_again()
        self.watch = Watch(self.records, self.launcher, lambda event: self.said.append(event.what))
        self.watch.simulation = self

    def life_of(self, task: str) -> Life | None:
        return next((life for life in reversed(self.lives) if life.task == task), None)

    # ------------------------------------------------------------------------------------------------------ a step
    def step(self, seconds: float) -> None:
        """Let time pass, then let the driver look, think and submit."""
        self.now += seconds
        for life in [life for life in self.lives if not life.over and life.noticed <= self.now]:
            self._harvest(life)
        self.watch.put_in_force(self.budget)
        self.watch.close_and_open()
        self.watch.pass_begins()
        running = sum(task.status is TaskStatus.RUNNING for task in self.records.state().tasks.values())
        free = self.launcher.slots - running
        for task in list(self.records.state().tasks.values()):
            if free <= 0:
                break
            if task.status is TaskStatus.WAITING and task.actioned:
                word = self.watch.may_start(task)
                if word is Word.WAIT:
                    break
                if word is Word.OK:
                    self._start(task)
                    free -= 1
        self.watch.pass_ends()

    def _start(self, task: TaskState) -> None:
        launcher, rng = self.launcher, self.random
        price = {"cost_per_hour": launcher.cost_per_hour, "cost_unit": "EUR", "longest": launcher.longest}
        before = len(self.attempts[task.task])
        spent = self.spent_by(self.now)
        self.records.write({"event": "submitted", "task": task.task, "attempts": before, **price}, now=self.now)
        start = self.now + rng.choice([0.0, 1.0, rng.uniform(0, 900), rng.uniform(0, 3 * HOUR)])
        seconds = self.typical[task.transformation] * rng.uniform(0.5, 1.5)
        outcome = Outcome.COMPLETE
        if self.kills and rng.random() < 0.4:
            outcome = rng.choice([Outcome.LOST, Outcome.TIMEOUT, Outcome.ERROR, Outcome.PREEMPTED])
            seconds *= rng.choice([0.0, rng.random(), rng.uniform(0.0, 2.0)])
        if launcher.longest is not None and seconds > launcher.longest:
            outcome, seconds = Outcome.TIMEOUT, launcher.longest
            if not self.kills:
                self.typical[task.transformation] = launcher.longest / 2
        noticed = start + seconds + rng.choice([0.0, 1.0, rng.uniform(0, 600)])
        end = start + seconds
        self.lives.append(
            Life(task.task, self.now, start, end, launcher.cost_per_hour, outcome, noticed, self.budget, spent)
        )

    def _harvest(self, life: Life) -> None:
        life.over = True
        attempts = self.attempts[life.task]
        attempts.append(
            Attempt(
                number=len(attempts) + 1,
                process=ProcessIdentity("here", 1, 0.0),
                start=life.start,
                end=life.noticed,
                outcome=life.outcome,
                seconds=life.end - life.start,
                kept_seconds=self.random.random() * (life.end - life.start),
                cost_per_hour=life.cost_per_hour,
                cost_unit="EUR",
            )
        )
        status = TaskStatus.COMPLETE if life.outcome is Outcome.COMPLETE else TaskStatus.WAITING
        if life.outcome is Outcome.ERROR and self.kills and self.random.random() < 0.2:
            status = TaskStatus.ERROR
        spent = self.records.state().ledger.account(life.task, attempts)
        seconds = sum(attempt.seconds for attempt in attempts)
        what = {"event": "status", "task": life.task, "status": str(status), "seconds": seconds}
        self.records.write({**what, **spent}, now=self.now)
        if self.random.random() < 0.1:  # an event that came twice
            self.records.write({**what, **spent}, now=self.now)

    # ---------------------------------------------------------------------------------------------------- the truth
    def spent_by(self, moment: float) -> float:
        """Return what everything has cost by a moment, whatever the driver knows."""
        return sum(life.cost(last=moment) for life in self.lives)

    def windows(self) -> Iterator[tuple[float, float, float | None]]:
        """Yield hours (their beginning, what they cost, the rate in force when the last of it was submitted)."""
        worked = [life for life in self.lives if life.end > life.start]
        for begin in {
            moment for life in worked for moment in (life.start, life.end - HOUR, life.end, life.start - HOUR)
        }:
            inside = [life for life in worked if life.cost(begin, begin + HOUR) > 0]
            if inside:
                last = max(inside, key=lambda life: life.admitted)
                yield begin, sum(life.cost(begin, begin + HOUR) for life in inside), last.budget.rate


def at(simulation: Simulation, monkeypatch: Any) -> None:
    """Let the watch live in the simulation's time."""
    monkeypatch.setattr(budget_watch.time, "time", lambda: simulation.now)
