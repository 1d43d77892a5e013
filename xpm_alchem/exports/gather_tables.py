"""The tables of ``openfe gather`` (openfe 1.12): the same columns, order of rows, estimates and rounding. Pure.

There an edge's estimate is the difference of the means of all simulations of its legs, its uncertainty their standard
deviations (n - 1; 0.0 of a single one) added in squares. Energies in kcal/mol.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence

import attrs
import numpy as np

from xpm_alchem.network.index import Edge, Index, told_apart
from xpm_alchem.results.analysis import Analysis, NetworkAnalysis
from xpm_alchem.results.network_estimates import NetworkEstimate, estimate_values

FAILED = "Error"  # openfe's word
_BINDING = ("solvent", "complex")
_PAIRS = (_BINDING, ("vacuum", "solvent"))

Simulations = Mapping[str, Sequence[Sequence[tuple[float, float]]]]


def rounded(estimate: float, uncertainty: float) -> tuple[str, str]:
    """Return both as openfe prints them: the uncertainty to one digit, the estimate to the same place."""
    if uncertainty == 0:
        column = 0
    else:
        log = math.log10(uncertainty)
        column = math.floor(log + 1) if log >= 0 else math.floor(log)
    if column < 0:
        return f"{estimate:.{-column}f}", f"{uncertainty:.{-column}f}"
    return f"{np.round(estimate, 1 - column)}", f"{np.round(uncertainty, 1 - column)}"


def raw_table(index: Index, simulations: Simulations, failed: Mapping[str, int]) -> str:
    """Return `--report raw`: every simulation of every leg.

    Parameters
    ----------
    simulations
        Estimate and the protocol's own uncertainty of each simulation of each repeat, by transformation.
    failed
        How many tasks are in error, by transformation.
    """
    rows = []
    relative = [record for record in index.transformations if record.kind == "relative"]
    names = _names(index)
    for record in sorted(relative, key=lambda r: (names[r.ligand_a_id], names[r.ligand_b_id], r.environment)):
        head = (record.environment, names[record.ligand_a_id], names[record.ligand_b_id])
        for repeat in simulations.get(record.id, ()):
            rows += [(*head, *rounded(estimate, uncertainty)) for estimate, uncertainty in repeat]
        rows += [(*head, FAILED, FAILED)] * failed.get(record.id, 0)
    columns = ("leg", "ligand_i", "ligand_j", "DG(i->j) (kcal/mol)", "MBAR uncertainty (kcal/mol)")
    return _tsv(columns, rows)


def _names(index: Index) -> dict[str, str]:
    """Return the ligands' names; openfe takes two of one name for the same ligand."""
    relative = [record for record in index.transformations if record.ligand_a_id and record.ligand_b_id]
    names = {record.ligand_a_id: record.ligand_a for record in relative}
    return told_apart(names | {record.ligand_b_id: record.ligand_b for record in relative})


@attrs.frozen
class _Leg:
    mean: float
    sd: float
    count: int


def _legs(simulations: Simulations) -> dict[str, _Leg]:
    found = {}
    for transformation, repeats in simulations.items():
        values = [estimate for repeat in repeats for estimate, _ in repeat]
        if values:
            sd = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
            found[transformation] = _Leg(float(np.average(values)), sd, len(values))
    return found


def ddg_table(index: Index, simulations: Simulations) -> str:
    """Return `--report ddg`: ddG of binding and of hydration of every edge; 'Error' where a leg has no result."""
    known = _legs(simulations)
    rows: list[tuple[str, ...]] = []
    names = _names(index)

    def ends(edge: Edge) -> tuple[str, str]:
        first = index.by_id[edge.legs[0].transformation]
        return names[first.ligand_a_id], names[first.ligand_b_id]

    for edge in sorted((edge for edge in index.edges if len(edge.legs) > 1), key=ends):
        legs = {leg.environment: leg for leg in edge.legs if leg.transformation in known}
        pairs = [pair for pair in _PAIRS if set(pair) <= legs.keys()]
        for early, late in pairs:
            first, second = known[legs[early].transformation], known[legs[late].transformation]
            value = legs[late].sign * second.mean - legs[early].sign * first.mean
            rows.append((*ends(edge), *rounded(value, math.hypot(first.sd, second.sd))))
        if not pairs:
            rows.append((*ends(edge), FAILED, FAILED))
    return _tsv(("ligand_i", "ligand_j", "DDG(i->j) (kcal/mol)", "uncertainty (kcal/mol)"), rows)


def dg_table(analysis: Analysis, simulations: Simulations) -> str | None:
    """Return `--report dg`: the ligands' values by maximum likelihood of binding ddG; None without such edges.

    Where `openfe gather` refuses (a leg with a single simulation, results that fall into parts), the ligands of the
    largest connected part of edges with two simulations of both legs have values, the others 'Error'.
    """
    rows = []
    networks = [network for network in analysis.networks if network.measured.environments == _BINDING]
    for network in networks:
        estimate = _estimate(network, simulations)
        for name, part, value, error in zip(
            network.measured.ligands, estimate.parts, estimate.values, estimate.errors, strict=True
        ):
            rows.append((name, *(rounded(float(value), float(error)) if part == 0 else (FAILED, FAILED))))
    columns = ("ligand", "DG(MLE) (kcal/mol)", "uncertainty (kcal/mol)")
    return _tsv(columns, sorted(rows)) if networks else None


def _estimate(network: NetworkAnalysis, simulations: Simulations) -> NetworkEstimate:
    known, values, errors = _legs(simulations), [], []
    for edge in network.measured.edges:
        legs = [(known.get(transformation), sign) for transformation, sign in edge.legs]
        measured = [(leg, sign) for leg, sign in legs if leg is not None and leg.count > 1]
        complete = len(measured) == len(legs)
        values.append(sum(sign * leg.mean for leg, sign in measured) if complete else math.nan)
        errors.append(math.hypot(*(leg.sd for leg, _ in measured)) if complete else math.nan)
    return estimate_values(network.measured.topology, np.array(values), np.array(errors))


def _tsv(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, delimiter="\t", lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return out.getvalue()
