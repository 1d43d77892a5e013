"""The command that writes a report."""

from __future__ import annotations

from pathlib import Path

import click

from xpm_alchem.cli.options import a_path, campaign_argument, say, workspace_option
from xpm_alchem.client import Campaign


@click.command("report")
@campaign_argument
@click.option("-o", "--out", required=True, type=a_path, help="The HTML file to write.")
@click.option("--force", is_flag=True, help="Overwrite a file that is no report, too.")
@workspace_option
def report_command(campaign: str, out: Path, force: bool, workspace: str | None) -> None:
    """Write everything about a campaign into one HTML file that any browser shows, also without a network.

    Values of ligands against experiment, the network, closures, convergence, costs, failures, and where all of it comes
    from. At any time: while a driver runs, and with partial results.
    """
    written = Campaign.open(campaign, workspace=workspace).report(out, force=force)
    say(f"{written}: written; open it in a browser")
