"""What `client.Campaign` does to have a campaign computed: driving it here or in the background, waiting, stopping."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from xpm_alchem.base.errors import CampaignError, CampaignLockedError
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.task_state import TaskStatus, without_tasks
from xpm_alchem.campaign.workspace import UserSettings, find_workspace
from xpm_alchem.client.background import BackgroundDriver, start_driver
from xpm_alchem.client.progress import STOPPED, CampaignProgress, Observe, told_of, watched
from xpm_alchem.views.overview import View, tasks_now

if TYPE_CHECKING:
    from xpm_alchem.driver.loop import Driver
    from xpm_alchem.launchers.base import AttemptLauncher


class RunMethods:
    """Driving a campaign."""

    _records: CampaignRecords

    if TYPE_CHECKING:

        @property
        def _settings(self) -> UserSettings: ...

        def _launcher(self, name: str | None = None) -> AttemptLauncher: ...

        def _check_budget(self, launcher: str | None) -> None: ...

        def status(self) -> View: ...

        def budget(self) -> View: ...

    def run(
        self,
        *,
        launcher: str | None = None,
        once: bool = False,
        stop: bool = False,
        detach: bool = False,
        progress: bool = True,
        observe: Observe | None = None,
        begun: Callable[[], None] = lambda: None,
        running: Any = None,
        init_tasks: Iterable[Any] = (),
        strategy: Any = None,
    ) -> int:
        """Drive the campaign until its strategy is satisfied.

        Ctrl-C, or interrupting a notebook's cell, detaches: tasks go on, and the next `run` comes back to them.

        Parameters
        ----------
        launcher
            Instead of the plan's.
        once
            Harvest, plan and submit once, then leave; jobs go on.
        stop
            Only end all attempts; see `stop`.
        detach
            Drive in the background, in a process of its own that outlives this one; `wait` waits for its end.
        progress
            Whether to show what happens: in a notebook in one place that is updated, else line by line on stderr.
        observe
            Called with every `driver.harvest.DriverEvent`; nothing is shown then.
        begun
            Called once this process drives: nobody else does.
        running
            An experimaestro experiment that is open already (``helper.xp`` in ``run-experiment``).
        init_tasks
            experimaestro LightweightTasks to run in every attempt's process before it begins.
        strategy
            An instance of a stratocaster Strategy (or one of ours) instead of the one the plan names.

        Returns
        -------
        int
            0 satisfied, 1 something in error, 3 detached or not finished, 4 the budget is used up, 5 the campaign's
            files could not be read or written for too long.

        Raises
        ------
        CampaignError
            The running experiment is in another workspace, or the launcher's attempts cannot be counted in the budget,
            or what is to be driven in the background needs what this process has in memory.
        XpmAlchemError
            The driver in the background did not start.
        """
        if not stop:
            self._check_budget(launcher)
        if detach:
            if running is not None or tuple(init_tasks) or strategy is not None or observe is not None or once or stop:
                raise CampaignError(
                    "detach: a driver in the background takes nothing but the launcher's name. For another strategy "
                    "use set_network_strategy(...) first."
                )
            return told_of(self.start_driver(launcher), progress=progress)
        if running is not None and running.workspace.path.resolve() != self._records.workspace.resolve():
            raise CampaignError(
                f"{self._records.path}: the campaign's workspace is {self._records.workspace}, the running "
                f"experiment's is {running.workspace.path}. Make the campaign with "
                "workspace=str(helper.xp.workspace.path)."
            )
        options = {"running": running, "init_tasks": tuple(init_tasks), "strategy": strategy, "begun": begun}
        return watched(
            lambda seen: int(self._driver(launcher, observe=seen, **options).run(once=once, stop=stop)),
            observe,
            CampaignProgress(self._records) if progress else None,
            STOPPED if stop else None,
        )

    def start_driver(self, launcher: str | None = None) -> BackgroundDriver:
        """Start a driver in the background, and say what became of it: `run` with `detach`.

        Raises
        ------
        XpmAlchemError
            It did not start to drive: says what it has printed.
        """
        more = [] if launcher is None else [launcher]
        log = self._records.path / "driver.out"
        return start_driver(log, "-m", "xpm_alchem.cli.background", self._records.path, *more)

    def wait(self, timeout: float | None = None, *, progress: bool = True, observe: Observe | None = None) -> int:
        """Wait until nobody drives the campaign any more; where nobody does, return at once.

        Ctrl-C, or interrupting a notebook's cell, leaves the driver alone.

        Parameters
        ----------
        timeout
            Seconds to wait at most.
        progress, observe
            As for `run`.

        Returns
        -------
        int
            How the campaign stands, as `run` returns it; 3 while it is driven.
        """
        display = CampaignProgress(self._records) if progress else None
        return watched(lambda seen: self._wait(timeout, seen), observe, display)

    def _wait(self, timeout: float | None, seen: Observe) -> int:
        from xpm_alchem.driver.harvest import DriverEvent

        until = None if timeout is None else time.monotonic() + timeout
        known = {task_id: (task.status, task.changed) for task_id, task in self._records.state().everything.items()}
        while True:
            is_driven = self._records.holder() is not None
            for task_id, task in self._records.state().everything.items():
                if known.get(task_id) != (task.status, task.changed):
                    known[task_id] = (task.status, task.changed)
                    seen(DriverEvent("submitted" if task.status is TaskStatus.RUNNING else str(task.status), task))
            if not is_driven:
                return self._standing()
            if until is not None and time.monotonic() >= until:
                return 3
            time.sleep(0.5)

    def _standing(self) -> int:
        """Return what `run` would have returned, as the campaign is left."""
        view, plan = self.status(), self._records.plan().strategy
        tasks = tasks_now(self._records).values()
        wants = view["strategy"]["status"] == "awake" and not plan.is_paused
        if wants or any(task.in_flight for task in tasks):
            is_at_work = view["tasks"]["running"] or view["queued"]
            return 4 if not is_at_work and self.budget()["state"] == "exhausted" else 3
        if view["tasks"]["error"] or view["strategy"]["status"] == "error":
            return 1
        return 3 if plan.is_paused and without_tasks(self._records.index.by_id, tasks) else 0

    def _driver(self, launcher: str | None = None, **options: Any) -> Driver:
        from xpm_alchem.driver.loop import Driver
        from xpm_alchem.driver.workspace_budget import WorkspaceBudget

        workspace = find_workspace(str(self._records.workspace), self._settings)
        together = WorkspaceBudget(self._settings.budget, self._records.workspace)
        return Driver(self._records, workspace, self._launcher(launcher), workspace_budget=together, **options)

    def stop(self, *, launcher: str | None = None, observe: Observe | None = None) -> int:
        """End all attempts at their next checkpoint, and the driver; `run` goes on from there.

        A driver that is at work does it, and this waits for it; without one it is done here.

        Returns
        -------
        int
            3, as nothing is finished by it.
        """
        while True:
            if self._records.holder() is None:
                with suppress(CampaignLockedError):  # by a driver that has just begun
                    return self.run(launcher=launcher, stop=True, observe=observe)
            self._records.ask(request="stop")
            while self._records.holder() is not None:
                time.sleep(0.2)
            if not any(task.at_work for task in self._records.state().everything.values()):
                return 3
            # the driver was killed before it had ended them
