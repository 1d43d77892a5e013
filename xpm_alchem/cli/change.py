"""Commands that change a campaign, also while a driver is at work: stop, cancel, retry."""

from __future__ import annotations

import sys
from typing import NoReturn

import click

from xpm_alchem.base.errors import InputError
from xpm_alchem.cli.options import campaign_argument, console, say, say_tasks, tasks_argument, workspace_option
from xpm_alchem.client import Campaign


@click.command("stop")
@click.argument("campaign", metavar="[CAMPAIGN]", required=False)
@click.option("--all", "everything", is_flag=True, help="Of every campaign of the workspace.")
@workspace_option
@click.option("--launcher", metavar="NAME", help="Launcher instead of the campaign's, as given to `run`.")
def stop_command(campaign: str | None, everything: bool, workspace: str | None, launcher: str | None) -> NoReturn:
    """End all attempts at their next checkpoint, and the driver; `run` goes on from there.

    What waits in a queue is cancelled. Exit code 3. A driver of all campaigns (`run --all`) that is to stop one goes on
    with the others, and sets the network of that one inactive.
    """
    if campaign is None and not everything:
        raise click.UsageError("Missing argument 'CAMPAIGN', or --all for every campaign of the workspace.")
    if campaign is not None and everything:
        raise click.UsageError(f"--all is for every campaign of a workspace; leave '{campaign}' out, or --all.")
    if campaign is None:
        from xpm_alchem.cli.workspace import stop_all

        stop_all(workspace)
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
@tasks_argument
@click.option("--now", is_flag=True, help="End attempts at once, not at their next checkpoint.")
@click.option("--launcher", metavar="NAME", help="With --now: launcher instead of the campaign's, as given to `run`.")
@workspace_option
def cancel_command(
    campaign: str, tasks: tuple[str, ...], now: bool, launcher: str | None, workspace: str | None
) -> None:
    """Run tasks no further: their attempts end at their next checkpoint. `retry` takes them up again.

    With --now the next attempt goes on from the last checkpoint there is. A SLURM job that several tasks share
    (tasks_per_job) is not ended for one of them: that one stops at its next checkpoint.
    """
    made = Campaign.open(campaign, workspace=workspace)
    change = made.cancel_tasks(tasks, now=now, launcher=launcher)
    say_tasks(change, "cancelled", "the driver ends it within seconds")
    for row in made.get_tasks()["rows"] if now and not change.later else ():
        if row["task"] in change.tasks and row["at_work"]:
            say(f"{row['task']}: still at work on {row['host']}; it was told to stop at its next checkpoint")


@click.command("retry")
@campaign_argument
@click.argument("tasks", nargs=-1, metavar="[TRANSFORMATION:REPEAT]...")
@click.option("--all", "everything", is_flag=True, help="Every task in error.")
@workspace_option
def retry_command(campaign: str, tasks: tuple[str, ...], everything: bool, workspace: str | None) -> None:
    """Set tasks back to waiting and try them again: finished units are kept, retries count anew.

    For tasks in error, cancelled ones, and running ones, whose attempts end at their next checkpoint first.
    """
    if bool(tasks) is everything:
        raise InputError("give tasks as TRANSFORMATION:REPEAT, or --all.")
    change = Campaign.open(campaign, workspace=workspace).retry_tasks(None if everything else tasks)
    say_tasks(change, "waits; `xpm-alchem run` goes on", "the driver takes it up within seconds")
