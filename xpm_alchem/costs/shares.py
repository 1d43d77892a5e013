"""Sharing slots among networks by their weights. Pure.

Each network has a time of its own, which runs by the slot seconds it has had, divided by its weight (fair queueing:
Goyal, Vin and Cheng, IEEE/ACM Trans. Networking 5, 690, 1997). The next free slot goes to the network that would be
least far ahead with it, if what it has at work had one attempt's time more: so slots are held by weight at any moment,
and who has had too little gets some more until that is made up for, however long its attempts take. Nobody waits for
ever. Who wanted nothing for a while saves up nothing: its time is set on to the least of the others'.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs

LEAST_WEIGHT = 1e-3
_FIRST_EXPECTED = 600.0  # seconds of an attempt, where none has ended yet


@attrs.define
class Share:
    """What one network has had of slots.

    Attributes
    ----------
    weight
        Its weight, more than 0.
    time
        Its own time: slot seconds by the weight that it had then.
    """

    weight: float = 0.5
    time: float = 0.0
    _seconds: dict[str, float] = attrs.field(factory=dict)  # of attempts at work, by what names them
    _queued: frozenset[str] = frozenset()  # those of them that had no slot
    _ended: int = 0
    _ended_seconds: float = 0.0

    @property
    def expected(self) -> float | None:
        """How long an attempt takes on average; None before the first has ended."""
        return self._ended_seconds / self._ended if self._ended else None

    def set_weight(self, weight: float) -> None:
        """Take in the network's weight; of one of 0 what still runs counts by the last one it had."""
        if weight > 0:
            self.weight = max(weight, LEAST_WEIGHT)

    def start(self, attempt: str) -> None:
        """Take note of an attempt that begins."""
        self._seconds.setdefault(attempt, 0.0)

    def pass_on(self, at_work: Mapping[str, bool], seconds: float) -> None:
        """Take note of how attempts have gone on.

        Parameters
        ----------
        at_work
            All attempts that are at work, each with whether it has a slot (and does not wait in a queue).
        seconds
            Since this was called last; attempts that are gone have gone on until about now.
        """
        queued = frozenset(attempt for attempt, has_slot in at_work.items() if not has_slot)
        for attempt in self._seconds.keys() | at_work.keys():
            is_over = attempt not in at_work
            had_none = attempt in (self._queued if is_over else queued)
            more = 0.0 if had_none else seconds
            self._seconds[attempt] = self._seconds.get(attempt, 0.0) + more
            self.time += more / self.weight
            if is_over:
                self._ended += 1
                self._ended_seconds += self._seconds.pop(attempt)
        self._queued = queued

    def ahead(self, expected: float) -> float:
        """Return its time with one more attempt, when all that are at work have gone on for `expected` seconds."""
        return self.time + (len(self._seconds) + 1) * expected / self.weight


class Shares:
    """The shares of networks in slots that they want at once.

    Parameters
    ----------
    times
        Their own times as `times` told them last.
    """

    def __init__(self, times: Mapping[str, float] | None = None) -> None:
        self._shares = {name: Share(time=time) for name, time in (times or {}).items()}
        self._wanting: set[str] = set()

    def of(self, name: str) -> Share:
        """Return a network's share."""
        return self._shares.setdefault(name, Share())

    def want(self, names: Iterable[str]) -> None:
        """Take note of who wants slots now; who wanted none before has saved up nothing."""
        wanting = set(names)
        there = [self.of(name).time for name in wanting & self._wanting]
        if there:
            least = min(there)
            for name in wanting - self._wanting:
                share = self.of(name)
                share.time = max(share.time, least)
        self._wanting = wanting

    def next(self, names: Iterable[str]) -> str:
        """Return who gets the next slot; among equals the heaviest, then by name."""
        known = [share.expected for share in self._shares.values() if share.expected is not None]
        expected = max(known, default=_FIRST_EXPECTED)
        return min(names, key=lambda name: (self.of(name).ahead(expected), -self.of(name).weight, name))

    def times(self) -> dict[str, float]:
        """Return the networks' own times, the least being 0."""
        least = min((share.time for share in self._shares.values()), default=0.0)
        return {name: share.time - least for name, share in self._shares.items()}
