"""Commands that look: they work while a driver runs, after it died, and on another login node."""

from __future__ import annotations

from functools import partial

import click

from xpm_alchem.cli.options import campaign_argument, gone_option, json_option, output, workspace_option
from xpm_alchem.client import Campaign
from xpm_alchem.tables import overview as tables
from xpm_alchem.tables import why as why_tables
from xpm_alchem.views.commands import Address


@click.command("list")
@workspace_option
@click.option("--all", "everything", is_flag=True, help="Those too whose network is deleted.")
@json_option
def list_command(workspace: str | None, everything: bool, as_json: bool) -> None:
    """List the campaigns of a workspace."""
    output(Campaign.list_all(workspace, deleted=everything), as_json, tables.list_table)


@click.command("status")
@campaign_argument
@workspace_option
@json_option
def status_command(campaign: str, workspace: str | None, as_json: bool) -> None:
    """Tasks by status, who drives, the strategy.

    CAMPAIGN is a campaign.yaml, a campaign's directory, or its name in the workspace.
    """
    output(Campaign.open(campaign, workspace=workspace).status(), as_json, tables.status_table)


@click.command("show")
@campaign_argument
@gone_option
@workspace_option
@json_option
def show_command(campaign: str, gone: bool, workspace: str | None, as_json: bool) -> None:
    """A row for every transformation: repeats, estimate +- between-repeat SD (kcal/mol), weight, what is next."""
    output(Campaign.open(campaign, workspace=workspace).show(gone=gone), as_json, tables.show_table)


@click.command("summary")
@campaign_argument
@workspace_option
@json_option
def summary_command(campaign: str, workspace: str | None, as_json: bool) -> None:
    """One row for the campaign."""
    output(Campaign.open(campaign, workspace=workspace).summary(), as_json, tables.summary_table)


@click.command("results")
@campaign_argument
@click.option("--transformations", "sections", flag_value="transformations", multiple=True, help="Only dG.")
@click.option("--edges", "sections", flag_value="edges", multiple=True, help="Only ddG of the edges.")
@click.option("--ligands", "sections", flag_value="ligands", multiple=True, help="Only the ligands' values.")
@click.option("--cycles", "sections", flag_value="cycles", multiple=True, help="Only closures of cycles.")
@click.option("--all", "everything", is_flag=True, help="All cycles, and how values settled over repeats, too.")
@click.option("--reference", metavar="LIGAND", help="Give values relative to this ligand, not to their mean.")
@gone_option
@workspace_option
@json_option
def results_command(
    campaign: str,
    sections: tuple[str, ...],
    everything: bool,
    reference: str | None,
    gone: bool,
    workspace: str | None,
    as_json: bool,
) -> None:
    """dG of transformations, ddG of edges, values of ligands, closures of cycles (kcal/mol); what is missing.

    At any time: with partial results too. --json holds everything, whatever is chosen.
    """
    from xpm_alchem.tables.result import SECTIONS, results_table

    made = Campaign.open(campaign, workspace=workspace)
    view = made.results(reference=reference, running=everything or as_json, gone=gone)
    output(view, as_json, lambda view: results_table(view, sections or SECTIONS, everything=everything))


@click.command("why")
@campaign_argument
@click.argument("task", metavar="TRANSFORMATION:REPEAT")
@click.option("--all", "everything", is_flag=True, help="Each attempt, also where many in a row ended alike.")
@workspace_option
@json_option
def why_command(campaign: str, task: str, everything: bool, workspace: str | None, as_json: bool) -> None:
    """Every attempt of a task, what was decided and why, the last traceback, its files, and what you can do."""
    view = Campaign.open(campaign, workspace=workspace).why(task, Address(campaign, workspace))
    output(view, as_json, partial(why_tables.why_table, everything=everything))
