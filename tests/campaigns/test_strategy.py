"""Strategies changed, mended and obeyed while a campaign runs, with real processes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from campaigns import SmallCampaign
from dummy_protocol import seeds
from patience import communicate, wait_for

from xpm_alchem import gufe_seam
from xpm_alchem.execution.attempts import Outcome
from xpm_alchem.execution.directory import TaskDirectory

STRATEGY = """
from pathlib import Path
from xpm_alchem.strategies.uniform import UniformStrategy

class Fragile(UniformStrategy):
    def propose(self, network, results):
        if Path(__file__).with_name("broken").exists():
            raise ZeroDivisionError("nothing to divide")
        return super().propose(network, results)
"""


def at_work(campaign: SmallCampaign) -> int:
    """Return how many tasks have an attempt at work."""
    try:
        return sum(bool(attempts) and attempts[-1].outcome is None for attempts in campaign.attempts().values())
    except Exception:  # the campaign is not there yet
        return 0


def strategy(campaign: SmallCampaign, command: str, *arguments: Any) -> str:
    """Return what ``xpm-alchem strategy COMMAND`` says."""
    done = campaign.call("strategy", command, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_strategy_is_changed_while_a_driver_runs_and_full_mode_ends_what_is_unwanted(tmp_path: Path) -> None:
    go_on = tmp_path / "go on"
    script = {"simulate 0 step 3": {"do": "wait", "file": str(go_on)}}
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1)], script=script)
    driver = campaign.start()
    wait_for(lambda: at_work(campaign) == 1, what="an attempt")
    assert "within seconds" in strategy(campaign, "set", "uniform", campaign.file, "-s", "repeats=2")
    wait_for(lambda: at_work(campaign) == 2, what="the second task's attempt")
    assert "within seconds" in strategy(
        campaign, "set", "uniform", campaign.file, "-s", "repeats=1", "--mode", "full", "--patience", "0"
    )
    wait_for(lambda: at_work(campaign) == 1, what="the end of the second task's attempt")
    go_on.touch()
    out, _ = communicate(driver, 200)
    assert driver.returncode == 0, out
    assert "plan changed: strategy.settings: {'repeats': 1} -> {'repeats': 2}" in out
    first, second = campaign.records.state().tasks.values()
    assert (str(first.status), str(second.status), second.spare) == ("complete", "waiting", True)
    attempts = campaign.attempts()
    assert [attempt.outcome for attempt in attempts[second.task]] == [Outcome.CANCELLED]
    assert "no longer wants it" in (attempts[second.task][0].decision_reason or "")
    # wanted again it is taken up where it was, not made anew
    strategy(campaign, "set", "uniform", campaign.file, "-s", "repeats=2")
    campaign.write_plan(strategy={"name": "uniform", "settings": {"repeats": 2}})
    done = campaign.run()
    assert done.returncode == 0, done.stdout
    assert len(campaign.records.state().tasks) == 2
    assert set(campaign.units_done()[second.task].values()) == {1}


def test_a_strategy_that_raised_is_mended_and_set_awake_while_the_driver_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = tmp_path / "lab"
    lab.mkdir()
    (lab / "lab_strategy.py").write_text(STRATEGY)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(lab), os.environ["PYTHONPATH"]]))
    go_on = tmp_path / "go on"
    campaign = SmallCampaign(
        tmp_path / "c",
        edges=[(0, 1), (1, 2)],
        script={"simulate 0 step 1": {"do": "wait", "file": str(go_on)}},
        plan={
            "strategy": {
                "name": "lab_strategy:Fragile",
                "settings": {"repeats": 1},
            },
            "trusted_modules": ["dummy_protocol", "lab_strategy"],
        },
    )
    driver = campaign.start()
    wait_for(lambda: at_work(campaign) == 2, what="two attempts")
    (lab / "broken").touch()
    strategy(campaign, "set", "lab_strategy:Fragile", campaign.file, "-s", "repeats=2")
    health = campaign.records
    wait_for(lambda: health.driver_state()["strategy"]["status"] == "error", what="the error")
    said = strategy(campaign, "health", campaign.file)
    assert "ZeroDivisionError: nothing to divide" in said and "in propose" in said
    assert "ZeroDivisionError" in campaign.json("status")["strategy"]["exception"]
    (lab / "broken").unlink()
    assert "within seconds" in strategy(campaign, "awake", campaign.file)
    go_on.touch()
    out, _ = communicate(driver, 300)
    assert driver.returncode == 0, out
    assert "the strategy raised ZeroDivisionError: nothing to divide" in out
    assert {len(values) for values in campaign.estimates().values()} == {2}


def test_tasks_extend_the_ones_before_them_where_that_is_preferred(tmp_path: Path) -> None:
    plan = {"name": "uniform", "settings": {"repeats": 3}, "extends_preference": 1.0, "max_tasks_per_transformation": 1}
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1)], plan={"strategy": plan})
    done = campaign.run()
    assert done.returncode == 0, done.stdout
    first, second, third = campaign.records.state().tasks.values()
    assert (first.extends, second.extends, third.extends) == (None, first.task, second.task)
    (transformation,) = campaign.records.network.alchemical_network.edges
    before = None
    for task in (first, second, third):  # the protocol was told
        files = TaskDirectory(campaign.records.task_path(task))
        dag = gufe_seam.load(files.dag, lambda module: None)
        extended = gufe_seam.create_dag(transformation, repeat=task.repeat, extends=before)
        before = gufe_seam.load(files.result, lambda module: None)
        assert seeds(dag) == seeds(extended)
        assert (seeds(dag) == seeds(gufe_seam.create_dag(transformation, repeat=task.repeat))) == (task is first)
