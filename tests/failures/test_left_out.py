"""Transformations that failed in all their repeats: redundant, or which ligands they cut off."""

from __future__ import annotations

from pathlib import Path

import pytest
from dummy_protocol import dummy_network

from xpm_alchem import gufe_seam
from xpm_alchem.campaign.task_state import TaskState, TaskStatus
from xpm_alchem.failures.left_out import left_out
from xpm_alchem.network.index import Index
from xpm_alchem.network.loading import load_network


@pytest.fixture(scope="module")
def make(tmp_path_factory):
    def make(edges, environments=("vacuum", "solvent")) -> Index:
        path: Path = tmp_path_factory.mktemp("network") / "network.json"
        gufe_seam.save(dummy_network(edges, environments=environments), path)
        return load_network(path, ("dummy_protocol",)).index

    return make


def tasks(index: Index, failed: dict[str, list[str]]) -> dict[str, list[TaskState]]:
    """Return complete tasks, but those given by name with their statuses."""
    made = {}
    for record in index.transformations:
        statuses = failed.get(record.name, ["complete"])
        made[record.id] = [
            TaskState(f"{record.id}-{n}", record.id, n, "jobs/x", status=TaskStatus(status))
            for n, status in enumerate(statuses, start=1)
        ]
    return made


TRIANGLE_AND_TAIL = [(0, 1), (1, 2), (0, 2), (2, 3), (3, 4)]


def test_an_edge_of_a_cycle_is_redundant(make):
    index = make(TRIANGLE_AND_TAIL)
    (found,) = left_out(index, tasks(index, {"ligand_0_ligand_1_solvent": ["error", "error"]}))
    assert (found.name, found.cut_off) == ("ligand_0_ligand_1_solvent", ())
    assert "is left out: it is redundant" in found.sentence


def test_a_bridge_cuts_off_what_is_behind_it(make):
    index = make(TRIANGLE_AND_TAIL)
    (found,) = left_out(index, tasks(index, {"ligand_2_ligand_3_vacuum": ["error"]}))
    assert found.cut_off == ("ligand_3", "ligand_4")
    assert "without it ligand_3, ligand_4 would be cut off" in found.sentence


def test_two_that_are_redundant_alone_are_not_together(make):
    index = make(TRIANGLE_AND_TAIL)
    failed = {"ligand_0_ligand_1_solvent": ["error"], "ligand_0_ligand_2_vacuum": ["error"]}
    found = left_out(index, tasks(index, failed))
    assert {one.name: one.cut_off for one in found} == dict.fromkeys(failed, ("ligand_0",))


def test_both_legs_of_an_edge_are_named(make):
    index = make(TRIANGLE_AND_TAIL)
    failed = {f"ligand_0_ligand_1_{leg}": ["error"] for leg in ("vacuum", "solvent")}
    assert [one.cut_off for one in left_out(index, tasks(index, failed))] == [(), ()]


@pytest.mark.parametrize("statuses", [["error", "complete"], ["error", "waiting"], ["deleted"], []])
def test_what_has_not_failed_altogether_is_not_left_out(make, statuses):
    index = make(TRIANGLE_AND_TAIL)
    assert left_out(index, tasks(index, {"ligand_0_ligand_1_solvent": statuses})) == ()


def test_legs_that_are_not_paired_join_chemical_systems(make):
    index = make([(0, 1), (1, 2), (0, 2)], environments=("vacuum",))
    found = left_out(index, tasks(index, {name: ["error"] for name in ("ligand_0_ligand_1_vacuum",)}))
    assert [one.cut_off for one in found] == [()]
    failed = {"ligand_0_ligand_1_vacuum": ["error"], "ligand_0_ligand_2_vacuum": ["error", "deleted"]}
    assert {one.cut_off for one in left_out(index, tasks(index, failed))} == {("vacuum_ligand_0",)}
