"""The views as tables for a terminal."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from xpm_alchem.base.values import local_time
from xpm_alchem.plan.amounts import said
from xpm_alchem.views.overview import View
from xpm_alchem.views.rows import Rows


def number(value: Any, digits: int = 2) -> str:
    """Return a number, or a dash where there is none."""
    return "-" if value is None else f"{value:.{digits}f}"


def when(seconds: float | None) -> str:
    """Return a moment in local time, or a dash where there is none."""
    return "-" if seconds is None else local_time(seconds)


def took(seconds: float) -> str:
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
        return f"at least{gap}{took(least)}"
    return took(most) if took(least) == took(most) else f"{took(least)}{gap}to {took(most)}"


def _driver(driver: dict[str, Any] | None) -> str:
    if driver is None:
        return "none"
    return f"host {driver['host']}, pid {driver['pid']}, since {when(driver['since'])}"


def status_table(view: View) -> RenderableType:
    """Render `status_view`."""
    strategy = view["strategy"]
    lines = [
        f"campaign  {view['campaign']}  ({view['path']})",
        f"driver    {_driver(view['driver'])}",
        f"strategy  {strategy['name'] or 'none'}, mode {strategy['mode']}, {strategy['status']}, "
        f"{strategy['iterations']} iteration(s)",
        "tasks     "
        + ", ".join(f"{count} {status}" for status, count in view["tasks"].items() if count)
        + ("" if any(view["tasks"].values()) else "none yet"),
    ]
    lines.append(f"budget    {_money(view['budget'])}")
    lines += [f"          {one['sentence']}" for one in view["budget"]["closed"]]
    if strategy["exception"]:
        lines.append(f"          the strategy raised {strategy['exception']}")
    lines += [f"          {one['sentence']}" for one in (*view["left_out"], *view["failing_hosts"])]
    return Text("\n".join(lines))


def _money(view: View) -> str:
    limits = [] if view["total"] is None else [f"of {said(view['total'], view['unit'])}"]
    limits += [] if view["rate"] is None else [f"at most {said(view['rate'], view['unit'])} an hour"]
    limits += [] if view["until"] is None else [f"until {view['until']}"]
    lost = [f"lost work {said(view['lost'], view['unit'])}"] if view["lost"] else []
    return ", ".join([f"{said(view['spent'], view['unit'])} spent", *limits, *lost])


_SHOW_HEADINGS = ("transformation", "leg", "done", "run", "wait", "err", "estimate", "SD", "weight", "cost", "next")
_MANY_ROWS = 200  # more are written as plain columns: laying out a table of 1,000 rows takes seconds


def show_table(view: View) -> RenderableType:
    """Render `show_view`."""
    rows = [
        (
            row["transformation"],
            row["leg"],
            *(str(row[key] or "·") for key in ("complete", "running", "waiting", "error")),
            number(row["estimate"], 3),
            number(row["sd"], 3),
            number(row["weight"]),
            said(row["cost"]) if row["cost"] else "·",
            row["next"],
        )
        for row in view["rows"]
    ]
    title = f"{view['campaign']} ({', '.join(unit for unit in (view['unit'], view['cost_unit']) if unit)})"
    red = [bool(row["error"]) for row in view["rows"]]
    return rows_table(title, _SHOW_HEADINGS, rows, right=range(2, 10), red=red, one_line=("next",))


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
        return Text("\n".join([title, *columns([headings, *rows], right=right)]), no_wrap=True)
    table = Table(title=title, title_justify="left")
    for i, heading in enumerate(headings):
        table.add_column(
            heading,
            justify="right" if i in right else "left",
            no_wrap=i in right or heading in one_line,
            overflow="ellipsis" if heading in one_line else "fold",
        )
    for cells, is_red in zip(rows, red, strict=True):
        table.add_row(*map(Text, cells), style="red" if is_red else None)
    return table


def table_of(made: Rows) -> RenderableType:
    """Render rows."""
    red = [number in made.red for number in range(len(made.rows))]
    return rows_table(made.title, made.headings, made.rows, right=made.right, red=red)


def columns(rows: Sequence[tuple[str, ...]], right: range) -> Iterator[str]:
    """Yield rows as lines; the columns in `right` are aligned to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True)))
        yield "  ".join(cells).rstrip()


def summary_table(view: View) -> RenderableType:
    """Render `summary_view`."""
    driven = "driven" if view["driver"] else "no driver"
    title = f"{view['campaign']}: {view['strategy']}, {driven}"
    # it fits into 80 columns
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    states = [f"{view[state]} {state}" for state in ("complete", "running", "waiting", "error") if view[state]]
    cells = {
        "with result": f"{view['with_result']} of {view['transformations']}",
        "tasks": "\n".join(states) or "none",
        "cost": f"{said(view['cost'])}\n{view['cost_unit']}",
        "a result": "-" if view["cost_per_result"] is None else said(view["cost_per_result"]),
        "last hour": f"{view['results_last_hour']} results\n{said(view['cost_last_hour'])}",
        "time left": time_left(view["time_left"], gap="\n"),
    }
    for heading in cells:
        table.add_column(heading)
    table.add_row(*cells.values())
    return table


def list_table(view: View) -> RenderableType:
    """Render `list_view`."""
    table = Table()
    for heading in ("campaign", "with result", "tasks", "running", "waiting", "error", "strategy", "driver"):
        table.add_column(heading)
    for row in view["campaigns"]:
        table.add_row(
            row["campaign"],
            f"{row['with_result']} of {row['transformations']}",
            *(str(row[key]) for key in ("tasks", "running", "waiting", "error", "strategy")),
            "yes" if row["driver"] else "no",
        )
    return table
