"""How fast a campaign goes, and how long it will take: a part of `summary`."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping

from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.spending import InFlight, Ledger, Span, cost_between
from xpm_alchem.campaign.task_state import TaskState, TaskStatus, grouped
from xpm_alchem.costs.expected_costs import ExpectedSeconds
from xpm_alchem.costs.pace import TaskAhead, TimeLeft, time_left
from xpm_alchem.plan.campaign_yaml import Plan
from xpm_alchem.views.budget import PricedLauncher, View, ledger_now
from xpm_alchem.views.looks import ANEW, Looks

_HOUR = 3600.0


def pace_view(
    records: CampaignRecords,
    tasks: Mapping[str, TaskState],
    launcher: PricedLauncher,
    *,
    is_awake: bool,
    looks: Looks = ANEW,
) -> View:
    """Return what the last hour brought and cost, what a result costs, and how long the rest takes.

    Parameters
    ----------
    tasks
        As they are; see `views.overview.tasks_now`.
    launcher
        The plan's.
    is_awake
        Whether the strategy may want more than there is.
    looks
        How the files of tasks at work are looked at.
    """
    now, unit = time.time(), records.state().ledger.unit
    ledger, in_flight = ledger_now(records, looks)
    own = [task for task in tasks.values() if task.status is TaskStatus.COMPLETE and not task.imported]
    spans = [*ledger.since(now - _HOUR, unit), *(attempt.span(now) for attempt in in_flight.values())]
    left = _time_left(records, tasks, launcher, ledger, in_flight, at_once=_at_once(spans, now), is_awake=is_awake)
    return {
        "cost_per_result": ledger.total(unit) / len(own) if own else None,
        "cost_last_hour": cost_between(spans, now - _HOUR, now),
        "results_last_hour": sum(task.changed > now - _HOUR for task in own),
        "time_left": {"least": left.least, "most": left.most},
    }


def _at_once(spans: Iterable[Span], now: float) -> float | None:
    """Return how many attempts are at work at once: as many as now, or in the last hour on average if that is more."""
    worked = [span for span in spans if min(span.end, now) > max(span.start, now - _HOUR)]
    if not worked:
        return None
    since = max(now - _HOUR, min(span.start for span in worked))
    busy = sum(min(span.end, now) - max(span.start, since) for span in worked)
    return max(busy / (now - since), sum(span.end > now for span in worked))


def _time_left(
    records: CampaignRecords,
    tasks: Mapping[str, TaskState],
    launcher: PricedLauncher,
    ledger: Ledger,
    in_flight: Mapping[str, InFlight],
    *,
    at_once: float | None,
    is_awake: bool,
) -> TimeLeft:
    plan, now = records.plan(), time.time()
    if plan.budget.is_endless:
        return TimeLeft()
    expected = ExpectedSeconds(records.index, tasks.values())

    def used(task: TaskState) -> float:
        attempt = in_flight.get(task.task)
        seconds = now - attempt.start if attempt is not None and attempt.start is not None else 0.0
        price = launcher.cost_per_hour
        return seconds + (ledger.cost(task.task, launcher.unit or "") / price * _HOUR if price else 0.0)

    there = [TaskAhead(expected.of(t.transformation), used(t)) for t in tasks.values() if t.in_flight]
    wanted = _wanted(plan, records, tasks) if is_awake and plan.strategy.mode != "disabled" else ()
    more = [TaskAhead(expected.of(transformation), certain=False) for transformation in wanted or ()]
    return time_left([*there, *more], slots=launcher.slots, at_once=at_once, is_bounded=wanted is not None)


def _wanted(plan: Plan, records: CampaignRecords, tasks: Mapping[str, TaskState]) -> Iterable[str] | None:
    """Return the transformation of every task that the strategy may still want; None if that is not known."""
    from xpm_alchem.strategies.choose import most_results  # numpy takes its time

    most = most_results(plan)
    return None if most is None else _missing(records, tasks, most)


def _missing(records: CampaignRecords, tasks: Mapping[str, TaskState], most: int) -> Iterator[str]:
    weights, groups = records.driver_state().get("weights", {}), grouped(tasks.values())
    for record in records.index.transformations:
        group = groups.get(record.id, [])
        if weights.get(record.id, 1.0) is None or any(task.status is TaskStatus.ERROR for task in group):
            continue
        there = sum(task.in_flight or task.status is TaskStatus.COMPLETE for task in group)
        yield from [record.id] * (most - there)
