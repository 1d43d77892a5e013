"""What there is to see of a campaign, and looking at what has changed of it."""

from __future__ import annotations

import heapq
import time
from collections.abc import Hashable, Iterator
from contextlib import suppress
from pathlib import Path

import attrs

from xpm_alchem.base.errors import FormatError
from xpm_alchem.base.stamps import NO_FILE, Stamp, stamp_of
from xpm_alchem.campaign.task_state import TaskState, grouped
from xpm_alchem.client import Campaign
from xpm_alchem.execution.fence import current
from xpm_alchem.views.looks import SparingLooks
from xpm_alchem.views.overview import View, strategy_status, tasks_now

LATEST = 50  # changes of tasks that are kept
_AGE_SECONDS = 30.0  # after which times are made anew though nothing has happened


@attrs.frozen
class Picture:
    """A campaign as it stands.

    Attributes
    ----------
    summary, strategy, rows
        As `summary`, `status` and `show` have them (docs/json.md).
    total
        What the campaign may cost; None: no limit.
    tasks
        By transformation.
    latest
        The tasks that have changed last, the latest first, and what they are called.
    """

    summary: View
    strategy: View
    total: float | None
    rows: list[View]
    tasks: dict[str, list[TaskState]]
    latest: list[tuple[str, TaskState]]


class Watcher:
    """Looks at a campaign; used by one thread at a time.

    A look reads what the journal has gained, and asks the file system about the few other files of the campaign and, in
    turns, of the tasks at work; everything is put together only when one of them has changed.
    """

    def __init__(self, campaign: Campaign) -> None:
        self.campaign = campaign
        self._seen: Hashable = None
        self._looks, self._stamped = SparingLooks(), dict[str, Stamp | None]()
        self._changes = 0

    def look(self) -> Picture | None:
        """Return how the campaign stands; None if nothing has changed since the last look.

        Raises
        ------
        XpmAlchemError
            Something cannot be read.
        """
        stamps = tuple(self._stamps())
        if stamps == self._seen:
            return None
        picture = self._take()
        self._seen = stamps
        return picture

    def _stamps(self) -> Iterator[Hashable]:
        records = self.campaign.records
        state = records.state()
        yield records.position
        yield records.holder()
        yield int(time.time() / _AGE_SECONDS)
        for name in ("driver.json", "campaign.yaml", "queue.json"):
            yield _stamp(records.path / name)
        yield self._changes_of([task for task in state.tasks.values() if task.at_work])

    def _changes_of(self, at_work: list[TaskState]) -> int:
        """Look at some tasks at work; return how often any of them was seen to have changed."""
        by_id = {task.task: task for task in at_work}
        self._stamped = {task: stamp for task, stamp in self._stamped.items() if task in by_id}
        for task in self._looks.begin(at_work):
            with suppress(FormatError):
                stamp = _stamp(current(self.campaign.records.task_path(by_id[task])).summary)
                if stamp != self._stamped.get(task, NO_FILE):
                    self._looks.forget(task)
                    self._changes += task in self._stamped
                self._stamped[task] = stamp
        return self._changes

    def _take(self) -> Picture:
        records = self.campaign.records
        looks = self._looks
        tasks = tasks_now(records, looks)
        latest = heapq.nlargest(LATEST, tasks.values(), key=lambda task: task.changed)
        return Picture(
            summary=self.campaign.summary(tasks, looks),
            strategy=strategy_status(records),
            total=records.plan().budget.total,
            rows=self.campaign.show(tasks, looks)["rows"],
            tasks=grouped(tasks.values()),
            latest=[(records.name_of(task), task) for task in latest],
        )


def _stamp(path: Path) -> Stamp | None:
    """Return what tells one state of a file from the next, None where that cannot be known."""
    try:
        return stamp_of(path)
    except OSError:
        return None
