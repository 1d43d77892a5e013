"""The table of transformations: sorted, filtered, and brought up to date cell by cell."""

from __future__ import annotations

from typing import ClassVar

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.events import Resize
from textual.widgets import DataTable

from xpm_alchem.views.overview import View
from xpm_alchem.watch.columns import Column, columns_for, ordered
from xpm_alchem.watch.screens import shown_title

_SCROLL_BAR = 1


class _Cell:
    """A text that knows of which row it is; the table sorts by that, and does not measure it."""

    def __init__(self, row: str, text: Text) -> None:
        self.row, self._text = row, text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self._text


class TransformationTable(DataTable[_Cell]):
    """A row for every transformation.

    Only what has changed is brought up to date; the table is built anew for another width, or when rows come or go.
    The selection stays with its transformation, and that at its place of the screen.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("home", "scroll_top", show=False),
        Binding("end", "scroll_bottom", show=False),
    ]

    DEFAULT_CSS = """
    TransformationTable {
        height: 1fr; border-top: solid $primary; border-title-color: $text; scrollbar-size-vertical: 1;
    }
    """

    def __init__(self) -> None:
        super().__init__(cursor_type="row")
        self.sorted_by: str | None = None
        self.is_reversed = False
        self.needle = ""
        self.only_errors = False
        self._all: list[View] = []
        self._rows: list[View] = []
        self._columns: tuple[Column, ...] = ()

    @property
    def selected(self) -> View | None:
        """The chosen row."""
        return self._rows[self.cursor_row] if 0 <= self.cursor_row < len(self._rows) else None

    @property
    def names(self) -> list[str]:
        """The transformations as they are shown, from above."""
        return [row["transformation"] for row in self._rows]

    # ------------------------------------------------------------------------------------------------- what is shown
    def take(self, rows: list[View]) -> None:
        """Show the campaign's rows as they are now."""
        self._all = rows
        self._bring_up()

    def cycle_sorting(self) -> None:
        """Sort by the next column; after the last as the network has them."""
        keys = [None, *(column.key for column in self._columns)]
        now = keys.index(self.sorted_by) if self.sorted_by in keys else 0
        self.sort_by(keys[(now + 1) % len(keys)])

    def sort_by(self, key: str | None, *, is_reversed: bool = False) -> None:
        """Sort by a column."""
        self.sorted_by, self.is_reversed = key, is_reversed
        self._bring_up()

    def sort_by_number(self, number: int) -> None:
        """Sort by a column counted from 1; the same again reverses."""
        if number <= len(self._columns):
            key = self._columns[number - 1].key
            self.sort_by(key, is_reversed=key == self.sorted_by and not self.is_reversed)

    def filter_by(self, *, needle: str | None = None, only_errors: bool | None = None) -> None:
        """Show only rows that have a text in them, or a task in error."""
        self.needle = self.needle if needle is None else needle
        self.only_errors = self.only_errors if only_errors is None else only_errors
        self._bring_up()

    def on_resize(self, event: Resize) -> None:
        """Find the columns there is room for."""
        self._bring_up()

    def on_data_table_header_selected(self, event: DataTable.HeaderSelected) -> None:
        """Sort by a column that was clicked at."""
        self.sort_by_number(event.column_index + 1)

    # ---------------------------------------------------------------------------------------------------- bringing up
    def _bring_up(self) -> None:
        """Show what there is, keeping the selection and how far it was scrolled."""
        chosen, line = self.selected, self.cursor_row - round(self.scroll_y)
        columns = columns_for(self.size.width - _SCROLL_BAR, self._all)
        by = next((column for column in columns if column.key == self.sorted_by), None)
        rows = ordered([row for row in self._all if self._is_wanted(row)], by, is_reversed=self.is_reversed)
        before, self._rows = {row["id"]: row for row in self._rows}, rows
        if columns != self._columns or before.keys() != {row["id"] for row in rows}:
            self._columns = columns
            self._build()
        else:
            self._update(before)
        self._say_what()
        self._select(chosen, line)

    def _is_wanted(self, row: View) -> bool:
        if self.only_errors and not row["error"]:
            return False
        needle = self.needle.casefold()
        return any(needle in str(row[key]).casefold() for key in ("transformation", "leg", "next"))

    def _build(self) -> None:
        with self.prevent(DataTable.RowHighlighted):
            self.clear(columns=True)
            for column in self._columns:
                self.add_column(self._label(column), width=column.width, key=column.key)
            for row in self._rows:
                self.add_row(*(_Cell(row["id"], column.text(row)) for column in self._columns), key=row["id"])

    def _label(self, column: Column) -> Text:
        mark = "" if column.key != self.sorted_by else "▼" if self.is_reversed else "▲"
        return Text(f"{column.label}{mark}", justify="right" if column.is_right else "left")

    def _update(self, before: dict[str, View]) -> None:
        for row in self._rows:
            if row != before[row["id"]]:
                for column in self._columns:
                    self.update_cell(row["id"], column.key, _Cell(row["id"], column.text(row)))
        for shown, column in zip(self.ordered_columns, self._columns, strict=True):
            shown.label = self._label(column)
        places = {row["id"]: place for place, row in enumerate(self._rows)}
        self.sort(self._columns[0].key, key=lambda cell: places[cell.row])

    def _select(self, chosen: View | None, line: int) -> None:
        ids = [row["id"] for row in self._rows]
        if chosen is None or not ids:
            return
        place = ids.index(chosen["id"]) if chosen["id"] in ids else min(self.cursor_row, len(ids) - 1)
        top = round(self.scroll_y) if not 0 <= line < self.size.height else max(0, place - line)
        if (place, top) != (self.cursor_row, round(self.scroll_y)):
            self.move_cursor(row=place, scroll=False)
            self.call_after_refresh(self.scroll_to, y=top, animate=False)

    def _say_what(self) -> None:
        count = len(self._all) if len(self._rows) == len(self._all) else f"{len(self._rows)} of {len(self._all)}"
        by = next((column.label for column in self._columns if column.key == self.sorted_by), None)
        parts = [
            f"{count} transformations",
            *([f"with “{self.needle}”"] if self.needle else []),
            *(["in error"] if self.only_errors else []),
            *([f"by {by}{', reversed' if self.is_reversed else ''}"] if by else []),
        ]
        self.border_title = shown_title(", ".join(parts))
