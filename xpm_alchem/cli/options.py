"""Options and output that several commands share."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click
from rich.console import Console, RenderableType

from xpm_alchem.requests.task_requests import TaskChange
from xpm_alchem.views.overview import View

campaign_argument = click.argument("campaign", metavar="CAMPAIGN")
tasks_argument = click.argument("tasks", nargs=-1, required=True, metavar="TRANSFORMATION:REPEAT...")
workspace_option = click.option(
    "-w", "--workspace", metavar="ID|DIR", help="Workspace: an id of settings.yaml, or a directory."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON (keys: docs/json.md).")


def output(view: View, as_json: bool, table: Callable[[View], RenderableType], *, wrap: bool = True) -> None:
    """Print a view as JSON or as a table; without `wrap` a line stays one line, so that a command can be copied."""
    if as_json:
        click.echo(json.dumps(view, indent=2))
        return
    console().print(table(view), soft_wrap=not wrap)


def say_tasks(change: TaskChange, done: str, later: str) -> None:
    """Print a line for every task that was changed: what became of it, or what a driver makes of it."""
    for task in change.tasks:
        click.echo(f"{task}: {later if change.later else done}")


def console(**options: Any) -> Console:
    """Return a console; where there is no terminal lines are not cut to 80 columns."""
    made = Console(highlight=False, **options)
    if not made.is_terminal:
        made = Console(highlight=False, width=200, **options)
    return made
