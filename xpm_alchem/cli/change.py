"""Commands that change a campaign, also while a driver is at work: stop, cancel, retry."""

from __future__ import annotations

import sys
from typing import NoReturn

import click

from xpm_alchem.cli.options import campaign_argument, console, workspace_option
from xpm_alchem.client import Campaign
from xpm_alchem.errors import InputError


@click.command("stop")
@campaign_argument
@workspace_option
@click.option("--launcher", metavar="NAME", help="Launcher instead of the campaign's, as given to `run`.")
def stop_command(campaign: str, workspace: str | None, launcher: str | None) -> NoReturn:
    """End all attempts at their next checkpoint, and the driver; `run` goes on from there.

    What waits in a queue is cancelled. Exit code 3.
    """
    from xpm_alchem.cli.display import Display

    out = console()
    made = Campaign.open(campaign, workspace=workspace)
    if (holder := made.records.holder()) is not None:
        out.print(f"told the driver ({holder}) to stop; waiting until its attempts have kept their state")
    with Display(out, made.records, units=False) as display:
        code = made.stop(launcher=launcher, observe=display)
    out.print(f"stopped; go on with: xpm-alchem run ... ({made.path})")
    sys.exit(code)


@click.command("cancel")
@campaign_argument
@click.argument("task", metavar="TRANSFORMATION:REPEAT")
@workspace_option
def cancel_command(campaign: str, task: str, workspace: str | None) -> None:
    """Run a task no further: its attempt ends at its next checkpoint. `retry` takes it up again."""
    later = Campaign.open(campaign, workspace=workspace).cancel(task)
    click.echo(f"{task}: {'the driver ends it within seconds' if later else 'cancelled'}")


@click.command("retry")
@campaign_argument
@click.argument("task", required=False, metavar="[TRANSFORMATION:REPEAT]")
@click.option("--all", "everything", is_flag=True, help="Every task in error.")
@workspace_option
def retry_command(campaign: str, task: str | None, everything: bool, workspace: str | None) -> None:
    """Try a task in error again: finished units are kept, its retries count anew."""
    if (task is None) is not everything:
        raise InputError("give one task as TRANSFORMATION:REPEAT, or --all.")
    for name, later in Campaign.open(campaign, workspace=workspace).retry(task):
        click.echo(f"{name}: {'the driver takes it up within seconds' if later else 'waits; `xpm-alchem run` goes on'}")
