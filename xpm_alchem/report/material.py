"""All that a report is made of: the views of a campaign as they are now."""

from __future__ import annotations

import time

import attrs

from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.views.failure import failures_view
from xpm_alchem.views.graph import graph_view
from xpm_alchem.views.history import history_view
from xpm_alchem.views.overview import View, show_view, status_view
from xpm_alchem.views.provenance import provenance_view
from xpm_alchem.views.result import results_view


@attrs.frozen
class Material:
    """The views that a report shows.

    Attributes
    ----------
    made
        When, in seconds since the epoch.
    """

    made: float
    status: View
    summary: View
    show: View
    results: View
    graph: View
    budget: View
    history: View
    failures: View
    provenance: View

    @classmethod
    def of(cls, records: CampaignRecords, summary: View, budget: View) -> Material:
        """Look at a campaign; `summary` and `budget` are its views that need to know the launcher."""
        status, show, results = status_view(records), show_view(records), results_view(records)
        return cls(
            made=time.time(),
            status=status,
            summary=summary,
            show=show,
            results=results,
            graph=graph_view(records.index, show, results, status),
            budget=budget,
            history=history_view(records),
            failures=failures_view(records),
            provenance=provenance_view(records),
        )
