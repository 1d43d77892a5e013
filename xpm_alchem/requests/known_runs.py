"""What a campaign has already of the runs that are to be imported, so that none counts twice."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from xpm_alchem.base.files import names_in
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.task_state import TaskState, grouped
from xpm_alchem.execution.directory import TaskDirectory


class KnownRuns:
    """The runs that a campaign has imported, or computed itself."""

    def __init__(self, records: CampaignRecords) -> None:
        self._records = records
        tasks = records.state().tasks.values()
        self._tasks = grouped(tasks)
        self._files: dict[str, frozenset[str]] = {}  # of each task that was looked at
        self._imported = {task.imported: task for task in tasks if task.imported and task.exists}
        self._set_aside = {task.imported: task for task in tasks if task.imported and not task.exists}

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

    def set_aside(self, identity: str) -> str:
        """Return what became of a run that was imported and that the user has set aside since; '' of any other."""
        task = self._set_aside.get(identity)
        return "" if task is None else f"imported before, as {self._name(task)}, which is {task.status}."

    def note(self, identity: str, transformation: str) -> None:
        """Note that a run is being imported."""
        self._imported[identity] = TaskState(identity, transformation, 0, "")

    def _own(self, units: Iterable[str], transformation: str) -> TaskState | None:
        """Return the task of the campaign's own that a run was exported from."""
        files = {f"{Path(unit).name}.json" for unit in units}
        return next((task for task in self._tasks.get(transformation, ()) if files & self._results_of(task)), None)

    def _results_of(self, task: TaskState) -> frozenset[str]:
        """Return the names of the files of a task's units, looked for once."""
        if task.task not in self._files:
            results = TaskDirectory(self._records.task_path(task)).results
            self._files[task.task] = frozenset(names_in(results))
        return self._files[task.task]

    def _name(self, task: TaskState) -> str:
        name = self._records.transformation_name(task.transformation)
        return f"{name}:{task.repeat}" if task.repeat else f"a repeat of {name}"
