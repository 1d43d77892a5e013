"""Tasks in error, looked at again: when the patterns have changed, or another repeat has shown that it can be done."""

from __future__ import annotations

from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.task_state import TaskState, TaskStatus
from xpm_alchem.execution.attempt_log import AttemptLog
from xpm_alchem.execution.directory import TaskDirectory
from xpm_alchem.execution.fence import give_orders
from xpm_alchem.failures.restarts import RESUME, RestartPolicy, decide


def another_complete(records: CampaignRecords, task: TaskState) -> bool:
    """Return whether another repeat of the task's transformation is complete."""
    return any(
        other.transformation == task.transformation and other.status is TaskStatus.COMPLETE
        for other in records.state().tasks.values()
    )


def look_again(
    records: CampaignRecords, policy: RestartPolicy, transformation: str | None = None
) -> list[tuple[TaskState, str]]:
    """Set tasks in error back to waiting that the policy would restart now; the caller holds the campaign's lock.

    Parameters
    ----------
    transformation
        Only its tasks.

    Returns
    -------
    list of (TaskState, str)
        Each of them, and why.
    """
    restarted = []
    for task in list(records.state().tasks.values()):
        if task.status is not TaskStatus.ERROR or transformation not in (None, task.transformation):
            continue
        directory = records.task_path(task)
        log = AttemptLog(TaskDirectory(directory).attempts)
        attempts = log.read()
        decision = decide(attempts, policy, another_complete=another_complete(records, task))
        if decision.what != RESUME or not attempts:
            continue
        if decision.from_scratch:
            give_orders(directory, afresh_after=attempts[-1].number)
        log.decide(attempts[-1], decision.what, decision.reason)
        records.write(
            {"event": "status", "task": task.task, "status": str(TaskStatus.WAITING), "reason": decision.reason}
        )
        restarted.append((task, f"was in error, is tried again: {decision.reason}"))
    return restarted
