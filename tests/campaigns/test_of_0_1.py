"""A campaign that version 0.1.0 left in the middle goes on under the present version."""

from __future__ import annotations

from pathlib import Path

import pytest
from campaigns import SmallCampaign
from dummy_protocol import dummy_network
from version_0_1 import MEANWHILE, Installed, everything_goes_on, leave_in_the_middle

from xpm_alchem import gufe_seam

EDGES = [(0, 1), (1, 2), (2, 3)]


def test_every_kind_of_task_goes_on_and_nothing_runs_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed, gate = Installed(tmp_path / "environment"), tmp_path / "gate"
    monkeypatch.setenv("PYTHONPATH", installed.python_path)
    campaign = SmallCampaign(tmp_path / "c", edges=EDGES, script={})
    leave_in_the_middle(campaign, gate)
    installed.upgrade()
    tasks = campaign.json("status")["tasks"]
    assert {status: tasks[status] for status in MEANWHILE} == MEANWHILE
    everything_goes_on(campaign, gate)


def test_its_network_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed, gate = Installed(tmp_path / "environment"), tmp_path / "gate"
    monkeypatch.setenv("PYTHONPATH", installed.python_path)
    campaign = SmallCampaign(tmp_path / "c", edges=EDGES, script={})
    leave_in_the_middle(campaign, gate)
    installed.upgrade()
    gate.touch()
    before = {task: [one.start for one in attempts] for task, attempts in campaign.attempts().items()}
    network = dummy_network([*EDGES[1:], (3, 4)], script=str(campaign.script))
    gufe_seam.save(network, campaign.path / "network.json")
    done = campaign.run()
    assert "network changed: 1 new, 1 gone, 2 the same" in done.stdout, done.stdout + done.stderr
    state = campaign.records.state()
    attempts = campaign.attempts()
    assert {task: [one.start for one in attempts[task]] for task in before.keys() & state.tasks.keys()} == {
        task: starts if starts else [attempts[task][0].start] for task, starts in before.items() if task in state.tasks
    }
    found = {name: len(repeats) for name, repeats in campaign.estimates().items()}
    assert found["ligand_3_ligand_4_vacuum"] == 3
    assert "ligand_0_ligand_1_vacuum" not in found
    assert not any(task.at_work for task in state.everything.values())
