"""The budget of all campaigns of a workspace together, whoever drives them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from xpm_alchem.base.errors import XpmAlchemError
from xpm_alchem.campaign.records import CampaignRecords, list_campaigns
from xpm_alchem.campaign.spending import Ledger
from xpm_alchem.costs.admission import HOUR, Admission, Commitment
from xpm_alchem.plan.amounts import same_unit
from xpm_alchem.plan.budget import Budget

_LOOK_SECONDS = 30.0  # between two looks at what campaigns cost that others drive


class Spender(Protocol):
    """A campaign that this process drives."""

    records: CampaignRecords

    def commitments(self, unit: str) -> Iterator[Commitment]:
        """Yield what its attempts in flight are expected to cost."""


class WorkspaceBudget:
    """What a workspace's campaigns may cost together.

    What this process drives is known at once; campaigns of other drivers are looked at every half minute, so that two
    drivers may each start a little more than the budget holds.

    Parameters
    ----------
    budget
        The section ``xpm_alchem: budget:`` of settings.yaml.
    workspace
        Its directory.
    """

    def __init__(self, budget: Budget, workspace: Path) -> None:
        self.budget, self._workspace = budget, workspace
        self._spenders: dict[str, Spender] = {}
        self._others: dict[str, CampaignRecords] = {}
        self._looked = float("-inf")
        self._known: tuple[tuple[object, ...], Admission] | None = None

    @property
    def is_none(self) -> bool:
        """Whether there is no such budget."""
        return self.budget.total is None and self.budget.rate is None and self.budget.ends_at is None

    def join(self, spender: Spender) -> None:
        """Take note of a campaign that this process drives."""
        self._spenders[spender.records.name] = spender

    def leave(self, name: str) -> None:
        """Take note that it does so no more: it is looked at as others' are."""
        self._spenders.pop(name, None)

    def admission(self, now: float, unit: str) -> Admission:
        """Return the budget and what it is used for; only costs in `unit` can be counted."""
        positions = (spender.records.position for spender in self._spenders.values())
        known = (round(now), unit, *positions)
        if self._known is None or self._known[0] != known:
            ledgers = [*self._ledgers()]
            made = Admission(
                self.budget,
                now,
                unit,
                sum(ledger.total(unit) for ledger in ledgers),
                tuple(span for ledger in ledgers for span in ledger.since(now - HOUR, unit)),
                (*self._own(unit), *self._of_others(unit)),
            )
            self._known = (known, made)
        return self._known[1]

    def _ledgers(self) -> Iterable[Ledger]:
        self._look()
        for spender in self._spenders.values():
            yield spender.records.state().ledger
        yield from self._others_ledgers()

    def _own(self, unit: str) -> Iterator[Commitment]:
        for spender in self._spenders.values():
            yield from spender.commitments(unit)

    def _of_others(self, unit: str) -> Iterator[Commitment]:
        for ledger in self._others_ledgers():
            for task, attempt in ledger.in_flight.items():
                if same_unit(attempt.unit, unit):
                    yield Commitment(attempt, None, ledger.cost(task, unit))

    def _look(self) -> None:
        if time.monotonic() - self._looked < _LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        known = {records.name: records for records in list_campaigns(self._workspace)}
        self._others = {name: self._others.get(name, records) for name, records in known.items()}

    def _others_ledgers(self) -> Iterator[Ledger]:
        """Yield the ledgers of campaigns that others drive; one that is broken is counted by whoever mends it."""
        for name, records in self._others.items():
            if name not in self._spenders:
                with suppress(XpmAlchemError, OSError):
                    yield records.state().ledger
