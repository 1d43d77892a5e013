"""Ending the attempts that are not to go on: told to, and taken back by their launcher where that is not enough."""

from __future__ import annotations

import time

from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.task_state import TaskState
from xpm_alchem.execution.attempt_log import AttemptLog
from xpm_alchem.execution.directory import TaskDirectory
from xpm_alchem.execution.fence import give_orders
from xpm_alchem.launchers.base import AttemptLauncher

PATIENCE_SECONDS = 300.0  # an attempt has to keep its state after it was ordered to stop
_AGAIN_SECONDS = 30.0  # until a launcher is asked again to take an attempt back


class Withdrawal:
    """Ends attempts of a campaign; may be asked again and again until they have ended."""

    def __init__(self, records: CampaignRecords, launcher: AttemptLauncher) -> None:
        self._records, self._launcher = records, launcher
        self._asked: dict[str, float] = {}

    def end(self, task: TaskState, reason: str, *, since: float) -> None:
        """Order an attempt to stop; one that is deaf for too long is taken back by its launcher.

        One that has not begun, or is to end at once, is taken back at once unless that would end other tasks' attempts.

        Parameters
        ----------
        since
            When it was first ordered to, seconds since the epoch.
        """
        directory, now = self._records.task_path(task), time.time()
        give_orders(directory, stop=reason)
        attempts = AttemptLog(TaskDirectory(directory).attempts).read()
        begun = len(attempts) > task.attempts_before
        is_late = now - since >= PATIENCE_SECONDS
        is_to_go = is_late or ((task.at_once or not begun) and self._launcher.ends_alone(directory))
        if is_to_go and now - self._asked.get(task.task, 0.0) > _AGAIN_SECONDS:
            self._asked[task.task] = now
            self._launcher.withdraw(directory)

    def forget(self, task: TaskState) -> None:
        """Take note that a task gets a new attempt."""
        self._asked.pop(task.task, None)
