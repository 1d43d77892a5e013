"""The columns of the table: what is in them, how they sort, and which of them there is room for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs
from rich.text import Text

from xpm_alchem.base.values import printable
from xpm_alchem.plan.amounts import amount_text
from xpm_alchem.views.overview import View
from xpm_alchem.views.rows import number

# after Okabe and Ito, lighter: people see them apart whatever their sight; a letter always says the same
COMPLETE, RUNNING, WAITING, ERROR = "#4cc9a0", "#7cc8f4", "#cccccc", "bold #f5ac6c"
COUNTS = (("complete", "C", COMPLETE), ("running", "R", RUNNING), ("waiting", "W", WAITING), ("error", "E", ERROR))
_PADDING = 2  # beside each column
_SPLIT_WIDTH = 140  # from which the numbers of tasks have columns of their own
_LEAST_NAME, _LEAST_NEXT = 22, 12


@attrs.frozen
class Column:
    """One column.

    Attributes
    ----------
    cell
        What it shows of a row of `show`, in its width.
    rank
        By what it sorts; None comes last.
    """

    key: str
    label: str
    width: int
    cell: Callable[[View, int], Text] = attrs.field(eq=False)
    rank: Callable[[View], Any] = attrs.field(eq=False)
    is_right: bool = True

    def text(self, row: View) -> Text:
        """Return the cell of a row."""
        text = self.cell(row, self.width)
        if row["error"] and not text.style:
            text.stylize("bold")
        text.justify = "right" if self.is_right else "left"
        return text


def shortened(text: str, width: int) -> str:
    """Return a text that is no wider, without its middle: names often begin alike, and end with the leg."""
    if len(text) <= width:
        return text
    end = (width - 1) // 2
    return f"{text[: width - 1 - end]}…{text[len(text) - end :]}"


def _count(key: str, letter: str, style: str) -> Column:
    label = {"complete": "done", "running": "run", "waiting": "wait", "error": "err"}[key]

    def cell(row: View, width: int) -> Text:
        return Text(f"{row[key]}{letter}", style) if row[key] else Text("·")

    return Column(key, label, 6, cell, lambda row: row[key])


def _tasks(row: View, width: int) -> Text:
    parts = [(f"{row[key]}{letter}", style) for key, letter, style in COUNTS if row[key]]
    text = Text(" ").join(Text(part, style) for part, style in parts) if parts else Text("·")
    text.truncate(width, overflow="ellipsis")
    return text


def _of(key: str, say: Callable[[Any], str]) -> Callable[[View, int], Text]:
    return lambda row, width: Text(shortened(printable(say(row[key])), width))


def _cost(value: float) -> str:
    return amount_text(value) if value else "·"


_NAME = Column("transformation", "transformation", 0, _of("transformation", str), lambda r: r["transformation"], False)
_LEG = Column("leg", "leg", 3, lambda row, width: Text(printable(row["leg"])[:width]), lambda row: row["leg"], False)
_TASKS = Column(
    "tasks",
    "tasks",
    12,
    _tasks,
    lambda row: tuple(row[key] for key in ("error", "running", "waiting", "complete")),
    False,
)
_NEXT = Column("next", "next", 0, lambda row, width: Text(_cut(row["next"], width)), lambda r: r["next"] or None, False)
_ESTIMATE = Column("estimate", "estimate", 9, _of("estimate", lambda v: number(v, 3)), lambda row: row["estimate"])
_SD = Column("sd", "± SD", 6, _of("sd", lambda v: number(v, 3)), lambda row: row["sd"])
_WEIGHT = Column("weight", "weight", 7, _of("weight", number), lambda row: row["weight"])
_COST = Column("cost", "cost", 7, _of("cost", _cost), lambda row: row["cost"])


def _cut(text: str, width: int) -> str:
    """Return a text that is no wider; E says already that it is an error."""
    text = printable(text)
    text = text if len(text) <= width else text.removeprefix("error: ")
    return text if len(text) <= width else f"{text[: width - 1]}…"


def columns_for(width: int, rows: Sequence[View]) -> tuple[Column, ...]:
    """Return the columns for a table of a width: those worth most, then more while there is room."""
    longest = max((len(printable(row["transformation"])) for row in rows), default=0)
    name = max(len(_NAME.label) + 2, min(longest, _LEAST_NAME))
    tasks = [_count(*count) for count in COUNTS] if width >= _SPLIT_WIDTH else [_TASKS]
    room = width - name - _PADDING - sum(column.width + _PADDING for column in (*tasks, _ESTIMATE, _SD))
    there = {_NAME, *tasks, _ESTIMATE, _SD}
    says_leg = width < _SPLIT_WIDTH and all(row["leg"] in row["transformation"] for row in rows)
    for column in (_NEXT, *(() if says_leg else (_LEG,)), _COST, _WEIGHT):
        needed = _PADDING + (column.width or _LEAST_NEXT)
        if room >= needed:
            there.add(column)
            room -= needed
    wider = min(room, max(0, longest - name))
    name, room = max(4, name + wider), room - wider
    if _LEG in there and room >= 4:
        leg, room = attrs.evolve(_LEG, width=7), room - 4
    else:
        leg = _LEG
    sized = {_NAME: attrs.evolve(_NAME, width=name), _LEG: leg, _NEXT: attrs.evolve(_NEXT, width=_LEAST_NEXT + room)}
    order = (_NAME, _LEG, *tasks, _ESTIMATE, _SD, _WEIGHT, _COST, _NEXT)
    return tuple(sized.get(column, column) for column in order if column in there)


def ordered(rows: Sequence[View], column: Column | None, *, is_reversed: bool) -> list[View]:
    """Return rows sorted by a column, those with nothing in it last; None: as the network has them."""
    if column is None:
        return list(reversed(rows)) if is_reversed else list(rows)
    known = [row for row in rows if column.rank(row) is not None]
    unknown = [row for row in rows if column.rank(row) is None]
    return [*sorted(known, key=column.rank, reverse=is_reversed), *unknown]
