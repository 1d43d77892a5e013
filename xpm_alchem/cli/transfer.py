"""Commands that hand results on to other programs, and take theirs in: export, import."""

from __future__ import annotations

import sys
from collections import Counter
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
    help="csv, json, openfe-gather, cinnabar, openfe-results, archive or alchemiscale.",
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
    alchemiscale    a directory, and a script that submits what is in it to alchemiscale
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
    """Count results of earlier `openfe quickrun` runs, or of an archive, as repeats; also while a driver is at work.

    The transformation is found by what the file says that was run: chemical systems, protocol with all settings, and
    mapping. What cannot be told for sure is refused, and so is what is here already. Exit code 1 if a file was refused.

    A gufe AlchemicalArchive (as `export --format archive` and alchemiscale give it; .json or .json.gz) may hold results
    of many transformations: what failed or is here already is passed over.
    """
    try:
        made = Campaign.open(campaign, workspace=workspace)
    except CampaignError:
        if not Path(campaign).is_file():
            raise
        made = Campaign.create(campaign, workspace=workspace)
    results = made.import_results(files, transformation=transformation)
    counts = Counter((one.file, one.transformation, one.later) for one in results if one.is_taken)
    for (file, name, later), count in counts.items():
        what = "a repeat" if count == 1 else f"{count} repeats"
        say(f"{file}: {what} of {name}{', the driver takes it in within seconds' if later else ''}")
    for result in results:
        if not result.is_taken:
            say(f"not imported: {result.refused}" if result.refused else f"passed over: {result.skipped}")
    sys.exit(1 if any(result.refused for result in results) else 0)
