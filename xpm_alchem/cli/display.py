"""What `run` and `attach` print while a campaign goes on."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.driver.harvest import DriverEvent
from xpm_alchem.tables.console import told
from xpm_alchem.tables.task_lines import event_line
from xpm_alchem.views.looks import SparingLooks
from xpm_alchem.views.overview import status_view


class EventDisplay:
    """Prints a line for every event and, on a terminal, keeps a line with how it stands at the bottom.

    Parameters
    ----------
    units
        Whether events of units are printed.
    """

    def __init__(self, console: Console, *, units: bool = True) -> None:
        self._console, self._units = console, units
        self._live = Live("", console=console, transient=True, auto_refresh=False) if console.is_terminal else None
        self._refreshed = 0.0

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def line(self, text: str) -> None:
        """Print a line with the time."""
        self._console.print(told(f"{time.strftime('%H:%M:%S')}  {text}"))

    def show(self, event: DriverEvent, name: str = "", whose: str = "") -> None:
        """Show an event; `name` is its task's, `whose` comes before it."""
        before = f"{whose}  " if whose else ""
        if event.task is None:
            self.line(f"{before}{event.what}")
        elif not event.what.startswith("unit") or self._units:
            self.line(f"{before}{name}: {event_line(event.what, event.task)}")
        if self._live is not None and time.time() - self._refreshed > 0.2:
            self._refreshed = time.time()
            self._live.update(Text(f"{self.standing()}   (Ctrl-C detaches; tasks go on)"), refresh=True)

    def standing(self) -> str:
        """Return how it stands, in a line."""
        raise NotImplementedError


class Display(EventDisplay):
    """Shows the events of a campaign, with its tasks by status."""

    def __init__(self, console: Console, records: CampaignRecords, *, units: bool = True) -> None:
        super().__init__(console, units=units)
        self._records, self._looks = records, SparingLooks()

    def __call__(self, event: DriverEvent) -> None:
        """Show an event."""
        self.show(event, "" if event.task is None else self._records.name_of(event.task))

    def standing(self) -> str:
        """Return the tasks by status."""
        self._looks.begin([task for task in self._records.state().everything.values() if task.at_work])
        tasks = status_view(self._records, self._looks)["tasks"]
        counts = ", ".join(f"{count} {status}" for status, count in tasks.items() if count)
        return f"[{self._records.name}]  {counts}"
