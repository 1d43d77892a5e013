"""What a campaign has spent and what its budget allows, as plain data with stable keys (docs/json.md)."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from xpm_alchem.campaign.lost_work import lost_seconds
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.spending import InFlight, Ledger, cost_between
from xpm_alchem.campaign.task_state import TaskState, TaskStatus, grouped
from xpm_alchem.costs.closing import closed_transformations
from xpm_alchem.execution.attempt_log import AttemptLog
from xpm_alchem.execution.attempts import Attempt
from xpm_alchem.execution.directory import TaskDirectory
from xpm_alchem.views.looks import ANEW, ATTEMPTS, Looks

_HOUR = 3600.0
View = dict[str, Any]


@attrs.frozen
class PricedLauncher:
    """What is to be known of the plan's launcher; None where it cannot be found here."""

    cost_per_hour: float | None = None
    unit: str | None = None
    longest: float | None = None
    slots: int | None = None


def spent_view(records: CampaignRecords) -> View:
    """Return what has been spent, from the journal alone: a part of `status`, `summary`, `show`."""
    ledger, budget = records.state().ledger, records.plan().budget
    unit = ledger.unit or budget.unit or ""
    tasks = records.state().tasks
    closed = closed_transformations(budget, ledger, grouped(tasks.values()), unit)
    names = records.in_force.names
    return {
        "unit": unit,
        "spent": ledger.total(unit),
        "lost": sum((ledger.lost(task, unit) for task in records.state().everything), 0.0),
        "mostly_lost": [
            {"id": task.task, "transformation": names[task.transformation], "sentence": _mostly_lost(names, task)}
            for task in tasks.values()
            if task.in_flight and ledger.is_mostly_lost(task.task, unit)
        ],
        "total": budget.total,
        "rate": budget.rate,
        "per_result": budget.per_result,
        "until": budget.until,
        "closed": [
            {"id": t, "transformation": names[t], "sentence": f"{names[t]} {one.sentence}"} for t, one in closed.items()
        ],
    }


def _mostly_lost(names: Mapping[str, str], task: TaskState) -> str:
    name = f"{names[task.transformation]}:{task.repeat}"
    return f"{name}: more than half of its time was computed in vain; `why` tells which time limit would do"


def budget_view(records: CampaignRecords, launcher: PricedLauncher) -> View:
    """Return the budget, what is spent by leg, transformation and task, and what is allowed now.

    Attempts that have ended and that no driver has looked at yet are looked up on the disk.
    """
    from xpm_alchem.costs.admission import Admission, Commitment  # numpy takes its time
    from xpm_alchem.costs.expected_costs import ExpectedSeconds

    now, state, plan = time.time(), records.state(), records.plan()
    unit = state.ledger.unit or launcher.unit or plan.budget.unit or ""
    ledger, running = ledger_now(records)
    expected = ExpectedSeconds(records.index, state.tasks.values())
    price = launcher.cost_per_hour

    def commitment(task: TaskState, attempt: InFlight) -> Commitment:
        seconds = expected.of(task.transformation)
        mean = None if seconds is None else seconds.mean * attempt.cost_per_hour / _HOUR
        return Commitment(attempt, mean, ledger.cost(task.task, unit))

    in_flight = tuple(commitment(state.everything[task], attempt) for task, attempt in running.items())
    past = ledger.since(now - _HOUR, unit)
    admission = Admission(plan.budget, now, unit, ledger.total(unit), tuple(past), in_flight)
    verdict = admission.general()
    waiting = [task for task in state.tasks.values() if task.status is TaskStatus.WAITING and task.actioned]
    if waiting and price is not None:
        new = InFlight(price, now, None, launcher.longest, unit)
        verdicts = [admission.verdict(commitment(task, new)) for task in _one_of_each(waiting)]
        verdict = min(verdicts, key=lambda one: ("ok", "wait", "exhausted").index(one.word))
    spans = [one.attempt.span(now) for one in in_flight]
    spent, total = ledger.total(unit), plan.budget.total
    return {
        "campaign": records.name,
        "unit": unit,
        "cost_per_hour": price,
        "budget": {key: value for key, value in attrs.asdict(plan.budget).items() if key != "unit"},
        "spent": spent,
        "lost": sum((ledger.lost(task, unit) for task in state.everything), 0.0),
        "spent_on_gone": sum((ledger.cost(task, unit) for task in state.everything.keys() - state.tasks.keys()), 0.0),
        "in_flight": {"attempts": len(in_flight), "accrued": admission.accrued, "expected": admission.committed},
        "left": None if total is None else max(0.0, total - spent - admission.committed),
        "last_hour": cost_between([*past, *spans], now - _HOUR, now),
        "state": str(verdict.word),
        "sentence": verdict.sentence,
        "next_start": verdict.when,
        "waiting": len(waiting),
        "other_units": ledger.other_units(unit),
        **_parts(records, ledger, unit, expected, price),
    }


def ledger_now(records: CampaignRecords, looks: Looks = ANEW) -> tuple[Ledger, dict[str, InFlight]]:
    """Return the ledger with what has ended since the driver looked, and what is at work, from the disk."""
    state = records.state()
    running: dict[str, InFlight] = {}
    ended: dict[str, dict[str, Any]] = {}
    for task_id, attempt in state.ledger.in_flight.items():
        task = state.everything[task_id]
        attempts = looks.at(task, ATTEMPTS, AttemptLog(TaskDirectory(records.task_path(task)).attempts).read)
        last = attempts[-1] if len(attempts) > task.attempts_before else None
        if account := state.ledger.account(task_id, attempts):
            ended[task_id] = account
        if last is None:
            running[task_id] = attrs.evolve(attempt, submitted=time.time())
        elif last.outcome is None:
            running[task_id] = attrs.evolve(attempt, start=last.start)
    return (state.ledger.with_ended(ended) if ended else state.ledger), running


def _one_of_each(tasks: Iterable[TaskState]) -> Iterable[TaskState]:
    return {task.transformation: task for task in tasks}.values()


def _parts(records: CampaignRecords, ledger: Ledger, unit: str, expected: Any, price: float | None) -> View:
    """Return what tasks, transformations and legs cost."""
    state, budget = records.state(), records.plan().budget
    groups = grouped(state.tasks.values())
    closed = closed_transformations(budget, ledger, groups, unit)
    transformations, legs = [], dict[str, View]()
    for record in records.index.transformations:
        group = groups.get(record.id, [])
        row = _sums(group, ledger, unit)
        seconds = expected.of(record.id)
        leg = legs.setdefault(record.environment, {"leg": record.environment, "spent": 0.0, "lost": 0.0, "results": 0})
        legs[record.environment] = {**leg, **{key: leg[key] + row[key] for key in ("spent", "lost", "results")}}
        transformations.append(
            {
                "id": record.id,
                "transformation": record.name,
                "leg": record.environment,
                **row,
                "cost_per_result": row["spent"] / row["results"] if row["results"] else None,
                "expected": None if seconds is None or price is None else seconds.mean * price / _HOUR,
                "closed": closed[record.id].sentence if record.id in closed else None,
            }
        )
    names = records.in_force.names
    tasks = [
        {
            "task": task.task,
            "transformation": names[task.transformation],
            "repeat": task.repeat,
            "spent": ledger.cost(task.task, unit),
            "lost": ledger.lost(task.task, unit),
        }
        for task in state.tasks.values()
    ]
    return {"legs": list(legs.values()), "transformations": transformations, "tasks": tasks}


def _sums(tasks: Iterable[TaskState], ledger: Ledger, unit: str) -> View:
    tasks = list(tasks)
    return {
        "spent": sum((ledger.cost(task.task, unit) for task in tasks), 0.0),
        "lost": sum((ledger.lost(task.task, unit) for task in tasks), 0.0),
        "results": sum(task.status is TaskStatus.COMPLETE for task in tasks),
    }


def attempt_costs(attempts: list[Attempt]) -> dict[int, View]:
    """Return what each attempt of a task cost, and each unit it ran: a part of `why`."""
    lost = lost_seconds(attempts)
    return {
        attempt.number: {
            "cost": attempt.cost,
            "cost_unit": attempt.cost_unit,
            "lost": attempt.cost_of(lost[attempt.number]),
            "units": [_unit(attempt, unit) for unit in attempt.units if "seconds" in unit],
        }
        for attempt in attempts
    }


def _unit(attempt: Attempt, unit: Mapping[str, Any]) -> View:
    seconds = float(unit["seconds"])
    return {
        "name": unit.get("name"),
        "ok": bool(unit.get("ok")),
        "seconds": seconds,
        "cost": attempt.cost_of(seconds),
    }
