"""The results as CSV tables of our own; every column says its unit. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from xpm_alchem.base.values import printable
from xpm_alchem.results.analysis import Analysis
from xpm_alchem.views.overview import View

_UNIT = " (kcal/mol)"
_FORMULA = tuple("=+-@")  # what a formula begins with; numbers are written as numbers
_LIGAND_ENERGIES = (
    "estimate",
    "uncertainty",
    "steadied_estimate",
    "standard_error",
    "on_experimental_scale",
    "experiment",
    "experiment_uncertainty",
    "deviation",
)


def own_tables(view: View, analysis: Analysis) -> dict[str, str]:
    """Return the text of every file by its name, from `views.result.results_view`."""
    files = {
        "repeats.csv": _table(
            ("transformation", "leg", "repeat", f"estimate{_UNIT}", f"protocol's uncertainty{_UNIT}"),
            (
                (row["transformation"], row["leg"], number, value, uncertainty)
                for row in view["transformations"]
                for number, value, uncertainty in zip(
                    row["repeat_numbers"], row["repeats"], row["protocol_uncertainties"], strict=True
                )
            ),
        ),
        "transformations.csv": _of_rows(
            view["transformations"],
            ("id", "transformation", "leg"),
            ("estimate", "sd", "standard_error", "protocol_uncertainty"),
            repeats=[len(row["repeats"]) for row in view["transformations"]],
        ),
        "edges.csv": _of_rows(
            view["edges"],
            ("ligand_a", "ligand_b", "from", "to"),
            ("estimate", "standard_error", "sd", "fitted", "off_the_rest", "experiment"),
            z=[row["z"] for row in view["edges"]],
            missing=["; ".join(row["missing"]) for row in view["edges"]],
        ),
    }
    if view.get("gone_transformations"):
        files["gone_transformations.csv"] = _of_rows(
            view["gone_transformations"],
            ("id", "transformation", "leg"),
            ("estimate", "sd", "standard_error", "protocol_uncertainty"),
            repeats=[len(row["repeats"]) for row in view["gone_transformations"]],
        )
    for network, one in zip(view["networks"], analysis.networks, strict=True):
        legs = f"{network['to']}-{network['from']}"
        if f"ligands-{legs}.csv" in files:  # another protein
            legs += f"-{sum(name.startswith('ligands-') for name in files) + 1}"
        files[f"ligands-{legs}.csv"] = _of_rows(
            network["ligands"],
            ("ligand", "part"),
            _LIGAND_ENERGIES,
        )
        files[f"cycles-{legs}.csv"] = _of_rows(
            [{**cycle, "cycle": " -> ".join(cycle["ligands"])} for cycle in network["cycles"]],
            ("cycle",),
            ("closure", "standard_error"),
            z=[cycle["z"] for cycle in network["cycles"]],
        )
        names = one.measured.ligands
        files[f"covariance-{legs}.csv"] = _table(
            ("steadied covariance ((kcal/mol)^2)", *names),
            ((name, *map(float, row)) for name, row in zip(names, one.steadied.covariance, strict=True)),
        )
    return files


def _of_rows(rows: Sequence[View], plain: Sequence[str], energies: Sequence[str], **more: Sequence[object]) -> str:
    """Return a table of some keys of rows; `more` are columns without a unit."""
    head = (*plain, *(f"{key}{_UNIT}" for key in energies), *more)
    cells = (
        (*(row[key] for key in plain), *(row[key] for key in energies), *(column[n] for column in more.values()))
        for n, row in enumerate(rows)
    )
    return _table(head, cells)


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerows(tuple(map(_cell, row)) for row in (head, *rows))
    return out.getvalue()


def _cell(value: object) -> object:
    """Return what is written: a text on one line, with an apostrophe before what a spreadsheet would reckon out."""
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
