"""Commands about restart patterns: add, list, set, remove, clear."""

from __future__ import annotations

import click

from xpm_alchem.cli.options import campaign_argument, json_option, output, say, workspace_option
from xpm_alchem.client import Campaign
from xpm_alchem.requests.change import Change
from xpm_alchem.tables.restart import restarts_table

_patterns = click.argument("patterns", metavar="PATTERN...", nargs=-1, required=True)
_allowed = click.option("--allowed", type=int, required=True, metavar="N", help="Restarts of one task.")


@click.group("restarts")
def restarts_command() -> None:
    """Say which failed tasks are tried again, and how often, also while a driver is at work.

    A PATTERN is a regular expression; it is searched in the tracebacks of a failed attempt, its outcome, the launcher's
    reason and the end of stderr. Where none matches the default rules hold.
    """


@restarts_command.command("add")
@campaign_argument
@_patterns
@_allowed
@click.option("--from-scratch", is_flag=True, help="Set aside what the task has computed, instead of going on.")
@workspace_option
def add_command(
    campaign: str, patterns: tuple[str, ...], allowed: int, from_scratch: bool, workspace: str | None
) -> None:
    """Restart tasks whose failure matches, at most N times; takes effect at once on tasks in error."""
    made = Campaign.open(campaign, workspace=workspace)
    _say("added", made.add_task_restart_patterns(patterns, allowed, from_scratch=from_scratch))


@restarts_command.command("list")
@campaign_argument
@json_option
@workspace_option
def list_command(campaign: str, as_json: bool, workspace: str | None) -> None:
    """Show the patterns and default rules, and how many tasks in error each matches."""
    output(Campaign.open(campaign, workspace=workspace).restarts(), as_json, restarts_table)


@restarts_command.command("set")
@campaign_argument
@_patterns
@_allowed
@workspace_option
def set_command(campaign: str, patterns: tuple[str, ...], allowed: int, workspace: str | None) -> None:
    """Set how often tasks are restarted for patterns that are there."""
    made = Campaign.open(campaign, workspace=workspace)
    _say("set", made.set_task_restart_patterns_allowed_restarts(patterns, allowed))


@restarts_command.command("remove")
@campaign_argument
@_patterns
@workspace_option
def remove_command(campaign: str, patterns: tuple[str, ...], workspace: str | None) -> None:
    """Remove patterns."""
    _say("removed", Campaign.open(campaign, workspace=workspace).remove_task_restart_patterns(patterns))


@restarts_command.command("clear")
@campaign_argument
@workspace_option
def clear_command(campaign: str, workspace: str | None) -> None:
    """Remove all patterns; the default rules stay."""
    _say("cleared", Campaign.open(campaign, workspace=workspace).clear_task_restart_patterns())


def _say(what: str, change: Change) -> None:
    say("the driver takes it in within seconds" if change.later else f"{what}; `xpm-alchem run` goes on from there")
