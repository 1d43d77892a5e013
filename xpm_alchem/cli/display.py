"""What `run` and `attach` print while a campaign goes on."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.text import Text

from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.task_state import TaskState
from xpm_alchem.driver.harvest import DriverEvent
from xpm_alchem.tables.console import told
from xpm_alchem.tables.task_lines import event_line
from xpm_alchem.views.looks import SparingLooks
from xpm_alchem.views.overview import status_view


class Display:
    """Prints a line for every event and, on a terminal, keeps a line with the counts at the bottom."""

    def __init__(self, console: Console, records: CampaignRecords, *, units: bool = True) -> None:
        self._console, self._records, self._units = console, records, units
        self._live = Live("", console=console, transient=True, auto_refresh=False) if console.is_terminal else None
        self._refreshed, self._looks = 0.0, SparingLooks()

    def __enter__(self) -> Display:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def __call__(self, event: DriverEvent) -> None:
        """Show an event."""
        if event.task is None:
            self.line(event.what)
        elif not event.what.startswith("unit") or self._units:
            self.line(f"{self._name(event.task)}: {event_line(event.what, event.task)}")
        self._refresh()

    def line(self, text: str) -> None:
        """Print a line with the time."""
        self._console.print(told(f"{time.strftime('%H:%M:%S')}  {text}"))

    def _name(self, task: TaskState) -> str:
        return self._records.name_of(task)

    def _refresh(self) -> None:
        if self._live is None or time.time() - self._refreshed < 0.2:
            return
        self._refreshed = time.time()
        self._looks.begin([task for task in self._records.state().everything.values() if task.at_work])
        tasks = status_view(self._records, self._looks)["tasks"]
        counts = ", ".join(f"{count} {status}" for status, count in tasks.items() if count)
        self._live.update(Text(f"[{self._records.name}]  {counts}   (Ctrl-C detaches; tasks go on)"), refresh=True)
