"""What `client.Campaign` does with results; named as alchemiscale's client names it where that has the same."""

from __future__ import annotations

from pathlib import Path

from xpm_alchem.campaign import CampaignRecords
from xpm_alchem.report.views import View


class ResultVerbs:
    """Results, at any time: of transformations, of edges, of ligands."""

    _records: CampaignRecords

    def results(self, *, reference: str | None = None, running: bool = True) -> View:
        """Return the results of transformations, edges and ligands in kcal/mol; the keys are in docs/json.md.

        Parameters
        ----------
        reference
            Name of the ligand that values are relative to, instead of their mean.
        running
            Whether to say how the ligands' values settled over repeats.

        Raises
        ------
        InputError
            No ligand has this name.
        """
        from xpm_alchem.report.result_views import results_view  # scipy takes its time

        return results_view(self._records, reference, running=running)

    def export(self, format: str, out: str | Path, *, force: bool = False, legs: str | None = None) -> list[str]:
        """Write results for other programs.

        Parameters
        ----------
        format
            'csv', 'json', 'openfe-gather', 'cinnabar', 'openfe-results' or 'archive'; see docs/results.md.
        out
            File or directory to write.
        force
            Whether to overwrite a file, or an earlier export.
        legs
            For 'cinnabar': which ddG, as 'complex-solvent', where there are several.

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

        return export(self._records, format, Path(out), force=force, legs=legs)
