"""Screens with a text: why, failures, logs, help."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import ClassVar

from rich.console import RenderableType
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import Footer, Static

from xpm_alchem.base.values import printable
from xpm_alchem.tables.console import PlainConsole

_LONGEST = 200_000  # characters that are shown, the last ones

Read = Callable[[], Awaitable[str]]

HELP = """\
s, S      sort by the next column; reverse
1 to 9    sort by that column; again: reverse (or click at its heading)
/         show only rows with a text in them
e         show only transformations with a task in error; again: all
Escape    show all rows again
Enter, w  why: all attempts of the tasks of the chosen transformation
f         failures, grouped
l         the ends of the logs of the chosen transformation's tasks, as they
          grow: of one in error, else of one at work; n: the next task
t         below: the chosen transformation's tasks, or what happened last
p         pause the strategy (mode disabled), or let it go on as before;
          tasks in flight are left alone
q         quit; nothing that runs is touched

Letters    C complete  R running  W waiting  E error  - invalid or deleted
estimate   mean of the repeats, kcal/mol; SD: standard deviation between them
weight     what the strategy gave the transformation last; a dash: no more
           results are wanted
time left  until the strategy is satisfied, as a range (docs/json.md)
"""


def plain(renderable: RenderableType) -> str:
    """Return what a command prints, as text that does nothing to the terminal."""
    out = io.StringIO()
    PlainConsole(file=out, width=200, color_system=None).print(renderable)
    return tame(out.getvalue())


def shown_title(title: str) -> Text:
    """Return a title as a Text: Textual takes a string for its markup."""
    return Text(printable(title))


def tame(text: str) -> str:
    """Return a text without what moves the cursor; of a very long one the end."""
    text = text[-_LONGEST:].replace("\r\n", "\n").replace("\r", "\n").expandtabs()
    return printable(text, keep="\n")


class TextScreen(Screen[None]):
    """A text to scroll in; it is read anew every few seconds while it is shown.

    Parameters
    ----------
    texts
        Title and source of each text; `n` goes to the next one.
    at_end
        Whether its end is what matters, as of logs.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape,q", "app.pop_screen", "Back"),
        ("n", "next_text", "Next"),
    ]
    DEFAULT_CSS = """
    TextScreen VerticalScroll {
        border-top: solid $primary; border-title-color: $text; scrollbar-size-vertical: 1;
    }
    TextScreen Static { width: 100%; height: auto; }
    """

    def __init__(self, texts: Sequence[tuple[str, Read]], *, at_end: bool = False, every: float = 2.0) -> None:
        super().__init__()
        self._texts, self._at_end, self._every = texts, at_end, every
        self._number = 0
        # held, not looked up: what is being read when the screen is left comes when it has no widgets any more
        self._room, self._said = VerticalScroll(), Static("reading ...", markup=False)
        self._is_due = asyncio.Event()
        self.text = ""

    def compose(self) -> ComposeResult:
        """Make the text and the footer."""
        with self._room:
            yield self._said
        yield Footer(show_command_palette=False, compact=True)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer the next text only where there are several."""
        return action != "next_text" or len(self._texts) > 1

    def on_mount(self) -> None:
        """Read the text, again and again."""
        self._room.focus()
        self.run_worker(self._follow())

    def action_next_text(self) -> None:
        """Go to the next text."""
        self._number = (self._number + 1) % len(self._texts)
        self.text = ""
        self._is_due.set()

    async def _follow(self) -> None:
        while True:
            self._is_due.clear()
            await self._show()
            with suppress(TimeoutError):  # not wait_for, which may lose a cancellation before Python 3.12
                async with asyncio.timeout(self._every):
                    await self._is_due.wait()

    async def _show(self) -> None:
        title, read = self._texts[self._number]
        room = self._room
        room.border_title = shown_title(title)
        text = await read()
        if text == self.text:
            return
        is_first, was_at_end = not self.text, room.max_scroll_y - room.scroll_y < 2
        self.text = text
        self._said.update(Text(text))
        if self._at_end and (is_first or was_at_end):
            self.call_after_refresh(room.scroll_end, animate=False)
