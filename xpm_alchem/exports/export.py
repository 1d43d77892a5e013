"""Writes the results of a campaign in one of several formats; says what could not be written."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from xpm_alchem.base.errors import FormatError, InputError
from xpm_alchem.base.near_miss import unknown_key
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.task_state import TaskState, TaskStatus, grouped
from xpm_alchem.execution.directory import TaskDirectory, TaskSummary
from xpm_alchem.execution.fence import current
from xpm_alchem.exports.alchemiscale_directory import write_alchemiscale
from xpm_alchem.exports.archive import write_archive
from xpm_alchem.exports.cinnabar_csv import cinnabar_csv
from xpm_alchem.exports.gather_tables import ddg_table, dg_table, raw_table
from xpm_alchem.exports.own_tables import own_tables
from xpm_alchem.exports.results_of_tasks import Groups, complete_tasks, no_half
from xpm_alchem.exports.target import check_directory, check_file, write_directory, write_text
from xpm_alchem.failures.left_out import repeats_left_out
from xpm_alchem.network.trust import check_module
from xpm_alchem.results.analysis import Analysis, NetworkAnalysis
from xpm_alchem.views.overview import tasks_now
from xpm_alchem.views.result import analyse, results_view, some_of

FORMATS = {
    "csv": "a directory of tables",
    "json": "a file with everything",
    "openfe-gather": "a directory with the tables of `openfe gather`: dg.tsv, ddg.tsv, raw.tsv",
    "cinnabar": "a CSV file for cinnabar",
    "openfe-results": "a directory of the JSON files that `openfe quickrun` writes",
    "archive": "a gufe AlchemicalArchive (gufe >= 1.8)",
    "alchemiscale": "a directory, and a script that submits what is in it to alchemiscale",
}
_GATHERED = "RelativeHybridTopologyProtocol"  # whose results `openfe gather` reads


def export(
    records: CampaignRecords,
    what: str,
    out: Path,
    *,
    force: bool = False,
    legs: str | None = None,
    gone: bool = False,
) -> list[str]:
    """Write results.

    Parameters
    ----------
    what
        One of `FORMATS`.
    out
        File or directory to write.
    force
        Whether to overwrite a file, or an earlier export.
    legs
        For 'cinnabar': which ddG, as 'complex-solvent', where there are several.
    gone
        For 'csv' and 'json': whether to write the results of transformations too that are gone from the network.

    Returns
    -------
    list of str
        A sentence for all that was written, and for all that could not be.

    Raises
    ------
    InputError
        The format is not known, or `out` may not be written; nothing was changed.
    MissingPackageError
        The installed gufe has no AlchemicalArchive.
    """
    if what not in FORMATS:
        raise InputError(unknown_key(what, FORMATS, "--format", what="unknown format"))
    check = check_file if FORMATS[what].startswith(("a file", "a CSV", "a gufe")) else check_directory
    if gone and what not in ("csv", "json"):
        raise InputError(f"--gone is for the formats csv and json: '{what}' is of the network alone.")
    check(out, force=force)
    tasks = grouped(tasks_now(records).values())
    left_out = [one.sentence for one in repeats_left_out(records.index, tasks)]
    of_files = {"openfe-results": _quickrun, "archive": write_archive, "alchemiscale": write_alchemiscale}
    if what in of_files:
        return [*of_files[what](records, tasks, out), *left_out]
    analysis = analyse(records.index, tasks, records.experimental())
    write: Callable[[], list[str]] = {
        "csv": lambda: _csv(records, analysis, out, gone=gone),
        "json": lambda: _json(records, analysis, out, gone=gone),
        "openfe-gather": lambda: _gather(records, analysis, tasks, out),
        "cinnabar": lambda: _cinnabar(analysis, out, legs),
    }[what]
    return write() + (left_out if what in ("openfe-gather", "cinnabar") else [])  # ours say all that is missing


def _csv(records: CampaignRecords, analysis: Analysis, out: Path, *, gone: bool) -> list[str]:
    view = results_view(records, gone=gone)
    files = own_tables(view, analysis)
    write_directory(out, "csv", _texts(files))
    return [f"{out}: {', '.join(files)}", *view["missing"]["sentences"]]


def _texts(files: Mapping[str, str]) -> Iterator[tuple[str, Callable[[Path], None]]]:
    for name, text in files.items():
        yield name, partial(write_text, text=text)


def _json(records: CampaignRecords, analysis: Analysis, out: Path, *, gone: bool) -> list[str]:
    view = results_view(records, gone=gone)
    for network, one in zip(view["networks"], analysis.networks, strict=True):
        for key, estimate in (("covariance", one.estimate), ("steadied_covariance", one.steadied)):
            # in the order of `ligands`; of a ligand without a value there is none
            network[key] = [
                [float(x) if a >= 0 and b >= 0 else None for b, x in zip(estimate.parts, row, strict=True)]
                for a, row in zip(estimate.parts, estimate.covariance, strict=True)
            ]
    content = {"format": "xpm-alchem results", "format_version": 1, **view}
    write_text(out, json.dumps(content, indent=1) + "\n")
    return [f"{out}: written", *view["missing"]["sentences"]]


def _cinnabar(analysis: Analysis, out: Path, legs: str | None) -> list[str]:
    network = _chosen(analysis, legs)
    write_text(out, cinnabar_csv(network))
    said = [
        f"{out}: {network.measured.name}; uncertainties are deviations between repeats, as `openfe gather` has them"
    ]
    if left := [edge.name for edge in network.measured.edges if edge.sd is None]:
        said.append(f"left out, without two repeats of both legs: {some_of(left)}")
    if without := [n for n, x in zip(network.measured.ligands, network.experiment, strict=True) if math.isnan(x)]:
        said.append(f"without an experimental value (cinnabar 0.2.3 needs one for each): {some_of(without)}")
    return said


def _chosen(analysis: Analysis, legs: str | None) -> NetworkAnalysis:
    named: dict[str, NetworkAnalysis] = {}
    for network in analysis.networks:
        name = network.measured.name.replace(" ", "")
        named[name if name not in named else f"{name}-{len(named) + 1}"] = network
    if not named:
        raise InputError("there is nothing for cinnabar: no legs of this network are paired.")
    if legs is None and len(named) > 1:
        raise InputError(f"there are several ddG: choose one with --legs, of {', '.join(named)}.")
    if legs is not None and legs not in named:
        raise InputError(unknown_key(legs, named, "--legs", what="unknown legs"))
    return named[legs or next(iter(named))]


def _gather(records: CampaignRecords, analysis: Analysis, tasks: Groups, out: Path) -> list[str]:
    simulations = {
        record.id: [_simulations(records, task) for task in complete_tasks(tasks, record.id)]
        for record in records.index.transformations
    }
    failed = {key: sum(task.status is TaskStatus.ERROR for task in group) for key, group in tasks.items()}
    files = {
        "ddg.tsv": ddg_table(records.index, simulations),
        "raw.tsv": raw_table(records.index, simulations, failed),
    }
    said = []
    if (dg := dg_table(analysis, simulations)) is not None:
        files["dg.tsv"] = dg
    else:
        said.append("no dg.tsv: `openfe gather` makes it of complex and solvent legs")
    write_directory(out, "openfe-gather", _texts(files))
    single = [r.name for r in analysis.transformations.values() if sum(map(len, simulations[r.id])) == 1]
    if single:
        said.append(f"an uncertainty of 0.0 is openfe's for one simulation, no certainty: {some_of(single)}")
    return [f"{out}: {', '.join(sorted(files))}", *said]


def _simulations(records: CampaignRecords, task: TaskState) -> list[tuple[float, float]]:
    """Return estimate and error of each simulation of a repeat; the repeat's own where the protocol tells of none."""
    try:
        found = TaskSummary.of(current(records.task_path(task))).simulations
    except (OSError, FormatError):
        found = []
    if found:
        return [(float(value), float(error)) for value, error in found]
    return [(task.estimate or 0.0, task.uncertainty or 0.0)]


def _quickrun(records: CampaignRecords, tasks: Groups, out: Path) -> list[str]:
    from xpm_alchem import gufe_seam

    check = check_module("a task's result.json", records.plan().trusted_modules)
    network, files, protocols = records.network, {}, set()
    for record in records.index.transformations:
        for task in complete_tasks(tasks, record.id):
            files[f"results_{task.repeat}/{_file_name(record.name, record.id)}.json"] = (record.id, task)
            protocols.add(record.protocol)

    def write(path: Path, *, transformation: str, task: TaskState) -> None:
        if task.lacks_dag_result:
            write_text(path, TaskDirectory(records.task_path(task)).quickrun.read_text())
            return
        directory = TaskDirectory(records.task_path(task))
        with no_half("openfe-results", directory.result):
            dag_result = gufe_seam.load(directory.result, check, directory.relocated)
            gufe_seam.write_quickrun_result(network.transformation(transformation), dag_result, path)

    writers = ((name, partial(write, transformation=one, task=task)) for name, (one, task) in files.items())
    count = write_directory(out, "openfe-results", writers)
    said = [f"{out}: {count} result(s); `openfe gather {out}/results_*/ --report raw` reads them"]
    if others := sorted(protocols - {_GATHERED}):
        said.append(f"`openfe gather` reads results of openfe's {_GATHERED} only, not of {', '.join(others)}")
    return said


def _file_name(name: str, stable_id: str) -> str:
    """Return a name as a file may have it; the id is added where that is not the name itself."""
    plain = re.sub(r"[^A-Za-z0-9._+-]+", "_", name).lstrip(".")[:120]
    return plain if plain == name else f"{plain}_{stable_id}"
