"""Rows and cells drawn for a terminal."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table

from xpm_alchem.base.values import local_time, printable
from xpm_alchem.tables.console import cell, told
from xpm_alchem.views.overview import View
from xpm_alchem.views.rows import Rows

_MANY_ROWS = 200  # more are written as plain columns: laying out a table of 1,000 rows takes seconds


def time_text(seconds: float | None) -> str:
    """Return a moment in local time, or a dash where there is none."""
    return "-" if seconds is None else local_time(seconds)


def duration_text(seconds: float) -> str:
    """Return a time in the unit that suits it."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def time_left(view: View, gap: str = " ") -> str:
    """Return the range of the time that is left, in two parts with `gap` between; a dash where it is not known."""
    least, most = view["least"], view["most"]
    if least is None:
        return "-"
    if most is None:
        return f"at least{gap}{duration_text(least)}"
    return (
        duration_text(most)
        if duration_text(least) == duration_text(most)
        else f"{duration_text(least)}{gap}to {duration_text(most)}"
    )


def rows_table(
    title: str,
    headings: tuple[str, ...],
    rows: Sequence[tuple[str, ...]],
    *,
    right: range,
    red: Sequence[bool],
    one_line: Collection[str] = (),
) -> RenderableType:
    """Render a row for every transformation; very many of them as plain columns.

    Parameters
    ----------
    right
        Which columns hold numbers.
    red
        For each row whether something is wrong with it.
    one_line
        Headings of columns that are cut short rather than folded.
    """
    if len(rows) > _MANY_ROWS:
        return told(title, *columns([headings, *rows], right=right))
    table = Table(title=cell(title), title_justify="left")
    for i, heading in enumerate(headings):
        table.add_column(
            heading,
            justify="right" if i in right else "left",
            no_wrap=i in right or heading in one_line,
            overflow="ellipsis" if heading in one_line else "fold",
        )
    for cells, is_red in zip(rows, red, strict=True):
        table.add_row(*map(cell, cells), style="red" if is_red else None)
    return table


def table_of(made: Rows) -> RenderableType:
    """Render rows."""
    red = [number in made.red for number in range(len(made.rows))]
    return rows_table(made.title, made.headings, made.rows, right=made.right, red=red)


def columns(rows: Sequence[tuple[str, ...]], right: range) -> Iterator[str]:
    """Yield rows as lines; the columns in `right` are aligned to the right."""
    shown = [tuple(map(printable, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for row in shown:
        cells = (c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True)))
        yield "  ".join(cells).rstrip()
