"""What people call tasks of a workspace's campaigns."""

from __future__ import annotations

from pathlib import Path

from xpm_alchem.campaign.records import CampaignRecords, campaign_path
from xpm_alchem.campaign.task_state import TaskState


class TaskNames:
    """Names tasks, also of networks that grow."""

    def __init__(self, workspace: Path) -> None:
        self._workspace = workspace
        self._known: dict[str, CampaignRecords] = {}

    def of(self, campaign: str, task: TaskState) -> str:
        """Return a task's name in its campaign: 'TRANSFORMATION:REPEAT'."""
        records = self._known.get(campaign)
        if records is None or task.transformation not in records.in_force.known:  # or its network has grown
            records = self._known[campaign] = CampaignRecords(campaign_path(self._workspace, campaign))
        return records.name_of(task)
