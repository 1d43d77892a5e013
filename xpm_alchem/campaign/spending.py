"""What a campaign has spent, as its journal tells it. Times in seconds since the epoch."""

from __future__ import annotations

import bisect
import copy
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs

from xpm_alchem.base.values import count, is_count, is_text, number_or_none
from xpm_alchem.campaign.lost_work import lost_seconds
from xpm_alchem.execution.attempts import Attempt
from xpm_alchem.plan.amounts import same_unit

_HOUR = 3600.0


@attrs.frozen
class Span:
    """A time in which something costs so much an hour; `end` may be in the future."""

    start: float
    end: float
    cost_per_hour: float


@attrs.frozen
class InFlight:
    """An attempt that was submitted and whose end is not known yet.

    Attributes
    ----------
    start
        When it began to work; None while that is not known.
    longest
        Seconds of work after which it is surely over; None: no limit.
    """

    cost_per_hour: float
    submitted: float
    start: float | None = None
    longest: float | None = None
    unit: str = ""

    def accrued(self, now: float) -> float:
        """Return the most it can have cost by now."""
        began = self.submitted if self.start is None else self.start
        seconds = max(0.0, now - began)
        return self.cost_per_hour * (seconds if self.longest is None else min(seconds, self.longest)) / _HOUR

    def span(self, now: float) -> Span:
        """Return when it may be at work at most, if it is so still `now`."""
        began = self.submitted if self.start is None else self.start
        if self.longest is None:
            end = now + 2 * _HOUR
        else:
            end = now + self.longest if self.start is None else max(now, self.start + self.longest)
        return Span(min(began, now), end, self.cost_per_hour)


class Ledger:
    """The costs of a campaign's attempts; each attempt of a task is counted once.

    Attributes
    ----------
    in_flight
        Attempts whose end is not known yet, by task.
    unit
        What the last submission was counted in; '' before the first.
    """

    def __init__(self) -> None:
        self.in_flight: dict[str, InFlight] = {}
        self.unit = ""
        self._counted: dict[str, set[int]] = {}
        self._before: dict[str, int] = {}
        self._costs: dict[str, dict[str, float]] = {}
        self._totals: dict[str, float] = defaultdict(float)
        self._lost: dict[str, dict[str, float]] = {}
        self._ends: list[float] = []
        self._spans: list[tuple[float, float, str]] = []  # start, cost per hour, unit: by their end

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Ledger:
        """Return the ledger of which `to_plain` was made.

        Raises
        ------
        LookupError, TypeError, ValueError
            It was made of none.
        """
        ledger = cls()
        ledger.unit = plain["unit"]
        ledger.in_flight = {task: InFlight(*row) for task, row in plain["in_flight"].items()}
        ledger._before, ledger._costs, ledger._lost = plain["before"], plain["costs"], plain["lost"]
        ledger._counted = {task: set(numbers) for task, numbers in plain["counted"].items()}
        ledger._totals.update(plain["totals"])
        ledger._ends, units = plain["ends"], plain["units"]
        starts, rates, places = plain["starts"], plain["rates"], plain["units_of_spans"]
        ledger._spans = list(zip(starts, rates, [units[place] for place in places], strict=True))
        if len(ledger._ends) != len(ledger._spans):
            raise ValueError("spans without an end")
        return ledger

    def to_plain(self) -> dict[str, Any]:
        """Return all that is in it, as JSON has it."""
        starts, rates, units = zip(*self._spans, strict=True) if self._spans else ((), (), ())
        places = {unit: place for place, unit in enumerate(dict.fromkeys(units))}
        return {
            "unit": self.unit,
            "in_flight": {task: attrs.astuple(attempt) for task, attempt in self.in_flight.items()},
            "before": self._before,
            "costs": self._costs,
            "lost": self._lost,
            "counted": {task: sorted(numbers) for task, numbers in self._counted.items()},
            "totals": self._totals,
            "ends": self._ends,
            "starts": starts,
            "rates": rates,
            "units": list(places),
            "units_of_spans": [places[unit] for unit in units],
        }

    # --------------------------------------------------------------------------------------- what the journal says
    def submitted(self, task: str, event: Mapping[str, Any], when: float) -> None:
        """Take in that an attempt was submitted. Attempts before a task's first submission are not this campaign's."""
        self._before.setdefault(task, count(event.get("attempts")))
        cost, unit, longest = _amount(event.get("cost_per_hour")), event.get("cost_unit"), _amount(event.get("longest"))
        if cost is not None and is_text(unit):
            self.unit = str(unit)
            self.in_flight[task] = InFlight(cost, when, None, longest, self.unit)

    def ended(self, task: str, event: Mapping[str, Any]) -> None:
        """Take in what `account` said of a task's attempts when the last of them had ended."""
        self.in_flight.pop(task, None)
        spent = event.get("spent")
        for one in spent if isinstance(spent, list) else ():
            if not isinstance(one, dict):
                continue
            number, unit = one.get("attempt"), one.get("unit")
            start, seconds, cost = _amount(one.get("start")), _amount(one.get("seconds")), _amount(one.get("cost"))
            if not is_count(number) or not is_text(unit) or self.has_counted(task, number):
                continue
            if start is None or seconds is None or cost is None:
                continue
            unit = str(unit)
            self._counted.setdefault(task, set()).add(number)
            costs = self._costs.setdefault(task, {})
            costs[unit] = costs.get(unit, 0.0) + cost
            self._totals[unit] += cost
            if seconds > 0:
                at = bisect.bisect(self._ends, start + seconds)
                self._ends.insert(at, start + seconds)
                self._spans.insert(at, (start, cost / seconds * _HOUR, unit))
        lost = event.get("lost")
        if isinstance(lost, dict):
            self._lost[task] = {str(unit): cost for unit, value in lost.items() if (cost := _amount(value)) is not None}

    # ------------------------------------------------------------------------------------------------ what is known
    def has_counted(self, task: str, number: int) -> bool:
        """Return whether an attempt is counted already, or not this campaign's."""
        return number <= self._before.get(task, math.inf) or number in self._counted.get(task, ())

    def account(self, task: str, attempts: Sequence[Attempt]) -> dict[str, Any]:
        """Return what the journal is to say of a task's attempts that have ended and are not counted yet."""
        before = self._before.get(task, math.inf)
        mine = [a for a in attempts if a.outcome is not None and a.number > before and a.cost_unit]
        new = [attempt for attempt in mine if not self.has_counted(task, attempt.number)]
        if not new:
            return {}
        seconds, lost = lost_seconds(attempts), defaultdict[str, float](float)
        for attempt in mine:
            lost[str(attempt.cost_unit)] += attempt.cost_of(seconds[attempt.number])
        spent = [
            {"attempt": a.number, "start": a.start, "seconds": a.seconds, "cost": a.cost, "unit": a.cost_unit}
            for a in new
        ]
        return {"spent": spent, "lost": {unit: cost for unit, cost in lost.items() if cost}}

    def with_ended(self, events: Mapping[str, Mapping[str, Any]]) -> Ledger:
        """Return a ledger that has also taken in these, by task; this one stays as it is."""
        other = copy.copy(self)
        for name in ("in_flight", "_counted", "_costs", "_totals", "_lost", "_ends", "_spans"):
            setattr(other, name, copy.copy(getattr(self, name)))
        for task, event in events.items():
            other._counted[task] = set(self._counted.get(task, ()))
            other._costs[task] = dict(self._costs.get(task, {}))
            other.ended(task, event)
        return other

    def cost(self, task: str, unit: str) -> float:
        """Return what the ended attempts of a task cost."""
        return _in(self._costs.get(task, {}), unit)

    def lost(self, task: str, unit: str) -> float:
        """Return how much of it was lost work."""
        return _in(self._lost.get(task, {}), unit)

    def is_mostly_lost(self, task: str, unit: str) -> bool:
        """Return whether more than half of what a task's attempts cost was lost work, over several of them."""
        return len(self._counted.get(task, ())) > 1 and self.lost(task, unit) > self.cost(task, unit) / 2

    def total(self, unit: str) -> float:
        """Return what all ended attempts cost."""
        return _in(self._totals, unit)

    def other_units(self, unit: str) -> dict[str, float]:
        """Return what was spent in other units than this one: by launchers that count otherwise."""
        return {other: cost for other, cost in self._totals.items() if cost and not same_unit(other, unit)}

    def since(self, when: float, unit: str) -> list[Span]:
        """Return when ended attempts were at work that ended after `when`."""
        first = bisect.bisect_right(self._ends, when)
        found = zip(self._ends[first:], self._spans[first:], strict=True)
        return [Span(start, end, rate) for end, (start, rate, own) in found if own == unit or same_unit(own, unit)]


def cost_between(spans: Iterable[Span], start: float, end: float) -> float:
    """Return what spans cost between two moments."""
    return sum(span.cost_per_hour * max(0.0, min(span.end, end) - max(span.start, start)) / _HOUR for span in spans)


def _in(costs: Mapping[str, float], unit: str) -> float:
    return sum((cost for own, cost in costs.items() if own == unit or same_unit(own, unit)), 0.0)


def _amount(value: Any) -> float | None:
    amount = number_or_none(value)
    return amount if amount is not None and amount >= 0 else None
