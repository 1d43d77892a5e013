"""Whether a budget allows another attempt now. Pure.

The rate. A window is any 60 minutes. An attempt is admitted only if, with everything in flight and the new attempt at
work for as long as each may be, no window that ends after now would cost more than the rate (`dearest_hour`). Then no
window ever does, whatever happens: take any window, and the last attempt admitted before its end. All that costs in
the window was admitted by then. Attempts that had ended by that moment cost in the window what was known of them, the
others at most what was assumed; so the window was one of those looked at then, or lies later, where less is assumed.
(A rate that is lowered holds for what is admitted from then on.)

The total. An attempt is admitted only if nothing is spent that the total does not hold, counting what is in flight at
what it has cost so far; and, where costs are expected, if all that is in flight and the new one can be finished. So
when the total is reached, only what is in flight then can pass it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from enum import StrEnum

import attrs
import numpy as np

from xpm_alchem.campaign.spending import InFlight, Span
from xpm_alchem.plan.amounts import ROUNDING, amount_text
from xpm_alchem.plan.budget import Budget

HOUR = 3600.0


class Word(StrEnum):
    """What a budget says to one more attempt."""

    OK = "ok"
    WAIT = "wait"
    EXHAUSTED = "exhausted"


@attrs.frozen
class Verdict:
    """What a budget says, in a sentence if it is not 'ok'.

    Attributes
    ----------
    when
        Of 'wait': when it would say otherwise if nothing ended earlier (seconds since the epoch), where that is known.
    """

    word: Word = Word.OK
    sentence: str = ""
    when: float | None = None


@attrs.frozen
class Commitment:
    """An attempt in flight, or one that might be, with what its task is expected to cost.

    Attributes
    ----------
    expected
        Of the whole task; None: unknown.
    spent
        What the task's earlier attempts cost.
    """

    attempt: InFlight
    expected: float | None = None
    spent: float = 0.0

    def cost(self, now: float) -> float:
        """Return what the attempt is expected to cost, at least what it has by now."""
        return max(self.attempt.accrued(now), (self.expected or 0.0) - self.spent)


@attrs.frozen
class Admission:
    """A budget and what it is used for.

    Attributes
    ----------
    unit
        For sentences.
    spent
        What attempts that have ended cost.
    past
        When those of them were at work that ended within the last hour.
    in_flight
        What is submitted and has not ended.
    """

    budget: Budget
    now: float
    unit: str
    spent: float
    past: tuple[Span, ...] = ()
    in_flight: tuple[Commitment, ...] = ()

    @property
    def accrued(self) -> float:
        """What attempts in flight have cost so far."""
        return sum((one.attempt.accrued(self.now) for one in self.in_flight), 0.0)

    @property
    def committed(self) -> float:
        """What attempts in flight are expected to cost."""
        return sum((one.cost(self.now) for one in self.in_flight), 0.0)

    def general(self) -> Verdict:
        """Say whether the budget is used up, for any attempt."""
        end, total = self.budget.ends_at, self.budget.total
        if end is not None and self.now >= end:
            return Verdict(Word.EXHAUSTED, f"the budget's end ({self.budget.until}) is past: nothing more is started")
        if total is not None and self.spent + self.accrued >= total * (1 - ROUNDING):
            return Verdict(Word.EXHAUSTED, f"the budget's total is used up: {self._used()}; nothing more is started")
        return Verdict()

    def verdict(self, new: Commitment) -> Verdict:
        """Say whether an attempt may be submitted now."""
        if (general := self.general()).word is not Word.OK:
            return general
        budget = self.budget
        expected = new.cost(self.now)
        if budget.total is not None and self.spent + self.committed + expected > budget.total * (1 + ROUNDING):
            return Verdict(
                Word.EXHAUSTED,
                f"the rest of the budget's total does not hold another task: {self._used()}, and the next is expected "
                f"to cost {amount_text(expected, self.unit)}; nothing more is started",
            )
        if budget.rate is not None and not self._within_rate(new.attempt, self.now):
            when = self._when(new.attempt)
            clock = "something ends" if when is None else time.strftime("about %H:%M:%S", time.localtime(when))
            rate = f"the budget's rate of {amount_text(budget.rate, self.unit)} an hour is used up"
            return Verdict(Word.WAIT, f"{rate}: waiting until {clock}", when)
        return Verdict()

    def _used(self) -> str:
        total = amount_text(self.budget.total or 0.0, self.unit)
        used = f"{amount_text(self.spent)} of {total} spent"
        if self.in_flight:
            used += f", {amount_text(self.accrued)} so far by {len(self.in_flight)} in flight"
            if self.committed > self.accrued:
                used += f" (expected: {amount_text(self.committed)})"
        return used

    def dearest_hour(self, now: float, *more: InFlight) -> float:
        """Return the most that any 60 minutes that end after `now` can cost, with more attempts in flight."""
        running = [one.attempt.span(now) for one in self.in_flight] + [attempt.span(now) for attempt in more]
        return dearest_hour([*self.past, *running], now)

    def _within_rate(self, new: InFlight, now: float) -> bool:
        limit = (self.budget.rate or 0.0) * (1 + ROUNDING)
        return self.dearest_hour(now, attrs.evolve(new, submitted=now)) <= limit

    def _when(self, new: InFlight) -> float | None:
        """Return when the attempt could start if nothing ended before; None if not within the hour."""
        early, late = self.now, self.now + HOUR
        if not self._within_rate(new, late):
            return None
        while late - early > 1.0:
            middle = (early + late) / 2
            early, late = (early, middle) if self._within_rate(new, middle) else (middle, late)
        return late


def dearest_hour(spans: Sequence[Span], now: float) -> float:
    """Return the most that spans cost in any 60 minutes that begin within the hour before `now`, or at `now`.

    What is spent by a moment is a piecewise linear function of it, so the difference over an hour is largest where the
    hour begins or ends with a span, or at the ends of the range.
    """
    first, last = now - HOUR, now + HOUR
    starts = np.clip([span.start for span in spans], first, last)
    ends = np.clip([span.end for span in spans], first, last)
    costs = np.array([span.cost_per_hour for span in spans]) / HOUR
    moments = np.unique(np.concatenate([starts, ends, [first, last]]))
    changes = np.zeros(len(moments))
    np.add.at(changes, np.searchsorted(moments, starts), costs)
    np.add.at(changes, np.searchsorted(moments, ends), -costs)
    spent = np.concatenate([[0.0], np.cumsum(np.cumsum(changes)[:-1] * np.diff(moments))])
    begins = np.unique(np.clip(np.concatenate([moments, moments - HOUR, [now]]), first, now))
    return float(np.max(np.interp(begins + HOUR, moments, spent) - np.interp(begins, moments, spent)))
