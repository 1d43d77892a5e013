"""How views look at the files of tasks: each time anew, or sparingly, for what is looked at again and again."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, TypeVar

from xpm_alchem.base.turns import Turns
from xpm_alchem.campaign.task_state import TaskState

T = TypeVar("T")
ATTEMPTS, SUMMARY = "attempts", "summary"
_LOOKS_A_SECOND = 1.0


class Looks:
    """Looks each time anew."""

    def at(self, task: TaskState, what: str, read: Callable[[], T]) -> T:
        """Return what `read` returns.

        Parameters
        ----------
        task
            Whose files are read.
        what
            A name for what is read of them.
        """
        return read()


ANEW = Looks()


class SparingLooks(Looks):
    """Looks at one task a second, however many there are, and remembers what was seen of the others.

    What a driver has noted in the journal is not concerned: it notes an end within seconds.
    """

    def __init__(self) -> None:
        self._turns = Turns(_LOOKS_A_SECOND)
        self._turn: set[str] = set()
        self._seen: dict[str, dict[str, tuple[float, Any]]] = {}

    def begin(self, tasks: Collection[TaskState]) -> set[str]:
        """Begin another look at tasks, and return the ids of those that are looked at anew."""
        names = {task.task for task in tasks}
        for gone in self._seen.keys() - names:
            del self._seen[gone]
        self._turn = self._turns.take(names)
        return self._turn

    def forget(self, task: str) -> None:
        """Forget what was seen of a task: it has changed."""
        self._seen.pop(task, None)

    def at(self, task: TaskState, what: str, read: Callable[[], T]) -> T:
        """Return what `read` returns, or returned when it was the task's turn last."""
        seen = self._seen.setdefault(task.task, {})
        if what not in seen or seen[what][0] != task.submitted or task.task in self._turn:
            seen[what] = task.submitted, read()
        value: T = seen[what][1]
        return value
