"""Options and output that several commands share."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.console import RenderableType

from xpm_alchem.base.values import printable
from xpm_alchem.requests.change import TaskChange
from xpm_alchem.tables.console import PlainConsole
from xpm_alchem.views.overview import View

a_path = click.Path(path_type=Path, readable=False)  # what cannot be read is told in words of ours
campaign_argument = click.argument("campaign", metavar="CAMPAIGN")
tasks_argument = click.argument("tasks", nargs=-1, required=True, metavar="TRANSFORMATION:REPEAT...")
workspace_option = click.option(
    "-w", "--workspace", metavar="ID|DIR", help="Workspace: an id of settings.yaml, or a directory."
)
_AT_ONCE = 10_000  # parts of JSON: all of a large view take ten times the memory of its text
gone_option = click.option("--gone", is_flag=True, help="What is gone from the network too, apart.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON (keys: docs/json.md).")


def output(view: View, as_json: bool, table: Callable[[View], RenderableType]) -> None:
    """Print a view as JSON or as a table."""
    if as_json:
        output_json(view)
        return
    console().print(table(view))


def say_tasks(change: TaskChange, done: str, later: str) -> None:
    """Print a line for every task that was changed: what became of it, or what a driver makes of it."""
    for task in change.tasks:
        say(f"{task}: {later if change.later else done}")


def output_json(view: View) -> None:
    """Print a view as JSON; what it escapes itself is exact, and does nothing to a terminal."""
    parts = itertools.chain(json.JSONEncoder(indent=2).iterencode(view), "\n")
    while some := "".join(itertools.islice(parts, _AT_ONCE)):
        put(some.replace("\x7f", "\\u007f"))


def say(*lines: str, err: bool = False) -> None:
    """Print lines of ours, each of which stays one line whatever names are in it."""
    put("".join(f"{printable(line)}\n" for line in lines), err=err)


def put(text: str, *, err: bool = False) -> None:
    """Print a text; click.echo would print UTF-8 where the encoding is ASCII."""
    stream = sys.stderr if err else sys.stdout
    if stream is not None:  # as it is where it was closed
        stream.write(text)
        stream.flush()


def console(**options: Any) -> PlainConsole:
    """Return a console; where there is no terminal lines are not cut to 80 columns."""
    made = PlainConsole(**options)
    if not made.is_terminal:
        made = PlainConsole(width=200, **options)
    return made
