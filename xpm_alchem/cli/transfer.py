"""Commands that hand results on to other programs, and take theirs in: export, import."""

from __future__ import annotations

from pathlib import Path

import click

from xpm_alchem.cli.options import campaign_argument, workspace_option
from xpm_alchem.client import Campaign


@click.command("export")
@campaign_argument
@click.option(
    "--format",
    "what",
    required=True,
    metavar="FORMAT",
    help="csv, json, openfe-gather, cinnabar, openfe-results or archive.",
)
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="File or directory to write.")
@click.option("--force", is_flag=True, help="Overwrite a file, or an earlier export.")
@click.option("--legs", metavar="LATER-EARLIER", help="For cinnabar, where there are several ddG: complex-solvent, ...")
@workspace_option
def export_command(campaign: str, what: str, out: Path, force: bool, legs: str | None, workspace: str | None) -> None:
    """Write the results for other programs; what could not be written is said.

    \b
    csv             a directory of tables, every column with its unit
    json            a file with everything, covariances too
    openfe-gather   a directory with dg.tsv, ddg.tsv, raw.tsv as `openfe gather` writes them
    cinnabar        a CSV file for cinnabar
    openfe-results  a directory of the JSON files that `openfe quickrun` writes
    archive         a gufe AlchemicalArchive (gufe >= 1.8)
    """
    for sentence in Campaign.open(campaign, workspace=workspace).export(what, out, force=force, legs=legs):
        click.echo(sentence)
