"""All results together: TYK2 as cinnabar has it, partial results, separate networks."""

from __future__ import annotations

import json
import math

import attrs
import numpy as np
import pytest
from analyses import analysis, index_of

from xpm_alchem.campaign.experimental import Measured

# cinnabar 0.2.3 (wrangle.FEMap of its own CSV): ddG = mean(complex) - mean(solvent), dddG = both legs' standard
# deviations (n - 1) added in squares, as `openfe gather` of openfe 1.12.0 has it. Value and uncertainty, kcal/mol.
TYK2 = {
    "ejm_31": (-0.082555533, 0.044157845),
    "ejm_42": (0.402766646, 0.053881633),
    "ejm_43": (2.128275210, 0.124866466),
    "ejm_44": (3.299980077, 0.137819638),
    "ejm_45": (0.188514467, 0.113541701),
    "ejm_46": (-1.276309164, 0.079377593),
    "ejm_47": (-0.021222263, 0.181818953),
    "ejm_48": (0.616986593, 0.120744381),
    "ejm_49": (0.959709114, 0.100202122),
    "ejm_50": (0.083363290, 0.092596756),
    "ejm_54": (-0.586597939, 0.103010730),
    "ejm_55": (-0.580031476, 0.143051845),
    "jmc_23": (-1.350120616, 0.053323945),
    "jmc_27": (-1.447496903, 0.085756052),
    "jmc_28": (-0.653469946, 0.078578195),
    "jmc_30": (-1.681791557, 0.083962836),
}
# cinnabar.stats.bootstrap_statistic(...)["mle"] of the centred values, and of the edges' differences
TYK2_STATISTICS = {
    "rmse": 0.5868674017053574,
    "mue": 0.47616153747905343,
    "r2": 0.7985972075509207,
    "pearson_r": 0.8936426621144052,
    "kendall_tau": 0.6833333333333333,
}
TYK2_EDGE_STATISTICS = {"rmse": 0.6112471708247659, "mue": 0.5294976572533817}


@pytest.mark.data
def test_the_ligands_of_tyk2_have_cinnabar_s_values(tyk2_analysis):
    (network,) = tyk2_analysis.networks
    assert network.measured.ligands == tuple(TYK2) and len(network.measured.edges) == 22
    assert network.estimate.values == pytest.approx([value for value, _ in TYK2.values()], abs=1e-6)
    assert network.estimate.errors == pytest.approx([error for _, error in TYK2.values()], abs=1e-6)


@pytest.mark.data
def test_the_statistics_of_tyk2_are_cinnabar_s(tyk2_analysis):
    (network,) = tyk2_analysis.networks
    found = {name: one.value for name, one in network.comparison.statistics.items()}
    assert found == pytest.approx(TYK2_STATISTICS, abs=1e-6)
    found = {name: one.value for name, one in network.edge_comparison.statistics.items()}
    assert found == pytest.approx(TYK2_EDGE_STATISTICS, abs=1e-6)


@pytest.mark.data
def test_what_is_odd_about_tyk2(tyk2_analysis):
    (network,) = tyk2_analysis.networks
    assert len(network.closures) == 22 - 16 + 1
    worst = network.closures[0]
    assert [network.measured.ligands[n] for n in worst.nodes] == ["ejm_31", "ejm_42", "ejm_43", "ejm_44"]
    assert worst.closure == pytest.approx(1.07, abs=0.01) and worst.z > 5
    assert network.tau == pytest.approx(0.2, abs=0.05)
    assert [one.name for one in tyk2_analysis.repeat_outliers] == ["solvent_ejm_55_ejm_54"]
    # steadied values agree with the others within their own, larger errors
    assert np.all(np.abs(network.steadied.values - network.estimate.values) < 3 * network.steadied.errors)
    running = tyk2_analysis.running(network)
    assert list(running) == [1, 2, 3] and running[3].values == pytest.approx(network.steadied.values)
    assert np.all(running[1].errors > running[3].errors)


# ------------------------------------------------------------------------------------------- small ones, by hand


def test_without_any_result_everything_is_there_and_empty():
    found = analysis(index_of([("A", "B"), ("B", "C")]), {})
    (network,) = found.networks
    assert np.isnan(network.estimate.values).all() and np.isnan(network.steadied.values).all()
    assert network.closures == [] and found.repeat_outliers == [] and network.edge_outliers == []
    assert found.running(network) == {} and network.comparison is None
    json.dumps(network.tau)


def test_single_repeats_have_steadied_values_only_and_these_are_compared():
    estimates = {"AB-solvent": [1.0], "AB-complex": [3.0], "BC-solvent": [0.0], "BC-complex": [1.0]}
    measured = {"A": Measured(-9.0), "B": Measured(-7.0), "C": Measured(-6.0)}
    (network,) = analysis(index_of([("A", "B"), ("B", "C")]), estimates, measured).networks
    assert np.isnan(network.estimate.values).all()
    assert np.diff(network.steadied.values) == pytest.approx([2.0, 1.0])
    assert network.comparison.statistics["rmse"].value == pytest.approx(0.0, abs=1e-9)


def test_hydration_and_binding_are_networks_of_their_own():
    index = index_of([("A", "B")], ("vacuum", "solvent", "complex"))
    estimates = {"AB-vacuum": [0.0, 0.2], "AB-solvent": [1.0, 1.1], "AB-complex": [4.0, 4.2]}
    found = analysis(index, estimates).networks
    assert [network.measured.name for network in found] == ["complex - solvent", "solvent - vacuum"]
    differences = [float(np.diff(network.estimate.values)[0]) for network in found]
    assert differences == pytest.approx([3.05, 0.95])


def test_another_protein_is_another_network():
    index = index_of([("A", "B"), ("B", "C")], places={("B", "C"): "other "})
    found = analysis(index, {}).networks
    assert sorted(network.measured.ligands for network in found) == [("A", "B"), ("B", "C")]


def test_ligands_of_the_same_name_are_told_apart():
    index = index_of([("A", "B"), ("B", "C")])
    records = tuple(attrs.evolve(r, ligand_b="A") if r.ligand_b == "C" else r for r in index.transformations)
    index = attrs.evolve(
        index, transformations=records, edges=(index.edges[0], attrs.evolve(index.edges[1], ligand_b="A"))
    )
    (network,) = analysis(index, {}).networks
    assert network.measured.ligands == ("A (id A)", "A (id C)", "B")


def test_parts_that_nothing_joins_are_not_compared_with_each_other():
    index = index_of([("A", "B"), ("B", "C"), ("D", "E")])
    estimates = {f"{edge}-{leg}": [1.0, 1.1] for edge in ("AB", "BC", "DE") for leg in ("solvent", "complex")}
    measured = {name: Measured(-float(n)) for n, name in enumerate("ABCDE")}
    (network,) = analysis(index, estimates, measured).networks
    assert network.estimate.parts.tolist() == [0, 0, 0, 1, 1] and network.comparison.count == 3


def test_measured_values_of_no_ligand_are_named():
    found = analysis(index_of([("A", "B")]), {}, {"A": Measured(-1.0, 0.3), "lig_B": Measured(-2.0)})
    assert found.unknown_ligands == ["lig_B"]
    (network,) = found.networks
    assert network.experiment[0] == -1.0 and network.experiment_errors[0] == 0.3 and math.isnan(network.experiment[1])
