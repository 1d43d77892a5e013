"""What a notebook or a program sees of a campaign that is driven: one place that is updated, or a line an event."""

from __future__ import annotations

import sys
import time
from collections import deque
from html import escape
from types import TracebackType
from typing import Any

from xpm_alchem.base.values import printable
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.tables.task_lines import event_line
from xpm_alchem.views.looks import SparingLooks
from xpm_alchem.views.overview import status_view

_LINES = 5
_SECONDS = 0.5  # between two updates
_ENDINGS = {
    0: "satisfied: the strategy wants no more results",
    1: "some tasks are in error: failures() says which, why(TASK) what happened to one",
    3: "not finished: what runs goes on, run() comes back to it",
    4: "the budget is used up: budget() says how far, set_budget(...) raises it",
    5: "the campaign's files could not be read or written for too long; what runs goes on",
}
STOPPED = "stopped: run() goes on from here"


def in_kernel() -> bool:
    """Return whether this is a notebook."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


def say(line: str) -> None:
    """Print a line: beside what a program prints itself, or under a notebook's cell."""
    stream = sys.stdout if in_kernel() else sys.stderr
    if stream is not None:
        stream.write(printable(line) + "\n")
        stream.flush()


class Progress:
    """Shows the events of a driver, which are handed to it."""

    def __init__(self, records: CampaignRecords) -> None:
        self._records, self._looks = records, SparingLooks()
        self._lines: deque[str] = deque(maxlen=_LINES)
        self._unit = ""  # the last one that has ended: there are many
        self._refreshed = 0.0
        self._place: Any = None

    def __enter__(self) -> Progress:
        if in_kernel():
            from IPython.display import display

            self._place = display(self._shown("begins ..."), raw=True, display_id=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and self._place is not None:
            self._update(f"ended: {error}")

    def __call__(self, event: Any) -> None:
        """Show a `DriverEvent`."""
        is_unit = event.task is not None and event.what.startswith("unit")
        what = event.what
        if event.task is not None:
            what = f"{self._records.name_of(event.task)}: {event_line(what, event.task)}"
        line = f"{time.strftime('%H:%M:%S')}  {what}"
        if self._place is None:
            if not is_unit:
                say(line)
            return
        if is_unit:
            self._unit = line
        else:
            self._lines.append(line)
            self._unit = ""
        if time.monotonic() - self._refreshed > _SECONDS:
            self._update("interrupt the cell to leave: tasks go on")

    def close(self, code: int, ending: str | None = None) -> None:
        """Show how it ended: by the code that `run` returns, or in other words."""
        ending = _ENDINGS[code] if ending is None else ending
        if self._place is None:
            say(f"{time.strftime('%H:%M:%S')}  {ending}")
        elif code == 5:
            self._place.update(_bundle([ending]), raw=True)  # its counts cannot be read
        else:
            self._update(ending)

    def _update(self, hint: str) -> None:
        self._refreshed = time.monotonic()
        self._place.update(self._shown(hint), raw=True)

    def _shown(self, hint: str) -> dict[str, str]:
        self._looks.begin([task for task in self._records.state().everything.values() if task.at_work])
        tasks = status_view(self._records, self._looks)["tasks"]
        counts = ", ".join(f"{count} {status}" for status, count in tasks.items() if count) or "no tasks yet"
        return _bundle([f"{self._records.name}: {counts} ({hint})", *self._lines, *filter(None, [self._unit])])


def _bundle(lines: list[str]) -> dict[str, str]:
    head, *rest = map(printable, lines)
    below = f'<pre style="line-height:1.3">{"<br>".join(map(escape, rest))}</pre>' if rest else ""
    return {"text/plain": "\n".join([head, *rest]), "text/html": f"<div><b>{escape(head)}</b>{below}</div>"}
