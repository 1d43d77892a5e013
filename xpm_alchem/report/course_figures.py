"""How a campaign went, as figures: convergence over repeats, repeats and costs over time."""

from __future__ import annotations

import statistics
from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate
from typing import Any

from xpm_alchem.report import colours
from xpm_alchem.report.figure import MANY, Trace, axis, figure, height_for, moment, named_axis, safe
from xpm_alchem.views.overview import View

_MOMENTS = 80  # columns of the map of repeats over time
_FEW_REPEATS = 12  # that each get a mark on an axis


def settled_figure(network: View, *, name: str) -> dict[str, Any] | None:
    """Return how the ligands' values moved while repeats were added; None where there are fewer than two repeats."""
    rows = [(row["ligand"], _off_the_last(row["running"], "estimate")) for row in network["ligands"]]
    return _courses(rows, name=name, title="value minus the last (kcal/mol)", guides=(-0.5, 0.5))


def errors_figure(view: View) -> dict[str, Any] | None:
    """Return the transformations' standard errors over repeats; None where no transformation has three repeats."""
    rows = []
    for row in view["transformations"]:
        known = [(one["repeats"], one["standard_error"]) for one in row["running"] if one["standard_error"] is not None]
        rows.append((row["transformation"], known))
    return _courses(rows, name="standard errors over repeats", title="std. error of the mean (kcal/mol)")


def _off_the_last(running: list[View], key: str) -> list[tuple[int, float]]:
    known = [(one["repeats"], one[key]) for one in running if one[key] is not None]
    return [(n, value - known[-1][1]) for n, value in known]


def _courses(
    rows: list[tuple[str, list[tuple[int, float]]]], *, name: str, title: str, guides: Iterable[float] = ()
) -> dict[str, Any] | None:
    """Return a line for each row over repeats, and their median, if any has two points."""
    drawn = [(row, points) for row, points in rows if len(points) > 1]
    if not drawn:
        return None
    few = len(drawn) <= MANY
    traces: list[Trace] = [
        {
            "type": "scatter",
            "mode": "lines+markers" if few else "lines",
            "x": [n for n, _ in points],
            "y": [value for _, value in points],
            "line": {"color": colours.GREY, "width": 1},
            "marker": {"size": 4},
            "opacity": 0.8 if few else 0.3,
            "text": [f"{safe(row)}, n = {n}: {value:.3f}" for n, value in points],
            "hoverinfo": "text",
            "showlegend": False,
        }
        for row, points in drawn
    ]
    by_n: dict[int, list[float]] = {}
    for _, points in drawn:
        for n, value in points:
            by_n.setdefault(n, []).append(abs(value))
    traces.append(
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": "median, without signs",
            "x": sorted(by_n),
            "y": [statistics.median(by_n[n]) for n in sorted(by_n)],
            "line": {"color": colours.VERMILION, "width": 3, "dash": "dash"},
            "marker": {"size": 7, "symbol": "diamond"},
            "showlegend": True,
        }
    )
    across = [{"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": y, "y1": y} for y in guides]
    dotted = {"line": {"color": colours.GREY, "width": 1, "dash": "dot"}}
    return figure(
        traces,
        name=name,
        height=380,
        xaxis=axis("repeats", tickformat="d", dtick=1 if max(by_n) <= _FEW_REPEATS else None),
        yaxis=axis(title),
        shapes=[one | dotted for one in across],
    )


# ------------------------------------------------------------------------------------------------------- over time
def progress_figure(history: View) -> dict[str, Any] | None:
    """Return repeats made and complete over time, with the strategy's iterations; None before the first."""
    changes = [one for one in history["repeats"] if moment(one["time"]) is not None]
    if not changes:
        return None
    times = [moment(one["time"]) for one in changes]
    made = list(accumulate(one["tasks"] for one in changes))
    traces: list[Trace] = [
        _steps(times, made, "asked for", colours.ORANGE, "dash"),
        _steps(times, list(accumulate(one["complete"] for one in changes)), "complete", colours.BLUE, "solid"),
    ]
    seconds = [one["time"] for one in changes]
    iterations = [when for when in history["iterations"] if moment(when) is not None]
    if iterations:
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": "iteration of the strategy",
                "x": [moment(when) for when in iterations],
                "y": [made[max(0, bisect_right(seconds, when) - 1)] for when in iterations],
                "marker": {"symbol": "triangle-up", "size": 8, "color": colours.BLACK},
                "text": [f"iteration {number}" for number in range(1, len(iterations) + 1)],
                "hoverinfo": "x+text",
            }
        )
    return figure(
        traces,
        name="repeats over time",
        height=360,
        xaxis=axis("", type="date"),
        yaxis=axis("repeats", rangemode="tozero"),
    )


def allocation_figure(history: View, transformations: list[View]) -> dict[str, Any] | None:
    """Return how many repeats of each transformation were complete when; None before the first.

    `transformations` are rows with `id` and `transformation`.
    """
    done = [one for one in history["repeats"] if one["complete"] and moment(one["time"]) is not None]
    if not done:
        return None
    start = min(one["time"] for one in history["repeats"])
    width = max(max(one["time"] for one in done) - start, 1e-3) / _MOMENTS
    gained = {row["id"]: [0] * (_MOMENTS + 1) for row in transformations}
    for one in done:
        gained[one["transformation"]][min(_MOMENTS, max(0, int((one["time"] - start) / width) + 1))] += one["complete"]
    names = [row["transformation"] for row in transformations]
    counts = [list(accumulate(gained[row["id"]])) for row in transformations]
    most = max(row[-1] for row in counts)
    when = [moment(start + width * number) for number in range(_MOMENTS + 1)]
    trace = {
        "type": "heatmap",
        "x": when,
        "y": [safe(name) for name in names],
        "z": counts,
        "zmin": 0,
        "colorscale": [[0.0, "#ffffff"], [1e-6, colours.amount(0)], *colours.smooth()[1:]],
        "colorbar": {"title": {"text": "repeats<br>complete"}, "thickness": 12, "outlinewidth": 0, "tickformat": "d"}
        | ({"dtick": 1} if most <= _FEW_REPEATS else {}),
        "hoverinfo": "x+y+z",
    }
    return figure(
        [trace],
        name="repeats of each transformation over time",
        height=height_for(len(names)),
        xaxis=axis("", type="date"),
        yaxis=named_axis(names, type="category"),
    )


def cost_figure(history: View, total: float | None) -> dict[str, Any] | None:
    """Return what ended attempts cost over time, and the budget; None before the first."""
    costs = [one for one in history["costs"] if moment(one["time"]) is not None]
    if not costs:
        return None
    times = [moment(one["time"]) for one in costs]
    traces = [_steps(times, list(accumulate(one["cost"] for one in costs)), "spent", colours.BLUE, "solid")]
    if total is not None:
        budget = _steps([times[0], times[-1]], [total, total], "budget", colours.VERMILION, "dash")
        traces.append(budget)
    return figure(
        traces,
        name="cost over time",
        height=320,
        xaxis=axis("", type="date"),
        yaxis=axis(f"cost ({safe(history['unit'])})", rangemode="tozero"),
        showlegend=True,
    )


def _steps(times: list[str | None], values: list[Any], name: str, colour: str, dash: str) -> Trace:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": times,
        "y": values,
        "line": {"color": colour, "width": 2.5, "dash": dash, "shape": "hv"},
    }


# ------------------------------------------------------------------------------------------------------------ costs
def cost_bars(rows: list[View], key: str, *, name: str, unit: str) -> dict[str, Any] | None:
    """Return what each row cost, lost work apart; None if nothing has cost anything."""
    shown = [row for row in rows if row["spent"] > 0]
    if not shown:
        return None
    at = list(range(len(shown)))
    kept = [row["spent"] - row["lost"] for row in shown]
    plain = {"color": colours.BLUE}
    lost = {"color": "white", "line": {"color": colours.VERMILION, "width": 1}}
    lost |= {"pattern": {"shape": "/", "fgcolor": colours.VERMILION, "bgcolor": "white"}}
    traces: list[Trace] = [
        {"type": "bar", "orientation": "h", "name": word, "x": costs, "y": at, "marker": marker}
        | {"text": [f"{safe(row[key])}: {cost:.3g}" for row, cost in zip(shown, costs, strict=True)]}
        | {"hoverinfo": "text+name", "textposition": "none"}
        for word, costs, marker in (("cost", kept, plain), ("lost work", [row["lost"] for row in shown], lost))
    ]
    return figure(
        traces,
        name=name,
        height=height_for(len(shown)),
        barmode="stack",
        xaxis=axis(f"cost ({safe(unit)})"),
        yaxis=named_axis([row[key] for row in shown]),
        showlegend=True,
    )
