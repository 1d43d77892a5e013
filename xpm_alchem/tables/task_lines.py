"""What has happened to a task, in a line."""

from __future__ import annotations

from xpm_alchem.campaign.task_state import TaskState, TaskStatus


def event_line(what: str, task: TaskState) -> str:
    """Return what an event means for a task; `what` is a status, or what else a driver tells."""
    if what == TaskStatus.COMPLETE:
        value = "no estimate" if task.estimate is None else f"{task.estimate:.3f} kcal/mol"
        return f"complete, {value} ({task.seconds:.1f} s)" + (f", {task.reason}" if task.reason else "")
    if what in (TaskStatus.WAITING, TaskStatus.ERROR) and task.reason:
        return f"{what}: {task.reason}"
    return what
