"""A workspace of many campaigns from Python: one driver for all."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from rich.console import Group

from xpm_alchem.base.errors import CampaignError, CampaignLockedError, XpmAlchemError
from xpm_alchem.base.files import make_directories
from xpm_alchem.campaign.holder import Holder
from xpm_alchem.campaign.records import CampaignRecords, list_campaigns
from xpm_alchem.campaign.workspace import UserSettings, check_writable, find_workspace, read_settings
from xpm_alchem.client.background import BackgroundDriver, start_driver
from xpm_alchem.client.campaign import Campaign
from xpm_alchem.client.progress import Observe, WorkspaceProgress, told_of, watched
from xpm_alchem.tables.overview import list_table
from xpm_alchem.views.overview import View


class Workspace:
    """The campaigns of a workspace, driven together.

    Parameters
    ----------
    workspace
        An id of settings.yaml, or a directory; None for the first of settings.yaml.

    Raises
    ------
    CampaignError
        There is no such workspace.
    """

    def __init__(self, workspace: str | Path | None = None) -> None:
        self._found = find_workspace(workspace, self._settings)

    @cached_property
    def _settings(self) -> UserSettings:
        return read_settings()

    @property
    def path(self) -> Path:
        """The workspace's directory."""
        return Path(self._found.path)

    def __repr__(self) -> str:
        """Return which workspace it is."""
        return f"<Workspace {self.path}>"

    def _repr_html_(self) -> str:
        from xpm_alchem.tables.html import html_of

        return html_of(Group(f"{self!r}", list_table(self.list_all())))

    def __iter__(self) -> Iterator[Campaign]:
        """Iterate over its campaigns by name."""
        return iter(self.campaigns())

    def campaigns(self) -> list[Campaign]:
        """Return its campaigns by name."""
        return [Campaign(records) for records in list_campaigns(self.path)]

    def list_all(self, *, deleted: bool = False) -> View:
        """Return a row for every campaign; see `Campaign.list_all`."""
        return Campaign.list_all(str(self.path), deleted=deleted)

    def holder(self) -> Holder | None:
        """Return who drives the whole workspace, None if nobody does."""
        from xpm_alchem.driver.workspace_driver import workspace_holder

        return workspace_holder(self.path)

    def run(
        self,
        *,
        once: bool = False,
        stay: bool = False,
        detach: bool = False,
        progress: bool = True,
        observe: Callable[[str, Any], None] | None = None,
        begun: Callable[[], None] = lambda: None,
    ) -> int:
        """Drive every active campaign, those too that are made meanwhile, until there is nothing to do in any.

        They share slots by their networks' weights. A campaign that another process drives is left to it; one that is
        in error, or has a broken file, stops no other.

        Parameters
        ----------
        once
            Harvest, plan and submit once, then leave; jobs go on.
        stay
            Go on when there is nothing to do: campaigns and tasks may come.
        detach
            Drive in the background, in a process of its own that outlives this one.
        progress
            Whether to show what happens: in a notebook in one place that is updated, else line by line on stderr.
        observe
            Called with a campaign's name and every `driver.harvest.DriverEvent` of it, '' for what concerns all.
            Nothing is shown then.
        begun
            Called once this process drives: nobody else does.

        Returns
        -------
        int
            0 all satisfied, 1 something in error, 3 detached or not finished, 4 a budget is used up.

        Raises
        ------
        CampaignLockedError
            Another process drives the workspace.
        WorkspaceError
            It cannot be written.
        CampaignError
            What is to be driven in the background needs what this process has in memory.
        XpmAlchemError
            The driver in the background did not start.
        """
        if detach:
            if once or observe is not None:
                raise CampaignError("detach: a driver in the background takes neither once nor observe.")
            return told_of(self.start_driver(stay=stay), progress=progress)
        from xpm_alchem.driver.workspace_driver import WorkspaceDriver

        check_writable(self.path)

        def drive(seen: Observe) -> int:
            driver = WorkspaceDriver(self._found, self._launcher, self._settings.budget, observe=seen, begun=begun)
            return int(driver.run(once=once, stay=stay))

        return watched(drive, observe, WorkspaceProgress(self.path) if progress else None)

    def start_driver(self, *, stay: bool = False) -> BackgroundDriver:
        """Drive all campaigns in the background: see `run`.

        Raises
        ------
        XpmAlchemError
            It did not start to drive: says what it has printed.
        """
        from xpm_alchem.driver.workspace_driver import driver_path

        check_writable(self.path)
        make_directories(driver_path(self.path))
        options = ["--stay"] if stay else []
        log = driver_path(self.path) / "driver.out"
        return start_driver(log, "-m", "xpm_alchem.cli.background", "--all", self.path, *options)

    def _launcher(self, records: CampaignRecords) -> Any:
        from xpm_alchem.launchers.choose import choose_launcher

        return choose_launcher(records.plan().launcher, self._settings.launchers)

    def stop(self, observe: Callable[[str, Any], None] = lambda name, event: None) -> int:
        """End all attempts at their next checkpoint, and the driver; `run` goes on from there.

        Returns
        -------
        int
            3, as nothing is finished by it; 1 if a campaign could not be stopped.
        """
        from xpm_alchem.driver.harvest import DriverEvent
        from xpm_alchem.driver.workspace_driver import ask_to_stop

        while self.holder() is not None:
            with suppress(FileNotFoundError):
                ask_to_stop(self.path)
            time.sleep(0.2)
        code = 3
        for campaign in self.campaigns():
            try:
                if any(task.at_work for task in campaign.records.state().everything.values()):
                    campaign.stop(observe=partial(observe, campaign.name))
            except CampaignLockedError:
                raise
            except XpmAlchemError as error:
                observe(campaign.name, DriverEvent(str(error)))
                code = 1
        return code
