"""A gufe AlchemicalArchive of all results of a campaign."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from xpm_alchem.base.errors import FormatError
from xpm_alchem.base.files import one_sentence
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.task_state import TaskStatus
from xpm_alchem.execution.directory import TaskDirectory
from xpm_alchem.exports.results_of_tasks import Groups, no_half
from xpm_alchem.network.trust import check_module


def write_archive(records: CampaignRecords, tasks: Groups, out: Path) -> list[str]:
    """Write it, and say what is in it and what is not.

    Raises
    ------
    MissingPackageError
        The installed gufe has none.
    InputError, FormatError
        A result cannot be read with the packages that are installed here; it is gone or damaged.
    """
    from xpm_alchem import gufe_seam

    gufe_seam.archive_class()  # before anything is read
    check = check_module("a task's result.json", records.plan().trusted_modules)
    results: list[tuple[Any, list[Any]]] = []
    imported = 0
    for record in records.index.transformations:
        complete = [
            task for task in tasks.get(record.id, ()) if task.status is TaskStatus.COMPLETE and not task.left_out
        ]
        imported += sum(task.lacks_dag_result for task in complete)
        directories = [TaskDirectory(records.task_path(task)) for task in complete if not task.lacks_dag_result]
        if directories:
            with no_half("archive", directories[0].path.parent):
                found = [_read(one, check) for one in directories]
            results.append((records.network.transformation(record.id), found))
    metadata = {"campaign": records.name, "made_by": "xpm-alchem"}
    with one_sentence(out), no_half("archive", out):
        out.parent.mkdir(parents=True, exist_ok=True)
        gufe_seam.write_archive(records.network.alchemical_network, results, metadata, out)
    count = sum(len(found) for _, found in results)
    said = [f"{out}: {count} result(s) of {len(results)} transformation(s)"]
    if imported:
        said.append(f"left out: {imported} imported result(s), whose files hold no ProtocolDAGResult")
    return said


def _read(files: TaskDirectory, check: Callable[[str], None]) -> Any:
    from xpm_alchem import gufe_seam

    try:
        return gufe_seam.load(files.result, check, files.relocated)
    except FileNotFoundError:
        raise FormatError(files.result, "the result of a complete task is gone.", broken=True) from None
