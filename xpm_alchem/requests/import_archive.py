"""The results in a gufe AlchemicalArchive as repeats of a campaign: each is a complete task with its ProtocolDAGResult.

A result's copy lies in the campaign; the driver, or the command where none runs, gives the task its number and writes
it to the journal (import_results.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

from xpm_alchem import gufe_seam
from xpm_alchem.base.errors import MissingPackageError, WorkspaceError, XpmAlchemError
from xpm_alchem.base.files import replace_file
from xpm_alchem.base.paths import absolute
from xpm_alchem.base.permissions import permissions_of
from xpm_alchem.base.values import text
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.execution.directory import TaskDirectory
from xpm_alchem.execution.repeat_estimate import estimate_of
from xpm_alchem.network.archive_file import ArchivedResult, ArchivedTransformation, ArchiveFile, read_archive
from xpm_alchem.network.index import TransformationRecord
from xpm_alchem.network.origin import origins_of, why_of_none
from xpm_alchem.network.trust import check_module
from xpm_alchem.requests.known_runs import KnownRuns


@attrs.frozen
class FoundResult:
    """A result in an archive; or all of a transformation that is not in the campaign's network; or all that are here.

    Attributes
    ----------
    transformation
        Its name; empty for all that are here already.
    request
        The request to import it, its copy in place; None for one that is not imported.
    skipped
        Why it is passed over: it failed, is here already, was set aside, or its transformation is gone.
    refused
        Why it cannot be taken.
    """

    transformation: str
    request: dict[str, Any] | None = None
    skipped: str = ""
    refused: str = ""


class ArchiveImporter:
    """Takes in archives of the network of a campaign."""

    def __init__(self, records: CampaignRecords) -> None:
        self._records = records
        self._known = KnownRuns(records)
        self._origins = origins_of(records.network.chain, records.index)

    def results_in(self, path: Path) -> Iterator[FoundResult]:
        """Yield what becomes of every result in an archive.

        Raises
        ------
        InputError
            It cannot be read, or names a module that is not trusted.
        MissingPackageError
            The installed gufe knows no results as they are in archives.
        """
        if gufe_seam.IS_GUFE_0_4:
            raise MissingPackageError(
                f"{path}: the installed gufe {gufe_seam.GUFE_VERSION} cannot read an AlchemicalArchive; it takes "
                "gufe >= 1.6 (conda-forge)."
            )
        archive = read_archive(path)
        check = check_module(str(path), self._records.plan().trusted_modules)
        for module in sorted(archive.modules):
            check(module)
        here = 0
        names = {one.key: one.name or one.key for one in archive.transformations}
        for one in archive.transformations:
            record = self._records.index.by_id.get(one.id) or self._same_here(archive, one)
            if record is None:
                if one.results and one.id in self._records.in_force.gone:
                    gone = f"{path}: {_results_of(one)}: it is gone from the network."
                    yield FoundResult(names[one.key], skipped=gone)
                elif one.results:
                    why = why_of_none([one.origin], self._origins, self._records.index)
                    yield FoundResult(names[one.key], refused=f"{path}: {_results_of(one)}: {why}.")
                continue
            found = (archive.result(key) for key in one.results)
            for result in sorted(found, key=lambda result: (result.begun, result.key)):
                if self._known.said(result.identity, result.units, record.id):
                    here += 1
                else:
                    yield self._found(archive, result, one, record, names)
        if here:
            yield FoundResult("", skipped=f"{path}: {here} result(s) are here already.")

    def _same_here(self, archive: ArchiveFile, one: ArchivedTransformation) -> TransformationRecord | None:
        """Return the transformation that the installed gufe makes the same of: versions write things in other ways."""
        if not one.results or one.id in self._records.in_force.gone:
            return None
        try:
            key = str(gufe_seam.decode(gufe_seam.parse(str(archive.text_of(one.key)), None)).key)
            return self._records.index.by_id.get(self._records.network.id_of_key.get(key, ""))
        except Exception:  # it cannot be read here: then neither can its results
            return None

    def _found(
        self,
        archive: ArchiveFile,
        result: ArchivedResult,
        of: ArchivedTransformation,
        record: TransformationRecord,
        names: dict[str, str],
    ) -> FoundResult:
        where = f"{archive.path}: '{result.key}' of '{record.name}'"
        if said := self._known.set_aside(result.identity):
            return FoundResult(record.name, skipped=f"{where}: {said}")
        if (other := self._other(result, of, record, names)) is not None:
            return FoundResult(record.name, refused=f"{where}: it is a result of '{other}'.")
        content = str(archive.text_of(result.key))
        try:
            dag_result = gufe_seam.decode(gufe_seam.parse(content, None))  # all modules were checked
        except XpmAlchemError:
            raise
        except Exception as error:  # whatever gufe and its protocols raise when they decode what is not what they wrote
            said = f"{type(error).__name__}: {' '.join(text(str(error)).split())[:200]}"
            version = gufe_seam.GUFE_VERSION
            return FoundResult(record.name, refused=f"{where}: damaged, or gufe {version} cannot read it ({said}).")
        if not gufe_seam.is_dag_result(dag_result):
            return FoundResult(record.name, refused=f"{where}: not a ProtocolDAGResult.")
        if not gufe_seam.dag_ok(dag_result):
            return FoundResult(record.name, skipped=f"{where}: this run failed.")
        estimate = estimate_of(dag_result, lambda: self._records.network.transformation(record.id))
        request = {
            "request": "import",
            "transformation": record.id,
            "directory": self._records.imported_directory(f"{result.identity[:16]}-{record.id}"),
            "identity": result.identity,
            "file": str(absolute(archive.path)),
            "sha256": archive.sha256,
            "dag_result": True,
            **estimate.found._asdict(),
            "simulations": estimate.simulations,
            "message": estimate.message,
        }
        self._keep(Path(str(request["directory"])), content, archive.path)
        self._known.note(result.identity, record.id)
        return FoundResult(record.name, request)

    def _other(
        self, result: ArchivedResult, of: ArchivedTransformation, record: TransformationRecord, names: dict[str, str]
    ) -> str | None:
        """Return the name of another transformation that a result is of for sure, by what it says itself."""
        if result.of != of.key and result.of in names:
            return names[result.of]
        fitting = {key for key, one in self._origins.items() if any(one.fits(origin) for origin in result.origins)}
        if not fitting or record.id in fitting:
            return None
        return self._records.index.by_id[min(fitting)].name

    def _keep(self, directory: Path, content: str, source: Path) -> None:
        files = TaskDirectory(self._records.workspace / directory)
        try:
            files.path.mkdir(parents=True, exist_ok=True)
            replace_file(files.result, content.encode(), permissions=permissions_of(source))
        except OSError as error:
            raise WorkspaceError(f"{files.path}: cannot be written ({error.strerror}).") from None


def _results_of(one: ArchivedTransformation) -> str:
    return f"{len(one.results)} result(s) of '{one.name or one.key}' not imported"
