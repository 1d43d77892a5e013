"""The tasks of a campaign from Python, verbs named as alchemiscale's client names them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from xpm_alchem.base.errors import CampaignLockedError, InputError
from xpm_alchem.base.values import as_list, plain
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.task_state import DEFAULT_PRIORITY, TaskStatus
from xpm_alchem.campaign.task_transitions import with_extending
from xpm_alchem.client.frames import task_frame
from xpm_alchem.client.shown import Shown
from xpm_alchem.requests.change import TaskChange
from xpm_alchem.requests.inbox import change_tasks
from xpm_alchem.requests.task_requests import events_of
from xpm_alchem.tables.task import tasks_table
from xpm_alchem.views import task as task_views
from xpm_alchem.views.overview import View, find_task

if TYPE_CHECKING:
    from pandas import DataFrame

    from xpm_alchem.driver.loop import Driver


class TaskMethods:
    """What may be asked of tasks, which are named 'TRANSFORMATION:REPEAT' or by their ids.

    Every verb is for one task or several (a list, a column of a DataFrame), changes all of them or none, and works
    while a driver runs: it does then within seconds what was asked, unless that makes no sense any more.
    """

    _records: CampaignRecords

    def _driver(self, launcher: str | None = None, **options: Any) -> Driver:
        raise NotImplementedError

    def get_tasks(
        self,
        *,
        status: str | Iterable[str] | None = None,
        transformation: str | Iterable[str] | None = None,
        gone: bool = False,
    ) -> View:
        """Return a row for every task, or for those of some statuses or transformations (see docs/json.md).

        Of transformations that are gone from the network there are rows if they are asked for (`gone`, or by name).

        Raises
        ------
        InputError
            There is no such status or transformation.
        """
        view = task_views.tasks_view(self._records, status=status, transformation=transformation, gone=gone)
        return Shown(view, tasks_table)

    @property
    def tasks(self) -> DataFrame:
        """The tasks, a row each in the order of creation, as a pandas DataFrame.

        Columns: `task` (TRANSFORMATION:REPEAT), `transformation`, `repeat`, `status`, `actioned` (whether it is to be
        run), `at_work` (whether an attempt is), `priority` (1 is the most urgent), `extends` (a task), `attempts`,
        `host` and `devices` (of the last attempt), `estimate` (kcal/mol), `reason` (of the status), `id`.

        Raises
        ------
        MissingPackageError
            pandas is not installed.
        """
        return task_frame(self.get_tasks())

    def create_tasks(
        self,
        transformation: str | Iterable[str],
        *,
        count: int = 1,
        extends: str | None = None,
        priority: int = DEFAULT_PRIORITY,
    ) -> TaskChange:
        """Create tasks of transformations; they are actioned at once.

        Parameters
        ----------
        transformation
            Its name, id, or beginning of an id; or several.
        count
            How many of each.
        extends
            A task of the same transformation that each of them goes on from; they wait until it is complete.
        priority
            1 is the most urgent.

        Raises
        ------
        InputError
            There is no such transformation or task, or it is invalid or deleted.
        """
        ids = [self._records.in_force.find(text).id for text in as_list(transformation)]
        other = None if extends is None else find_task(self._records, extends).task
        wanted = [{"transformation": one, "extends": other} for one in dict.fromkeys(ids)]
        return self._create(wanted, count=count, priority=priority)

    def extend_task(self, task: str | Iterable[str], *, count: int = 1, priority: int = DEFAULT_PRIORITY) -> TaskChange:
        """Create tasks that each extend a task, or one of several; see `create_tasks`."""
        found = [self._records.state().everything[one] for one in task_views.task_ids(self._records, task)]
        wanted = [{"transformation": one.transformation, "extends": one.task} for one in found]
        return self._create(wanted, count=count, priority=priority)

    def _create(self, wanted: Iterable[Mapping[str, Any]], **values: Any) -> TaskChange:
        requests = [{**one, **values} for one in wanted]
        if not requests:
            raise InputError("no transformation was named.")
        for request in requests:  # all or none: each is refused here, if it is
            events_of(self._records, {"request": "create", **plain(request)})
        changes = [change_tasks(self._records, "create", **request) for request in requests]
        return TaskChange(any(one.later for one in changes), tuple(task for one in changes for task in one))

    def set_tasks_status(self, tasks: str | Iterable[str], status: str) -> TaskChange:
        """Set tasks waiting, invalid or deleted; with these last two all that extend them go, complete ones too.

        A running attempt ends at its next checkpoint. What a task set back to waiting brings nevertheless is counted.

        Raises
        ------
        InputError
            A task is unknown or may not change so.
        """
        return self._change("status", tasks, status=str(status))

    def set_tasks_priority(self, tasks: str | Iterable[str], priority: int) -> TaskChange:
        """Set the priority of tasks: 1 is the most urgent, 10 the default, 2**63 - 1 the largest.

        Raises
        ------
        InputError
            A task is unknown, or it is no priority.
        """
        return self._change("priority", tasks, priority=priority)

    def action_tasks(self, tasks: str | Iterable[str]) -> TaskChange:
        """Have tasks run that were cancelled; one in error needs `retry_tasks`.

        Raises
        ------
        InputError
            A task is unknown, complete, invalid or deleted.
        """
        return self._change("action", tasks)

    def cancel_tasks(self, tasks: str | Iterable[str], *, now: bool = False, launcher: str | None = None) -> TaskChange:
        """Run tasks no further: their attempts end at their next checkpoint. `retry_tasks` takes them up again.

        Parameters
        ----------
        now
            End the attempts at once; the next ones go on from the last checkpoint there is.
        launcher
            With `now` and without a driver: the launcher that ends them, instead of the plan's.

        Raises
        ------
        InputError
            A task is unknown, or neither waiting nor running.
        """
        nobody_drives = self._records.holder() is None
        driver = self._driver(launcher) if now and nobody_drives else None  # refused before anything is changed
        change = self._change("cancel", tasks, now=now)
        if now and not change.later:
            with suppress(CampaignLockedError):  # a driver came meanwhile, and does it
                (driver or self._driver(launcher)).run(at_once=True)
        return change

    def retry_tasks(self, tasks: str | Iterable[str] | None = None) -> TaskChange:
        """Set tasks (default: all in error) back to waiting and have them run; their retries count anew.

        Finished units and checkpoints are kept. A running attempt ends at its next checkpoint first.

        Raises
        ------
        InputError
            A task is unknown, complete, invalid or deleted; or none is in error.
        """
        if tasks is None:
            everything = self._records.state().tasks.values()
            tasks = [task.task for task in everything if task.status is TaskStatus.ERROR]
            if not tasks:
                raise InputError(f"campaign '{self._records.name}' has no task in error.")
        return self._change("retry", tasks)

    def get_tasks_extending(self, tasks: str | Iterable[str]) -> list[str]:
        """Return what `set_tasks_status` sets invalid or deleted along with tasks: all that extend them and exist."""
        chosen, everything = task_views.task_ids(self._records, tasks), self._records.state().everything
        found = (everything[task_id] for task_id in with_extending(everything, chosen))
        return [self._records.name_of(task) for task in found if task.exists and task.task not in chosen]

    def _change(self, request: str, tasks: str | Iterable[str], **values: Any) -> TaskChange:
        return change_tasks(self._records, request, tasks=task_views.task_ids(self._records, tasks), **values)
