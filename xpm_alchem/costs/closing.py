"""Transformations whose results cost more than the budget's `per_result`: they get no more tasks. Pure.

What counts is all that a transformation has cost, for each result that is there or on its way: a task under way counts
as a result as long as it has cost no more than `per_result` itself. A transformation is judged once it has cost
`grace` times `per_result`, and is open again as soon as it costs less than that on average.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from xpm_alchem.campaign.spending import Ledger
from xpm_alchem.campaign.task_state import TaskState, TaskStatus
from xpm_alchem.plan.amounts import ROUNDING, amount_text
from xpm_alchem.plan.budget import Budget

BY_BUDGET = "budget"


@attrs.frozen
class Closed:
    """A transformation that gets no more tasks.

    Attributes
    ----------
    spent
        What it has cost.
    results
        How many results are there.
    limit
        The budget's `per_result`.
    """

    transformation: str
    spent: float
    results: int
    limit: float
    unit: str

    @property
    def sentence(self) -> str:
        """What is to be said to a user, without the transformation's name."""
        got = f"{self.results} result(s)" if self.results else "no result"
        limit = amount_text(self.limit, self.unit)
        return (
            f"gets no more tasks: {amount_text(self.spent, self.unit)} for {got} is more than per_result ({limit} each)"
        )


def closed_transformations(
    budget: Budget, ledger: Ledger, groups: Mapping[str, list[TaskState]], unit: str | None = None
) -> dict[str, Closed]:
    """Return the closed transformations by stable id.

    Parameters
    ----------
    groups
        The campaign's tasks by transformation.
    unit
        What costs are counted in; None: as the last submission was.
    """
    if budget.per_result is None:
        return {}
    unit = ledger.unit if unit is None else unit
    found = {}
    for transformation, tasks in groups.items():
        costs = {task.task: ledger.cost(task.task, unit) for task in tasks}
        spent = sum(costs.values())
        results = sum(task.status is TaskStatus.COMPLETE for task in tasks)
        limit = budget.per_result * (1 + ROUNDING)
        coming = sum(_is_coming(task) and 0 < costs[task.task] <= limit for task in tasks)
        judged = spent >= budget.grace * budget.per_result * (1 - ROUNDING)
        if judged and spent > limit * (results + coming):
            found[transformation] = Closed(transformation, spent, results, budget.per_result, unit)
    return found


def _is_coming(task: TaskState) -> bool:
    """Whether a task is under way, or waits only because the budget has cancelled it."""
    return task.in_flight or (task.status is TaskStatus.WAITING and task.cancelled_by == BY_BUDGET)
