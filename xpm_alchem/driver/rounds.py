"""What attempts at work write, looked at in turns: a few files a second, however many attempts there are.

Nothing depends on how soon it is seen: a launcher tells of ends. What is told to a user (finished units, warnings)
comes within a second or two of a few attempts, and within minutes of a thousand; a driver that asked for every file
each second would be the heaviest user of its site's metadata server.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

import attrs

from xpm_alchem.base.stamps import NO_FILE, Stamp, stamp_of
from xpm_alchem.base.turns import Turns
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.task_state import TaskState
from xpm_alchem.execution.attempt_log import AttemptLog
from xpm_alchem.execution.attempts import Attempt
from xpm_alchem.execution.directory import TaskDirectory

_LOOKS_A_SECOND = 1.0
_IN_VAIN_SECONDS = 20.0  # after which an attempt that cannot be taken up is looked at in its turn only


@attrs.define
class _Seen:
    """What was seen of the attempt of a task that was submitted last."""

    submitted: float
    attempt: Attempt | None = None
    stamp: Stamp = NO_FILE  # of its journal
    units_told: int | None = None
    over_since: float | None = None  # by a clock that nobody sets, as is
    due: float = float("inf")  # when its time limit is over
    since: float = attrs.field(factory=time.monotonic)


class Rounds:
    """Remembers what was seen of attempts at work, and whose turn it is."""

    def __init__(self, records: CampaignRecords) -> None:
        self._records, self._began = records, time.time()
        self._seen: dict[str, _Seen] = {}
        self._turns = Turns(_LOOKS_A_SECOND)
        self._turn: set[str] = set()

    def take_turns(self, tasks: Iterable[TaskState]) -> None:
        """Begin a look at all tasks at work: choose those whose files are looked at."""
        at_work = {task.task for task in tasks}
        for gone in self._seen.keys() - at_work:
            del self._seen[gone]
        self._turn |= self._turns.take(at_work)

    def last(self, task: TaskState) -> Attempt | None:
        """Return a task's attempt as it was seen last, looked at anew if that is its turn; None for none.

        Raises
        ------
        OSError, FormatError
            Its journal cannot be read.
        """
        if task.task in self._turn:
            self._turn.discard(task.task)
            path = TaskDirectory(self._records.task_path(task)).attempts
            if (stamp := stamp_of(path)) != self._of(task).stamp:
                attempts = AttemptLog(path).read()
                self.found(task, attempts[-1] if len(attempts) > task.attempts_before else None)
                self._of(task).stamp = stamp
        return self._of(task).attempt

    def is_to_be_looked_at(self, task: TaskState) -> bool:
        """Whether it is a task's turn, or its attempt has ended or should have, as it was seen last."""
        seen = self._seen.get(task.task)
        if seen is None or task.task in self._turn or seen.submitted != task.submitted:
            return task.task in self._turn
        return seen.over_since is not None or time.monotonic() > seen.due

    def rests(self, task: TaskState) -> bool:
        """Whether an attempt that nobody waits for was looked at often enough, and it is not its turn now."""
        if task.task in self._turn:
            self._turn.discard(task.task)
            return False
        return time.monotonic() - self._of(task).since > _IN_VAIN_SECONDS

    def found(self, task: TaskState, attempt: Attempt | None) -> None:
        """Take note of a task's attempt that was read."""
        seen = self._of(task)
        if attempt is None or (seen.attempt is not None and seen.attempt.number != attempt.number):
            seen.units_told = None
        seen.attempt = attempt
        seen.due = float("inf")
        if attempt is not None and attempt.limit is not None and attempt.outcome is None:
            seen.due = time.monotonic() + attempt.limit - attempt.age()
        if attempt is None or attempt.end is None:
            seen.over_since = None
        elif seen.over_since is None:
            seen.over_since = time.monotonic()

    def seconds_over(self, task: TaskState) -> float:
        """Return how long it has been known that a task's attempt says how it ended; 0 if it has not said so."""
        since = self._of(task).over_since
        return 0.0 if since is None else time.monotonic() - since

    def new_units(self, task: TaskState) -> list[str]:
        """Return the names of units that were seen to be finished since this was asked last.

        Of an attempt that another driver submitted, those that were finished when it was seen first are not new.
        """
        seen = self._of(task)
        if seen.attempt is None:
            return []
        names = [str(unit.get("name")) for unit in seen.attempt.units if unit.get("ok")]
        told, seen.units_told = seen.units_told, len(names)
        if told is None:
            told = 0 if task.submitted >= self._began else len(names)
        return names[told:]

    def _of(self, task: TaskState) -> _Seen:
        seen = self._seen.get(task.task)
        if seen is None or seen.submitted != task.submitted:
            seen = self._seen[task.task] = _Seen(task.submitted)
        return seen
