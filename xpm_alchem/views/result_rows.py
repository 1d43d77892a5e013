"""The results as rows of texts, for terminals and pages. Energies in kcal/mol."""

from __future__ import annotations

from typing import Any

from xpm_alchem.views.overview import View
from xpm_alchem.views.rows import Rows, number


def transformation_rows(view: View) -> Rows:
    """Return dG of the transformations."""
    headings = ("transformation", "leg", "n", "estimate", "SD", "std. error", "protocol's")
    rows = [
        (
            row["transformation"],
            row["leg"],
            str(len(row["repeats"])),
            *(number(row[key], 3) for key in ("estimate", "sd", "standard_error", "protocol_uncertainty")),
        )
        for row in view["transformations"]
    ]
    title = f"{view['campaign']}: dG ({view['unit']})"
    return Rows(title, headings, rows, range(2, 7))


def edge_rows(view: View) -> Rows:
    """Return ddG of the edges."""
    measured = any(row["experiment"] is not None for row in view["edges"])
    headings = ["edge", "legs", "estimate", "std. error", "z"] + ["experiment"] * measured + ["missing"]
    rows = []
    for row in view["edges"]:
        cells = [row["edge"], legs_of(row), number(row["estimate"], 3)]
        cells += [number(row["standard_error"], 3), number(row["z"], 1)]
        cells += [number(row["experiment"], 3)] * measured
        rows.append((*cells, ", ".join(row["missing"])))
    title = f"{view['campaign']}: ddG ({view['unit']})"
    return Rows(title, tuple(headings), rows, range(2, 5 + measured))


def ligand_rows(view: View, network: View) -> Rows:
    """Return the values of the ligands of a network."""
    measured = any(row["experiment"] is not None for row in network["ligands"])
    several = network["parts"] > 1
    headings = ["ligand"] + ["part"] * several + ["value", "+-", "steadied", "std. error"]
    headings += ["on exp. scale", "experiment", "deviation"] * measured
    keys = ["estimate", "uncertainty", "steadied_estimate", "standard_error"]
    keys += ["on_experimental_scale", "experiment", "deviation"] * measured
    rows = []
    for row in network["ligands"]:
        part = ["-" if row["part"] is None else str(row["part"] + 1)] * several
        rows.append((row["ligand"], *part, *(number(row[key], 3) for key in keys)))
    zero = "their mean" if network["relative_to"] == "mean" else network["relative_to"]
    title = f"{view['campaign']}: ligands, {legs_of(network)}, relative to {zero} ({view['unit']})"
    return Rows(title, tuple(headings), rows, range(1, len(headings)))


def legs_of(network: View) -> str:
    """Return the environments of a network, or of an edge: 'complex - solvent'."""
    return f"{network['to']} - {network['from']}"


def statistics_lines(network: View) -> list[str]:
    """Return how a network, of which `statistics` are there, compares with experiment."""
    found, edges = network["statistics"], network["edge_statistics"]
    lines = [
        f"against experiment, {found['count']} ligands, both sides centred (95 % bootstrap intervals):",
        f"  RMSE {_statistic(found['rmse'])} kcal/mol, MUE {_statistic(found['mue'])} kcal/mol",
        f"  R2 {_statistic(found['r2'])}, Pearson's r {_statistic(found['pearson_r'])}, "
        f"Kendall's tau {_statistic(found['kendall_tau'])}",
    ]
    if edges is not None:
        lines.append(
            f"  {edges['count']} edges: RMSE {_statistic(edges['rmse'])} kcal/mol, "
            f"MUE {_statistic(edges['mue'])} kcal/mol"
        )
    return lines


def statistics_rows(network: View) -> Rows:
    """Return the same in rows."""
    names = ("rmse", "mue", "r2", "pearson_r", "kendall_tau")
    compared = [("ligands, both sides centred", network["statistics"]), ("edges", network["edge_statistics"])]
    rows = [
        (what, str(found["count"]), *(_statistic(found[name]) if name in found else "" for name in names))
        for what, found in compared
        if found is not None
    ]
    title = f"against experiment, {legs_of(network)}, with 95 % bootstrap intervals"
    headings = ("", "n", "RMSE (kcal/mol)", "MUE (kcal/mol)", "R2", "Pearson's r", "Kendall's tau")
    return Rows(title, headings, rows, range(1, len(headings)))


def _statistic(one: View) -> str:
    return "-" if one["value"] is None else f"{one['value']:.2f} [{one['low']:.2f}, {one['high']:.2f}]"


def cycle_rows(view: View, network: View, most: int | None = None) -> Rows:
    """Return the closures of the cycles of a network, the worst first; at most so many."""
    cycles = network["cycles"][:most]
    rows = [
        (
            " -> ".join([*one["ligands"], one["ligands"][0]]),
            number(one["closure"], 3),
            number(one["standard_error"], 3),
            number(one["z"], 1),
        )
        for one in cycles
    ]
    count, shown = network["independent_cycles"], len(cycles)
    title = f"{view['campaign']}: closures of {count} independent cycle(s), {legs_of(network)} ({view['unit']})"
    title += f", the worst {shown}" if shown < count else ""
    return Rows(title, ("cycle", "closure", "std. error", "z"), rows, range(1, 4))


def running_rows(view: View, network: View) -> Rows:
    """Return how the ligands' values settled over repeats."""
    counts = [one["repeats"] for one in network["ligands"][0]["running"]]
    rows = [(row["ligand"], *(_settled(one) for one in row["running"])) for row in network["ligands"]]
    title = f"{view['campaign']}: steadied value +- std. error with the first n repeats ({view['unit']})"
    headings = ("ligand", *(f"n = {count}" for count in counts))
    return Rows(title, headings, rows, range(1, len(headings)))


def _settled(one: dict[str, Any]) -> str:
    return "-" if one["estimate"] is None else f"{one['estimate']:.2f} +- {one['standard_error']:.2f}"


def unpaired_sentence(view: View) -> str:
    """Say how many relative transformations belong to no edge; there are some."""
    name, reason = next(iter(view["unpaired"].items()))
    return f"{len(view['unpaired'])} transformation(s) belong to no edge, for example {name}: {reason}"
