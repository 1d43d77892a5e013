"""How long a task takes, learned from those that are complete. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import attrs

from xpm_alchem.campaign.task_state import TaskState, TaskStatus
from xpm_alchem.network.index import Index


@attrs.frozen
class Expected:
    """Seconds of a task over all its attempts: the least, mean and most that complete ones took."""

    least: float
    mean: float
    most: float
    count: int


class ExpectedSeconds:
    """What is expected of a task: as its transformation's, else as its leg's with the same protocol, else as all."""

    def __init__(self, index: Index, tasks: Iterable[TaskState]) -> None:
        self._index = index
        seconds: dict[tuple[str, ...], list[float]] = defaultdict(list)
        for task in tasks:
            if task.status is TaskStatus.COMPLETE and task.seconds > 0:
                for group in self._groups(task.transformation):
                    seconds[group].append(task.seconds)
        self._known = {
            group: Expected(min(values), sum(values) / len(values), max(values), len(values))
            for group, values in seconds.items()
        }

    def _groups(self, transformation: str) -> list[tuple[str, ...]]:
        record = self._index.by_id.get(transformation)
        kind = [] if record is None else [(record.environment, record.protocol)]
        return [(transformation,), *kind, ()]

    def of(self, transformation: str) -> Expected | None:
        """Return what a task of a transformation is expected to take; None before any is complete."""
        return next((self._known[group] for group in self._groups(transformation) if group in self._known), None)
