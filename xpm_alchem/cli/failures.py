"""The command that shows what has failed."""

from __future__ import annotations

import click

from xpm_alchem.cli.options import campaign_argument, json_option, output, workspace_option
from xpm_alchem.client import Campaign
from xpm_alchem.tables import failure as failure_tables
from xpm_alchem.views.commands import Address


@click.command("failures")
@campaign_argument
@workspace_option
@json_option
def failures_command(campaign: str, workspace: str | None, as_json: bool) -> None:
    """What has failed, grouped by what was raised, each group with a command that deals with it.

    First the tasks that are in error, then failures that were restarted.
    """
    view = Campaign.open(campaign, workspace=workspace).failures(Address(campaign, workspace))
    output(view, as_json, failure_tables.failures_table)
