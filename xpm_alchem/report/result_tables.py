"""The results as tables for a terminal. Energies in kcal/mol."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from xpm_alchem.report.tables import number, rows_table
from xpm_alchem.report.views import View

SECTIONS = ("transformations", "edges", "ligands", "cycles")
_WORST_CYCLES = 5


def results_table(view: View, sections: Collection[str] = SECTIONS, *, everything: bool = False) -> RenderableType:
    """Render `results_view`.

    Parameters
    ----------
    sections
        Which of `SECTIONS`.
    everything
        Whether to show all cycles and how the values settled over repeats.
    """
    parts: list[RenderableType] = []
    if "transformations" in sections:
        parts.append(_transformations(view))
    if "edges" in sections and view["edges"]:
        parts.append(_edges(view))
    for network in view["networks"]:
        if "ligands" in sections:
            parts.append(_ligands(view, network))
            parts += _statistics(network)
        if "cycles" in sections and network["cycles"]:
            parts.append(_cycles(view, network, everything))
        if everything:
            parts.append(_running(view, network))
    if view["outliers"]:
        parts.append(Text("\n".join(["outliers:", *(f"  {one['sentence']}" for one in view["outliers"])])))
    if view["missing"]["sentences"]:
        parts.append(Text("\n".join(["missing:", *(f"  {sentence}" for sentence in view["missing"]["sentences"])])))
    if view["unpaired"]:
        name, reason = next(iter(view["unpaired"].items()))
        parts.append(Text(f"{len(view['unpaired'])} transformation(s) belong to no edge, for example {name}: {reason}"))
    return Group(*parts)


def _transformations(view: View) -> RenderableType:
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
    return rows_table(title, headings, rows, right=range(2, 7), red=[False] * len(rows))


def _edges(view: View) -> RenderableType:
    measured = any(row["experiment"] is not None for row in view["edges"])
    headings = ["edge", "legs", "estimate", "std. error", "z"] + ["experiment"] * measured + ["missing"]
    rows = []
    for row in view["edges"]:
        cells = [row["edge"], f"{row['to']} - {row['from']}", number(row["estimate"], 3)]
        cells += [number(row["standard_error"], 3), number(row["z"], 1)]
        cells += [number(row["experiment"], 3)] * measured
        rows.append((*cells, ", ".join(row["missing"])))
    title = f"{view['campaign']}: ddG ({view['unit']})"
    return rows_table(title, tuple(headings), rows, right=range(2, 5 + measured), red=[False] * len(rows))


def _ligands(view: View, network: View) -> RenderableType:
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
    title = f"{view['campaign']}: ligands, {_legs(network)}, relative to {zero} ({view['unit']})"
    return rows_table(title, tuple(headings), rows, right=range(1, len(headings)), red=[False] * len(rows))


def _legs(network: View) -> str:
    return f"{network['to']} - {network['from']}"


def _statistics(network: View) -> Iterator[RenderableType]:
    found, edges = network["statistics"], network["edge_statistics"]
    if found is None:
        return
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
    yield Text("\n".join(lines))


def _statistic(one: View) -> str:
    return "-" if one["value"] is None else f"{one['value']:.2f} [{one['low']:.2f}, {one['high']:.2f}]"


def _cycles(view: View, network: View, everything: bool) -> RenderableType:
    cycles = network["cycles"] if everything else network["cycles"][:_WORST_CYCLES]
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
    title = f"{view['campaign']}: closures of {count} independent cycle(s), {_legs(network)} ({view['unit']})"
    title += f", the worst {shown}" if shown < count else ""
    return rows_table(title, ("cycle", "closure", "std. error", "z"), rows, right=range(1, 4), red=[False] * shown)


def _running(view: View, network: View) -> RenderableType:
    counts = [one["repeats"] for one in network["ligands"][0]["running"]]
    rows = [(row["ligand"], *(_settled(one) for one in row["running"])) for row in network["ligands"]]
    title = f"{view['campaign']}: steadied value +- std. error with the first n repeats ({view['unit']})"
    headings = ("ligand", *(f"n = {count}" for count in counts))
    return rows_table(title, headings, rows, right=range(1, len(headings)), red=[False] * len(rows))


def _settled(one: dict[str, Any]) -> str:
    return "-" if one["estimate"] is None else f"{one['estimate']:.2f} +- {one['standard_error']:.2f}"
