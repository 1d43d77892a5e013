"""Protocols that compute no relative leg are called what they are: neither faults, nor edges that lack a leg."""

from __future__ import annotations

from pathlib import Path

import pytest
from campaigns import SmallCampaign
from other_protocols import Lonely

from xpm_alchem import gufe_seam
from xpm_alchem.campaign.task_state import TaskStatus

pytestmark = pytest.mark.slow


def test_a_simulation_and_the_value_of_one_ligand_are_called_what_they_are(tmp_path: Path) -> None:
    lonely = Lonely()
    campaign = SmallCampaign(
        tmp_path / "c",
        edges=[(0, 1)],
        plan={"trusted_modules": ["dummy_protocol", "other_protocols"], "experimental": "measured.csv"},
    )
    gufe_seam.save(lonely.network(), campaign.path / "network.json")
    (campaign.path / "measured.csv").write_text("ligand,value\nligand_1,-1.0\nligand_2,-2.0\n")
    done = campaign.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(task.status is TaskStatus.COMPLETE for task in campaign.records.state().tasks.values())
    said = " ".join(campaign.call("results", campaign.file).stdout.split())
    assert f"1 transformation(s) compute no free energy, by design: {lonely.plain}" in said
    assert "1 transformation(s) compute the value of one ligand" in said and lonely.absolute in said
    assert "not compared with the measured values" in said
    for fault in ("no result yet", "no ddG yet", "have no estimate", "in one environment only", "Traceback"):
        assert fault not in said
    why = campaign.call("why", campaign.file, f"{lonely.plain}:1").stdout
    assert "this protocol computes no free energy" in why
    estimates = campaign.estimates()
    assert not estimates[lonely.plain] and estimates[lonely.absolute]
