"""Loading, checking and indexing a network: clear errors, stable ids, legs that belong together."""

from __future__ import annotations

import copy
import gzip
import importlib
import json
import random
from collections import Counter
from pathlib import Path

import attrs
import pytest
from dummy_protocol import DummyProtocol, DummySettings, dummy_network, small_molecule
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xpm_alchem import gufe_seam as seam
from xpm_alchem.base.errors import MissingPackageError, NetworkError, UntrustedModuleError, XpmAlchemError
from xpm_alchem.gufe_seam.keyed_chain import flatten, keys_in, subchain
from xpm_alchem.network.advice import advice
from xpm_alchem.network.index import ENVIRONMENTS, TransformationRecord, pair_legs
from xpm_alchem.network.loading import load_network
from xpm_alchem.network.trust import check_module

TRUSTED = ("dummy_protocol",)


def plain(network) -> list:
    """Return a network's keyed chain as plain JSON data."""
    return json.loads(seam.to_text(network))


@pytest.fixture(scope="module")
def chain():
    """The keyed chain of a triangle of ligands in vacuum and solvent."""
    return plain(dummy_network([(0, 1), (1, 2), (0, 2)], environments=("vacuum", "solvent")))


@pytest.fixture
def load(tmp_path):
    """Return a function that writes a document to network.json and loads it."""

    def write_and_load(document, **options):
        path = tmp_path / "network.json"
        path.write_text(json.dumps(document, **options))
        return load_network(path, TRUSTED)

    return write_and_load


def entry(chain, qualname, index=0):
    """Return the content of the n-th entry of a class."""
    return [content for _, content in chain if content["__qualname__"] == qualname][index]


def ids(network):
    return {record.name: record.id for record in network.index.transformations}


# ---------------------------------------------------------------------------------------------- the index itself
def test_the_index_of_a_triangle_in_two_environments(chain, load):
    index = load(chain).index
    assert index.name == "dummy"
    assert sorted(r.name for r in index.transformations) == sorted(
        f"ligand_{a}_ligand_{b}_{e}" for a, b in [(0, 1), (1, 2), (0, 2)] for e in ("vacuum", "solvent")
    )
    assert {(r.kind, r.protocol, r.environment == r.name.split("_")[-1]) for r in index.transformations} == {
        ("relative", "DummyProtocol", True)
    }
    assert all(len(r.id) == 16 and int(r.id, 16) >= 0 for r in index.transformations)
    assert [len(part) for part in index.components] == [3, 3]
    assert not index.unpaired
    assert [[(leg.environment, leg.sign) for leg in edge.legs] for edge in index.edges] == [
        [("vacuum", 1), ("solvent", 1)]
    ] * 3


def test_components_are_the_connected_parts_largest_first(load):
    index = load(plain(dummy_network([(0, 1), (2, 3), (3, 4)]))).index
    names = [[index.by_id[i].name for i in part] for part in index.components]
    assert [sorted(part) for part in names] == [
        ["ligand_2_ligand_3_vacuum", "ligand_3_ligand_4_vacuum"],
        ["ligand_0_ligand_1_vacuum"],
    ]


def test_a_transformation_is_found_by_name_id_or_the_beginning_of_its_id(chain, load):
    index = load(chain).index
    record = index.transformations[0]
    assert index.find(record.name) is index.find(record.id) is index.find(record.id[:12]) is record


@pytest.mark.parametrize("text", ["", "nothing", "ligand_0"])
def test_a_transformation_that_is_not_there_is_not_found(chain, load, text):
    with pytest.raises(NetworkError, match=f"no transformation is called '{text}'"):
        load(chain).index.find(text)


def test_an_ambiguous_beginning_of_an_id_is_refused(load):
    index = load(plain(dummy_network([(0, n) for n in range(1, 18)]))).index  # 17 ids, 16 first digits
    first = Counter(record.id[0] for record in index.transformations).most_common(1)[0]
    with pytest.raises(NetworkError, match=f"is the beginning of {first[1]} transformation ids"):
        index.find(first[0])


def test_gufe_objects_are_found_by_stable_id_and_by_key(chain, load):
    network = load(chain)
    for record in network.index.transformations:
        transformation = network.transformation(record.id)  # decoded by itself
        assert transformation.name == record.name
        assert network.id_of_key[str(transformation.key)] == record.id
    assert len(network.alchemical_network.edges) == 6


def test_a_non_transformation_is_indexed_and_belongs_to_no_edge(load):
    system = seam.ChemicalSystem({"ligand": small_molecule("ligand_1")}, name="ligand_1")
    plain_sampling = seam.NonTransformation(system, DummyProtocol(DummySettings()), name="sample ligand_1")
    network = load(plain(seam.AlchemicalNetwork(edges=[plain_sampling])))
    (record,) = network.index.transformations
    assert (record.kind, record.name, record.system_a_id) == ("none", "sample ligand_1", record.system_b_id)
    assert network.index.edges == () and network.index.unpaired == {}
    assert network.transformation(record.id).name == "sample ligand_1"


def test_a_component_that_disappears_makes_an_absolute_transformation(load):
    water = seam.SolventComponent()
    both = seam.ChemicalSystem({"ligand": small_molecule("ligand_1"), "solvent": water}, name="with_1")
    alone = seam.ChemicalSystem({"solvent": water}, name="without_0")
    absolute = seam.Transformation(both, alone, DummyProtocol(DummySettings()), None, name="solvation")
    (record,) = load(plain(seam.AlchemicalNetwork(edges=[absolute]))).index.transformations
    assert (record.kind, record.environment, record.ligand_a, record.ligand_b) == (
        "absolute",
        "solvent",
        "with_1",
        "without_0",
    )


def test_transformations_without_a_name_are_named_after_their_systems(load):
    document = plain(dummy_network([(0, 1), (1, 2)]))
    for key, content in document:
        if key.startswith("Transformation"):
            content["name"] = None
    names = {record.name for record in load(document).index.transformations}
    assert names == {"vacuum_ligand_0->vacuum_ligand_1", "vacuum_ligand_1->vacuum_ligand_2"}


# ---------------------------------------------------------------------------------------------------- stable ids
def shuffled(chain, seed):
    """Return the chain in another order that still has dependencies first, the network last."""
    rng, waiting, done = random.Random(seed), list(chain[:-1]), []
    while waiting:
        names = {name for name, _ in done}
        ready = [item for item in waiting if set(keys_in(item[1])) <= names]
        chosen = rng.choice(ready)
        waiting.remove(chosen)
        done.append(chosen)
    return [*done, chain[-1]]


@pytest.mark.parametrize("seed", range(5))
def test_ids_do_not_depend_on_the_order_of_entries(chain, load, seed):
    other = shuffled(chain, seed)
    assert other != chain
    assert load(other).index == load(chain).index


def test_ids_do_not_depend_on_whitespace_or_the_order_of_keys(chain, load):
    backwards = [[key, dict(reversed(content.items()))] for key, content in chain]
    assert ids(load(backwards, indent=4)) == ids(load(chain, separators=(",", ":"))) == ids(load(chain))


def test_ids_do_not_depend_on_the_keys_gufe_gave(chain, load):
    text = json.dumps(chain)
    for number, (key, _) in enumerate(chain):
        text = text.replace(f'"{key}"', f'"other-{number}"')
    assert ids(load(json.loads(text))) == ids(load(chain))


def test_ids_do_not_depend_on_what_a_newer_gufe_adds_empty(chain, load):
    newer = copy.deepcopy(chain)
    for _, content in newer:
        content |= {":version:": 9, "metadata": {}, "added": None, "more": []}
    assert ids(load(newer)) == ids(load(chain))


def test_a_changed_coordinate_changes_the_ids_of_what_it_is_part_of(chain, load):
    changed = copy.deepcopy(chain)
    molecule = next(c for _, c in changed if "SmallMolecule" in c["__qualname__"] and '"ligand_0"' in json.dumps(c))
    molecule["one more coordinate"] = 0.001
    before, after = ids(load(chain)), ids(load(changed))
    assert {name for name in before if before[name] != after[name]} == {name for name in before if "ligand_0" in name}


def test_a_real_coordinate_moved_changes_the_id(tmp_path, load):
    from rdkit import Chem

    def network(x):
        molecule = Chem.MolFromSmiles("C")
        conformer = Chem.Conformer(1)
        conformer.SetAtomPosition(0, (x, 0.0, 0.0))
        molecule.AddConformer(conformer)
        protocol = DummyProtocol(DummySettings())
        ends = [
            seam.ChemicalSystem({"ligand": seam.SmallMoleculeComponent(molecule, name="moved")}, name="a_0"),
            seam.ChemicalSystem({"ligand": small_molecule("other", "CC")}, name="b_1"),
        ]
        return seam.AlchemicalNetwork(edges=[seam.Transformation(*ends, protocol, None, name="edge")])

    found = [ids(load(plain(network(x))))["edge"] for x in (0.0, 0.0, 1e-3)]
    assert found[0] == found[1] != found[2]


def test_a_changed_setting_changes_every_id(load):
    short = ids(load(plain(dummy_network([(0, 1), (1, 2)], n_steps=4))))
    long = ids(load(plain(dummy_network([(0, 1), (1, 2)], n_steps=5))))
    assert short.keys() == long.keys()
    assert not set(short.values()) & set(long.values())


def nested(chain, with_keys=False):
    """Return the older form of gufe's JSON, one object as nested dicts."""
    entries = dict(chain)

    def expand(value):
        if isinstance(value, dict):
            if ":gufe-key:" in value:
                key = value[":gufe-key:"]
                return expand(entries[key]) | ({"_key": key} if with_keys else {})
            return {key: expand(item) for key, item in value.items()}
        return [expand(item) for item in value] if isinstance(value, list) else value

    return expand(chain[-1][1])


@pytest.mark.parametrize("with_keys", [True, False])
def test_the_nested_form_has_the_index_of_the_keyed_chain(chain, load, with_keys):
    found, expected = load(nested(chain, with_keys)).index, load(chain).index
    without_keys = [
        [attrs.evolve(record, key="", system_a="", system_b="") for record in index.transformations]
        for index in (found, expected)
    ]
    assert without_keys[0] == without_keys[1]
    assert (found.edges, found.unpaired, found.components, found.name, found.modules) == (
        expected.edges,
        expected.unpaired,
        expected.components,
        expected.name,
        expected.modules,
    )


def test_the_nested_form_gives_the_same_gufe_objects(chain, load):
    assert load(nested(chain)).alchemical_network == load(chain).alchemical_network


def test_a_subchain_holds_what_an_object_is_made_of_and_no_more(chain):
    key = next(key for key, _ in chain if key.startswith("Transformation"))
    part = subchain(chain, key)
    counts = Counter(content["__qualname__"] for _, content in part)
    assert part[-1][0] == key
    assert counts["Transformation"] == 1 and counts["ChemicalSystem"] == 2 and counts["DummyProtocol"] == 1
    assert counts["SmallMoleculeComponent"] == 2


@pytest.mark.parametrize(
    "document", [3, None, "text", {}, {"a": 1}, [], [1], [["key"]], [["key", {"a": 1}]], [[1, {}]]]
)
def test_what_is_neither_form_is_refused_by_flatten(document):
    with pytest.raises(ValueError):
        flatten(document)


# -------------------------------------------------------------------------------------------------------- errors
def test_a_missing_file(tmp_path):
    with pytest.raises(NetworkError, match=r"none\.json: there is no such network file"):
        load_network(tmp_path / "none.json")


def test_a_directory(tmp_path):
    with pytest.raises(NetworkError, match="a directory; give the network's JSON file in it"):
        load_network(tmp_path)


def test_a_file_in_the_place_of_a_directory(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(XpmAlchemError, match="cannot be read"):
        load_network(tmp_path / "file" / "network.json")


def test_json_cut_short(chain, tmp_path):
    path = tmp_path / "network.json"
    path.write_text(json.dumps(chain)[:-100])
    with pytest.raises(NetworkError, match=r"not valid JSON, probably cut short or damaged \(line 1, column \d+"):
        load_network(path)


def test_an_empty_file(tmp_path):
    (tmp_path / "network.json").touch()
    with pytest.raises(NetworkError, match="not valid JSON"):
        load_network(tmp_path / "network.json")


@pytest.mark.parametrize(
    "content", [b"\x89PNG\r\n\x1a\n\0\0", gzip.compress(b"[]"), b"\xff" * 50, b"[" * 100_000], ids=lambda c: repr(c[:4])
)
def test_a_file_that_is_no_json_at_all(tmp_path, content):
    (tmp_path / "network.json").write_bytes(content)
    with pytest.raises(NetworkError, match=r"network\.json: not (JSON|valid JSON)"):
        load_network(tmp_path / "network.json")


@pytest.mark.parametrize("document", [{"a": 1}, [1, 2, 3], "text", [], {"edges": []}])
def test_json_that_is_not_gufe_s(load, document):
    with pytest.raises(NetworkError, match="JSON, but not an AlchemicalNetwork as gufe writes it"):
        load(document)


def test_another_gufe_class_is_named(chain, load):
    key = next(key for key, _ in chain if key.startswith("Transformation"))
    with pytest.raises(NetworkError, match="holds the gufe class Transformation, not an AlchemicalNetwork"):
        load(subchain(chain, key))


@pytest.mark.data
def test_an_archive_of_results_is_refused_by_its_class(data, tmp_path):
    path = tmp_path / "archive.json"
    path.write_bytes(gzip.decompress(data("gufe_alchemical_archive.json.gz").read_bytes()))
    with pytest.raises(NetworkError, match=r"holds the gufe class AlchemicalArchive, not an AlchemicalNetwork"):
        load_network(path)


@pytest.mark.data
@pytest.mark.parametrize(
    "name", ["benzene_modifications_am1bcc.sdf", "cinnabar_example.csv", "tyk2_experimental_binding_data.json"]
)
def test_other_files_of_the_field_are_refused(data, name):
    with pytest.raises(NetworkError, match=f"{name}: (not valid JSON|JSON, but not an AlchemicalNetwork)"):
        load_network(data(name))


def test_a_network_without_transformations(load):
    with pytest.raises(NetworkError, match="the network has no transformations"):
        load(plain(seam.AlchemicalNetwork(edges=[])))


def test_a_name_used_twice(chain, load):
    changed = copy.deepcopy(chain)
    entry(changed, "Transformation", 0)["name"] = entry(changed, "Transformation", 1)["name"] = "twice"
    with pytest.raises(NetworkError, match=r"1 name\(s\) are used for more than one transformation: twice"):
        load(changed)


def test_a_transformation_from_a_system_to_itself(chain, load):
    changed = copy.deepcopy(chain)
    broken = entry(changed, "Transformation")
    broken["stateB"] = broken["stateA"]
    with pytest.raises(NetworkError, match=rf"stateA is stateB in 1 transformation\(s\): {broken['name']}"):
        load(changed)


def test_a_reference_to_what_is_not_in_the_file(chain, load):
    lost = next(key for key, _ in chain if key.startswith("ChemicalSystem"))
    changed = [item for item in chain if item[0] != lost]
    with pytest.raises(
        NetworkError, match=f"damaged: 'Transformation-.*' refers to '{lost}', which is not in the file"
    ):
        load(changed)


def test_a_transformation_that_lacks_a_field(chain, load):
    changed = copy.deepcopy(chain)
    del entry(changed, "Transformation")["protocol"]
    with pytest.raises(NetworkError, match="damaged: a transformation lacks 'protocol'"):
        load(changed)


def test_an_untrusted_module_is_named_and_not_imported(chain, load, tmp_path, monkeypatch):
    trace = tmp_path / "imported"
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "evil_protocol.py").write_text(f"open({str(trace)!r}, 'w').close()\n")
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))
    changed = copy.deepcopy(chain)
    entry(changed, "DummyProtocol")["__module__"] = "evil_protocol"
    with pytest.raises(
        UntrustedModuleError, match=r"'evil_protocol', which is not trusted.*--trust evil_protocol"
    ) as e:
        load(changed)
    assert e.value.module == "evil_protocol"
    assert not trace.exists()
    importlib.import_module("evil_protocol")  # the trap works
    assert trace.exists()


@pytest.mark.parametrize("place", ["in a setting", "in a key of nothing gufe reads"])
def test_an_untrusted_module_is_found_wherever_it_is_named(chain, load, place):
    changed = copy.deepcopy(chain)
    hidden = {"a": [{"__module__": "os", "__qualname__": "system"}]}
    target = entry(changed, "DummyProtocol") if place == "in a setting" else changed[-1][1]
    target["hidden"] = hidden
    with pytest.raises(UntrustedModuleError, match="'os'"):
        load(changed)


@pytest.mark.parametrize("module", ["gufe_evil", "evil.gufe", "", ".gufe", "os", "subprocess", "Gufe"])
def test_a_module_that_only_looks_like_a_trusted_one_is_refused(module):
    with pytest.raises(UntrustedModuleError):
        check_module("a file")(module)


def test_trusting_a_package_trusts_its_modules_only():
    check = check_module("a file", ("mine", "lab.protocols"))
    for module in ("mine", "mine.a.b", "lab.protocols", "lab.protocols.x", "gufe.components"):
        check(module)
    for module in ("minefield", "lab", "lab.other"):
        with pytest.raises(UntrustedModuleError):
            check(module)


def test_a_package_that_is_not_installed_is_named_only_when_objects_are_needed(chain, load):
    changed = copy.deepcopy(chain)
    entry(changed, "DummyProtocol")["__module__"] = "feflow.no_such_thing_here"
    if importlib.util.find_spec("feflow"):
        pytest.skip("feflow is installed here")
    network = load(changed)
    assert len(network.index.transformations) == 6
    with pytest.raises(MissingPackageError, match="needs the Python package 'feflow', which is not installed here"):
        _ = network.alchemical_network


@pytest.mark.parametrize("part", ["field", "class", "module"])
def test_a_network_the_installed_gufe_cannot_read_names_its_version(chain, load, part):
    changed = copy.deepcopy(chain)
    edge = entry(changed, "Transformation")
    if part == "field":
        edge["from_the_future"] = 1
    else:
        entry(changed, "ChemicalSystem")["__qualname__" if part == "class" else "__module__"] = "gufe.FromTheFuture"
    network = load(changed)
    with pytest.raises(NetworkError, match=f"the installed gufe {seam.GUFE_VERSION} cannot read this network"):
        _ = network.alchemical_network


VALUES = st.sampled_from([None, True, 0, -1.5, "", "text", [], {}, [[]], {":gufe-key:": []}, {":gufe-key:": "none"}])


@settings(
    deadline=None, derandomize=True, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_damaged_network_is_refused_with_a_message_never_with_a_bug(chain, load, data):
    damaged = copy.deepcopy(chain)
    number = data.draw(st.integers(0, len(damaged) - 1))
    node, key = damaged, number
    while isinstance(node[key], dict | list) and node[key] and data.draw(st.integers(0, 4)):
        node = node[key]
        key = data.draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
    if data.draw(st.booleans()):
        node[key] = data.draw(VALUES)
    else:
        del node[key]
    try:
        index = load(damaged).index
    except NetworkError as error:
        assert "network.json" in str(error)
    else:
        assert index.transformations


# ------------------------------------------------------------------------------------------------------ real data
@pytest.mark.data
def test_tyk2(tyk2):
    index = load_network(tyk2).index
    assert len(index.transformations) == 44 and len(index.edges) == 22 and index.unpaired == {}
    assert [len(part) for part in index.components] == [22, 22]
    for part in index.components:
        assert len({index.by_id[i].environment for i in part}) == 1
    assert {tuple((leg.environment, leg.sign) for leg in edge.legs) for edge in index.edges} == {
        (("solvent", 1), ("complex", 1))
    }
    assert sorted({leg.transformation for edge in index.edges for leg in edge.legs}) == sorted(index.by_id)
    assert {record.protocol for record in index.transformations} == {"RelativeHybridTopologyProtocol"}


@pytest.mark.data
def test_tyk2_needs_openfe_only_for_its_objects(tyk2):
    if importlib.util.find_spec("openfe"):
        pytest.skip("openfe is installed here")
    network = load_network(tyk2)
    with pytest.raises(MissingPackageError, match="openfe"):
        _ = network.alchemical_network


@pytest.mark.data
def test_a_reversed_leg_of_tyk2_has_sign_minus_one(tyk2):
    document = json.loads(tyk2.read_bytes())
    leg = next(c for _, c in document if c["__qualname__"] == "Transformation" and "complex" in c["name"])
    leg["stateA"], leg["stateB"] = leg["stateB"], leg["stateA"]
    tyk2.write_text(json.dumps(document))
    index = load_network(tyk2).index
    signs = {index.by_id[leg.transformation].name: leg.sign for edge in index.edges for leg in edge.legs}
    assert {name for name, sign in signs.items() if sign == -1} == {leg["name"]}
    assert len(index.edges) == 22


@pytest.mark.data
def test_advice_on_tyk2_names_its_coarse_checkpoint_interval(tyk2):
    (sentence,) = advice(load_network(tyk2))
    assert sentence.startswith(
        "RelativeHybridTopologyProtocol: checkpoint_interval (1000 ps) is 20 % of production_length (5000 ps)"
    )


def test_advice_on_repeats_inside_one_task(chain, load):
    changed = copy.deepcopy(chain)
    entry(changed, "DummyProtocol")["settings"] = {"protocol_repeats": 3}
    (sentence,) = advice(load(changed))
    assert sentence.startswith("DummyProtocol: protocol_repeats is 3: every task computes 3 repeats")


def test_advice_on_a_coarse_checkpoint_interval(chain, load):
    def sentences(interval):
        changed = copy.deepcopy(chain)
        entry(changed, "DummyProtocol")["settings"] = {
            "protocol_repeats": 1,
            "output": {"checkpoint_interval": {"magnitude": interval, "unit": "nanosecond"}},
            "simulation": {"production_length": {"magnitude": 5000, "unit": "picosecond"}},
        }
        return advice(load(changed))

    (sentence,) = sentences(1.0)
    assert "checkpoint_interval (1000 ps) is 20 % of production_length (5000 ps)" in sentence
    assert sentences(0.1) == []


# -------------------------------------------------------------------------------------------------------- pairing
def record(number, a, b, environment, kind="relative"):
    """Return a record of the transformation a -> b."""
    return TransformationRecord(
        id=f"{number:016x}",
        key=str(number),
        name=f"t{number}",
        kind=kind,
        system_a=f"{a} {environment}",
        system_b=f"{b} {environment}",
        system_a_id=f"{a} {environment}",
        system_b_id=f"{b} {environment}",
        protocol="P",
        environment=environment,
        environment_id=environment,
        ligand_a=a.lower(),
        ligand_b=b.lower(),
        ligand_a_id=a,
        ligand_b_id=b,
    )


def test_a_leg_that_runs_the_other_way_has_sign_minus_one():
    (edge,), unpaired = pair_legs([record(1, "A", "B", "complex"), record(2, "B", "A", "solvent")])
    assert [(leg.transformation[-1], leg.environment, leg.sign) for leg in edge.legs] == [
        ("2", "solvent", 1),
        ("1", "complex", -1),
    ]
    assert (edge.name, unpaired) == ("b -> a", {})


def test_three_environments_make_one_edge_in_order():
    (edge,), _ = pair_legs([record(n, "A", "B", e) for n, e in enumerate(("complex", "vacuum", "solvent"))])
    assert [leg.environment for leg in edge.legs] == ["vacuum", "solvent", "complex"]


def test_two_transformations_of_a_pair_in_one_environment_are_not_guessed():
    records = [record(1, "A", "B", "solvent"), record(2, "B", "A", "solvent"), record(3, "A", "B", "complex")]
    edges, unpaired = pair_legs(records)
    assert edges == ()
    assert unpaired == {r.id: "2 transformations of this ligand pair in the environment 'solvent'" for r in records}


def test_a_pair_in_one_environment_only_is_listed():
    edges, unpaired = pair_legs([record(1, "A", "B", "solvent")])
    assert edges == ()
    assert unpaired == {f"{1:016x}": "this ligand pair is there in one environment only ('solvent')"}


def test_pairs_of_the_same_names_but_other_molecules_are_said_to_be():
    edges, unpaired = pair_legs([record(1, "A", "B", "solvent"), record(2, "a", "b", "complex")])
    assert edges == ()
    assert all("another pair has the same names but other molecules" in reason for reason in unpaired.values())


RECORDS = st.lists(
    st.tuples(
        st.sampled_from("ABCD"),
        st.sampled_from("ABCD"),
        st.sampled_from(ENVIRONMENTS),
        st.sampled_from(["relative", "relative", "relative", "absolute"]),
    ).filter(lambda item: item[0] != item[1]),
    max_size=12,
).map(lambda items: [record(number, *item) for number, item in enumerate(items)])


@settings(deadline=None, derandomize=True, max_examples=200)
@given(records=RECORDS)
def test_pairing_parts_the_relative_transformations_into_edges_and_unpaired(records):
    edges, unpaired = pair_legs(records)
    paired = [leg.transformation for edge in edges for leg in edge.legs]
    relative = {r.id: r for r in records if r.kind == "relative"}
    assert len(paired) == len(set(paired))
    assert set(paired) | set(unpaired) == set(relative) and not set(paired) & set(unpaired)
    for edge in edges:
        legs = [relative[leg.transformation] for leg in edge.legs]
        assert len({frozenset((r.ligand_a_id, r.ligand_b_id)) for r in legs}) == 1
        positions = [ENVIRONMENTS.index(r.environment) for r in legs]
        assert len(legs) >= 2 and positions == sorted(set(positions))
        for leg, r in zip(edge.legs, legs, strict=True):
            ends = (r.ligand_a, r.ligand_b) if leg.sign == 1 else (r.ligand_b, r.ligand_a)
            assert ends == (edge.ligand_a, edge.ligand_b)


@settings(deadline=None, derandomize=True, max_examples=100)
@given(records=RECORDS, seed=st.integers(0, 1000))
def test_pairing_does_not_depend_on_the_order_of_records(records, seed):
    mixed = random.Random(seed).sample(records, len(records))
    edges, unpaired = pair_legs(records)
    other_edges, other_unpaired = pair_legs(mixed)
    assert unpaired == other_unpaired
    assert {frozenset(edge.legs) for edge in edges} == {frozenset(edge.legs) for edge in other_edges}


def test_the_path_of_a_network_is_kept(chain, load, tmp_path: Path):
    network = load(chain)
    assert network.path == tmp_path / "network.json"
    assert network.content == network.path.read_bytes()


def test_a_transformation_that_computes_a_whole_ddg_is_an_edge_and_lacks_no_leg():
    whole = attrs.evolve(record(1, "A", "B", "complex"), protocol="SepTopProtocol")
    (edge,), unpaired = pair_legs([whole])
    assert [(leg.transformation, leg.environment, leg.sign) for leg in edge.legs] == [(whole.id, "complex", 1)]
    assert unpaired == {}


def test_a_whole_ddg_and_legs_of_the_same_ligands_are_edges_of_their_own():
    whole = attrs.evolve(record(1, "B", "A", "complex"), protocol="SepTopProtocol")
    legs = [record(2, "A", "B", "complex"), record(3, "A", "B", "solvent")]
    edges, unpaired = pair_legs([whole, *legs])
    assert sorted(len(edge.legs) for edge in edges) == [1, 2]
    assert unpaired == {}


def test_two_whole_ddg_of_one_pair_are_not_guessed():
    both = [attrs.evolve(record(n, "A", "B", "complex"), protocol="SepTopProtocol") for n in (1, 2)]
    edges, unpaired = pair_legs(both)
    assert edges == () and set(unpaired.values()) == {"2 transformations compute the whole of this edge"}


def picoseconds(value):
    return {"magnitude": value, "unit": "picosecond", ":is_custom:": True}


def checkpointed(**sections):
    """Return settings with sections 'X' of output (interval) and of simulation (length), in ps."""
    made = {}
    for name, (interval, length) in sections.items():
        made[f"{name}output_settings"] = {"checkpoint_interval": picoseconds(interval)}
        made[f"{name}simulation_settings"] = {"production_length": picoseconds(length)}
    return made


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            checkpointed(solvent_=(100, 10000), solvent_equil_=(250, 500), vacuum_=(1000, 2000)),
            ["solvent_equil", "vacuum"],
        ),
        (checkpointed(solvent_=(250, 10000), solvent_equil_=(10, 500), vacuum_=(100, 2000)), []),
        (checkpointed(complex_=(250, 100), solvent_=(1, 100)), ["complex"]),
        ({"output_settings": {"checkpoint_interval": picoseconds(250)}}, []),
    ],
)
def test_advice_compares_the_interval_of_a_section_with_its_own_length(chain, load, settings, said):
    changed = copy.deepcopy(chain)
    entry(changed, "DummyProtocol")["settings"] = settings
    sentences = advice(load(changed))
    assert len(sentences) == len(said)
    for section, sentence in zip(said, sentences, strict=True):
        assert sentence.startswith(f"DummyProtocol: {section}_output_settings.checkpoint_interval (")
