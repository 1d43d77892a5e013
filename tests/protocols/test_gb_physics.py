"""The physics under the GB hydration protocol: parameters, energies, sampling, analysis."""

from __future__ import annotations

import dataclasses
import json
import logging
import sys
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from places import HYDRATION
from rdkit import Chem

from xpm_alchem.base.errors import MissingPackageError
from xpm_alchem.gufe_seam import IS_GUFE_0_4
from xpm_alchem.protocols import gb_system
from xpm_alchem.protocols.atom_mapping import common_mapping, given_mapping, superpose
from xpm_alchem.protocols.charged_molecule import SDF_PROPERTY, charged_molecule, stored_charges
from xpm_alchem.protocols.gb_analysis import GAS_CONSTANT, KJ_PER_KCAL, analyse
from xpm_alchem.protocols.gb_engine import (
    Schedule,
    State,
    Window,
    load_progress,
    minimise,
    save_progress,
    segment_seed,
)
from xpm_alchem.protocols.gb_parameters import choose_charges, parametrise
from xpm_alchem.protocols.gb_system import Edge, Terms, hydration_edge, mutation_edge
from xpm_alchem.protocols.packages import load_package, quiet

MOLECULES = HYDRATION / "molecules.sdf"
FORCEFIELD = "openff_unconstrained-2.2.1.offxml"
TEMPERATURE = 298.15
KT = GAS_CONSTANT * TEMPERATURE


def read(*names):
    """Return molecules of the experiment."""
    found = {mol.GetProp("_Name"): mol for mol in Chem.SDMolSupplier(str(MOLECULES), removeHs=False)}
    return [charged_molecule(found[name]) for name in names]


@pytest.fixture(scope="module")
def pair():
    """Toluene, phenol, their parameters, and a mapping between them."""
    toluene, phenol = read("toluene", "phenol")
    mapping = common_mapping(toluene.to_rdkit(), phenol.to_rdkit())
    parameters = [parametrise(molecule, FORCEFIELD, "stored", "") for molecule in (toluene, phenol)]
    return SimpleNamespace(molecules=(toluene, phenol), a=parameters[0], b=parameters[1], mapping=mapping)


def edges(pair):
    """Return an edge of every kind."""
    return {
        "hydration": hydration_edge(pair.a),
        "vacuum": mutation_edge(pair.a, pair.b, pair.mapping, solvated=False),
        "solvent": mutation_edge(pair.a, pair.b, pair.mapping, solvated=True),
    }


def energy(system, positions):
    """Potential energy, kJ/mol."""
    openmm = load_package("openmm")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference"))
    context.setPositions(positions)
    return context.getState(getEnergy=True).getPotentialEnergy()._value


def shaken(edge, seed, width=0.01):
    """Positions of an edge moved at random, nm."""
    return np.array(edge.positions) + np.random.default_rng(seed).normal(0, width, (edge.n_atoms, 3))


def only(edge, keep, terms):
    """Return a system of those bonded terms whose atoms are all in `keep`."""
    kept = Terms(
        bonds=[term for term in terms.bonds if keep.issuperset(term[:2])],
        angles=[term for term in terms.angles if keep.issuperset(term[:3])],
        torsions=[term for term in terms.torsions if keep.issuperset(term[:4])],
    )
    return dataclasses.replace(edge, common=kept, end_a=Terms(), end_b=Terms()).system(0.0)


# ---------------------------------------------------------------------------------------------------- parameters
def test_parameters_fit_the_molecule(pair):
    for molecule, parameters in zip(pair.molecules, (pair.a, pair.b), strict=True):
        mol = molecule.to_rdkit()
        n_atoms = mol.GetNumAtoms()
        assert parameters.n_atoms == n_atoms
        assert np.allclose(parameters.charges, stored_charges(molecule))
        assert abs(parameters.charges.sum()) < 1e-4
        assert np.allclose(parameters.positions * 10, mol.GetConformer().GetPositions())
        assert {frozenset(bond[:2]) for bond in parameters.bonds} == {
            frozenset((bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())) for bond in mol.GetBonds()
        }
        assert np.all((parameters.gb_radii > 0.1) & (parameters.gb_radii < 0.3))
        assert np.all((parameters.gb_screens > 0.5) & (parameters.gb_screens < 1.1))
        assert np.all(parameters.sigmas > 0)


def test_a_molecule_without_charges_is_refused():
    mol = read("phenol")[0].to_rdkit()
    mol.ClearProp(SDF_PROPERTY)
    for atom in mol.GetAtoms():
        atom.ClearProp("PartialCharge")
    bare = charged_molecule(mol)
    assert stored_charges(bare) is None
    with pytest.raises(ValueError, match=r"'phenol'.*carries no partial charges.*charge_method = 'nagl'"):
        choose_charges(bare, "stored")


@pytest.mark.parametrize("text", ["0.1 0.2", "what is this", " ".join(["nan"] * 13)])
def test_damaged_charges_are_refused(text):
    mol = read("phenol")[0].to_rdkit()
    mol.SetProp(SDF_PROPERTY, text)
    with pytest.raises(ValueError, match="'phenol' has a damaged" if IS_GUFE_0_4 else None):  # gufe >= 1 checks too
        stored_charges(charged_molecule(mol))


def test_charges_of_another_molecule_are_refused():
    mol = read("phenol")[0].to_rdkit()
    mol.SetProp(SDF_PROPERTY, " ".join(["0.1"] * mol.GetNumAtoms()))
    with pytest.raises(ValueError, match=r"add up to 1\.300" if IS_GUFE_0_4 else r"1\.3"):
        choose_charges(charged_molecule(mol), "stored")


def test_charges_are_found_on_the_atoms_too():
    molecule = read("methanol")[0]
    mol = molecule.to_rdkit()
    charges = stored_charges(molecule)
    mol.ClearProp(SDF_PROPERTY)
    for atom, charge in zip(mol.GetAtoms(), charges, strict=True):
        atom.SetDoubleProp("PartialCharge", float(charge))
    assert np.array_equal(stored_charges(charged_molecule(mol)), charges)


# --------------------------------------------------------------------------------------------------------- mapping
def test_the_common_substructure_keeps_elements_and_bonds(pair):
    mol_a, mol_b = (molecule.to_rdkit() for molecule in pair.molecules)
    assert len(pair.mapping) == 11  # the ring and its five hydrogens
    for atom_a, atom_b in pair.mapping.items():
        assert mol_a.GetAtomWithIdx(atom_a).GetAtomicNum() == mol_b.GetAtomWithIdx(atom_b).GetAtomicNum()
        for other_a, other_b in pair.mapping.items():
            assert (mol_a.GetBondBetweenAtoms(atom_a, other_a) is None) == (
                mol_b.GetBondBetweenAtoms(atom_b, other_b) is None
            )


def test_nothing_in_common_is_refused():
    methane = Chem.AddHs(Chem.MolFromSmiles("C"))
    water = Chem.AddHs(Chem.MolFromSmiles("O"))
    with pytest.raises(ValueError, match="give the transformation a mapping"):
        common_mapping(methane, water)


def test_superpose_finds_the_motion():
    rng = np.random.default_rng(1)
    points = rng.normal(size=(7, 3))
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    turn *= np.sign(np.linalg.det(turn))
    rotation, shift = superpose(points, points @ turn + 3.0)
    assert np.allclose(rotation, turn)
    assert np.allclose(points @ rotation + shift, points @ turn + 3.0)


def test_given_mappings_are_honoured_or_refused(pair):
    a, b = pair.molecules

    def mapping(atoms, first=a, second=b):
        return SimpleNamespace(componentA=first, componentB=second, componentA_to_componentB=atoms)

    for form in (mapping({0: 0, 1: 1}), [mapping({0: 0, 1: 1})], {"ligand": mapping({0: 0, 1: 1})}):
        assert given_mapping(form, a, b) == {0: 0, 1: 1}
    for form in (None, [], {}):
        assert given_mapping(form, a, b) is None
    for form, message in (
        ([mapping({0: 0}), mapping({0: 0})], "2 mappings"),
        (mapping({0: 0}, b, a), "from 'phenol' to 'toluene'"),
        (mapping({}), "empty"),
        (mapping({0: 3, 1: 3}), "uses an atom of B twice"),
        (mapping({99: 0}), "does not exist"),
        ("ligand", "a ComponentMapping of atoms is expected"),
    ):
        with pytest.raises(ValueError, match=message):
            given_mapping(form, a, b)


# -------------------------------------------------------------------------------------------------------- energies
@pytest.mark.parametrize("kind", ["hydration", "vacuum", "solvent"])
def test_the_energy_is_exactly_linear_in_lambda(pair, kind):
    edge = edges(pair)[kind]
    for seed in range(3):
        positions = shaken(edge, seed)
        energies = {lam: energy(edge.system(lam), positions) for lam in (0.0, 0.1, 0.35, 0.5, 0.9, 1.0)}
        end_a, end_b = (energy(system, positions) for system in edge.end_systems())
        assert energies[1.0] - energies[0.0] == pytest.approx(end_b - end_a, rel=1e-9, abs=1e-6)
        for lam, value in energies.items():
            assert value == pytest.approx(energies[0.0] + lam * (end_b - end_a), rel=1e-9, abs=1e-6)


def test_the_ends_of_a_mutation_are_the_two_molecules(pair):
    """U_a and the dangling terms of A, without the constant of absent atoms, are the energy of A alone in water."""
    edge = edges(pair)["solvent"]
    n_a = pair.a.n_atoms
    index_b = {b: a for a, b in pair.mapping.items()}
    new = iter(range(n_a, edge.n_atoms))
    places = {"a": list(range(n_a)), "b": [index_b[i] if i in index_b else next(new) for i in range(pair.b.n_atoms)]}
    positions = shaken(edge, 5)
    assert edge.constant != 0
    per_atom = edge.constant / (sum(gb[1] == 5.0 for gb in edge.end_b.gb) - sum(gb[1] == 5.0 for gb in edge.end_a.gb))
    for name, molecule, end in (("a", pair.a, 0), ("b", pair.b, 1)):
        alone = energy(hydration_edge(molecule).system(1.0), positions[places[name]])
        dangling = energy(only(edge, set(places[name]), edge.common), positions)
        absent = (edge.n_atoms - molecule.n_atoms) * per_atom
        hybrid = energy(edge.end_systems()[end], positions) + dangling - absent
        assert hybrid == pytest.approx(alone, abs=1e-4)  # kJ/mol


def test_absent_atoms_add_a_constant_only(pair):
    edge = edges(pair)["solvent"]
    absent_in_a = range(pair.a.n_atoms, edge.n_atoms)
    absent_in_b = sorted(set(range(pair.a.n_atoms)) - set(pair.mapping))
    for end, atoms in enumerate((absent_in_a, absent_in_b)):
        system = edge.end_systems()[end]
        energies = []
        for seed in range(4):
            positions = np.array(edge.positions)
            positions[list(atoms)] += np.random.default_rng(seed).normal(0, 0.05, (len(atoms), 3))
            energies.append(energy(system, positions))
        assert np.ptp(energies) < 1e-7


def test_an_edge_survives_json_exactly(pair):
    for edge in edges(pair).values():
        copy = Edge.from_dict(json.loads(json.dumps(edge.to_dict())))
        positions = shaken(edge, 2)
        assert energy(copy.system(0.3), positions) == energy(edge.system(0.3), positions)
        assert copy.constant == edge.constant


# -------------------------------------------------------------------------------------------------------- sampling
def oscillator(stiffness_a, stiffness_b):
    """Return an edge of two atoms on a spring without length: a 3D harmonic oscillator (kJ/mol/nm^2)."""
    ends = [Terms(bonds=[(0, 1, 0.0, stiffness)]) for stiffness in (stiffness_a, stiffness_b)]
    return Edge([12.0, 12.0], [[0.0, 0.0, 0.0], [0.05, 0.0, 0.0]], Terms(), *ends)


def schedule(**changes):
    """Return a short schedule."""
    values = {
        "n_equilibration": 1,
        "n_production": 3,
        "n_steps": 500,
        "sample_every": 50,
        "timestep": 0.002,
        "temperature": TEMPERATURE,
        "friction": 5.0,
        "hydrogen_mass": 4.0,
    }
    return Schedule(**{**values, **changes})


def test_the_free_energy_of_an_oscillator(tmp_path):
    """dF = 3/2 kT ln(k_b / k_a), here 1.848 kcal/mol."""
    edge = oscillator(1000.0, 8000.0)
    exact = 1.5 * KT * np.log(8.0) / KJ_PER_KCAL
    plan = schedule(n_production=20, n_steps=10000, sample_every=100)
    lambdas = np.linspace(0, 1, 6)
    state, samples = minimise(edge), []
    for window, lam in enumerate(lambdas):
        seeds = [segment_seed("oscillator", window, segment) for segment in range(21)]
        state, values = Window(edge, lam, plan).run(state, seeds, tmp_path / f"{window}.npz")
        samples.append(values)
    found = analyse(samples, lambdas, TEMPERATURE)
    assert found["estimate"] == pytest.approx(exact, abs=4 * found["error"] + 0.02)  # 0.02: the time step
    assert 0 < found["error"] < 0.05


def test_segments_are_pure_functions(pair):
    edge = edges(pair)["solvent"]
    window, start = Window(edge, 0.4, schedule()), minimise(edge)
    first, samples = window.segment(start, 7)
    window.segment(first, 8)
    again, samples_again = Window(edge, 0.4, schedule()).segment(start, 7)
    other, _ = window.segment(start, 9)
    assert np.array_equal(first.positions, again.positions)
    assert np.array_equal(first.velocities, again.velocities)
    assert samples == samples_again
    assert not np.array_equal(first.positions, other.positions)


def test_a_window_goes_on_from_any_of_its_checkpoints(tmp_path):
    edge = oscillator(1000.0, 8000.0)
    window, start = Window(edge, 0.4, schedule()), minimise(edge)
    seeds = [11, 12, 13, 14]
    end, samples = window.run(start, seeds, tmp_path / "whole.npz")
    assert len(samples) == 30  # the first segment is equilibration
    nowhere = State(start.positions + np.nan, start.velocities)  # a start that must not be used any more
    for done in range(1, 5):
        checkpoint = tmp_path / f"{done}.npz"
        window.run(start, seeds[:done], checkpoint)
        resumed, resumed_samples = window.run(nowhere, seeds, checkpoint)
        assert np.array_equal(resumed.positions, end.positions)
        assert np.array_equal(resumed.velocities, end.velocities)
        assert np.array_equal(resumed_samples, samples)


def test_dynamics_that_explode_are_reported(tmp_path):
    window = Window(oscillator(1e9, 1e9), 0.5, schedule())
    state = State(np.array([[0.0, 0.0, 0.0], [0.1, 0.0, 0.0]]), np.zeros((2, 3)))
    with pytest.raises(Exception, match=r"(?i)unstable|nan"):
        window.run(state, [1, 2, 3, 4], tmp_path / "window.npz")
    assert not (tmp_path / "window.npz").exists()


def test_progress_is_written_whole(tmp_path):
    state = State(np.arange(6.0).reshape(2, 3), np.ones((2, 3)) / 3)
    save_progress(tmp_path / "x.npz", state, 4, np.array([0.1, 0.2]))
    loaded, done, samples = load_progress(tmp_path / "x.npz")
    assert np.array_equal(loaded.positions, state.positions)
    assert np.array_equal(loaded.velocities, state.velocities)
    assert done == 4
    assert samples.tolist() == [0.1, 0.2]
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["x.npz"]


def test_seeds_differ_by_everything():
    seeds = {
        segment_seed(run, window, segment) for run in ("a", "b", "1") for window in range(12) for segment in range(12)
    }
    assert len(seeds) == 3 * 12 * 12
    assert all(1 <= seed < 2**31 for seed in seeds)


# -------------------------------------------------------------------------------------------------------- analysis
def gaussian_samples(slope, lambdas, count=2000, seed=0):
    """Samples of dU = slope * x under U = kT x^2 / 2 + lambda dU, kJ/mol; dF = -slope^2 / (2 kT)."""
    rng = np.random.default_rng(seed)
    return [slope * rng.normal(-lam * slope / KT, 1.0, count) for lam in lambdas]


@pytest.mark.parametrize("offset", [0.0, 1e5, -1e5])
def test_mbar_of_gaussians_is_right_whatever_the_offset(offset):
    lambdas = np.linspace(0, 1, 5)
    samples = [series + offset for series in gaussian_samples(2 * KT, lambdas)]
    found = analyse(samples, lambdas, TEMPERATURE)
    exact = (offset - 2 * KT) / KJ_PER_KCAL
    assert found["estimate"] == pytest.approx(exact, abs=4 * found["error"])
    assert found["ti"] == pytest.approx(exact, abs=0.05)
    assert 0.0 < found["min_overlap"] < 0.5
    assert 0.8 * 10000 < found["n_effective"] <= 10000


def test_a_constant_difference_has_no_error():
    found = analyse([np.full(50, 3.0)] * 3, [0.0, 0.5, 1.0], TEMPERATURE)
    assert found["estimate"] == pytest.approx(3.0 / KJ_PER_KCAL)
    assert found["ti"] == pytest.approx(3.0 / KJ_PER_KCAL)


def test_correlated_samples_count_less():
    lambdas = np.linspace(0, 1, 5)
    samples = [np.repeat(series, 10) for series in gaussian_samples(KT, lambdas, 200)]
    found = analyse(samples, lambdas, TEMPERATURE)
    assert found["max_inefficiency"] > 5
    assert found["n_effective"] < 2000


# -------------------------------------------------------------------------------------------------------- packages
def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pymbar", None)
    monkeypatch.delitem(sys.modules, "pymbar.timeseries", raising=False)
    with pytest.raises(MissingPackageError, match=r"'pymbar' cannot be imported.*conda.*xpm-alchem\[pypi\]"):
        load_package("pymbar.timeseries")


def test_nagl_is_offered_through_conda_only():
    try:
        import openff.nagl  # noqa: F401
    except ImportError:
        with pytest.raises(MissingPackageError, match=r"openff\.nagl.*conda-forge openff-nagl\.$"):
            choose_charges(read("phenol")[0], "nagl", "openff-gnn-am1bcc-1.0.0.pt")
    else:
        pytest.skip("openff-nagl is installed")


def test_quiet_is_local(capsys):
    logger = logging.getLogger("pymbar")
    before = logger.level
    with pytest.raises(KeyError), quiet("pymbar"):
        logging.getLogger("pymbar.mbar").warning("not shown")
        warnings.warn("not shown", stacklevel=1)
        raise KeyError
    assert logger.level == before
    assert logging.root.manager.disable == 0
    assert capsys.readouterr() == ("", "")


def test_the_surface_constant_is_openmm_s(pair):
    """The energy of an absent atom alone in GB water is what `Edge.constant` takes away."""
    absent = Terms(gb=[(0.0, gb_system.ABSENT_RADIUS, gb_system.ABSENT_SCREEN)])
    edge = Edge([12.0], [[0.0, 0.0, 0.0]], Terms(), Terms(), absent)
    assert energy(edge.end_systems()[1], np.zeros((1, 3))) == pytest.approx(edge.constant, rel=1e-12)
