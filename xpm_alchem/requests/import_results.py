"""Results of earlier runs of ``openfe quickrun`` as repeats of a campaign.

A file's copy and the task's directory lie in the campaign; the driver, or the command where none runs, gives the task
its number and writes it to the journal.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from xpm_alchem.base.energies import is_energy
from xpm_alchem.base.errors import FormatError, InputError, WorkspaceError
from xpm_alchem.base.files import atomic_write, read_bytes
from xpm_alchem.base.paths import absolute
from xpm_alchem.base.permissions import permissions_of
from xpm_alchem.base.values import text
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.task_state import REQUEST, TaskStatus, grouped, number_repeats
from xpm_alchem.execution.attempt_log import AttemptLog
from xpm_alchem.execution.directory import TaskDirectory, TaskSummary
from xpm_alchem.gufe_seam.keyed_chain import flatten
from xpm_alchem.network.index import TransformationRecord, content_ids
from xpm_alchem.network.origin import Origin, origin_of, origins_of, why_of_none
from xpm_alchem.network.quickrun_file import QuickrunFile, looks_like_one, read_quickrun_file
from xpm_alchem.network.trust import check_module
from xpm_alchem.requests.known_runs import KnownRuns


def files_in(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the files given, and of directories those that begin as quickrun's results do, by name.

    Raises
    ------
    InputError
        A directory holds none.
    """
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        found = [file for file in sorted(path.rglob("*.json")) if looks_like_one(file)]
        if not found:
            raise InputError(f"{path}: holds no results of `openfe quickrun` (*.json that begin with an estimate).")
        yield from found


class Importer:
    """Finds the transformation of each file, and what would count a run twice.

    Parameters
    ----------
    records
        The campaign.
    given
        Name or id of the transformation that all files are of, or the transformation's JSON file that was given to
        quickrun; None to find it out.
    """

    def __init__(self, records: CampaignRecords, given: str | None = None) -> None:
        self._records = records
        self._check = check_module("a result of `openfe quickrun`", records.plan().trusted_modules)
        self._origins = origins_of(records.network.chain, records.index)
        self._given = None if given is None else self._named(given)
        self._known = KnownRuns(records)

    def request_for(self, path: Path) -> tuple[TransformationRecord, dict[str, Any]]:
        """Return the transformation of a file, and the request to import it, its copy in place.

        Raises
        ------
        InputError
            It cannot be read, failed, is here already, or cannot be told for sure to be of one transformation.
        """
        file = read_quickrun_file(path)
        for module in sorted(file.modules):
            self._check(module)
        if file.estimate is None:
            raise InputError(f"{path}: this run failed (its estimate is null): there is nothing to import.")
        record = self._transformation(file)
        if said := self._known.said(file.identity, file.units, record.id):
            raise InputError(f"{path}: {said}")
        request = {
            "request": "import",
            "transformation": record.id,
            "directory": self._records.imported_directory(f"{file.identity[:16]}-{record.id}"),
            "identity": file.identity,
            "file": str(absolute(path)),
            "sha256": file.sha256,
            "estimate": file.estimate,
            "uncertainty": file.uncertainty,
            "simulations": [list(pair) for pair in file.simulations],
        }
        _keep(self._records.workspace / str(request["directory"]), file)
        self._known.note(file.identity, record.id)
        return record, request

    def _named(self, given: str) -> TransformationRecord:
        path = Path(given)
        if not path.is_file():
            return self._records.index.find(given)
        try:
            chain = flatten(json.loads(read_bytes(path)))
            ids = content_ids(chain)
            stable_id, origin = ids[chain[-1][0]], origin_of(chain[-1][1], ids)
        except (OSError, FormatError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise InputError(f"--transformation {path}: not the JSON of a gufe Transformation.") from None
        by_id = self._records.index.by_id
        found = [by_id[stable_id]] if stable_id in by_id else self._fitting([origin])
        if len(found) != 1:
            raise InputError(f"--transformation {path}: not a transformation of this campaign's network.")
        return found[0]

    def _transformation(self, file: QuickrunFile) -> TransformationRecord:
        found = self._fitting(file.origins)
        if self._given is not None:
            if found and self._given not in found:
                raise InputError(f"{file.path}: a run of '{found[0].name}', not of '{self._given.name}'.")
            return self._given
        if len(found) == 1:
            return found[0]
        give = "say which with --transformation NAME, or the JSON file that was given to quickrun"
        if found:
            names = ", ".join(record.name for record in found)
            raise InputError(f"{file.path}: fits more than one transformation ({names}): {give}.")
        raise InputError(f"{file.path}: {self._why_none(file)}; if it is one of them all the same, {give}.")

    def _fitting(self, origins: Iterable[Origin]) -> list[TransformationRecord]:
        origins = list(origins)
        fitting = {stable_id for stable_id, one in self._origins.items() if any(one.fits(origin) for origin in origins)}
        return [record for record in self._records.index.transformations if record.id in fitting]

    def _why_none(self, file: QuickrunFile) -> str:
        if not file.origins:
            return "does not say which chemical systems it is of"
        return why_of_none(file.origins, self._origins, self._records.index)


def _keep(directory: Path, file: QuickrunFile) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with atomic_write(TaskDirectory(directory).quickrun, "wb", permissions=permissions_of(file.path)) as out:
            out.write(file.content)
    except OSError as error:
        raise WorkspaceError(f"{directory}: cannot be written ({error.strerror}).") from None


def apply_import(records: CampaignRecords, request: Mapping[str, Any]) -> bool:
    """Make a complete task of an earlier run, if it is none yet; the caller holds the campaign's lock.

    Raises
    ------
    InputError
        The request makes no sense, or the copy of its file is gone.
    """
    transformation, identity, where = (str(request.get(key)) for key in ("transformation", "identity", "directory"))
    tasks = records.state().tasks
    if any(task.imported == identity and task.exists for task in tasks.values()):
        return False
    directory = TaskDirectory(records.workspace / where)
    is_whole = request.get("dag_result") is True  # else the file held no ProtocolDAGResult
    copy = directory.result if is_whole else directory.quickrun
    sound = transformation in records.index.by_id and where == records.imported_directory(Path(where).name)
    has_estimate = is_energy(request.get("estimate")) or (is_whole and request.get("estimate") is None)
    if not (sound and has_estimate and copy.is_file()):
        raise InputError(f"the result from {request.get('file')} cannot be imported: its copy in the campaign is gone.")
    ((_, repeat),) = number_repeats([transformation], grouped(tasks.values()))
    task, reason = f"{transformation}-{repeat}", f"imported from {request.get('file')}"
    summary = TaskSummary(
        transformation=transformation,
        repeat=repeat,
        status="complete",
        estimate=request["estimate"],
        uncertainty=request.get("uncertainty"),
        left_out=text(request.get("left_out")),
        simulations=list(request.get("simulations") or []),
        message="; ".join(filter(None, (reason, text(request.get("message"))))),
        updated=time.time(),
    )
    summary.write(directory.summary)
    AttemptLog(directory.attempts).imported(str(request.get("file")), str(request.get("sha256")))
    created = {"event": "created", "task": task, "transformation": transformation, "repeat": repeat}
    complete = {"event": "status", "task": task, "status": str(TaskStatus.COMPLETE), "reason": reason}
    told = ("estimate", "uncertainty", *(["left_out"] if summary.left_out else []))
    numbers = attrs.asdict(summary, filter=lambda field, _: field.name in told)
    kind = {"imported": identity, **({"dag_result": True} if is_whole else {})}
    records.write(
        {
            "event": REQUEST,  # one line, so that a kill leaves all of it or nothing
            REQUEST: "import",
            "changes": [
                {**created, "directory": where, **kind, "reason": reason},
                {**complete, **numbers, "seconds": 0.0, "attempts": 0},
            ],
        }
    )
    return True
