"""The seam over gufe's versions: what is written is read back, by another process too."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from dummy_protocol import DummyProtocol, DummySettings, dummy_network, small_molecule
from places import SUPPORT

from xpm_alchem import gufe_seam as seam
from xpm_alchem.base.errors import FormatError, UntrustedModuleError
from xpm_alchem.execution.attempt_log import AttemptLog
from xpm_alchem.execution.dag_run import TaskSpec, run
from xpm_alchem.network.loading import load_network
from xpm_alchem.network.trust import check_module

CHECK = check_module("a test", ("dummy_protocol",))


@pytest.fixture
def executed(tmp_path):
    """A transformation, its DAG, the results of its units and of the DAG."""
    (transformation,) = dummy_network([(0, 2)], n_simulations=2).edges
    dag = seam.create_dag(transformation, repeat=1, name="repeat 1")
    results = {}
    for unit in dag.protocol_units:
        shared, scratch = tmp_path / "shared" / str(unit.key), tmp_path / "scratch" / str(unit.key)
        for path in (shared, scratch):
            path.mkdir(parents=True)
        context = seam.make_context(shared, scratch, tmp_path, tmp_path)
        results[str(unit.key)] = seam.execute_unit(unit, context, seam.resolve_inputs(unit, results))
    return transformation, dag, results, seam.make_dag_result(dag, results.values())


REREAD = """
import json, sys
from pathlib import Path
from xpm_alchem import gufe_seam as seam
from xpm_alchem.network.trust import check_module
for path in map(Path, sys.argv[1:]):
    again = seam.load(path, check_module("a test", ("dummy_protocol",)))
    seam.save(again, path.with_suffix(".again"))
    print(str(again.key))
"""


IMPORT_EACH_FIRST = """
import importlib, pkgutil, sys
from xpm_alchem import gufe_seam as seam
for module in pkgutil.iter_modules(seam.__path__, seam.__name__ + "."):
    for name in [name for name in sys.modules if name.startswith(seam.__name__)]:
        del sys.modules[name]
    importlib.import_module(module.name)
"""


def test_each_module_of_the_room_can_be_the_first_that_is_imported():
    command = [sys.executable, "-W", "ignore", "-c", IMPORT_EACH_FIRST]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_everything_comes_back_the_same_in_another_process(executed, tmp_path):
    transformation, dag, results, dag_result = executed
    objects = [seam.AlchemicalNetwork(edges=[transformation]), transformation, dag, dag_result, *results.values()]
    paths = [tmp_path / f"{number}.json" for number in range(len(objects))]
    for obj, path in zip(objects, paths, strict=True):
        seam.save(obj, path)
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    command = [sys.executable, "-W", "ignore", "-c", REREAD, *map(str, paths)]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split() == [str(obj.key) for obj in objects]
    for path in paths:
        before, after = json.loads(path.read_text()), json.loads(path.with_suffix(".again").read_text())
        assert sorted(before, key=str) == sorted(after, key=str)


def test_what_comes_back_is_equal_and_works(executed, tmp_path):
    transformation, dag, results, dag_result = executed
    for number, obj in enumerate((transformation, dag, dag_result, *results.values())):
        seam.save(obj, tmp_path / f"{number}.json")
        assert seam.load(tmp_path / f"{number}.json", CHECK).key == obj.key
    again = seam.load(tmp_path / "2.json", CHECK)
    (estimate,) = (r.outputs["dg"] for r in again.protocol_unit_results if r.name == "analyse")
    assert seam.gather(transformation, [again]).get_estimate() == estimate
    assert next(u.name for u in seam.load(tmp_path / "1.json", CHECK).protocol_units) == "setup"


def test_a_chain_has_dependencies_first_and_the_object_last(executed):
    chain = json.loads(seam.to_text(executed[3]))
    seen = set()
    for key, content in chain:
        text = json.dumps(content)
        assert all(other in seen for other, _ in chain if f'{{":gufe-key:": "{other}"}}' in text)
        seen.add(key)
    assert chain[-1][0] == str(executed[3].key)


def test_an_untrusted_module_is_refused_before_it_is_imported(executed, tmp_path):
    seam.save(executed[0], tmp_path / "t.json")
    with pytest.raises(UntrustedModuleError, match="dummy_protocol"):
        seam.load(tmp_path / "t.json", check_module("a test"))


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "3", '[["a", {}]]'])
def test_what_is_no_object_of_gufe_is_said_to_be_damaged(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(FormatError, match=r"x\.json: damaged"):
        seam.load(tmp_path / "x.json", CHECK)


# ------------------------------------------------------------------------------------------------------ DAGs, units
def test_a_protocol_sees_the_repeat_only_while_its_dag_is_made():
    (transformation,) = dummy_network([(0, 2)]).edges

    def seeds(repeat):
        dag = seam.create_dag(transformation, repeat=repeat)
        return [unit.inputs["seed"] for unit in dag.protocol_units if "seed" in unit.inputs]

    assert seeds(1) == seeds(1) != seeds(2)
    assert seam.current_repeat() is None


def test_the_repeat_is_forgotten_when_create_fails(tmp_path):
    script = tmp_path / "script.json"
    script.write_text('{"create": {"do": "raise"}}')
    (transformation,) = dummy_network([(0, 2)], script=str(script)).edges
    with pytest.raises(RuntimeError):
        seam.create_dag(transformation, repeat=5)
    assert seam.current_repeat() is None


def test_a_dag_has_the_name_it_was_given():
    (transformation,) = dummy_network([(0, 2)]).edges
    assert seam.create_dag(transformation, repeat=1, name="my repeat").name == "my repeat"


def test_inputs_are_resolved_wherever_a_unit_is_named(executed):
    _, dag, results, _ = executed
    analyse = dag.protocol_units[-1]
    simulations = seam.resolve_inputs(analyse, results)["simulations"]
    assert sorted(r.name for r in simulations) == ["simulate 0", "simulate 1"] and all(r.ok() for r in simulations)


def test_a_context_has_what_the_installed_gufe_knows(tmp_path):
    context = seam.make_context(tmp_path / "a", tmp_path / "b", tmp_path / "c", tmp_path / "d")
    assert (context.shared, context.scratch) == (tmp_path / "a", tmp_path / "b")


def failure_of(executed, tmp_path, name):
    """Return the unit results where one unit failed: without those of the units that depend on it."""
    script = tmp_path / "script.json"
    _, dag, results, _ = executed
    found = dict(results)
    for unit in dag.protocol_units:
        if unit.name == name:
            inputs = seam.resolve_inputs(unit, results)
            inputs["settings"] = {**inputs["settings"], "script": str(script)}
            script.write_text(json.dumps({name: {"do": "raise", "message": "on purpose"}}))
            context = seam.make_context(tmp_path, tmp_path, tmp_path, tmp_path)
            found[str(unit.key)] = seam.execute_unit(unit, context, inputs)
            lost = {str(unit.key)}
    for unit in dag.protocol_units:
        if lost & {str(parent.key) for parent in unit.dependencies}:
            lost.add(str(unit.key))
            del found[str(unit.key)]
    return found


def test_a_failed_unit_is_returned_with_its_traceback_not_raised(executed, tmp_path):
    results = failure_of(executed, tmp_path, "analyse")
    (failure,) = [r for r in results.values() if not r.ok()]
    assert "RuntimeError: on purpose" in failure.traceback and failure.name == "analyse"
    seam.save(failure, tmp_path / "failure.json")
    again = seam.load(tmp_path / "failure.json", CHECK)
    assert (again.key, again.ok(), again.traceback) == (failure.key, False, failure.traceback)


@pytest.mark.parametrize("name", ["setup", "simulate 1", "analyse"])
def test_a_dag_is_not_ok_when_any_unit_failed_the_last_one_too(executed, tmp_path, name):
    dag = executed[1]
    assert seam.dag_ok(seam.make_dag_result(dag, executed[2].values()))
    assert not seam.dag_ok(seam.make_dag_result(dag, failure_of(executed, tmp_path, name).values()))


def test_a_dag_is_ok_when_a_unit_failed_and_then_succeeded(executed, tmp_path):
    failed = [r for r in failure_of(executed, tmp_path, "analyse").values() if not r.ok()]
    assert seam.dag_ok(seam.make_dag_result(executed[1], [*failed, *executed[2].values()]))


# ------------------------------------------------------------------------------------------------------------ results
def test_results_are_counted(executed):
    transformation, _, _, dag_result = executed
    result = seam.gather(transformation, [dag_result, dag_result])
    assert result.n_protocol_dag_results == 2


def test_results_to_come_are_counted_and_estimates_kept(executed):
    transformation, _, _, dag_result = executed
    protocol = transformation.protocol
    result = seam.gather(transformation, [dag_result])
    more = seam.with_results_to_come(protocol, result, 2)
    assert (result.n_protocol_dag_results, more.n_protocol_dag_results) == (1, 3)
    assert more.get_estimate() == result.get_estimate()
    assert seam.with_results_to_come(protocol, None, 2).n_protocol_dag_results == 2
    assert seam.with_results_to_come(protocol, None, 0) is None
    assert seam.with_results_to_come(protocol, result, 0) is result


def test_energies_are_given_in_kcal_per_mol():
    assert seam.in_kcal_per_mol(1) == 1.0
    unit = pytest.importorskip("openff.units", reason="openff-units is not installed").unit
    assert seam.in_kcal_per_mol(4.184 * unit.kilojoule_per_mole) == pytest.approx(1.0)


# ------------------------------------------------------------------------------------------------------------ networks
def test_subgraphs_are_the_connected_parts_largest_first():
    network = dummy_network([(0, 1), (1, 2), (3, 4)], environments=("vacuum", "solvent"))
    parts = seam.subgraphs(network)
    assert [(len(part.nodes), len(part.edges)) for part in parts] == [(3, 2), (3, 2), (2, 1), (2, 1)]
    assert {t.key for part in parts for t in part.edges} == {t.key for t in network.edges}
    assert [str(part.key) for part in parts] == [str(part.key) for part in seam.subgraphs(network)]


def test_a_lonely_system_is_a_part_of_its_own():
    lonely = seam.ChemicalSystem({"ligand": small_molecule("ligand_9")}, name="lonely")
    network = dummy_network([(0, 1)])
    parts = seam.subgraphs(seam.AlchemicalNetwork(edges=network.edges, nodes=[*network.nodes, lonely]))
    assert [(len(part.nodes), len(part.edges)) for part in parts] == [(2, 1), (1, 0)]


def test_parallel_transformations_are_all_in_the_graph():
    ends = [seam.ChemicalSystem({"ligand": small_molecule(f"l_{n}", "C" * (n + 1))}, name=f"l_{n}") for n in (0, 1)]
    edges = [seam.Transformation(*ends, DummyProtocol(DummySettings(n_steps=n)), None, name=str(n)) for n in (1, 2)]
    graph = seam.edge_graph(seam.AlchemicalNetwork(edges=edges))
    assert sorted(data["object"].name for _, _, data in graph.edges(data=True)) == ["1", "2"]


def test_settings_that_do_not_exist_are_refused():
    with pytest.raises(ValueError):
        DummySettings(no_such_setting=1)


# -------------------------------------------------------------------------------------- what an older gufe has written
OLD = SUPPORT / "gufe_0_4"


def test_a_network_that_gufe_0_4_wrote_is_read_with_the_same_stable_ids():
    network = load_network(OLD / "network.json", ("dummy_protocol",))
    assert {r.id: r.name for r in network.index.transformations} == {
        "01ea5af8c612bc35": "ligand_0_ligand_1_solvent",
        "80789a90a6fc1f60": "ligand_0_ligand_1_vacuum",
    }
    (first, second) = sorted(network.alchemical_network.edges, key=lambda t: t.name)
    assert (first.protocol.settings.n_steps, second.protocol.settings.noise) == (4, 0.3)
    ligands = [system.components["ligand"] for system in (first.stateA, first.stateB)]
    assert [(ligand.name, ligand.smiles) for ligand in ligands] == [("ligand_0", "C"), ("ligand_1", "CC")]
    if not seam.IS_GUFE_0_4:
        assert [ligand.to_rdkit().GetNumAtoms() for ligand in ligands] == [5, 8]
    assert set(network.id_of_key.values()) == set(network.index.by_id)


@pytest.mark.parametrize("module", ["pathlib", "pathlib._local"])
@pytest.mark.parametrize("name", ["Path", "PosixPath"])
def test_a_path_is_read_whichever_gufe_and_python_wrote_it(module, name):
    path = {"__class__": name, "__module__": module, ":is_custom:": True, "path": "/jobs/shared/system.json"}
    unit = {"__qualname__": "Nothing", "__module__": "gufe", "file": path}
    ((_, content),) = seam.parse(json.dumps([["key", unit]]), None)
    assert content["file"] == Path("/jobs/shared/system.json")


def test_a_task_that_gufe_0_4_began_goes_on(tmp_path):
    task = tmp_path / "jobs" / "xpm_alchem.run" / "92ed44188326ac68eafa94cea22e13b118c9a0b9a2e641e641d45f01e2cd9fbc"
    network = load_network(OLD / "network.json", ("dummy_protocol",))
    unit = json.loads((OLD / "setup.json").read_text())[0][1]["source_key"]
    (task / "results").mkdir(parents=True)
    (task / "shared" / unit).mkdir(parents=True)
    (task / "shared" / unit / "system.json").write_text('{"dg": 1.0}')
    shutil.copy(OLD / "dag.json", task / "dag.json")
    shutil.copy(OLD / "setup.json", task / "results" / f"{unit}.json")
    spec = TaskSpec(
        "01ea5af8c612bc35", 2, lambda: network.transformation("01ea5af8c612bc35"), None, ("dummy_protocol",)
    )
    summary = run(task, spec)
    assert (summary.status, summary.units_done, summary.units_total) == ("complete", 3, 3)
    (attempt,) = AttemptLog(task / "attempts.jsonl").read()
    assert [unit["name"] for unit in attempt.units] == ["simulate 0", "analyse"]
    assert summary.estimate == pytest.approx(0.9718696751773039)


@pytest.mark.parametrize("logger", ["gufekey.openfe.components", "openff.toolkit", "pymbar.timeseries"])
def test_what_other_packages_announce_while_objects_are_read_is_not_printed(tmp_path, monkeypatch, caplog, logger):
    seam.save(dummy_network([(0, 1)]), tmp_path / "network.json")
    read, announced = seam.SmallMoleculeComponent._from_dict.__func__, []

    def announce(cls, content):
        announced.append(cls)
        logging.getLogger(logger).warning("Partial charges are present")
        warnings.warn("a serializer warning", UserWarning, stacklevel=1)
        return read(cls, content)

    monkeypatch.setattr(seam.SmallMoleculeComponent, "_from_dict", classmethod(announce))
    with warnings.catch_warnings(record=True) as warned, caplog.at_level(logging.INFO):
        assert load_network(tmp_path / "network.json", ("dummy_protocol",)).alchemical_network is not None
    assert announced and not caplog.records and not warned
