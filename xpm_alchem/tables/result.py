"""The results as tables for a terminal. Energies in kcal/mol."""

from __future__ import annotations

from collections.abc import Collection

from rich.console import Group, RenderableType

from xpm_alchem.tables.console import told
from xpm_alchem.tables.drawing import table_of
from xpm_alchem.views.overview import View
from xpm_alchem.views.result_rows import (
    cycle_rows,
    edge_rows,
    ligand_rows,
    running_rows,
    statistics_lines,
    transformation_rows,
    unpaired_sentence,
)

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
        parts.append(table_of(transformation_rows(view)))
    if "edges" in sections and view["edges"]:
        parts.append(table_of(edge_rows(view)))
    for network in view["networks"]:
        if "ligands" in sections:
            parts.append(table_of(ligand_rows(view, network)))
            if network["statistics"] is not None:
                parts.append(told(*statistics_lines(network)))
        if "cycles" in sections and network["cycles"]:
            parts.append(table_of(cycle_rows(view, network, None if everything else _WORST_CYCLES)))
        if everything:
            parts.append(table_of(running_rows(view, network)))
    if view.get("gone_transformations"):
        gone = view | {"transformations": view["gone_transformations"], "edges": view["gone_edges"]}
        parts.append(told("", "gone from the network, and counted in nothing above:"))
        parts += [table_of(transformation_rows(gone))] if "transformations" in sections else []
        parts += [table_of(edge_rows(gone))] if "edges" in sections and gone["edges"] else []
    if view["outliers"]:
        parts.append(told("outliers:", *(f"  {one['sentence']}" for one in view["outliers"])))
    if view["missing"]["sentences"]:
        parts.append(told("missing:", *(f"  {sentence}" for sentence in view["missing"]["sentences"])))
    if view["unpaired"]:
        parts.append(told(unpaired_sentence(view)))
    return Group(*parts)
