"""How long the rest of a campaign takes, from what its tasks have taken. Pure; times in seconds."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from xpm_alchem.costs.expected_costs import Expected


@attrs.frozen
class TaskAhead:
    """A task that is to bring a result.

    Attributes
    ----------
    expected
        What such a task takes; None before any is complete.
    used
        What its attempts have taken already.
    certain
        Whether it is there; False: the strategy may still want it.
    """

    expected: Expected | None
    used: float = 0.0
    certain: bool = True

    @property
    def least(self) -> float:
        """What is left of it if it takes as little as any."""
        return 0.0 if self.expected is None else max(0.0, self.expected.least - self.used)

    @property
    def most(self) -> float:
        """What is left of it if it takes as much as any."""
        return 0.0 if self.expected is None else max(0.0, self.expected.most - self.used)


@attrs.frozen
class TimeLeft:
    """A range of seconds; None where it is not known."""

    least: float | None = None
    most: float | None = None


def time_left(tasks: Iterable[TaskAhead], *, slots: int | None, at_once: float | None, is_bounded: bool) -> TimeLeft:
    """Return how long it takes to work through tasks.

    At least as long as the longest of those that are certain, and as all of them on all slots, each as short as such
    tasks were. At most as long as list scheduling can take (Graham 1969): all work shared by as many as are at work at
    once, and the longest task after that, each as long as such tasks were.

    Parameters
    ----------
    tasks
        Those there are and those that may be wanted.
    slots
        How many may be at work at once; None: not known.
    at_once
        How many are; None: not known.
    is_bounded
        Whether the strategy wants no more than these.
    """
    ahead = list(tasks)
    if not ahead and is_bounded:
        return TimeLeft(0.0, 0.0)
    if any(task.expected is None for task in ahead):
        return TimeLeft()
    certain = [task.least for task in ahead if task.certain]
    least = max([0.0, *certain, *([sum(certain) / slots] if slots else [])])
    if not (is_bounded and at_once):
        return TimeLeft(least)
    longest = max((task.most for task in ahead), default=0.0)
    return TimeLeft(least, max(least, sum(task.most for task in ahead) / at_once + longest))
