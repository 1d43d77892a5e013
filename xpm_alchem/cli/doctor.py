"""The command that examines the environment and a campaign: doctor."""

from __future__ import annotations

import sys
from typing import NoReturn

import click
from rich.console import Console
from rich.progress import Progress

from xpm_alchem.cli.options import json_option, output, workspace_option
from xpm_alchem.client import Campaign
from xpm_alchem.tables.doctor import doctor_table


@click.command("doctor")
@click.argument("campaign", required=False, metavar="[CAMPAIGN]")
@workspace_option
@click.option("--launcher", metavar="NAME", help="Launcher to look at (default: the campaign's, else local).")
@click.option("--fix", is_flag=True, help="Mend what can be mended without losing anything.")
@json_option
def doctor_command(
    campaign: str | None, workspace: str | None, launcher: str | None, fix: bool, as_json: bool
) -> NoReturn:
    """Check the environment, and a campaign if one is given; say how to mend what is wrong.

    Exit codes: 0 nothing wrong (but perhaps warnings), 1 at least one fault, 2 bad usage or input.
    """
    screen = Console(stderr=True)
    with Progress(console=screen, transient=True, disable=not screen.is_terminal) as shown:
        line = shown.add_task("tasks", total=None, visible=False)

        def progress(done: int, total: int) -> None:
            shown.update(line, completed=done, total=total, visible=done < total)

        view = Campaign.doctor(campaign, workspace=workspace, launcher=launcher, fix=fix, progress=progress)
    output(view, as_json, doctor_table)
    sys.exit(1 if view["faults"] else 0)
