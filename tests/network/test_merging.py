"""Networks that are put together: which transformations stay, and the JSON of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from dummy_protocol import dummy_network
from hypothesis import given
from hypothesis import strategies as st

from xpm_alchem import gufe_seam
from xpm_alchem.base.errors import NetworkError
from xpm_alchem.network.loading import Network, load_network, network_of
from xpm_alchem.network.merging import Change, put_together, wanted

IDS = st.frozensets(st.sampled_from("abcdefgh"))
TRUST = ("dummy_protocol",)


# ---------------------------------------------------------------------------------------- a file that is given again
@given(in_force=IDS, file=IDS)
def test_a_file_that_says_nothing_new_changes_nothing(in_force, file):
    assert wanted(in_force, file, file) == in_force


@given(last=IDS, now=IDS)
def test_what_no_command_has_changed_becomes_what_the_file_says(last, now):
    assert wanted(last, last, now) == now


@given(in_force=IDS, last=IDS, now=IDS)
def test_only_what_has_changed_in_the_file_changes(in_force, last, now):
    after = wanted(in_force, last, now)
    assert now - last <= after
    assert not after & (last - now)
    untouched = (last & now) | (frozenset("abcdefgh") - last - now)
    assert after & untouched == in_force & untouched


@given(in_force=IDS, last=IDS, now=IDS)
def test_it_may_be_done_twice(in_force, last, now):
    once = wanted(in_force, last, now)
    assert wanted(once, now, now) == once
    assert wanted(once, last, now) == once  # whoever did it was killed before it was noted


@given(before=IDS, after=IDS)
def test_a_change_says_all_there_is(before, after):
    change = Change.of(before, after)
    assert change.new | change.same == after
    assert change.gone | change.same == before
    assert bool(change) == (before != after)


# -------------------------------------------------------------------------------------------------- put together
def network(path: Path, edges: list[tuple[int, int]], **settings: object) -> Network:
    gufe_seam.save(dummy_network(edges, environments=("vacuum", "solvent"), **settings), path)
    return load_network(path, TRUST)


def made_of(*sources: tuple[Network, list[str]]) -> Network:
    chain = put_together([(one.chain, [one.index.by_id[i].key for i in ids]) for one, ids in sources])
    return network_of(json.dumps(chain).encode(), Path("made.json"), TRUST)


def test_a_network_of_parts_of_two_has_their_very_transformations(tmp_path):
    first = network(tmp_path / "a.json", [(0, 1), (1, 2)])
    second = network(tmp_path / "b.json", [(1, 2), (2, 3)], n_steps=7)
    ids = [[r.id for r in one.index.transformations] for one in (first, second)]
    made = made_of((first, ids[0][:3]), (second, ids[1][2:]))
    assert made.index.by_id.keys() == {*ids[0][:3], *ids[1][2:]}
    for stable_id, record in made.index.by_id.items():
        origin = first if stable_id in first.index.by_id else second
        assert made.transformation(stable_id) == origin.transformation(stable_id)
        assert record.name == origin.index.by_id[stable_id].name
    both = gufe_seam.AlchemicalNetwork(
        edges=[made.transformation(stable_id) for stable_id in made.index.by_id],
    )
    assert {*made.alchemical_network.edges} == {*both.edges}
    assert {*made.alchemical_network.nodes} == {*both.nodes}


def test_what_nothing_refers_to_any_more_is_left_out(tmp_path):
    whole = network(tmp_path / "a.json", [(0, 1), (1, 2), (2, 3)])
    left = [r.id for r in whole.index.transformations if r.ligand_b == "ligand_1"]
    made = made_of((whole, left))
    assert len(made.chain) < len(whole.chain)
    assert "ligand_3" not in made.content.decode()
    assert made.index.name == whole.index.name


def nested(one: Network) -> Network:
    """Return a network as gufe 0.4 wrote it: one object in another, without keys."""
    entries = dict(one.chain)

    def inside(value):
        if isinstance(value, dict):
            if ":gufe-key:" in value:
                return inside(entries[value[":gufe-key:"]])
            return {key: inside(item) for key, item in value.items()}
        return [inside(item) for item in value] if isinstance(value, list) else value

    return network_of(json.dumps(inside(one.chain[-1][1])).encode(), Path("nested.json"), TRUST)


def test_files_whose_keys_are_numbers_are_put_together(tmp_path):
    first = nested(network(tmp_path / "a.json", [(0, 1), (1, 2)]))
    second = nested(network(tmp_path / "b.json", [(4, 5), (5, 6), (6, 7)], n_steps=7))
    shared = {key for key, _ in first.chain} & {key for key, _ in second.chain}
    assert shared  # the same keys for other content
    ids = [[r.id for r in one.index.transformations] for one in (first, second)]
    made = made_of((first, ids[0]), (second, ids[1]))
    assert made.index.by_id.keys() == {*ids[0], *ids[1]}
    for stable_id in ids[1]:
        assert made.transformation(stable_id) == second.transformation(stable_id)


def test_a_network_without_a_transformation_is_none(tmp_path):
    with pytest.raises(NetworkError, match="no transformation would be left"):
        made_of((network(tmp_path / "a.json", [(0, 1)]), []))


def test_a_system_that_no_transformation_has_stays(tmp_path):
    whole = dummy_network([(0, 1), (1, 2)])
    lonely = gufe_seam.ChemicalSystem({"solvent": gufe_seam.SolventComponent()}, name="lonely")
    path = tmp_path / "a.json"
    gufe_seam.save(gufe_seam.AlchemicalNetwork(edges=whole.edges, nodes=[lonely], name="with one"), path)
    loaded = load_network(path, TRUST)
    made = made_of((loaded, [loaded.index.transformations[0].id]))
    assert {node.name for node in made.alchemical_network.nodes} == {
        "lonely",
        "vacuum_ligand_0",
        "vacuum_ligand_1",
    }
