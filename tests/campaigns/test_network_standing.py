"""A network's state and weight among those of its workspace: nothing new is started of one that is not to run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from campaigns import SmallCampaign, held
from patience import communicate, wait_for

from xpm_alchem.base.errors import InputError
from xpm_alchem.campaign.standing import NetworkState, Standing
from xpm_alchem.client import Campaign

THREE = {"name": "uniform", "settings": {"repeats": 3}}


def opened(campaign: SmallCampaign) -> Campaign:
    return Campaign.open(campaign.path / "workspace" / "campaigns" / "small")


def command(campaign: SmallCampaign, *words: object, code: int = 0) -> str:
    done = campaign.call("network", *words)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def test_what_makes_no_sense_changes_nothing() -> None:
    there = Standing(NetworkState.INACTIVE, 0.25)
    for wrong in (
        {"state": "asleep"},
        {"state": 1},
        {"weight": 2},
        {"weight": True},
        {"weight": None},
        {"weight": "1"},
    ):
        assert there.changed(wrong) == there
    assert there.changed({"state": "active", "weight": 0}) == Standing(NetworkState.ACTIVE, 0.0)
    assert not there.starts and not Standing(weight=0.0).starts and Standing().starts


@pytest.mark.slow
def test_a_paused_network_starts_nothing_and_goes_on_where_it_was(tmp_path: Path) -> None:
    campaign = SmallCampaign(
        tmp_path, edges=[(0, 1)], plan={"strategy": {"name": "uniform", "settings": {"repeats": 1}}}
    )
    assert campaign.run().returncode == 0
    assert "weight 0" in command(campaign, "weight", campaign.file, 0)
    campaign.write_plan(strategy=THREE)
    paused = campaign.run()
    assert paused.returncode == 3 and "it is paused" in paused.stdout
    assert opened(campaign).status()["tasks"]["complete"] == 1
    assert "paused" in campaign.call("status", campaign.file).stdout
    command(campaign, "weight", campaign.file, 1)
    for state in ("inactive", "invalid", "deleted"):
        assert state in command(campaign, "state", campaign.file, state)
        assert campaign.run().returncode == 3
    listed = ("list", "--json", "--workspace", campaign.path / "workspace")
    assert json.loads(command(campaign, *listed))["campaigns"] == []
    (row,) = json.loads(command(campaign, *listed, "--all"))["campaigns"]
    assert (row["campaign"], row["state"], row["weight"]) == ("small", "deleted", 1.0)
    command(campaign, "state", campaign.file, "active")
    assert campaign.run().returncode == 0
    assert opened(campaign).status()["tasks"]["complete"] == 3
    assert "did you mean 'inactive'" in command(campaign, "state", campaign.file, "inactiv", code=2)
    assert "from 0 (paused) to 1" in command(campaign, "weight", campaign.file, 1.5, code=2)
    with pytest.raises(InputError, match="weight"):
        opened(campaign).set_network_weight(float("nan"))


@pytest.mark.slow
def test_a_driver_heeds_it_while_it_runs(tmp_path: Path) -> None:
    gate, plan = tmp_path / "gate", {"strategy": THREE, "launcher": {"kind": "local", "slots": 1}}
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1)], plan=plan, script=held(until=gate))
    driver = campaign.start()
    campaign.wait_until_at_work(1)
    assert "within seconds" in command(campaign, "state", campaign.file, "inactive")
    wait_for(lambda: opened(campaign).get_network_state() == "inactive")
    gate.touch()
    out, _ = communicate(driver)
    assert driver.returncode == 3 and "inactive" in out
    assert opened(campaign).status()["tasks"]["complete"] == 1
