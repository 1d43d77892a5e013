"""The GB hydration protocol as gufe sees it: systems, units, interrupts, extension, files, results."""

from __future__ import annotations

import csv
import importlib.util
import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from places import HYDRATION

from xpm_alchem import gufe_seam as seam
from xpm_alchem.protocols.gb_engine import load_progress
from xpm_alchem.protocols.gb_hydration import GBHydrationProtocol, GBHydrationSettings

TINY = {"n_windows": 3, "production_ps": 2.0, "equilibration_ps": 0.5, "segment_ps": 0.5, "sample_every": 50}


def experiment():
    """Return the module build_network.py."""
    spec = importlib.util.spec_from_file_location("hydration_build_network", HYDRATION / "build_network.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def systems():
    """Return chemical systems by name, e.g. 'benzene_solvent'."""
    water = seam.SolventComponent()
    found = {}
    for name, molecule in experiment().read_molecules().items():
        found[f"{name}_vacuum"] = seam.ChemicalSystem({"ligand": molecule}, name=f"{name}_vacuum")
        found[f"{name}_solvent"] = seam.ChemicalSystem({"ligand": molecule, "solvent": water}, name=f"{name}_solvent")
    return found


SYSTEMS = systems()


def transformation(first, second, mapping=None, **settings):
    """Return a short transformation between two named systems."""
    protocol = GBHydrationProtocol(GBHydrationSettings(**{**TINY, **settings}))
    return seam.Transformation(SYSTEMS[first], SYSTEMS[second], protocol, mapping=mapping, name=f"{first} {second}")


def walk(dag, root):
    """Execute a DAG with one stable shared directory for each unit; go on where an earlier walk was stopped."""
    results = {}
    for unit in dag.protocol_units:
        shared, scratch = root / unit.name.replace(" ", "-"), root / "scratch"
        shared.mkdir(parents=True, exist_ok=True)
        scratch.mkdir(exist_ok=True)
        result = seam.execute_unit(unit, seam.make_context(shared, scratch), seam.resolve_inputs(unit, results))
        assert result.ok(), result.traceback
        results[str(unit.key)] = result
    return seam.make_dag_result(dag, results.values())


def outcome(dag_result):
    """Return the outputs of the analysis and the last state of every window: what must not depend on interrupts."""
    outputs = [result.outputs for result in dag_result.protocol_unit_results]
    analysis = next(output for output in outputs if output["unit"] == "analysis")
    return dict(analysis), {output["window"]: output["last"] for output in outputs if output["unit"] == "window"}


def run_seed(*args, repeat=0, **kwargs):
    """Return what the seeds of a transformation's DAG are derived from."""
    dag = seam.create_dag(transformation(*args, **kwargs), repeat=repeat)
    return dag.protocol_units[0].inputs["run_seed"]


# ---------------------------------------------------------------------------------------------------------- errors
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_windows", 1),
        ("n_windows", 2.5),
        ("production_ps", 0.0),
        ("production_ps", float("nan")),
        ("production_ps", 2.3),
        ("production_ps", 0.5),
        ("equilibration_ps", -1.0),
        ("equilibration_ps", 0.7),
        ("segment_ps", -0.5),
        ("segment_ps", 0.00001),
        ("timestep_fs", 0.0),
        ("timestep_fs", 3.0),
        ("sample_every", 0),
        ("sample_every", 77),
        ("temperature", -3.0),
        ("friction_per_ps", 0.0),
        ("hydrogen_mass", 0.0),
        ("forcefield", ""),
        ("charge_method", "guess"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(name, value):
    with pytest.raises(ValueError, match=name):
        GBHydrationProtocol(GBHydrationSettings(**{**TINY, name: value}))


def test_unknown_settings_are_refused():
    with pytest.raises(ValueError, match="n_lambdas"):
        GBHydrationSettings(n_lambdas=3)


def test_other_settings_are_refused():
    with pytest.raises(ValueError, match="GBHydrationSettings is expected"):
        GBHydrationProtocol({"n_windows": 3})


def test_default_settings_are_those_of_the_full_experiment():
    settings = GBHydrationProtocol.default_settings()
    assert (settings.n_windows, settings.production_ps) == (11, 50.0)
    GBHydrationProtocol(settings)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("benzene_solvent", "benzene_vacuum", "goes from water to vacuum and keeps the ligand"),
        ("benzene_vacuum", "toluene_solvent", "goes from vacuum to water and changes the ligand"),
        ("benzene_solvent", "toluene_vacuum", "goes from water to vacuum and changes the ligand"),
        ("benzene_solvent", "benzene_solvent", "are the same"),
    ],
)
def test_pairs_of_systems_that_make_no_sense_are_refused(first, second, message):
    with pytest.raises(ValueError, match=message):
        seam.create_dag(transformation(first, second))


def test_systems_of_other_components_are_refused():
    water = seam.SolventComponent()
    ligand = SYSTEMS["benzene_vacuum"].components["ligand"]
    protocol = GBHydrationProtocol(GBHydrationSettings(**TINY))
    good = SYSTEMS["benzene_solvent"]
    for components, message in (
        ({"solvent": water}, "takes one SmallMoleculeComponent named 'ligand'"),
        ({"ligand": water}, "takes one SmallMoleculeComponent named 'ligand'"),
        ({"ligand": ligand, "cosolvent": water}, "'cosolvent', 'ligand'"),
        ({"ligand": ligand, "solvent": ligand}, "has water only"),
        ({"ligand": ligand, "solvent": seam.SolventComponent(smiles="CO")}, "has water only"),
    ):
        bad = seam.ChemicalSystem(components, name="bad")
        with pytest.raises(ValueError, match=message):
            seam.create_dag(seam.Transformation(bad, good, protocol))


def test_missing_charges_are_found_when_the_dag_is_made():
    mol = SYSTEMS["methanol_vacuum"].components["ligand"].to_rdkit()
    mol.ClearProp("atom.dprop.PartialCharge")
    for atom in mol.GetAtoms():
        atom.ClearProp("PartialCharge")
    bare = seam.SmallMoleculeComponent(mol)
    pair = [
        seam.ChemicalSystem(parts) for parts in ({"ligand": bare}, {"ligand": bare, "solvent": seam.SolventComponent()})
    ]
    with pytest.raises(ValueError, match=r"'methanol'.*carries no partial charges"):
        seam.create_dag(seam.Transformation(*pair, GBHydrationProtocol(GBHydrationSettings(**TINY))))
    seam.create_dag(seam.Transformation(*pair, GBHydrationProtocol(GBHydrationSettings(**TINY, charge_method="nagl"))))


# ------------------------------------------------------------------------------------------------------------ seeds
def test_seeds_follow_from_the_edge_the_phase_and_the_repeat():
    cases = [
        ("benzene_vacuum", "toluene_vacuum"),
        ("toluene_vacuum", "benzene_vacuum"),
        ("benzene_solvent", "toluene_solvent"),
        ("benzene_vacuum", "phenol_vacuum"),
        ("benzene_vacuum", "benzene_solvent"),
    ]
    seeds = {run_seed(*case, repeat=repeat) for case in cases for repeat in range(3)}
    assert len(seeds) == len(cases) * 3
    assert run_seed(*cases[0], repeat=1) == run_seed(*cases[0], repeat=1)
    assert run_seed(*cases[0], repeat=None) != run_seed(*cases[0], repeat=None)


def test_the_dag_is_a_chain():
    dag = seam.create_dag(transformation("benzene_vacuum", "toluene_vacuum"), repeat=0)
    names = [unit.name for unit in dag.protocol_units]
    assert names == ["setup", "window 0", "window 1", "window 2", "analysis"]
    needs = {unit.name: {str(need.name) for need in unit.dependencies} for unit in dag.protocol_units}
    assert needs["window 0"] == {"setup"}
    assert needs["window 2"] == {"setup", "window 1"}
    assert needs["analysis"] == {"window 0", "window 1", "window 2"}


# ---------------------------------------------------------------------------------------------- interrupt and resume
@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A transformation, its saved DAG, and its outcome without any interrupt."""
    root = tmp_path_factory.mktemp("whole")
    settings = {"production_ps": 60.0, "equilibration_ps": 10.0, "segment_ps": 1.0}
    work = transformation("benzene_solvent", "toluene_solvent", **settings)
    dag = seam.create_dag(work, repeat=3)
    seam.save(dag, root / "dag.json")
    return root / "dag.json", outcome(walk(dag, root / "run"))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # one that Python drops
@pytest.mark.slow
def test_an_interrupt_anywhere_changes_nothing(whole, tmp_path):
    dag_file, expected = whole

    def interrupt(number, frame):
        raise seam.ExecutionInterrupt

    dag = seam.load(dag_file, lambda module: None)
    before = signal.signal(signal.SIGALRM, interrupt)
    interrupts = 0
    try:
        for attempt in itertools.count(1):
            try:
                seconds = 0.5 * attempt  # longer and longer, so that it ends; again, for Python may drop one
                signal.setitimer(signal.ITIMER_REAL, seconds, seconds)
                result = walk(dag, tmp_path)
                break
            except seam.ExecutionInterrupt:
                signal.setitimer(signal.ITIMER_REAL, 0)
                interrupts += 1
                for checkpoint in tmp_path.glob("window-*/window.npz"):
                    load_progress(checkpoint)
                assert not list(tmp_path.rglob("*.tmp"))
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert interrupts > 0
    assert outcome(result) == expected


@pytest.mark.slow
def test_a_kill_changes_nothing(whole, tmp_path):
    dag_file, expected = whole
    for window in range(2):
        checkpoint = tmp_path / f"window-{window}" / "window.npz"
        process = subprocess.Popen([sys.executable, __file__, "walk", dag_file, tmp_path], stderr=subprocess.PIPE)
        while not checkpoint.exists() and process.poll() is None:
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        load_progress(checkpoint)
    resumed = subprocess.run(
        [sys.executable, __file__, "walk", dag_file, tmp_path], capture_output=True, text=True, check=False
    )
    assert (resumed.returncode, resumed.stdout, resumed.stderr) == (0, "", "")  # and nothing is printed
    result = seam.load(tmp_path / "result.json", lambda module: None)
    assert outcome(result) == expected


# ---------------------------------------------------------------------------------------------------------- results
@pytest.mark.parametrize("name", ["methane", "ethane", "methanol"])
def test_hydration_free_energies_are_those_of_the_reference(name, tmp_path):
    with open(HYDRATION / "reference.csv", newline="") as table:
        reference = {row["name"]: row for row in csv.DictReader(table)}[f"{name}_hydration"]
    work = transformation(
        f"{name}_vacuum",
        f"{name}_solvent",
        n_windows=4,
        production_ps=15.0,
        equilibration_ps=5.0,
        segment_ps=5.0,
        sample_every=100,
    )
    results = [walk(seam.create_dag(work, repeat=repeat), tmp_path / str(repeat)) for repeat in range(2)]
    one, two = seam.gather(work, results[:1]), seam.gather(work, results)
    error = seam.in_kcal_per_mol(one.get_uncertainty())
    assert 0 < error < 0.1
    tolerance = float(reference["tolerance_kcal_per_mol"]) + 3 * error
    for result in (one, two):
        estimate = seam.in_kcal_per_mol(result.get_estimate())
        assert estimate == pytest.approx(float(reference["value_kcal_per_mol"]), abs=tolerance)
    first, second = two.data["estimates"]
    assert first != second
    assert seam.in_kcal_per_mol(two.get_uncertainty()) == pytest.approx(abs(first - second) / 2**0.5)
    assert two.n_protocol_dag_results == 2
    assert two.data["ti"][0] == pytest.approx(first, abs=0.1)
    assert 0.03 < two.data["min_overlap"][0] < 0.5


def test_no_results_are_said_to_be_none():
    result = seam.gather(transformation("methane_vacuum", "methane_solvent"), [])
    with pytest.raises(ValueError, match="no complete result"):
        result.get_estimate()
    with pytest.raises(ValueError, match="no complete result"):
        result.get_uncertainty()


@pytest.mark.skipif(seam.IS_GUFE_0_4, reason="gufe 0.4 has no ComponentMapping that can be made")
def test_a_mapping_is_honoured(tmp_path):
    ligands = [SYSTEMS[f"{name}_vacuum"].components["ligand"] for name in ("ethane", "methanol")]
    atoms = {0: 0, 2: 2, 3: 3, 4: 4}  # CH3
    mapping = seam.gufe.LigandAtomMapping(*ligands, componentA_to_componentB=atoms)
    dag = seam.create_dag(transformation("ethane_vacuum", "methanol_vacuum", mapping=mapping), repeat=0)
    unit = dag.protocol_units[0]
    setup = seam.execute_unit(unit, seam.make_context(tmp_path, tmp_path), unit.inputs)
    assert setup.outputs["n_common_atoms"] == 4
    assert setup.outputs["n_atoms"] == 8 + 2


# -------------------------------------------------------------------------------------------------------- extension
def test_an_extension_goes_on_with_new_statistics(tmp_path):
    work = transformation("methane_vacuum", "methane_solvent")
    first = walk(seam.create_dag(work, repeat=0), tmp_path / "first")
    seam.save(first, tmp_path / "first.json")
    dag = seam.create_dag(work, repeat=1, extends=seam.load(tmp_path / "first.json", lambda module: None))
    last = outcome(first)[1]
    windows = [unit for unit in dag.protocol_units if unit.name.startswith("window")]
    assert [unit.inputs["continues"] for unit in windows] == [last[window] for window in range(3)]
    again = seam.create_dag(work, repeat=1, extends=first)
    seeds = {d.protocol_units[0].inputs["run_seed"] for d in (dag, again)}
    assert len(seeds) == 1
    assert seeds.isdisjoint({run_seed("methane_vacuum", "methane_solvent", repeat=repeat) for repeat in range(2)})
    second = walk(dag, tmp_path / "second")
    third = walk(seam.create_dag(work, repeat=2, extends=second), tmp_path / "third")
    estimates = [outcome(result)[0]["estimate"] for result in (first, second, third)]
    assert len(set(estimates)) == 3
    assert estimates == pytest.approx([1.567] * 3, abs=0.1)
    assert seam.gather(work, [first, second, third]).data["estimates"] == estimates


def test_results_that_cannot_be_extended_are_refused(tmp_path):
    work = transformation("methane_vacuum", "methane_solvent")
    result = walk(seam.create_dag(work, repeat=0), tmp_path)
    with pytest.raises(ValueError, match="of another transformation"):
        seam.create_dag(transformation("ethane_vacuum", "ethane_solvent"), extends=result)
    with pytest.raises(ValueError, match="3 complete windows and this protocol n_windows = 4"):
        seam.create_dag(transformation("methane_vacuum", "methane_solvent", n_windows=4), extends=result)


# ------------------------------------------------------------------------------------------------------------ files
def test_protocol_and_result_survive_a_file(tmp_path):
    work = transformation("methane_vacuum", "methane_solvent", temperature=310.0)
    dag_result = walk(seam.create_dag(work, repeat=0), tmp_path / "run")
    result = seam.gather(work, [dag_result])
    for name, item in {"work": work, "dag_result": dag_result, "result": result}.items():
        seam.save(item, tmp_path / f"{name}.json")
        copy = seam.load(tmp_path / f"{name}.json", lambda module: None)
        assert copy == item
    # A fresh process has no registry of objects to look the same things up in.
    command = [sys.executable, __file__, "describe", tmp_path / "work.json", tmp_path / "result.json"]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    charges = "[-0.10866, 0.027165, 0.027165, 0.027165, 0.027165]"
    estimate = seam.in_kcal_per_mol(result.get_estimate())
    assert told.stdout == f"310.0 3 methane {charges} {charges} {estimate}\n"
    assert told.stderr == ""
    assert type(work.protocol).__module__ == "xpm_alchem.protocols.gb_hydration"
    assert type(work.protocol).__qualname__ == "GBHydrationProtocol"


def test_the_protocol_is_imported_without_its_engines():
    code = "import sys, xpm_alchem.protocols.gb_hydration; print('pymbar' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (told.stdout, told.stderr) == ("False\n", "")


# ------------------------------------------------------------------------------------------------------- experiment
@pytest.mark.parametrize(
    ("options", "counts"),
    [(["--small"], (9, 14)), (["--full"], (30, 20)), (["--full", "--absolute"], (48, 36))],
)
def test_the_networks_of_the_experiment(options, counts, tmp_path):
    command = [sys.executable, HYDRATION / "build_network.py", *options, "--out", tmp_path / "network.json"]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    assert told.stderr == ""
    network = seam.load(tmp_path / "network.json", lambda module: None)
    assert (len(network.edges), len(network.nodes)) == counts
    with open(HYDRATION / "reference.csv", newline="") as table:
        reference = {row["name"]: row["kind"] for row in csv.DictReader(table)}
    seeds = set()
    for edge in network.edges:
        stem, leg = edge.name.rsplit("_", 1)
        assert reference[edge.name if leg == "hydration" else stem] == (
            "absolute" if leg == "hydration" else "relative"
        )
        if leg != "hydration":
            assert edge.name == f"{stem}_{leg}"
            assert edge.stateA.name.endswith(f"_{leg}")
        seeds.add(seam.create_dag(edge, repeat=0).protocol_units[0].inputs["run_seed"])
    assert len(seeds) == len(network.edges)
    assert all(" " not in node.name for node in network.nodes)


def main(what, *paths):
    """Do in a process of its own what a test asks for."""
    files = [Path(path) for path in paths]
    if what == "walk":
        dag_file, root = files
        seam.save(walk(seam.load(dag_file, lambda module: None), root), root / "result.json")
    else:
        from xpm_alchem.protocols.charged_molecule import stored_charges

        work, result = (seam.load(path, lambda module: None) for path in files)
        ligands = [state.components["ligand"] for state in (work.stateA, work.stateB)]
        settings = work.protocol.settings
        charges = " ".join(str(stored_charges(ligand).tolist()) for ligand in ligands)
        estimate = seam.in_kcal_per_mol(result.get_estimate())
        print(settings.temperature, settings.n_windows, ligands[0].name, charges, estimate)


if __name__ == "__main__":
    main(*sys.argv[1:])
