"""The campaign on a screen: figures above, the table of transformations, what happened last below."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ClassVar, TypeVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.events import Resize
from textual.screen import Screen
from textual.widgets import DataTable, Footer, Input, Static

from xpm_alchem.base.errors import XpmAlchemError
from xpm_alchem.base.values import printable
from xpm_alchem.campaign.task_state import TaskState, TaskStatus
from xpm_alchem.execution.task_logs import LogFile, last_lines
from xpm_alchem.tables.failure import failures_table
from xpm_alchem.tables.why import why_table
from xpm_alchem.views.commands import Address
from xpm_alchem.watch.figures import figures, latest, tasks_of
from xpm_alchem.watch.pause import Pause
from xpm_alchem.watch.picture import Picture, Watcher
from xpm_alchem.watch.screens import HELP, Read, TextScreen, plain, shown_title, tame
from xpm_alchem.watch.table import TransformationTable

T = TypeVar("T")
_LOOK_SECONDS = 1.0
_SHARE = 10  # a look takes at most this share of the time, whatever the size of the campaign
_WIDE = 140  # columns from which tasks and events stand side by side
_LOG_LINES = 100
_UNIT_LOGS = 5
_URGENT = (TaskStatus.ERROR, TaskStatus.RUNNING)


class CampaignScreen(Screen[None]):
    """Shows a campaign while it goes on.

    Everything that reads or writes files is done by one other thread, so that a slow file system holds up no key.

    Parameters
    ----------
    watcher
        Looks at the campaign.
    picture
        How it stands.
    address
        What the user calls it, for the commands that are suggested.
    """

    DEFAULT_CSS = """
    CampaignScreen #figures { height: auto; max-height: 5; }
    CampaignScreen #below { height: 25%; min-height: 5; max-height: 16; }
    CampaignScreen #below Static {
        width: 1fr; height: 100%; border-top: solid $primary; border-title-color: $text;
    }
    CampaignScreen #message { height: auto; max-height: 3; text-style: bold; }
    CampaignScreen #filter { border: none; height: 1; }
    CampaignScreen .hidden { display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "sort", "Sort"),
        Binding("S", "reverse", "Reverse", show=False),
        *(Binding(str(n), f"sort_by({n})", show=False) for n in range(1, 10)),
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("e", "errors", "Errors"),
        Binding("w", "why", "Why"),
        Binding("f", "failures", "Failures"),
        Binding("l", "logs", "Logs"),
        Binding("t", "tasks", "Tasks"),
        Binding("p", "pause", "Pause"),
        Binding("question_mark", "help", "Help", key_display="?"),
        Binding("q", "app.quit", "Quit"),
        Binding("escape", "all", show=False),
    ]

    def __init__(self, watcher: Watcher, picture: Picture, address: Address) -> None:
        super().__init__()
        self._watcher, self.picture, self._address = watcher, picture, address
        self._pause = Pause(watcher.campaign)
        self._reader = ThreadPoolExecutor(max_workers=1)
        self._shows_tasks = self._is_troubled = False

    # ------------------------------------------------------------------------------------------------------- looking
    def compose(self) -> ComposeResult:
        """Make the parts, from above."""
        yield Static(id="figures")
        yield TransformationTable()
        with Horizontal(id="below"):
            yield Static(id="tasks")
            yield Static(id="latest")
        yield Static(id="message", classes="hidden", markup=False)
        yield Input(placeholder="text in a row; Enter keeps it, Escape shows all", id="filter", classes="hidden")
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        """Show the first picture, and go on looking."""
        self.query_one("#latest").border_title = "what happened last"
        self._show(self.picture)
        self.query_one(TransformationTable).focus()
        self.run_worker(self._watch())

    async def on_unmount(self) -> None:
        """Let go of the reader."""
        self._reader.shutdown(wait=False, cancel_futures=True)

    async def _watch(self) -> None:
        while True:
            began = time.monotonic()
            try:
                picture = await self._read(self._watcher.look)
            except (XpmAlchemError, OSError) as error:
                self.say(str(error))
                self._is_troubled = True
            else:
                if self._is_troubled:
                    self.say("")
                self._is_troubled = False
                if picture is not None:
                    self._show(picture)
            await asyncio.sleep(max(_LOOK_SECONDS, (_SHARE - 1) * (time.monotonic() - began)))

    async def _read(self, look: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._reader, look)

    def _show(self, picture: Picture) -> None:
        self.picture = picture
        if not self.children:  # it is being left
            return
        self.query_one(TransformationTable).take(picture.rows)
        self._show_figures()

    def _show_figures(self) -> None:
        self.query_one("#figures", Static).update(figures(self.picture, self.size.width))
        self._show_below()

    def _show_below(self) -> None:
        is_wide = self.size.width >= _WIDE
        tasks, events = self.query_one("#tasks", Static), self.query_one("#latest", Static)
        tasks.set_class(not (is_wide or self._shows_tasks), "hidden")
        events.set_class(not is_wide and self._shows_tasks, "hidden")
        events.update(latest(self.picture, self.size.height))
        row = self.query_one(TransformationTable).selected
        tasks.border_title = "tasks" if row is None else shown_title(f"tasks of {row['transformation']}")
        tasks.update("" if row is None else tasks_of(self.picture, row["id"]))

    def say(self, sentence: str) -> None:
        """Say something in the line above the keys; nothing hides it."""
        if not self.children:
            return
        line = self.query_one("#message", Static)
        line.set_class(not sentence, "hidden")
        line.update(Text(printable(sentence)))

    def on_resize(self, event: Resize) -> None:
        """Break the lines anew."""
        self._show_figures()

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        """Show the tasks of the row that was gone to."""
        self._show_below()

    # ---------------------------------------------------------------------------------------------------------- keys
    def action_sort(self) -> None:
        """Sort by the next column."""
        self.query_one(TransformationTable).cycle_sorting()

    def action_reverse(self) -> None:
        """Reverse the order."""
        table = self.query_one(TransformationTable)
        table.sort_by(table.sorted_by, is_reversed=not table.is_reversed)

    def action_sort_by(self, number: int) -> None:
        """Sort by a column."""
        self.query_one(TransformationTable).sort_by_number(number)

    def action_filter(self) -> None:
        """Ask for a text."""
        line = self.query_one("#filter", Input)
        line.remove_class("hidden")
        line.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while the text is typed."""
        self.query_one(TransformationTable).filter_by(needle=event.value.strip())

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go back to the table; the filter stays."""
        self._leave_filter()

    def _leave_filter(self) -> None:
        self.query_one("#filter", Input).add_class("hidden")
        self.query_one(TransformationTable).focus()

    def action_all(self) -> None:
        """Show all rows, and no message."""
        self.say("")
        self.query_one("#filter", Input).value = ""
        self._leave_filter()
        self.query_one(TransformationTable).filter_by(needle="", only_errors=False)

    def action_errors(self) -> None:
        """Show only rows in error, or all again."""
        table = self.query_one(TransformationTable)
        table.filter_by(only_errors=not table.only_errors)

    def action_tasks(self) -> None:
        """Show tasks below, or what happened last."""
        self._shows_tasks = not self._shows_tasks
        self._show_below()

    def action_help(self) -> None:
        """Say what the keys do."""

        async def text() -> str:
            return HELP

        self.app.push_screen(TextScreen([("keys", text)]))

    def action_pause(self) -> None:
        """Pause the strategy, or let it go on."""

        async def toggle() -> None:
            self.say(await self._told(self._pause.toggle)())

        self.run_worker(toggle())

    def action_failures(self) -> None:
        """Show what has failed."""
        campaign = self._watcher.campaign
        self._open("failures", lambda: plain(failures_table(campaign.failures(self._address))))

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Show why, as for `w`."""
        self.action_why()

    def action_why(self) -> None:
        """Show the history of the chosen transformation's tasks."""
        if (row := self.query_one(TransformationTable).selected) is None:
            return
        campaign = self._watcher.campaign

        def text() -> str:
            tasks = self._by_urgency(row["id"])
            parts = (plain(why_table(campaign.why(task.task, self._address))) for task in tasks)
            return "\n".join(parts) or "it has no task yet"

        self._open(f"why: {row['transformation']}", text)

    def action_logs(self) -> None:
        """Show the ends of the logs of the chosen transformation's tasks."""
        if (row := self.query_one(TransformationTable).selected) is None:
            return
        texts = [(f"logs of {name}", self._told(read)) for name, read in self._logs(row["id"], row["transformation"])]
        if texts:
            self.app.push_screen(TextScreen(texts, at_end=True))
        else:
            self.say(f"{row['transformation']} has no task yet")

    def _logs(self, transformation: str, name: str) -> Iterator[tuple[str, Callable[[], str]]]:
        for task in self._by_urgency(transformation):
            yield f"{name}:{task.repeat}", partial(self._ends_of_logs, task)

    def _ends_of_logs(self, task: TaskState) -> str:
        view = self._watcher.campaign.logs(task.task, most_unit_logs=_UNIT_LOGS)
        logs = [LogFile.from_view(log) for log in view["logs"] if log["size"]]
        parts = [f"{log.title}\n{tame(last_lines(log.path, _LOG_LINES))}" for log in logs]
        return "\n".join(parts) or "nothing was printed yet"

    def _by_urgency(self, transformation: str) -> list[TaskState]:
        """Return the tasks of a transformation: those in error first, then those at work, then the latest."""
        tasks = self.picture.tasks.get(transformation, [])
        last = len(_URGENT)
        rank = {status: number for number, status in enumerate(_URGENT)}
        return sorted(tasks, key=lambda task: (rank.get(task.status, last), -task.repeat))

    def _open(self, title: str, read: Callable[[], str]) -> None:
        self.app.push_screen(TextScreen([(title, self._told(read))]))

    def _told(self, read: Callable[[], str]) -> Read:
        """Return a source that reads in the other thread; an error becomes its sentence."""

        def tell() -> str:
            try:
                return read()
            except (XpmAlchemError, OSError) as error:
                return str(error)

        async def text() -> str:
            return await self._read(tell)

        return text
