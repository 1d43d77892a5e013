"""A page of sections and blocks as one HTML file that loads nothing: styles, scripts and plotly.js are in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import attrs
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from xpm_alchem import __version__
from xpm_alchem.base.values import printable
from xpm_alchem.report.standing import Standing
from xpm_alchem.views.rows import Rows

GENERATOR = "xpm-alchem report"
_AT_ONCE = 1000  # parts of the template in a piece
_LONG = 40  # rows of a table that are shown without being asked for


@attrs.frozen
class Sentences:
    """Paragraphs, or a list."""

    sentences: Sequence[str]
    is_list: bool = False
    kind: ClassVar[str] = "sentences"


@attrs.frozen
class Table:
    """Rows; long ones are folded."""

    rows: Rows
    kind: ClassVar[str] = "table"

    @property
    def is_long(self) -> bool:
        """Whether it is folded."""
        return len(self.rows.rows) > _LONG


@attrs.frozen
class Drawings:
    """Figures side by side, as `figure.figure` makes them."""

    figures: Sequence[Mapping[str, Any]]
    kind: ClassVar[str] = "drawings"


@attrs.frozen
class Verbatim:
    """A text as it is, with a heading."""

    title: str
    text: str
    kind: ClassVar[str] = "verbatim"


@attrs.frozen
class Tiles:
    """Single figures that matter: what and how much."""

    tiles: Sequence[tuple[str, str]]
    kind: ClassVar[str] = "tiles"


Block = Sentences | Table | Drawings | Verbatim | Tiles


@attrs.frozen
class Section:
    """A part of the page with a place in its index."""

    id: str
    title: str
    blocks: Sequence[Block]


def drawings(*figures: Mapping[str, Any] | None) -> list[Block]:
    """Return those figures that there are, side by side."""
    there = [one for one in figures if one is not None]
    return [Drawings(there)] if there else []


def _shown(value: object) -> object:
    """Return what is put into the page: no text of others may turn the direction, or hide."""
    return printable(value, keep="\n\t") if type(value) is str else value


def render(title: str, made: str, standing: Standing, sections: Sequence[Section]) -> Iterator[str]:
    """Yield the page in pieces, as whole it may take much memory; everything that is put into it is escaped.

    Parameters
    ----------
    made
        When.
    """
    environment = Environment(
        loader=PackageLoader("xpm_alchem.report"),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    stream = environment.get_template("page.html").stream(
        generator=GENERATOR,
        version=__version__,
        title=title,
        made=made,
        standing=standing,
        sections=sections,
        plotly=Markup(get_plotlyjs()),  # plotly's own
    )
    stream.enable_buffering(_AT_ONCE)
    yield from stream
