"""The sections of a report, in their order."""

from __future__ import annotations

from collections.abc import Mapping

from xpm_alchem.base.values import local_time
from xpm_alchem.plan.amounts import amount_text
from xpm_alchem.report.course_figures import (
    allocation_figure,
    cost_bars,
    cost_figure,
    errors_figure,
    progress_figure,
    settled_figure,
)
from xpm_alchem.report.graph_figure import marks_told, network_figure
from xpm_alchem.report.material import Material
from xpm_alchem.report.page import Block, Section, Sentences, Table, Tiles, Verbatim, drawings
from xpm_alchem.report.provenance import provenance
from xpm_alchem.report.value_figures import against_experiment, edge_values, forest, ligand_values
from xpm_alchem.tables.budget import budget_lines, leg_costs, transformation_costs
from xpm_alchem.tables.failure import failure_head, restarted_lines, standing_lines
from xpm_alchem.views.overview import View
from xpm_alchem.views.result_rows import (
    cycle_rows,
    edge_rows,
    legs_of,
    ligand_rows,
    statistics_rows,
    transformation_rows,
    unpaired_sentence,
)

_WORST_CYCLES = 100


def sections(material: Material) -> list[Section]:
    """Return all sections; each is there whether there is anything to show or not."""
    return [
        Section("overview", "Overview", _overview(material)),
        Section("values", "Values", _values(material.results)),
        Section("network", "Network", _network(material)),
        Section("checks", "Closures, outliers, missing", _checks(material.results)),
        Section("course", "Convergence and allocation", _course(material)),
        Section("cost", "Cost", _cost(material.budget)),
        Section("failures", "Failures", _failures(material)),
        Section("provenance", "Provenance", provenance(material.provenance)),
    ]


def _overview(material: Material) -> list[Block]:
    summary, budget = material.summary, material.budget
    unit, imported = budget["unit"], len(material.provenance["imported"])
    computed = summary["complete"] - imported
    tiles = [
        ("with a result", f"{summary['with_result']} of {summary['transformations']} transformations"),
        *((f"repeats {status}", str(summary[status])) for status in ("complete", "running", "waiting", "error")),
        ("hours of complete repeats", amount_text(summary["hours"])),
        ("cost", amount_text(budget["spent"], unit)),
        ("cost of a result", amount_text(budget["spent"] / computed, unit) if computed > 0 else "-"),
    ]
    if budget["budget"]["total"] is not None:
        tiles.append(("budget", amount_text(budget["budget"]["total"], unit)))
    if budget["lost"]:
        tiles.append(("lost work", amount_text(budget["lost"], unit)))
    if imported:
        tiles.append(("repeats imported", str(imported)))
    strategy = material.status["strategy"]
    sentence = (
        f"Strategy {strategy['name'] or 'none'}, mode {strategy['mode']}, {strategy['status']}, "
        f"{strategy['iterations']} iteration(s)"
    )
    last = strategy["last_iteration"]
    told = [sentence + ("." if last is None else f", the last on {local_time(last)}.")]
    told += [f"Needs you: {one}." for one in material.status["needs_user"]]
    told += [f"{one}." for one in material.status["held_up"]]
    return [Tiles(tiles), Sentences(told)]


# --------------------------------------------------------------------------------------------------------- values
def _values(results: View) -> list[Block]:
    blocks: list[Block] = []
    for number, network in enumerate(results["networks"]):
        blocks += _ligands(results, network)
        blocks += _edges(results, number)
    if not results["networks"]:
        blocks.append(Sentences(["No legs of this network are paired, so there are no ddG and no values of ligands."]))
    if results["edges"]:
        blocks.append(Table(edge_rows(results)))
    return [*blocks, Table(transformation_rows(results))]


def _ligands(results: View, network: View) -> list[Block]:
    values, legs = ligand_values(network), legs_of(network)
    shown = drawings(
        forest(values, name=f"ligands, {legs}", title="value (kcal/mol)"),
        against_experiment(values, name=f"ligands against experiment, {legs}", title="value (kcal/mol)"),
    )
    blocks: list[Block] = shown or [Sentences([f"No value of a ligand yet ({legs})."])]
    if network["statistics"] is not None:
        blocks.append(Table(statistics_rows(network)))
    return [*blocks, Table(ligand_rows(results, network))]


def _edges(results: View, number: int) -> list[Block]:
    values, legs = edge_values(results, number), legs_of(results["networks"][number])
    return drawings(
        forest(values, name=f"edges, {legs}", title="ddG (kcal/mol)"),
        against_experiment(values, name=f"edges against experiment, {legs}", title="ddG (kcal/mol)"),
    )


# -------------------------------------------------------------------------------------------------------- network
def _network(material: Material) -> list[Block]:
    graph = material.graph
    are_ligands = all(node["is_ligand"] for node in graph["nodes"])
    said_of_nodes = "ligands" if are_ligands else "ligands (circles) and chemical systems (squares)"
    sentence = (
        f"{len(graph['nodes'])} {said_of_nodes}, {len(graph['edges'])} edges: all legs of a pair are one edge. The "
        "darker, the larger the standard error; light blue has none yet. The pointer over the middle of an edge, or "
        "over a node, tells more; drag to move, the buttons zoom."
    )
    if told := marks_told(graph):
        sentence += f" On an edge {', '.join(told)}."
    return [*drawings(network_figure(graph, _said_of_ligands(material.results))), Sentences([sentence])]


def _said_of_ligands(results: View) -> Mapping[str, str]:
    found: dict[str, list[str]] = {}
    for network in results["networks"]:
        for one in ligand_values(network):
            if one.value is not None:
                found.setdefault(one.name, []).append(f"{legs_of(network)}: {one.told}")
    return {name: "<br>".join(told) for name, told in found.items()}


# --------------------------------------------------------------------------------------------------------- checks
def _checks(results: View) -> list[Block]:
    blocks: list[Block] = [
        Table(cycle_rows(results, network, _WORST_CYCLES)) for network in results["networks"] if network["cycles"]
    ]
    if not blocks:
        blocks.append(Sentences(["No cycle whose edges all have a value."]))
    outliers = [one["sentence"] for one in results["outliers"]]
    missing = list(results["missing"]["sentences"])
    if results["unpaired"]:
        missing.append(unpaired_sentence(results))
    return [*blocks, *_listed("Outliers", outliers, "none."), *_listed("Missing", missing, "nothing.")]


def _listed(what: str, sentences: list[str], nothing: str) -> list[Block]:
    if not sentences:
        return [Sentences([f"{what}: {nothing}"])]
    return [Sentences([f"{what}:"]), Sentences(sentences, is_list=True)]


# --------------------------------------------------------------------------------------------------------- course
def _course(material: Material) -> list[Block]:
    results, history = material.results, material.history
    settled = [
        settled_figure(network, name=f"values of the ligands over repeats, {legs_of(network)}")
        for network in results["networks"]
    ]
    blocks = drawings(*settled, errors_figure(results))
    if not blocks:
        blocks.append(Sentences(["Too few repeats yet to say how values settle."]))
    over_time = drawings(progress_figure(history), cost_figure(history, material.budget["budget"]["total"]))
    over_time += drawings(allocation_figure(history, material.show["rows"]))
    return [*blocks, *(over_time or [Sentences(["No repeat yet."])])]


# ----------------------------------------------------------------------------------------------------------- cost
def _cost(budget: View) -> list[Block]:
    unit = budget["unit"]
    by_leg = cost_bars(budget["legs"], "leg", name="cost by leg", unit=unit)
    by_transformation = cost_bars(budget["transformations"], "transformation", name="cost by transformation", unit=unit)
    return [
        Verbatim("Budget", "\n".join(budget_lines(budget))),
        *drawings(by_leg, by_transformation),
        Table(leg_costs(budget)),
        Table(transformation_costs(budget)),
    ]


# ------------------------------------------------------------------------------------------------------- failures
def _failures(material: Material) -> list[Block]:
    view, status = material.failures, material.status
    blocks: list[Block] = [Sentences([f"{view['in_error']} task(s) in error."])]
    blocks += [
        Verbatim(f"{number}. {failure_head(group)}", "\n".join(standing_lines(group)))
        for number, group in enumerate(view["failures"], start=1)
    ]
    if view["restarted"]:
        blocks.append(Sentences(["Failures of tasks that are not in error any more:"]))
    blocks += [
        Verbatim(f"{number}. {failure_head(group)}", "\n".join(restarted_lines(group)))
        for number, group in enumerate(view["restarted"], start=1)
    ]
    blocks += _listed("Transformations left out", [one["sentence"] for one in status["left_out"]], "none.")
    blocks += _listed("Repeats left out", [one["sentence"] for one in status["repeats_left_out"]], "none.")
    return blocks + _listed("Failing hosts", [one["sentence"] for one in status["failing_hosts"]], "none.")
