"""What a notebook or a program sees of what is driven: one place that is updated, or a line an event."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from html import escape
from pathlib import Path
from types import TracebackType
from typing import Any

from xpm_alchem.base.values import printable
from xpm_alchem.campaign.records import CampaignRecords, list_campaigns
from xpm_alchem.client.background import BackgroundDriver
from xpm_alchem.tables.task_lines import event_line
from xpm_alchem.views.looks import SparingLooks
from xpm_alchem.views.overview import status_view
from xpm_alchem.views.task_names import TaskNames

Observe = Callable[..., None]
_LINES = 5
_SECONDS = 0.5  # between two updates
_LEFT = "not finished: what runs goes on, run() comes back to it"
_ENDINGS = {
    0: "satisfied: the strategy wants no more results",
    1: "some tasks are in error: failures() says which, why(TASK) what happened to one",
    3: _LEFT,
    4: "the budget is used up: budget() says how far, set_budget(...) raises it",
    5: "the campaign's files could not be read or written for too long; what runs goes on",
}
_ENDINGS_OF_ALL = {
    0: "satisfied: no campaign wants more results",
    1: "some campaigns have tasks in error: failures() of each says which",
    3: _LEFT,
    4: "a budget is used up: budget() of each campaign says how far",
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


def told_of(driver: BackgroundDriver, *, progress: bool) -> int:
    """Say, if that is wanted, what became of a driver in the background; return what `run` does."""
    if progress:
        say(driver.sentence)
    return 3 if driver.code is None else driver.code


def watched(
    action: Callable[[Observe], int], observe: Observe | None, display: Progress | None, ending: str | None = None
) -> int:
    """Drive something, telling what happens; in a notebook an interrupt is a way to leave, and no error.

    Parameters
    ----------
    action
        What drives, given whom to tell of events; returns a code.
    observe
        Told instead of the display.
    display
        None: nothing is shown.
    ending
        What is shown at the end instead of what the code means.
    """
    if observe is not None or display is None:
        return _left_quietly(lambda: action(observe or _nobody))
    with display:
        code = _left_quietly(lambda: action(display))
        display.close(code, ending)
    return code


def _nobody(*event: Any) -> None:
    """Be told of an event, and show nothing."""


def _left_quietly(action: Callable[[], int]) -> int:
    try:
        return action()
    except KeyboardInterrupt:
        if not in_kernel():
            raise
        return 3


class Progress:
    """Shows the events of a driver, which are handed to it."""

    def __init__(self, endings: Mapping[int, str]) -> None:
        self._endings = endings
        self._lines: deque[str] = deque(maxlen=_LINES)
        self._unit = ""  # the last one that has ended: there are many
        self._refreshed = 0.0
        self._place: Any = None

    def head(self) -> str:
        """Return how it stands."""
        raise NotImplementedError

    def __enter__(self) -> Progress:
        if in_kernel():
            from IPython.display import display

            self._place = display(self._shown("begins ..."), raw=True, display_id=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and self._place is not None:
            self._place.update(_bundle([f"ended: {error}"]), raw=True)

    def __call__(self, event: Any) -> None:
        """Show an event."""
        raise NotImplementedError

    def tell(self, name: str, event: Any) -> None:
        """Show a `DriverEvent` of a task or campaign of that name; '' for neither."""
        task, what = event.task, event.what
        said = what if task is None else event_line(what, task)
        line = f"{time.strftime('%H:%M:%S')}  {name}{': ' if name else ''}{said}"
        is_unit = task is not None and what.startswith("unit")
        if self._place is None:
            if not is_unit:
                say(line)
            return
        self._unit = line if is_unit else ""
        if not is_unit:
            self._lines.append(line)
        if time.monotonic() - self._refreshed > _SECONDS:
            self._update("interrupt the cell to leave: tasks go on")

    def close(self, code: int, ending: str | None = None) -> None:
        """Show how it ended: by the code that `run` returns, or in other words."""
        ending = self._endings[code] if ending is None else ending
        if self._place is None:
            say(f"{time.strftime('%H:%M:%S')}  {ending}")
        elif code == 5:
            self._place.update(_bundle([ending]), raw=True)  # how it stands cannot be read
        else:
            self._update(ending)

    def _update(self, hint: str) -> None:
        self._refreshed = time.monotonic()
        self._place.update(self._shown(hint), raw=True)

    def _shown(self, hint: str) -> dict[str, str]:
        return _bundle([f"{self.head()} ({hint})", *self._lines, *filter(None, [self._unit])])


class CampaignProgress(Progress):
    """Shows the events of a campaign, with its tasks by status."""

    def __init__(self, records: CampaignRecords) -> None:
        super().__init__(_ENDINGS)
        self._records, self._looks = records, SparingLooks()

    def head(self) -> str:
        """Return the campaign's tasks by status."""
        self._looks.begin([task for task in self._records.state().everything.values() if task.at_work])
        tasks = status_view(self._records, self._looks)["tasks"]
        counts = ", ".join(f"{count} {status}" for status, count in tasks.items() if count) or "no tasks yet"
        return f"{self._records.name}: {counts}"

    def __call__(self, event: Any) -> None:
        """Show a `DriverEvent`."""
        self.tell("" if event.task is None else self._records.name_of(event.task), event)


class WorkspaceProgress(Progress):
    """Shows the events of all campaigns of a workspace."""

    def __init__(self, workspace: Path) -> None:
        super().__init__(_ENDINGS_OF_ALL)
        self._workspace = workspace
        self._names = TaskNames(workspace)

    def head(self) -> str:
        """Return which workspace it is, and how many campaigns it has."""
        return f"{self._workspace}: {len(list_campaigns(self._workspace))} campaign(s)"

    def __call__(self, campaign: str, event: Any) -> None:  # type: ignore[override]
        """Show a `DriverEvent` of a campaign; '' for what concerns all."""
        task = event.task
        self.tell(campaign if task is None else f"{campaign}  {self._names.of(campaign, task)}", event)


def _bundle(lines: list[str]) -> dict[str, str]:
    head, *rest = map(printable, lines)
    below = f'<pre style="line-height:1.3">{"<br>".join(map(escape, rest))}</pre>' if rest else ""
    return {"text/plain": "\n".join([head, *rest]), "text/html": f"<div><b>{escape(head)}</b>{below}</div>"}
