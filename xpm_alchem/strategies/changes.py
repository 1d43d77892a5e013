"""What a proposal changes: which tasks are created, taken up again, cancelled, or run unwanted. Pure.

A running task is cancelled only after it has been unwanted for the plan's patience, and never when it is about to end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from xpm_alchem.campaign.task_state import TaskState, TaskStatus, number_repeats
from xpm_alchem.plan.strategy import StrategyPlan
from xpm_alchem.strategy import Counts, Proposal

UNWANTED = "the strategy no longer wants it (mode full)"
ABOUT_TO_END = 0.8  # share of the expected time after which a running task is left alone
Groups = Mapping[str, list[TaskState]]


@attrs.frozen
class NewTask:
    """A task to be created; `extends` is the id of the task that it continues."""

    transformation: str
    repeat: int
    extends: str | None = None

    @property
    def id(self) -> str:
        """Its id."""
        return f"{self.transformation}-{self.repeat}"


@attrs.frozen
class Changes:
    """What is to be done, by task id.

    Attributes
    ----------
    unwanted
        Running tasks that are not wanted any more, and since when (seconds since the epoch).
    """

    create: tuple[NewTask, ...] = ()
    action: tuple[str, ...] = ()
    cancel: tuple[str, ...] = ()
    unwanted: Mapping[str, float] = attrs.field(factory=dict)

    @classmethod
    def of(cls, proposal: Proposal, groups: Groups, unwanted: Mapping[str, float], now: float) -> Changes:
        """Choose the tasks for a proposal's numbers.

        Of spare tasks those that still run are taken up first, then those that ran before. Of waiting tasks those that
        never ran are cancelled first, the latest first; of running ones the latest are unwanted first.

        Parameters
        ----------
        groups
            The tasks by transformation.
        unwanted
            As it was before this iteration.
        """
        numbered = number_repeats(proposal.create, groups)
        create = tuple(NewTask(*pair, other) for pair, other in zip(numbered, proposal.extends, strict=True))
        action, cancel, stop = [], [], []
        for transformation, number in proposal.action.items():
            spare = [task for task in groups.get(transformation, ()) if task.spare]
            action += [task.task for task in sorted(spare, key=_least_lost_last)[::-1][:number]]
        for transformation, number in proposal.cancel.items():
            waiting = [t for t in groups.get(transformation, ()) if t.status is TaskStatus.WAITING and t.actioned]
            cancel += [task.task for task in sorted(waiting, key=_least_lost_last)[:number]]
        for transformation, number in proposal.unwanted.items():
            running = [t for t in groups.get(transformation, ()) if t.status is TaskStatus.RUNNING and t.actioned]
            stop += [task.task for task in sorted(running, key=_least_lost_last)[:number]]
        return cls(create, tuple(action), tuple(cancel), {task: unwanted.get(task, now) for task in stop})


def _least_lost_last(task: TaskState) -> tuple[bool, bool, int]:
    """Order tasks by what is lost without them: none that never ran, more by one at work, the earlier the more."""
    return task.status is TaskStatus.RUNNING, task.submitted > 0, -task.repeat


def is_to_end(plan: StrategyPlan, since: float, used: float, expected: float | None, now: float) -> bool:
    """Return whether a running task is to be cancelled now.

    Parameters
    ----------
    since
        When it began to be unwanted.
    used, expected
        Seconds it has run, and those that the complete tasks of its transformation took; None before the first.
    """
    if plan.mode != "full" or now - since < plan.patience:
        return False
    return expected is None or used <= ABOUT_TO_END * expected


def counts_of(tasks: list[TaskState], *, closed: bool = False) -> Counts:
    """Return the counts of one transformation; `closed`: the budget gives it nothing new."""
    existing = [task for task in tasks if task.exists]
    extended = {task.extends for task in existing if task.extends is not None}
    complete = [task for task in existing if task.status is TaskStatus.COMPLETE]
    others = [task for task in existing if task.status is not TaskStatus.COMPLETE]
    complete.sort(key=lambda task: -task.repeat)
    return Counts(
        complete=len(complete),
        waiting=sum(task.status is TaskStatus.WAITING and task.actioned for task in others),
        running=sum(task.status is TaskStatus.RUNNING and task.actioned for task in others),
        error=sum(task.status is TaskStatus.ERROR for task in others),
        spare=sum(task.spare for task in others),
        extended=sum(task.extends is not None for task in existing),
        extendable=tuple(task.task for task in complete if task.task not in extended and not task.lacks_dag_result),
        closed=closed,
    )


def events(changes: Changes, reason: str) -> list[dict[str, Any]]:
    """Return what the journal says of tasks that are taken up again or cancelled."""
    return [
        *({"event": "actioned", "task": task, "reason": reason} for task in changes.action),
        *(cancelled(task, UNWANTED) for task in changes.cancel),
    ]


def cancelled(task: str, reason: str) -> dict[str, Any]:
    """Return what the journal says of a task that the strategy cancels."""
    return {"event": "cancelled", "task": task, "by": "strategy", "reason": reason}
