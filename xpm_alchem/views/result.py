"""What `results` shows, as plain data with stable keys (docs/json.md). Energies in kcal/mol."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from xpm_alchem.base.errors import InputError
from xpm_alchem.base.near_miss import unknown_key
from xpm_alchem.campaign.experimental import parse_experimental
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.task_state import TaskState, TaskStatus, grouped
from xpm_alchem.failures.left_out import repeats_left_out
from xpm_alchem.network.index import WITHOUT_ESTIMATE, Index
from xpm_alchem.results.analysis import Analysis, NetworkAnalysis
from xpm_alchem.results.comparison import Comparison
from xpm_alchem.results.convergence import running_means
from xpm_alchem.results.estimates import EdgeResult, TransformationResult
from xpm_alchem.results.network_estimates import NetworkEstimate
from xpm_alchem.views.gone import gone_results, gone_sentence
from xpm_alchem.views.overview import View, tasks_now

_NAMED = 6


def analyse(index: Index, tasks: Mapping[str, list[TaskState]], given: tuple[Path, str] | None) -> Analysis:
    """Return all that is made of results; `given` is the file of measured values and its text."""
    measured = {} if given is None else parse_experimental(given[1], str(given[0]))
    return Analysis(index, tasks, measured)


def results_view(
    records: CampaignRecords, reference: str | None = None, *, running: bool = True, gone: bool = False
) -> View:
    """Return the results of transformations, edges and ligands, with what is missing.

    Parameters
    ----------
    reference
        Name of the ligand that values are relative to, instead of their mean.
    running
        Whether to say how the ligands' values settled over repeats.
    gone
        Whether to give the results of transformations that are gone from the network too, apart.

    Raises
    ------
    InputError
        No ligand has this name.
    """
    tasks = grouped(tasks_now(records).values())
    given = records.experimental()
    analysis = analyse(records.index, tasks, given)
    _check_reference(analysis, reference)
    names = {record.id: record.name for record in records.index.transformations}
    return {
        "campaign": records.name,
        "unit": "kcal/mol",
        "reference": reference,
        "experimental": None if given is None else str(given[0]),
        "transformations": [_transformation(result) for result in analysis.transformations.values()],
        "edges": _edges(analysis),
        "unpaired": {names[stable_id]: reason for stable_id, reason in records.index.unpaired.items()},
        "networks": [_network(analysis, network, reference, running) for network in analysis.networks],
        "outliers": _outliers(analysis),
        "missing": _missing(analysis, tasks, "" if gone else gone_sentence(records)),
        **_gone(records, is_asked=gone),
    }


def _gone(records: CampaignRecords, *, is_asked: bool) -> View:
    """Return the results of what is gone from the network, if they were asked for."""
    results, edges = gone_results(records) if is_asked and records.in_force.gone else ([], [])
    return {
        "gone_transformations": [_transformation(result) for result in results],
        "gone_edges": [_edge(edge) for edge in edges],
    }


def _check_reference(analysis: Analysis, reference: str | None) -> None:
    known = {ligand for network in analysis.networks for ligand in network.measured.ligands}
    if reference is not None and reference not in known:
        if not known:
            raise InputError(f"there is no ligand '{reference}': no legs of this network are paired.")
        raise InputError(unknown_key(reference, known, "--reference", what="unknown ligand"))


def _transformation(result: TransformationResult) -> View:
    return {
        "id": result.id,
        "transformation": result.name,
        "leg": result.environment,
        "repeats": list(result.repeats),
        "estimate": result.estimate,
        "sd": result.sd,
        "standard_error": result.standard_error,
        "protocol_uncertainty": result.protocol_uncertainty,
        "repeat_numbers": list(result.numbers),
        "protocol_uncertainties": list(result.uncertainties),
        "running": [
            {"repeats": one.repeats, "mean": one.mean, "standard_error": one.standard_error}
            for one in running_means(result.repeats)
        ],
    }


def _edges(analysis: Analysis) -> list[View]:
    """Return a row for every edge, in the order of the index."""
    rows: dict[int, View] = {}
    for place, network in enumerate(analysis.networks):
        topology = network.measured.topology
        fitted, experiment = topology.differences(network.best.values), topology.differences(network.experiment)
        deviations, z = network.residuals
        for number, edge in enumerate(network.measured.edges):
            rows[id(edge)] = _edge(edge) | {
                "network": place,
                "fitted": number_or_none(fitted[number]),
                "off_the_rest": number_or_none(deviations[number]),
                "z": number_or_none(z[number]),
                "experiment": number_or_none(experiment[number]),
            }
    return [rows[id(edge)] for edge in analysis.edges]


def _edge(edge: EdgeResult) -> View:
    return {
        "edge": edge.name,
        "ligand_a": edge.ligand_a,
        "ligand_b": edge.ligand_b,
        "from": edge.environments[0],
        "to": edge.environments[1],
        "estimate": edge.estimate,
        "standard_error": edge.standard_error,
        "missing": list(edge.missing),
        "sd": edge.sd,
        "transformations": [stable_id for stable_id, _ in edge.legs],
    }


def _network(analysis: Analysis, network: NetworkAnalysis, reference: str | None, running: bool) -> View:
    measured = network.measured
    at = measured.ligands.index(reference) if reference in measured.ligands else None
    return {
        "from": measured.environments[0],
        "to": measured.environments[1],
        "relative_to": "mean" if at is None else reference,
        "parts": int(network.steadied.parts.max(initial=-1)) + 1,
        "tau": network.tau,
        "ligands": _ligands(network, at, analysis.running(network) if running else {}),
        "independent_cycles": len(network.closures),
        "cycles": [
            {
                "ligands": [measured.ligands[node] for node in one.nodes],
                "closure": one.closure,
                "standard_error": one.standard_error,
                "z": one.z,
            }
            for one in network.closures
        ],
        "statistics": _statistics(network.comparison),
        "edge_statistics": _statistics(network.edge_comparison),
    }


def _ligands(network: NetworkAnalysis, reference: int | None, running: Mapping[int, NetworkEstimate]) -> list[View]:
    def relative(estimate: NetworkEstimate) -> NetworkEstimate:
        return estimate if reference is None else estimate.relative_to(reference)

    estimate, steadied = relative(network.estimate), relative(network.steadied)
    settled = {n: relative(one) for n, one in running.items()}
    shift = math.nan if network.comparison is None else network.comparison.shift
    rows = []
    for number, name in enumerate(network.measured.ligands):
        part = int(network.steadied.parts[number])
        on_scale = network.best.values[number] + shift if network.best.parts[number] == 0 else math.nan
        experiment = network.experiment[number]
        rows.append(
            {
                "ligand": name,
                "part": None if part < 0 else part,
                "estimate": number_or_none(estimate.values[number]),
                "uncertainty": number_or_none(estimate.errors[number]),
                "steadied_estimate": number_or_none(steadied.values[number]),
                "standard_error": number_or_none(steadied.errors[number]),
                "on_experimental_scale": number_or_none(on_scale),
                "experiment": number_or_none(experiment),
                "experiment_uncertainty": number_or_none(network.experiment_errors[number]),
                "deviation": number_or_none(on_scale - experiment),
                "running": [
                    {
                        "repeats": n,
                        "estimate": number_or_none(one.values[number]),
                        "standard_error": number_or_none(one.errors[number]),
                    }
                    for n, one in settled.items()
                ],
            }
        )
    return rows


def _statistics(comparison: Comparison | None) -> View | None:
    if comparison is None:
        return None
    found: View = {"count": comparison.count, "shift": comparison.shift}
    for name, one in comparison.statistics.items():
        found[name] = {"value": one.value, "low": one.low, "high": one.high}
    return found


def _outliers(analysis: Analysis) -> list[View]:
    found = [
        {"kind": "repeat", "names": [one.name], "repeats": list(one.repeats), "deviation": one.deviation, "z": one.z}
        | {"sentence": one.sentence}
        for one in analysis.repeat_outliers
    ]
    for network in analysis.networks:
        names = tuple(edge.name for edge in network.measured.edges)
        found += [
            {"kind": "edge", "names": [names[edge] for edge in one.edges], "repeats": []}
            | {"deviation": one.deviation, "z": one.z, "sentence": one.sentence(names)}
            for one in network.edge_outliers
        ]
    return found


def _missing(analysis: Analysis, tasks: Mapping[str, list[TaskState]], gone: str) -> View:
    """Return what is not there, in names and in sentences; `gone`: one on what is gone."""
    records = analysis.index.by_id
    silent_ones = [record.name for record in records.values() if record.protocol in WITHOUT_ESTIMATE]
    absolute = [record.name for record in records.values() if record.kind == "absolute"]
    results = [one for one in analysis.transformations.values() if one.protocol not in WITHOUT_ESTIMATE]
    without = [result.name for result in results if not result.repeats]
    single = [result.name for result in results if len(result.repeats) == 1]
    incomplete = [edge.name for edge in analysis.edges if edge.missing]
    silent = sum(
        task.status is TaskStatus.COMPLETE and task.estimate is None and not task.left_out
        for transformation, group in tasks.items()
        for task in group
        if transformation not in records or records[transformation].protocol not in WITHOUT_ESTIMATE
    )
    said = []
    if silent_ones:
        said.append(f"{len(silent_ones)} transformation(s) compute no free energy, by design: {some_of(silent_ones)}")
    if absolute and analysis.experimental:
        said.append(
            f"{len(absolute)} transformation(s) compute the value of one ligand: it is their estimate, in no edge, "
            f"not compared with the measured values: {some_of(absolute)}"
        )
    if without:
        said.append(f"{len(without)} of {len(results)} transformations have no result yet: {some_of(without)}")
    if incomplete:
        said.append(f"{len(incomplete)} of {len(analysis.edges)} edges have no ddG yet: {some_of(incomplete)}")
    if single and analysis.edges:
        said.append(
            f"{len(single)} transformation(s) have one repeat, and so no deviation: their edges do not count in the "
            f"values of openfe's convention: {some_of(single)}"
        )
    left_out = repeats_left_out(analysis.index, tasks)
    said += [f"{one.sentence}; `xpm-alchem why` shows it" for one in left_out[:_NAMED]]
    if len(left_out) > _NAMED:
        said.append(
            f"{len(left_out) - _NAMED} more repeats are left out: {some_of(one.name for one in left_out[_NAMED:])}"
        )
    if silent:
        said.append(f"{silent} complete task(s) have no estimate; `xpm-alchem why` says what the protocol said")
    without_value = []
    for network in analysis.networks:
        cut_off = [n for n, part in zip(network.measured.ligands, network.steadied.parts, strict=True) if part < 0]
        without_value += cut_off
        if cut_off:
            said.append(f"{network.measured.name}: no value yet for the ligands {some_of(cut_off)}")
        if network.steadied.parts.max(initial=-1) > 0:
            parts = int(network.steadied.parts.max()) + 1
            said.append(
                f"{network.measured.name}: the results so far fall into {parts} parts that nothing joins; values of "
                "different parts cannot be compared"
            )
        unmeasured = [n for n in network.measured.ligands if n not in analysis.experimental]
        if analysis.experimental and unmeasured:
            said.append(f"{network.measured.name}: no experimental value for {some_of(unmeasured)}")
    said += [gone] if gone else []
    if unknown := analysis.unknown_ligands:
        said.append(f"experimental values of no ligand of the network: {_unknown(unknown, analysis)}")
    return {
        "transformations": without,
        "single_repeats": single,
        "edges": incomplete,
        "ligands": without_value,
        "experimental_names": unknown,
        "repeats_left_out": [one.name for one in left_out],
        "sentences": said,
    }


def _unknown(names: list[str], analysis: Analysis) -> str:
    ligands = [ligand for network in analysis.networks for ligand in network.measured.ligands]
    near = difflib.get_close_matches(names[0], [n for n in ligands if n not in analysis.experimental], n=1)
    return some_of(names) + (f" (is '{names[0]}' the ligand '{near[0]}'? rename it in the file)" if near else "")


def number_or_none(value: Any) -> float | None:
    """Return a float, None for NaN."""
    return None if math.isnan(value) else float(value)


def some_of(names: Iterable[str]) -> str:
    """Return the first few names, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
