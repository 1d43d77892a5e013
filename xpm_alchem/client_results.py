"""What `client.Campaign` does with results; named as alchemiscale's client names it where that has the same."""

from __future__ import annotations

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
