"""What a campaign has already of the runs that are to be imported, so that none counts twice."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.task_state import TaskState, grouped
from xpm_alchem.execution.directory import TaskDirectory


class KnownRuns:
    """The runs that a campaign has imported, or computed itself."""

    def __init__(self, records: CampaignRecords) -> None:
        self._records = records
        tasks = records.state().tasks.values()
        self._tasks = grouped(tasks)
        self._imported = {task.imported: task for task in tasks if task.imported and task.exists}

    def said(self, identity: str, units: Iterable[str], transformation: str) -> str:
        """Return why a run is not to be imported, '' if it is.

        Parameters
        ----------
        identity
            What tells it apart.
        units
            Keys of its units.
        transformation
            The stable id of what it is of.
        """
        if (known := self._imported.get(identity)) is not None:
            return f"imported already, as {self._name(known)}."
        if (own := self._own(units, transformation)) is not None:
            return f"the result of {self._name(own)}, which this campaign has computed itself."
        return ""

    def note(self, identity: str, transformation: str) -> None:
        """Note that a run is being imported."""
        self._imported[identity] = TaskState(identity, transformation, 0, "")

    def _own(self, units: Iterable[str], transformation: str) -> TaskState | None:
        """Return the task of the campaign's own that a run was exported from."""
        files = [f"{Path(unit).name}.json" for unit in units]
        for task in self._tasks.get(transformation, ()):
            results = TaskDirectory(self._records.task_path(task)).results
            if any((results / file).is_file() for file in files):
                return task
        return None

    def _name(self, task: TaskState) -> str:
        name = self._records.index.by_id[task.transformation].name
        return f"{name}:{task.repeat}" if task.repeat else f"a repeat of {name}"
