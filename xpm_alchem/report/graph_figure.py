"""The network as a figure: edges coloured by standard error and drawn by state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from xpm_alchem.plan.amounts import amount_text
from xpm_alchem.report import colours
from xpm_alchem.report.figure import MANY, Trace, figure, lines, safe, shortened
from xpm_alchem.report.layout import Place, places
from xpm_alchem.views.overview import View

_HIDDEN = {"visible": False, "showgrid": False, "zeroline": False}
_LONGEST_HOVER = 8  # legs
_ROOM = 0.6  # around the network, in lengths of an edge


@attrs.frozen
class Stroke:
    """How the edges of a state are drawn, in the colour of their standard error.

    Attributes
    ----------
    symbol, colour
        Of a mark in the middle, for those that need to be seen.
    said
        What people call it.
    """

    dash: str
    width: float
    symbol: str | None = None
    colour: str = colours.BLACK
    said: str = ""


STROKES: Mapping[str, Stroke] = {
    "complete": Stroke("solid", 3.0),
    "running": Stroke("dash", 3.0),
    "waiting": Stroke("solid", 1.0),
    "error": Stroke("dot", 2.5, "x-thin", colours.VERMILION, "a cross"),
    "closed": Stroke("longdashdot", 2.0, "square-open", colours.BLACK, "a square"),
    "left out": Stroke("dot", 1.5, "diamond-open", colours.VERMILION, "a diamond"),
}


def marks_told(graph: View) -> list[str]:
    """Return what the marks in the middle of edges mean, of those that there are."""
    there = {edge["state"] for edge in graph["edges"]}
    return [f"{stroke.said}: {state}" for state, stroke in STROKES.items() if stroke.said and state in there]


def network_figure(graph: View, values: Mapping[str, str]) -> dict[str, Any]:
    """Return the figure of a `graph_view`.

    Parameters
    ----------
    values
        What is said of ligands, by name, under the pointer; safe.
    """
    where = places((node["id"] for node in graph["nodes"]), ((one["a"], one["b"]) for one in graph["edges"]))
    errors = [one["standard_error"] for one in graph["edges"] if one["standard_error"] is not None]
    most = max(errors, default=0.0)
    few = len(graph["nodes"]) <= MANY
    traces = [*_edge_lines(graph["edges"], where, most, few), *_marks(graph["edges"], where, few)]
    traces += [_middles(graph["edges"], where, most, few), _nodes(graph["nodes"], where, values, few)]
    (left, right), (bottom, top) = _ends(where, 0), _ends(where, 1)
    return figure(
        traces,
        name="edges by standard error and state",
        height=int(max(420, min(900, 400 + 12 * len(where), 1000 * (top - bottom) / (right - left)))),
        xaxis=_HIDDEN | {"range": [left, right]},
        yaxis=_HIDDEN | {"range": [bottom, top], "scaleanchor": "x"},
        annotations=[_name(node, where) for node in graph["nodes"]] if few else [],
        margin={"l": 10, "r": 10, "t": 64, "b": 10},
        dragmode="pan",
    )


def _ends(where: Mapping[str, Place], axis: int) -> tuple[float, float]:
    """Return where an axis begins and ends, with room for names."""
    at = [place[axis] for place in where.values()]
    return min(at) - _ROOM, max(at) + _ROOM


def _edge_lines(edges: list[View], where: Mapping[str, Place], most: float, few: bool) -> Iterable[Trace]:
    """Yield a trace for each state and colour: plotly draws a line in one colour."""
    groups: dict[tuple[str, int], list[View]] = {}
    for edge in edges:
        error = edge["standard_error"]
        groups.setdefault((edge["state"], -1 if error is None else colours.bin_of(error, most)), []).append(edge)
    told: set[str] = set()
    order = list(STROKES)
    for state, number in sorted(groups, key=lambda one: (order.index(one[0]), one[1])):
        stroke, points = STROKES[state], _segments(groups[state, number], where)
        plain = colours.SKY if number < 0 else colours.amount(number)
        yield {
            "type": "scatter",
            "mode": "lines",
            "x": [None if point is None else point[0] for point in points],
            "y": [None if point is None else point[1] for point in points],
            "line": {"color": plain, "width": stroke.width if few else stroke.width / 2, "dash": stroke.dash},
            "hoverinfo": "skip",
            "name": state,
            "legendgroup": state,
            "showlegend": state not in told,
        }
        told.add(state)


def _segments(edges: list[View], where: Mapping[str, Place]) -> list[Place | None]:
    return [point for edge in edges for point in (where[edge["a"]], where[edge["b"]], None)]


def _marks(edges: list[View], where: Mapping[str, Place], few: bool) -> Iterable[Trace]:
    for state, stroke in STROKES.items():
        marked = [_middle(edge, where) for edge in edges if edge["state"] == state]
        if stroke.symbol is None or not marked:
            continue
        size = 11 if few else 7
        yield {
            "type": "scatter",
            "mode": "markers",
            "x": [x for x, _ in marked],
            "y": [y for _, y in marked],
            "marker": {"symbol": stroke.symbol, "size": size, "color": stroke.colour}
            | {"line": {"width": 2.5 if few else 1.5, "color": stroke.colour}},
            "hoverinfo": "skip",
            "name": state,
            "legendgroup": state,
            "showlegend": False,
        }


def _middles(edges: list[View], where: Mapping[str, Place], most: float, few: bool) -> Trace:
    """Return what the pointer finds of edges, and the bar that says what the colours mean."""
    middles = [_middle(edge, where) for edge in edges]
    bar = {"title": {"text": "std. error<br>kcal/mol"}, "thickness": 12, "len": 0.6, "outlinewidth": 0}
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [x for x, _ in middles],
        "y": [y for _, y in middles],
        "text": [_edge_hover(edge) for edge in edges],
        "hoverinfo": "text",
        "marker": {
            "size": 16 if few else 9,
            "opacity": 0,
            "color": [edge["standard_error"] or 0.0 for edge in edges],
            "cmin": 0,
            "cmax": most or 1.0,
            "colorscale": colours.steps(),
            "showscale": most > 0,
            "colorbar": bar,
        },
        "showlegend": False,
    }


def _middle(edge: View, where: Mapping[str, Place]) -> Place:
    (ax, ay), (bx, by) = where[edge["a"]], where[edge["b"]]
    return (ax + bx) / 2, (ay + by) / 2


def _nodes(nodes: list[View], where: Mapping[str, Place], values: Mapping[str, str], few: bool) -> Trace:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [where[node["id"]][0] for node in nodes],
        "y": [where[node["id"]][1] for node in nodes],
        "text": [
            lines([f"<b>{safe(node['name'])}</b>", *filter(None, [values.get(node["name"], "")])]) for node in nodes
        ],
        "hoverinfo": "text",
        "marker": {
            "size": 14 if few else 6,
            "color": "white",
            "line": {"color": colours.BLACK, "width": 1.5 if few else 1.0},
            "symbol": ["circle" if node["is_ligand"] else "square" for node in nodes],
        },
        "showlegend": False,
    }


def _name(node: View, where: Mapping[str, Place]) -> dict[str, Any]:
    """Return a node's name, readable over edges."""
    x, y = where[node["id"]]
    look = {"showarrow": False, "yshift": -17, "font": {"size": 12}, "bgcolor": "rgba(255,255,255,0.8)", "borderpad": 0}
    return {"x": x, "y": y, "text": safe(shortened(node["name"], 24)), **look}


def _edge_hover(edge: View) -> str:
    parts = [f"<b>{safe(edge['name'])}</b>  {edge['state']}"]
    parts += [
        f"{safe(row['to'])} - {safe(row['from'])}: {_energy(row['estimate'], row['standard_error'])}"
        for row in edge["values"]
    ]
    parts += [_leg(leg) for leg in edge["legs"][:_LONGEST_HOVER]]
    if len(edge["legs"]) > _LONGEST_HOVER:
        parts.append(f"and {len(edge['legs']) - _LONGEST_HOVER} more")
    return lines(parts)


def _leg(leg: View) -> str:
    """Return a transformation in a line: its repeats, its value, what it cost, what the strategy wants of it."""
    counts = [f"{leg[key]} {key}" for key in ("complete", "running", "waiting", "error") if leg[key]]
    parts = [", ".join(counts) or "no repeat yet", _energy(leg["estimate"], leg["standard_error"])]
    parts += [f"cost {amount_text(leg['cost'])}"] if leg["cost"] else []
    parts += [] if leg["weight"] is None else [f"weight {leg['weight']:.2f}"]
    parts += [safe(leg["next"])] if leg["next"] else []
    return f"{safe(leg['transformation'])} ({safe(leg['leg'])}): {'; '.join(parts)}"


def _energy(value: float | None, error: float | None) -> str:
    if value is None:
        return "no value yet"
    return f"{value:.2f}" + ("" if error is None else f" ± {error:.2f}") + " kcal/mol"
