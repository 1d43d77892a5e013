"""Why a strategy does what it does, transformation by transformation, in plain words. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import attrs

from xpm_alchem.plan.strategy import StrategyPlan
from xpm_alchem.strategy import ERROR, Counts, Proposal, Weights


@attrs.frozen
class Decision:
    """What an iteration does with one transformation, and why."""

    what: str
    why: str


@attrs.frozen
class Explanation:
    """What an iteration would do, and all that says why; by stable id.

    Attributes
    ----------
    counts
        The tasks there are.
    proposal
        What it would do.
    alone
        The weights if nothing were in flight.
    sentences
        What the strategy itself says of a transformation.
    remarks
        What it says of the whole.
    """

    plan: StrategyPlan
    counts: Mapping[str, Counts]
    proposal: Proposal
    alone: Weights = attrs.field(factory=dict)
    sentences: Mapping[str, str] = attrs.field(factory=dict)
    remarks: tuple[str, ...] = ()

    def decisions(self) -> dict[str, Decision]:
        """Return the decision for every transformation."""
        new = Counter(self.proposal.create)
        extending = Counter(
            t for t, other in zip(self.proposal.create, self.proposal.extends, strict=True) if other is not None
        )
        decisions = {}
        for t in self.counts:
            what = self._what(t, new[t], extending[t])
            why, said = self._why(t, nothing=what == "nothing"), self.sentences.get(t)
            if said and what == "nothing" and (self.proposal.weights.get(t) or self.counts[t].blocked):
                said = f"{said}; {why}"  # it would get more, were it not for this
            decisions[t] = Decision(what, said or why)
        return decisions

    def _what(self, t: str, new: int, extending: int) -> str:
        if self._silence() is not None:
            return "nothing"
        number = self.proposal
        parts = [
            (new - extending, "create {}"),
            (extending, "create {} that extend(s)"),
            (number.action.get(t, 0), "take up {} again"),
            (number.cancel.get(t, 0), "cancel {} waiting"),
            (number.unwanted.get(t, 0), "end {} running after patience"),
        ]
        return ", ".join(text.format(count) for count, text in parts if count) or "nothing"

    def _silence(self) -> str | None:
        """Return why no transformation gets anything."""
        if self.plan.name is None:
            return "there is no strategy"
        if self.plan.mode == "disabled":
            return "the mode is disabled"
        return "the strategy raised an exception" if self.proposal.state.status == ERROR else None

    def _why(self, t: str, *, nothing: bool) -> str:
        count, weight = self.counts[t], self.proposal.weights.get(t)
        target, most = self.proposal.targets.get(t, 0), self.plan.max_tasks_per_transformation
        if (silence := self._silence()) is not None:
            return silence
        if count.error:
            return f"{count.error} task(s) in error: nothing new until you deal with it (`why`, then `retry`)"
        if count.closed:
            return "closed by the budget: its results cost more than per_result (`budget show`)"
        if self.proposal.cancel.get(t) or self.proposal.unwanted.get(t):
            return f"wanted in flight: {target}, there are {count.in_flight} (mode full)"
        if not nothing:
            return "" if weight is None else f"its weight of {weight:.3g} is worth {target} task(s)"
        if weight is None and self.alone.get(t) is not None:
            return f"in flight already enough: {count.in_flight} result(s) are to come"
        if weight is None:
            return "weight none: the strategy wants no more results here"
        if weight == 0:
            return "weight 0: others come first"
        if count.in_flight >= most:
            return f"capped by max_tasks_per_transformation ({most})"
        if count.in_flight < target or self._is_full():
            return f"capped by max_tasks_per_network ({self.plan.max_tasks_per_network})"
        return f"in flight already enough: {count.in_flight}, and its weight of {weight:.3g} is worth {target} task(s)"

    def _is_full(self) -> bool:
        cap = self.plan.max_tasks_per_network
        there = sum(count.in_flight for count in self.counts.values())
        new = len(self.proposal.create) + sum(self.proposal.action.values()) - sum(self.proposal.cancel.values())
        return cap is not None and there + new >= cap
