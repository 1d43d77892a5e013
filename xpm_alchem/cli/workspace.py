"""What `run --all` and `stop --all` do and print."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import TracebackType
from typing import NoReturn

from rich.console import Console
from rich.live import Live
from rich.text import Text

from xpm_alchem.base.shell import command_line
from xpm_alchem.base.streams import wait_at_most
from xpm_alchem.cli.options import console, say
from xpm_alchem.client import Workspace
from xpm_alchem.driver.harvest import DriverEvent
from xpm_alchem.tables.console import told
from xpm_alchem.tables.overview import list_table
from xpm_alchem.tables.task_lines import event_line
from xpm_alchem.views.task_names import TaskNames


class WorkspaceDisplay:
    """Prints a line for every event with its campaign's name; keeps a line at the bottom of a terminal."""

    def __init__(self, console: Console, workspace: Path, *, units: bool = True) -> None:
        self._console, self._units = console, units
        self._names = TaskNames(workspace)
        self._live = Live("", console=console, transient=True, auto_refresh=False) if console.is_terminal else None
        self._running: set[tuple[str, str]] = set()
        self._seen: set[str] = set()
        self._refreshed = 0.0

    def __enter__(self) -> WorkspaceDisplay:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def __call__(self, name: str, event: DriverEvent | str) -> None:
        """Show an event of a campaign, '' for one of all."""
        if isinstance(event, str):
            event = DriverEvent(event)
        if name:
            self._seen.add(name)
        task, what = event.task, event.what
        if task is None:
            self._line(name, what)
        else:
            self._count(name, task.task, what)
            if not what.startswith("unit") or self._units:
                self._line(name, f"{self._names.of(name, task)}: {event_line(what, task)}")
        self._refresh()

    def _count(self, name: str, task: str, what: str) -> None:
        if what in ("submitted", "taken up again"):
            self._running.add((name, task))
        elif what in ("complete", "error", "waiting", "invalid", "deleted", "cancelled"):
            self._running.discard((name, task))

    def _line(self, name: str, text: str) -> None:
        whose = f"{name}  " if name else ""
        self._console.print(told(f"{time.strftime('%H:%M:%S')}  {whose}{text}"))

    def _refresh(self) -> None:
        if self._live is None or time.time() - self._refreshed < 0.2:
            return
        self._refreshed = time.time()
        words = f"{len(self._seen)} campaigns, {len(self._running)} running   (Ctrl-C detaches; tasks go on)"
        self._live.update(Text(words), refresh=True)


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
