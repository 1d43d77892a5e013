"""Values of ligands and edges as figures: side by side, and against experiment. Energies in kcal/mol."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from xpm_alchem.report.colours import BLUE, GREY, VERMILION
from xpm_alchem.report.figure import Trace, axis, figure, height_for, lines, named_axis, safe
from xpm_alchem.views.overview import View

_GUIDES = ((0.0, "solid"), (0.5, "dash"), (1.0, "dot"))  # kcal/mol off experiment
_SMALLEST_SPAN = 1.0


@attrs.frozen
class Value:
    """A calculated value with its error, and the measured one; kcal/mol, None where there is none."""

    name: str
    value: float | None
    error: float | None = None
    experiment: float | None = None
    experiment_error: float | None = None

    @property
    def hover(self) -> str:
        """What is shown of it under the pointer."""
        return lines([f"<b>{safe(self.name)}</b>", self.told])

    @property
    def told(self) -> str:
        """The same without its name."""
        said = [f"calculated {_said(self.value, self.error)}"]
        if self.experiment is not None:
            said.append(f"experiment {_said(self.experiment, self.experiment_error)}")
            said += [] if self.value is None else [f"deviation {self.value - self.experiment:+.2f}"]
        return lines(said)


def ligand_values(network: View) -> list[Value]:
    """Return the values of the ligands that are compared with experiment, on its scale if there is one.

    Those of openfe's convention as soon as there are any, else the steadied ones.
    """
    rows = network["ligands"]
    plain = any(row["estimate"] is not None for row in rows)
    value, error = ("estimate", "uncertainty") if plain else ("steadied_estimate", "standard_error")
    value = value if network["statistics"] is None else "on_experimental_scale"
    return [
        Value(row["ligand"], row[value], row[error], row["experiment"], row["experiment_uncertainty"]) for row in rows
    ]


def edge_values(view: View, network: int) -> list[Value]:
    """Return ddG of the edges of a network, given by its number."""
    rows = (row for row in view["edges"] if row["network"] == network)
    return [Value(row["edge"], row["estimate"], row["standard_error"], row["experiment"]) for row in rows]


def forest(values: Sequence[Value], *, name: str, title: str) -> dict[str, Any] | None:
    """Return all values one below the other, the lowest on top; None if there is none."""
    known = sorted((one for one in values if one.value is not None), key=lambda one: one.value or 0.0)
    if not known:
        return None
    rows = list(range(len(known)))
    traces = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": "calculated",
            "x": [one.value for one in known],
            "y": rows,
            "error_x": _bars([one.error for one in known]),
            "marker": {"color": BLUE, "size": 8},
            "text": [one.hover for one in known],
            "hoverinfo": "text",
        }
    ]
    measured = [(row, one) for row, one in zip(rows, known, strict=True) if one.experiment is not None]
    if measured:
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": "experiment",
                "x": [one.experiment for _, one in measured],
                "y": [row for row, _ in measured],
                "marker": {"color": VERMILION, "size": 9, "symbol": "diamond-open", "line": {"width": 2}},
                "text": [one.hover for _, one in measured],
                "hoverinfo": "text",
            }
        )
    return figure(
        traces,
        name=name,
        height=height_for(len(known)),
        xaxis=axis(title),
        yaxis=named_axis([one.name for one in known]),
        showlegend=bool(measured),
    )


def against_experiment(values: Sequence[Value], *, name: str, title: str) -> dict[str, Any] | None:
    """Return calculated against measured values with lines at 0, +-0.5 and +-1; None if there are none."""
    both = [one for one in values if one.value is not None and one.experiment is not None]
    if not both:
        return None
    numbers = [number for one in both for number in (one.value, one.experiment) if number is not None]
    margin = max(0.08 * (max(numbers) - min(numbers)), _SMALLEST_SPAN / 2)
    ends = [min(numbers) - margin, max(numbers) + margin]
    points = {
        "type": "scatter",
        "mode": "markers",
        "x": [one.experiment for one in both],
        "y": [one.value for one in both],
        "error_x": _bars([one.experiment_error for one in both]),
        "error_y": _bars([one.error for one in both]),
        "marker": {"color": BLUE, "size": 8, "line": {"color": "white", "width": 1}},
        "text": [one.hover for one in both],
        "hoverinfo": "text",
        "showlegend": False,
    }
    return figure(
        [*_guides(ends), points],
        name=name,
        height=max(440, min(height_for(len(both)), 560)),
        xaxis=axis(f"experiment, {title}", range=ends, constrain="domain"),
        yaxis=axis(f"calculated, {title}", range=ends, scaleanchor="x", constrain="domain"),
    )


def _guides(ends: list[float]) -> list[Trace]:
    """Return the lines of equal deviation, as one entry of the legend for each distance."""
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "name": "equal" if off == 0 else f"± {off:g}",
            "x": [*ends, None, *ends] if off else ends,
            "y": [*(end + off for end in ends), None, *(end - off for end in ends)] if off else ends,
            "line": {"color": GREY, "width": 1, "dash": dash},
            "hoverinfo": "skip",
        }
        for off, dash in _GUIDES
    ]


def _bars(errors: Sequence[float | None]) -> dict[str, Any]:
    return {"type": "data", "array": list(errors), "thickness": 1.2, "width": 3, "color": GREY}


def _said(value: float | None, error: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" + ("" if error is None else f" ± {error:.2f}")
