"""A table before it is drawn: for a terminal (`tables.table_of`) or for a page (`html/`)."""

from __future__ import annotations

from collections.abc import Sequence

import attrs


@attrs.frozen
class Rows:
    """Texts in rows.

    Attributes
    ----------
    right
        Which columns hold numbers.
    red
        Which rows have something wrong with them.
    """

    title: str
    headings: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    right: range
    red: frozenset[int] = frozenset()
