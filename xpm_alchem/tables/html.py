"""What is drawn for a terminal, for a notebook instead: tables as HTML tables, lines as lines."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

from rich.console import Group, RenderableType
from rich.style import Style
from rich.table import Table
from rich.text import Text

from xpm_alchem.base.values import printable
from xpm_alchem.tables.console import plain_text

_SCROLLS = "overflow:auto;max-height:40em"
_TEXT = f'<pre style="line-height:1.3;{_SCROLLS}">{{}}</pre>'
_TABLE = f'<div style="{_SCROLLS}"><table>{{}}</table></div>'


def html_of(shown: RenderableType) -> str:
    """Return a piece of HTML, in which every text is data: names and messages are escaped."""
    return "\n".join(_parts(shown))


def _parts(shown: RenderableType) -> Iterator[str]:
    if isinstance(shown, Group):
        for part in shown.renderables:
            yield from _parts(part)
    elif isinstance(shown, Table):
        yield _table(shown)
    elif isinstance(shown, str | Text):
        yield _TEXT.format(_text(shown))
    else:
        yield _TEXT.format(escape(plain_text(shown)))


def _table(table: Table) -> str:
    sides = [f'style="text-align:{column.justify}"' for column in table.columns]
    title = f'<caption style="text-align:left">{_text(table.title)}</caption>' if table.title else ""
    head = "".join(f"<th {side}>{_text(column.header)}</th>" for column, side in zip(table.columns, sides, strict=True))
    lines = []
    for row, *cells in zip(table.rows, *(column.cells for column in table.columns), strict=True):
        filled = "".join(f"<td {side}>{_text(cell)}</td>" for cell, side in zip(cells, sides, strict=True))
        lines.append(f"<tr{_colour(row.style)}>{filled}</tr>")
    return _TABLE.format(f"{title}<thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody>")


def _text(shown: Any) -> str:
    plain = shown.plain if isinstance(shown, Text) else str(shown)
    return escape(printable(plain, keep="\n\t")).replace("\n", "<br>")


def _colour(style: Any) -> str:
    """Return the colour of a row in which something is wrong."""
    found = Style.parse(style) if isinstance(style, str) else style
    return f' style="color:{found.color.name}"' if isinstance(found, Style) and found.color is not None else ""
