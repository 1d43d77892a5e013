"""A table before it is drawn: for a terminal (tables/drawing.py) or for a page (report/)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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


def number(value: Any, digits: int = 2) -> str:
    """Return a number, or a dash where there is none."""
    return "-" if value is None else f"{value:.{digits}f}"
