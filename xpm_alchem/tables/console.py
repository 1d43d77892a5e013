"""Where tables are printed: names and messages are data there, never markup, emoji or sequences of a terminal."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from xpm_alchem.base.values import printable

_MEANT = "\n\t"


class PlainConsole(Console):
    """A console that shows what it is given as it is.

    Nothing is parsed. What would do something to the terminal is shown as an escape, wherever it comes from; only
    rich's own colours and cursor movements get through. Lines of texts are not broken: the terminal does that, so that
    a path or a command can be copied. Tables are folded to the width.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"markup": False, "highlight": False, "emoji": False, **options})

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render, and clean what was rendered."""
        for segment in super().render(renderable, options):
            if segment.control or (segment.text.isascii() and segment.text.isprintable()):
                yield segment
            else:
                yield Segment(printable(segment.text, keep=_MEANT), segment.style)

    def print(self, *objects: Any, **options: Any) -> None:
        """Print texts and tables."""
        are_texts = all(isinstance(one, str | Text) for one in objects)
        super().print(*objects, **{"soft_wrap": are_texts, "crop": False, **options})


def plain_text(shown: RenderableType, width: int | None = None) -> str:
    """Return what is drawn as text without colours; None: as wide as the terminal, or as usual."""
    out = io.StringIO()
    width = width or shutil.get_terminal_size((120, 0)).columns
    PlainConsole(file=out, width=width, color_system=None, force_jupyter=False).print(shown)
    return out.getvalue().rstrip("\n")


def told(*lines: str, style: str = "") -> Text:
    """Return lines, each of which stays one line whatever is in it."""
    return Text("\n".join(map(printable, lines)), style, no_wrap=True, overflow="ignore")


def cell(text: str, style: str = "") -> Text:
    """Return what a cell of a table holds."""
    return Text(printable(text), style)
