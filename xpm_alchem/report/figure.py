"""What all figures have in common. A figure is plain data, as plotly.js takes it; names in it are escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from xpm_alchem.base.values import printable

Trace = dict[str, Any]

MANY = 60  # names on an axis, or in a graph: more cannot be read
_GRID, _LINE = "#e4e4e4", "#767676"


def safe(text: object) -> str:
    """Return a text as plotly.js shows it: it understands some HTML, and names come from users."""
    return html.escape(printable(str(text)))


def lines(parts: Iterable[str]) -> str:
    """Return texts that are safe, one below the other."""
    return "<br>".join(parts)


def moment(seconds: float) -> str | None:
    """Return a moment in local time as plotly.js takes it; None for one that no calendar has."""
    try:
        return datetime.fromtimestamp(seconds).isoformat(timespec="milliseconds")
    except (OverflowError, ValueError, OSError):
        return None


def axis(title: str, **options: Any) -> dict[str, Any]:
    """Return an axis."""
    look = {"gridcolor": _GRID, "zerolinecolor": _LINE, "linecolor": _LINE, "automargin": True, "ticks": "outside"}
    return {"title": {"text": title}, **look, **options}


def figure(traces: list[Trace], *, name: str, height: int = 420, **layout: Any) -> dict[str, Any]:
    """Return a figure.

    Parameters
    ----------
    name
        What it shows, for those who cannot see it.
    height
        In pixels; it is as wide as there is room.
    layout
        More of plotly's layout.
    """
    common = {
        "height": height,
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
        "font": {"family": "system-ui, sans-serif", "size": 13, "color": "#1a1a1a"},
        "margin": {"l": 60, "r": 20, "t": 64, "b": 50},
        "hoverlabel": {"align": "left", "bgcolor": "white", "font": {"color": "#1a1a1a"}},
        "legend": {
            "orientation": "h",
            "y": 1.0,
            "yanchor": "bottom",
            "x": 0,
            "xanchor": "left",
            "traceorder": "normal",
        },
        "hovermode": "closest",
    }
    return {"name": name, "figure": {"data": traces, "layout": common | layout}}


def named_axis(names: list[str], **options: Any) -> dict[str, Any]:
    """Return an axis with a name at 0, 1, 2, ... from top to bottom; without names if there are too many."""
    shown = len(names) <= MANY
    look: dict[str, Any] = {
        "range": [len(names) - 0.5, -0.5],
        "showgrid": shown,
        "ticks": "",
        "gridcolor": _GRID,
        "zeroline": False,
    }
    if shown:
        look |= {"tickvals": list(range(len(names))), "ticktext": [safe(shortened(name)) for name in names]}
    return {"automargin": True, "showticklabels": shown, **look, **options}


def height_for(count: int) -> int:
    """Return the height of a figure with so many names one below the other, in pixels."""
    return 150 + 20 * max(count, 4) if count <= MANY else 700


def shortened(name: str, most: int = 40) -> str:
    """Return a name with its middle left out if it is long."""
    return name if len(name) <= most else f"{name[: most // 2]}…{name[-(most // 2 - 1) :]}"
