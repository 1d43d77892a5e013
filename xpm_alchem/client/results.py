"""What `client.Campaign` does with results; named as alchemiscale's client names it where that has the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import attrs
from rich.console import RenderableType

from xpm_alchem.base.errors import InputError
from xpm_alchem.base.paths import expanded
from xpm_alchem.base.permissions import no_more_open_than
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.task_state import TaskState, TaskStatus, grouped
from xpm_alchem.client.frames import ResultFrames, result_frames
from xpm_alchem.client.shown import Shown
from xpm_alchem.execution.directory import TaskDirectory
from xpm_alchem.network.trust import check_module
from xpm_alchem.views.gone import gone_tasks
from xpm_alchem.views.overview import View, tasks_now
from xpm_alchem.views.task import task_ids

if TYPE_CHECKING:
    from pandas import DataFrame


@attrs.frozen
class ImportedFile:
    """What became of a file that was to be imported, or of a result in an archive.

    Attributes
    ----------
    transformation
        Name of what it is a repeat of; empty if that is not known.
    refused
        Why it was; empty if it was not.
    skipped
        Why results of an archive were passed over: one failed, some are here already.
    later
        Whether a driver that runs takes it in (else it is done).
    """

    file: Path
    transformation: str = ""
    refused: str = ""
    later: bool = False
    skipped: str = ""

    @property
    def is_taken(self) -> bool:
        """Whether it counts as a repeat now, or will when the driver has taken it in."""
        return not self.refused and not self.skipped


def _results(view: View) -> RenderableType:
    from xpm_alchem.tables.result import results_table

    return results_table(view)


class ResultMethods:
    """Results, at any time: of transformations, of edges, of ligands."""

    _records: CampaignRecords

    if TYPE_CHECKING:

        def budget(self) -> View: ...

        def summary(self) -> View: ...

    @overload
    def results(
        self,
        *,
        reference: str | None = None,
        running: bool = True,
        gone: bool = False,
        as_frames: Literal[False] = False,
    ) -> View: ...

    @overload
    def results(
        self, *, reference: str | None = None, running: bool = True, gone: bool = False, as_frames: Literal[True]
    ) -> ResultFrames: ...

    def results(
        self, *, reference: str | None = None, running: bool = True, gone: bool = False, as_frames: bool = False
    ) -> View | ResultFrames:
        """Return the results of transformations, edges and ligands in kcal/mol; the keys are in docs/json.md.

        Parameters
        ----------
        reference
            Name of the ligand that values are relative to, instead of their mean.
        running
            Whether to say how the ligands' values settled over repeats.
        gone
            Whether to give the results of transformations that are gone from the network too: apart, or in DataFrames
            below the others, with True in the column `gone`.
        as_frames
            Return three pandas DataFrames instead, `transformations`, `edges` and `ligands`: as the properties.

        Raises
        ------
        InputError
            No ligand has this name.
        MissingPackageError
            DataFrames were asked for, and pandas is not installed.
        """
        from xpm_alchem.views.result import results_view  # scipy takes its time

        if as_frames:
            return result_frames(results_view(self._records, reference, running=False, gone=gone))
        return Shown(results_view(self._records, reference, running=running, gone=gone), _results)

    @property
    def transformations(self) -> DataFrame:
        """dG of the transformations, a row each, in kcal/mol, as a pandas DataFrame.

        Columns: `transformation`, `leg` (environment), `repeats` (how many), `estimate` (their mean), `sd` (between
        them), `standard_error` (of the mean), `protocol_uncertainty` (mean of what the protocol says of each), `id`,
        `gone` (from the network; only with ``results(as_frames=True, gone=True)``).

        Raises
        ------
        MissingPackageError
            pandas is not installed.
        """
        return self.results(as_frames=True).transformations

    @property
    def edges(self) -> DataFrame:
        """ddG of the edges, a row each, in kcal/mol, as a pandas DataFrame.

        Columns: `edge`, `ligand_a`, `ligand_b`, `legs` (environments, as 'complex - solvent'), `estimate`,
        `standard_error`, `sd` (between repeats), `fitted` (difference of the ligands' values), `off_the_rest` (how far
        it is from what the rest of the network says), `z` (that over its standard deviation, no unit), `experiment`,
        `missing` (transformations without a result), `gone` (from the network, as of `transformations`).

        Raises
        ------
        MissingPackageError
            pandas is not installed.
        """
        return self.results(as_frames=True).edges

    @property
    def ligands(self) -> DataFrame:
        """Values of the ligands relative to their mean, a row each, in kcal/mol, as a pandas DataFrame.

        Columns: `ligand`, `legs` (environments, as 'complex - solvent'), `part` (connected part of the network, 0 is
        the largest), `estimate` and `uncertainty` (as `openfe gather` has them), `steadied_estimate` and
        `standard_error`, `on_experimental_scale`, `experiment`, `experiment_uncertainty`, `deviation` (of the value on
        that scale).
        ``results(as_frames=True, reference=LIGAND).ligands`` are relative to a ligand.

        Raises
        ------
        MissingPackageError
            pandas is not installed.
        """
        return self.results(as_frames=True).ligands

    def report(self, out: str | Path, *, force: bool = False) -> Path:
        """Write everything about the campaign, as it is now, into one HTML file that loads nothing.

        Parameters
        ----------
        out
            The file; its directory must be there. An earlier report is overwritten.
        force
            Whether to overwrite any other file too.

        Returns
        -------
        Path
            Where it is.

        Raises
        ------
        InputError
            `out` may not be written; nothing was changed.
        WorkspaceError
            It cannot be.
        """
        from xpm_alchem.report.file import ReportFile, report_page
        from xpm_alchem.report.material import Material  # jinja2 and plotly take their time

        file = ReportFile(expanded(out))
        file.check(force=force)
        with no_more_open_than(self._records.network_path, self._records.path / "campaign.yaml"):
            return file.write(report_page(Material.of(self._records, self.summary(), self.budget())))

    def export(
        self, format: str, out: str | Path, *, force: bool = False, legs: str | None = None, gone: bool = False
    ) -> list[str]:
        """Write results for other programs.

        Parameters
        ----------
        format
            'csv', 'json', 'openfe-gather', 'cinnabar', 'openfe-results', 'archive' or 'alchemiscale'; see
            docs/results.md.
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
        from xpm_alchem.exports import export

        with no_more_open_than(self._records.network_path):
            return export(self._records, format, Path(out), force=force, legs=legs, gone=gone)

    def import_results(
        self, files: str | Path | Iterable[str | Path], *, transformation: str | None = None
    ) -> list[ImportedFile]:
        """Count results that were computed elsewhere as repeats of their transformations.

        Parameters
        ----------
        files
            JSON files of ``openfe quickrun``, or directories that are searched for them; gufe AlchemicalArchives
            (JSON, also packed by gzip), all of whose results of this campaign's network are taken; or one.
        transformation
            What all the files of quickrun are of, where they do not say it for sure: a name, or the JSON file given to
            quickrun.

        Returns
        -------
        list of ImportedFile
            Of every file, and of what is in an archive; one that was refused keeps no other from being imported.

        Raises
        ------
        InputError
            A directory holds no results, or there is no such transformation.
        MissingPackageError
            The installed gufe cannot read an archive.
        """
        from xpm_alchem.network.archive_file import looks_like_archive
        from xpm_alchem.requests import inbox
        from xpm_alchem.requests.import_results import Importer, files_in

        importer = Importer(self._records, transformation)
        done: list[ImportedFile] = []
        given = [files] if isinstance(files, str | Path) else files
        for file in files_in(map(Path, given)):
            if looks_like_archive(file):
                done += self._import_archive(file)
                continue
            try:
                record, request = importer.request_for(file)
                done.append(ImportedFile(file, record.name, later=inbox.import_result(self._records, request)))
            except InputError as error:
                done.append(ImportedFile(file, refused=str(error)))
        return done

    def _import_archive(self, file: Path) -> Iterator[ImportedFile]:
        from xpm_alchem.requests import inbox
        from xpm_alchem.requests.import_archive import ArchiveImporter

        try:
            for found in ArchiveImporter(self._records).results_in(file):
                later = found.request is not None and inbox.import_result(self._records, found.request)
                yield ImportedFile(file, found.transformation, found.refused, later, found.skipped)
        except InputError as error:
            yield ImportedFile(file, refused=str(error))

    # ------------------------------------------------------------------------------------ gufe's own, as alchemiscale
    def get_network_results(self, *, return_protocoldagresults: bool = False) -> dict[str, Any]:
        """Return the ProtocolResult of every transformation by name, None where there is no result yet.

        Parameters
        ----------
        return_protocoldagresults
            Return lists of ProtocolDAGResults instead, as `get_transformation_results` does.
        """
        return {
            record.name: self.get_transformation_results(
                record.name, return_protocoldagresults=return_protocoldagresults
            )
            for record in self._records.index.transformations
        }

    def get_transformation_results(
        self, transformation: str | Iterable[str], *, return_protocoldagresults: bool = False
    ) -> Any:
        """Return the ProtocolResult of a transformation, None if there is no result yet; of several, a dict of them.

        Parameters
        ----------
        transformation
            Its name, id, or the beginning of an id; or several.
        return_protocoldagresults
            Return the list of its ProtocolDAGResults instead: all are read. Those of quickrun's files are not there.

        Raises
        ------
        NetworkError
            There is none of that name.
        """
        from xpm_alchem.results.protocol_results import ProtocolResults

        records = self._records
        if not isinstance(transformation, str):
            ids = [records.in_force.find(one) for one in transformation]
            return {
                one.name: self.get_transformation_results(one.id, return_protocoldagresults=return_protocoldagresults)
                for one in ids
            }
        stable_id = records.in_force.find(transformation).id
        is_gone = stable_id in records.in_force.gone
        tasks = grouped((gone_tasks(records) if is_gone else tasks_now(records)).values()).get(stable_id, [])
        if return_protocoldagresults:
            complete = sorted((t for t in tasks if t.status is TaskStatus.COMPLETE), key=lambda task: task.repeat)
            return [self._dag_result(task) for task in complete if not task.lacks_dag_result]
        trusted = records.plan().trusted_modules
        network = records.gone_network(stable_id) if is_gone else records.network
        results = ProtocolResults(network, records.workspace, trusted, records.cache_path, read_only=True)
        return results.of(stable_id, tasks, 0)

    def get_task_results(self, task: str | Iterable[str]) -> list[Any]:
        """Return the ProtocolDAGResults of the task 'TRANSFORMATION:REPEAT', or of several: those that are complete.

        Raises
        ------
        InputError
            There is no such task, or it was imported from a file that holds no ProtocolDAGResult.
        """
        everything = tasks_now(self._records) | gone_tasks(self._records)
        found = [everything[one] for one in task_ids(self._records, task)]
        for one in found:
            if one.lacks_dag_result:
                name = self._records.name_of(one)
                raise InputError(f"'{name}' was imported: a file of `openfe quickrun` holds no ProtocolDAGResult.")
        return [self._dag_result(one) for one in found if one.status is TaskStatus.COMPLETE]

    def _dag_result(self, task: TaskState) -> Any:
        from xpm_alchem import gufe_seam

        check = check_module("a task's result.json", self._records.plan().trusted_modules)
        files = TaskDirectory(self._records.task_path(task))
        return gufe_seam.load(files.result, check, files.relocated)
