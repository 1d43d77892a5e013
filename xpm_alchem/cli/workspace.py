"""What `run --all` and `stop --all` do and print."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NoReturn

from rich.console import Console

from xpm_alchem.base.shell import command_line
from xpm_alchem.base.streams import wait_at_most
from xpm_alchem.campaign.task_state import TaskStatus
from xpm_alchem.cli.display import EventDisplay
from xpm_alchem.cli.options import console, say
from xpm_alchem.client import Workspace
from xpm_alchem.driver.harvest import DriverEvent
from xpm_alchem.tables.console import told
from xpm_alchem.tables.overview import list_table
from xpm_alchem.views.task_names import TaskNames


class WorkspaceDisplay(EventDisplay):
    """Shows the events of all campaigns of a workspace, each with its campaign's name."""

    def __init__(self, console: Console, workspace: Path, *, units: bool = True) -> None:
        super().__init__(console, units=units)
        self._names = TaskNames(workspace)
        self._running: set[tuple[str, str]] = set()
        self._seen: set[str] = set()

    def __call__(self, campaign: str, event: DriverEvent) -> None:
        """Show an event of a campaign, '' for one of all."""
        name, task = "", event.task
        self._seen |= {campaign} - {""}
        if task is not None:
            name = self._names.of(campaign, task)
            if event.what in ("submitted", "taken up again"):
                self._running.add((campaign, task.task))
            elif event.what in tuple(TaskStatus):
                self._running.discard((campaign, task.task))
        self.show(event, name, campaign)

    def standing(self) -> str:
        """Return how many campaigns have told something, and how many tasks run."""
        return f"{len(self._seen)} campaigns, {len(self._running)} running"


def run_all(workspace: str | None, *, once: bool, stay: bool, detach: bool, quiet: bool) -> NoReturn:
    """Drive every active campaign of a workspace; exit as `run` does."""
    out, made = console(), Workspace(workspace)
    if detach:
        _detach(made, stay=stay)
    wait_at_most()
    out.print(told(f"workspace {made.path}: every active campaign is driven"))
    with WorkspaceDisplay(out, made.path, units=not quiet) as display:
        code = made.run(once=once, stay=stay, observe=display)
    if not quiet:
        out.print(list_table(made.list_all()))
    if code == 3:
        say("not finished, or detached: running tasks go on; run the same command again")
    elif code == 1:
        say("something is in error: `xpm-alchem why` tells what happened to a task")
    elif code == 4:
        say("a budget is used up: `xpm-alchem budget` shows it")
    else:
        say("satisfied: no strategy wants more results")
    sys.exit(code)


def _detach(workspace: Workspace, *, stay: bool) -> NoReturn:
    driver = workspace.start_driver(stay=stay)
    say(driver.sentence)
    if driver.drives and driver.code is None:
        end = command_line("stop", options=["--all", "-w", str(workspace.path)])
        say(f"it prints to {driver.log}; end it with: {end}")
    sys.exit(3 if driver.code is None else driver.code)


def stop_all(workspace: str | None) -> NoReturn:
    """End all attempts of a workspace's campaigns at their next checkpoint, and the driver of all; exit code 3."""
    out, made = console(), Workspace(workspace)
    if (holder := made.holder()) is not None:
        say(f"told the driver ({holder}) to stop; waiting until its attempts have kept their state")
    with WorkspaceDisplay(out, made.path, units=False) as display:
        code = made.stop(observe=display)
    say("stopped; go on with: xpm-alchem run --all ...")
    sys.exit(code)
