"""Looking at many files in turns, so that a file system is asked the same a second however many there are."""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Collection


class Turns:
    """Says whose turn it is: those that were looked at longest ago.

    Parameters
    ----------
    a_second
        How many turns there are in a second.
    """

    def __init__(self, a_second: float) -> None:
        self._a_second = a_second
        self._looked: dict[str, int] = {}  # by the number of the last look at it
        self._looks = itertools.count(1)
        self._taken = time.monotonic() - 1.0

    def take(self, names: Collection[str]) -> set[str]:
        """Return the names whose turn it is; of a second that was not asked for, at most one is made up for."""
        now = time.monotonic()
        count = int(min(now - self._taken, 1.0) * self._a_second)
        if not count:
            return set()
        self._taken = now
        for gone in self._looked.keys() - set(names):
            del self._looked[gone]
        turn = heapq.nsmallest(count, names, key=lambda name: self._looked.get(name, 0))
        self._looked.update(zip(turn, self._looks, strict=False))
        return set(turn)
