"""What `client.Campaign` shows of a campaign, at any time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, overload

from rich.console import Group, RenderableType

from xpm_alchem.base.errors import XpmAlchemError
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.client.shown import Shown
from xpm_alchem.tables import failure as failure_tables
from xpm_alchem.tables import overview as tables
from xpm_alchem.tables import why as why_tables
from xpm_alchem.tables.log import logs_table
from xpm_alchem.views import failure as failure_views
from xpm_alchem.views import log as log_views
from xpm_alchem.views import overview as views
from xpm_alchem.views import why as why_views
from xpm_alchem.views.commands import Address
from xpm_alchem.views.log_follower import LogFollower, Piece
from xpm_alchem.views.looks import ANEW, Looks
from xpm_alchem.views.overview import View

if TYPE_CHECKING:
    from xpm_alchem.views.budget import PricedLauncher


class LookMethods:
    """Views: dicts with the keys of docs/json.md, which show themselves as tables."""

    _records: CampaignRecords

    if TYPE_CHECKING:

        def _priced(self) -> PricedLauncher: ...

    def __repr__(self) -> str:
        """Return which campaign it is."""
        return f"<Campaign '{self._records.name}' in {self._records.path}>"

    def _repr_html_(self) -> str:
        from xpm_alchem.tables.html import html_of

        drawn: RenderableType
        try:
            drawn = Group(tables.status_table(self.status()), tables.show_table(self.show()))
        except (XpmAlchemError, OSError) as error:
            drawn = f"{self!r}: {error}"
        return html_of(drawn)

    def status(self) -> View:
        """Return counts of tasks by status, who drives, and the strategy's status."""
        return Shown(views.status_view(self._records), tables.status_table)

    def show(self, tasks: views.Tasks | None = None, looks: Looks = ANEW, *, gone: bool = False) -> View:
        """Return a row for every transformation; `tasks`: see `views.overview.tasks_now`.

        Parameters
        ----------
        gone
            Whether to give rows of those that are gone from the network too, apart.
        """
        view = views.show_view(self._records, tasks, looks)
        if gone:
            from xpm_alchem.views.gone import gone_rows

            view["gone_rows"] = gone_rows(self._records)
        return Shown(view, tables.show_table)

    def summary(self, tasks: views.Tasks | None = None, looks: Looks = ANEW) -> View:
        """Return one row for the whole campaign; `tasks`: see `views.overview.tasks_now`."""
        return Shown(views.summary_view(self._records, self._priced(), tasks, looks), tables.summary_table)

    @overload
    def why(self, task: str, address: Address | None = None) -> View: ...  # type: ignore[overload-overlap]

    @overload
    def why(self, task: Iterable[str], address: Address | None = None) -> list[View]: ...

    def why(self, task: str | Iterable[str], address: Address | None = None) -> Any:
        """Return the history of the task 'TRANSFORMATION:REPEAT', or of several in a list.

        Parameters
        ----------
        address
            The campaign's in suggested commands.
        """
        if not isinstance(task, str):
            return [self.why(one, address) for one in task]
        return Shown(why_views.why_view(self._records, task, address), why_tables.why_table)

    def failures(self, address: Address | None = None) -> View:
        """Return what has failed, grouped by what was raised; `address`: the campaign's in suggested commands."""
        return Shown(failure_views.failures_view(self._records, address), failure_tables.failures_table)

    @overload
    def logs(  # type: ignore[overload-overlap]
        self, task: str, *, stream: str = "all", attempt: int | None = None, most_unit_logs: int | None = None
    ) -> View: ...

    @overload
    def logs(
        self, task: Iterable[str], *, stream: str = "all", attempt: int | None = None, most_unit_logs: int | None = None
    ) -> list[View]: ...

    def logs(
        self,
        task: str | Iterable[str],
        *,
        stream: str = "all",
        attempt: int | None = None,
        most_unit_logs: int | None = None,
    ) -> Any:
        """Return the files with what the task 'TRANSFORMATION:REPEAT' printed, or of several in a list.

        Parameters
        ----------
        stream
            'stdout', 'stderr', 'unit' (logs that units wrote), 'job' (of SLURM) or 'all'.
        attempt
            Its number; default the latest one.
        most_unit_logs
            How many logs of units at most, those written last; None for all.

        Raises
        ------
        InputError
            There is no such task or attempt, or what that one printed was not kept.
        """
        chosen: dict[str, Any] = {"stream": stream, "attempt": attempt, "most_unit_logs": most_unit_logs}
        if not isinstance(task, str):
            return [self.logs(one, **chosen) for one in task]
        return Shown(log_views.logs_view(self._records, task, **chosen), logs_table)

    def follow_logs(self, task: str, *, stream: str = "all", lines: int | None = 100) -> Iterator[Piece]:
        """Yield what a task prints until it has ended, over its restarts; first the last lines of what is there."""
        found = views.find_task(self._records, task)
        return LogFollower(self._records, found, stream=stream, lines=lines).follow()
