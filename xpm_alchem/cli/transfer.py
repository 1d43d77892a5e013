"""Commands that hand results on to other programs, and take theirs in: export, import."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from xpm_alchem.base.errors import CampaignError
from xpm_alchem.cli.options import a_path, campaign_argument, gone_option, say, workspace_option
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
@click.option("-o", "--out", required=True, type=a_path, help="File or directory to write.")
@click.option("--force", is_flag=True, help="Overwrite a file, or an earlier export.")
@click.option("--legs", metavar="LATER-EARLIER", help="For cinnabar, where there are several ddG: complex-solvent, ...")
@gone_option
@workspace_option
def export_command(
    campaign: str, what: str, out: Path, force: bool, legs: str | None, gone: bool, workspace: str | None
) -> None:
    """Write the results for other programs; what could not be written is said.

    \b
    csv             a directory of tables, every column with its unit
    json            a file with everything, covariances too
    openfe-gather   a directory with dg.tsv, ddg.tsv, raw.tsv as `openfe gather` writes them
    cinnabar        a CSV file for cinnabar
    openfe-results  a directory of the JSON files that `openfe quickrun` writes
    archive         a gufe AlchemicalArchive (gufe >= 1.8)
    """
    made = Campaign.open(campaign, workspace=workspace)
    for sentence in made.export(what, out, force=force, legs=legs, gone=gone):
        say(sentence)


@click.command("import")
@campaign_argument
@click.argument("files", metavar="FILE|DIR...", nargs=-1, required=True, type=a_path)
@click.option(
    "--transformation", metavar="NAME|FILE", help="What all the files are of: a name, or the JSON given to quickrun."
)
@workspace_option
def import_command(campaign: str, files: tuple[Path, ...], transformation: str | None, workspace: str | None) -> None:
    """Count results of earlier `openfe quickrun` runs as repeats; also while a driver is at work.

    The transformation is found by what the file says that was run: chemical systems, protocol with all settings, and
    mapping. What cannot be told for sure is refused, and so is what is here already. Exit code 1 if a file was refused.
    """
    try:
        made = Campaign.open(campaign, workspace=workspace)
    except CampaignError:
        if not Path(campaign).is_file():
            raise
        made = Campaign.create(campaign, workspace=workspace)
    refused = False
    for result in made.import_results(files, transformation=transformation):
        if result.refused:
            refused = True
            say(f"not imported: {result.refused}")
        else:
            later = ", the driver takes it in within seconds" if result.later else ""
            say(f"{result.file}: a repeat of {result.transformation}{later}")
    sys.exit(1 if refused else 0)
