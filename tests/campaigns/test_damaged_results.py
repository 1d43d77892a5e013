"""Damaged results in a campaign that goes on, with real processes; and what the commands say of damaged files."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from campaigns import SmallCampaign
from click.testing import CliRunner
from fuzzed_campaign import name_with

from xpm_alchem.cli import main
from xpm_alchem.execution.directory import TaskDirectory

STRATEGY = """
import attrs

@attrs.frozen
class Settings:
    repeats: int = 2

class FromElsewhere:
    def __init__(self, settings):
        self.settings = settings

    @classmethod
    def default_settings(cls):
        return Settings()

    def propose(self, network, results):
        self.weights = {}
        for t in network.edges:
            result = results.get(str(t.key))
            count = 0 if result is None else result.n_protocol_dag_results
            self.weights[str(t.key)] = 1.0 if count < self.settings.repeats else None
        return self

    def resolve(self):
        return self.weights
"""


@pytest.fixture
def campaign(standing_campaign: Path, tmp_path: Path) -> SmallCampaign:
    """Return a campaign with tasks complete, in error, interrupted and waiting; the user has asked for nothing."""
    shutil.copytree(standing_campaign, tmp_path / "c", symlinks=True)
    made = SmallCampaign.at(tmp_path / "c")
    (made.records.path / "inbox.jsonl").unlink()
    return made


def test_a_unit_whose_result_is_damaged_is_computed_again_and_that_is_said(campaign: SmallCampaign) -> None:
    task = next(task for task in campaign.records.state().tasks.values() if task.repeat == 2)
    files = TaskDirectory(campaign.records.task_path(task))
    result = next(files.results.iterdir())
    result.write_bytes(result.read_bytes()[:100])
    assert campaign.run().returncode == 1  # for the task in error
    assert len(campaign.estimates()[name_with(campaign, "complete")]) == 3
    assert json.loads(result.read_text())
    aside = result.with_name(f"{result.name}.set-aside-1")
    assert aside.stat().st_size == 100
    told = campaign.json("why", f"{name_with(campaign, 'complete')}:2")["attempts"]
    assert [attempt["set_aside"] for attempt in told] == [[], [aside.name]]


def test_a_damaged_result_of_a_complete_task_is_made_again_from_its_units(
    campaign: SmallCampaign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "lab_strategy.py").write_text(STRATEGY)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "lab"), os.environ["PYTHONPATH"]]))
    campaign.write_plan(
        strategy={"name": "lab_strategy:FromElsewhere", "settings": {"repeats": 3}},
        trusted_modules=["dummy_protocol", "lab_strategy"],
    )
    shutil.rmtree(campaign.records.path / "cache")
    before = campaign.estimates()[name_with(campaign, "complete")]
    task = next(task for task in campaign.records.state().tasks.values() if task.status == "complete")
    result = TaskDirectory(campaign.records.task_path(task)).result
    result.write_text("{")
    done = campaign.run()
    assert done.returncode == 1, done.stdout + done.stderr  # for the task in error
    assert "waiting: result.json was gone or damaged: it is made again" in done.stdout
    assert "the strategy raised" not in done.stdout
    assert campaign.estimates()[name_with(campaign, "complete")][: len(before)] == before
    assert len(campaign.estimates()[name_with(campaign, "complete")]) == 3
    assert json.loads(result.read_text())
    assert result.with_name("result.json.set-aside-1").read_text() == "{"
    assert set(campaign.units_done()[task.task].values()) == {1}, "its units' results were there"


@pytest.mark.parametrize(
    ("name", "content", "commands", "said"),
    [
        ("index.json", "{", ["status", "results", "show"], None),
        ("index.json", '{"format": "xpm-alchem network index", "format_version": 9}', ["status"], "newer xpm-alchem"),
        ("network.json", "{", ["strategy explain"], "not valid JSON"),
        ("campaign.yaml", "name: [", ["status", "strategy show"], "not valid YAML"),
        (
            "driver.json",
            '{"format": "xpm-alchem driver state", "format_version": 1, "weights": 7}',
            ["show"],
            "remove it",
        ),
        ("tasks.jsonl", '{"event": "created", "task": 7}\n', ["status", "show", "results", "summary"], None),
        ("tasks.jsonl", '{"format": "x", "format_version": 1}\n', ["status"], "not a 'xpm-alchem tasks' journal"),
        ("holder.json", "7", ["status", "summary"], None),
    ],
)
def test_a_command_says_it_in_one_line(
    campaign: SmallCampaign, name: str, content: str, commands: list[str], said: str | None
) -> None:
    path = campaign.records.path
    (path / name).write_text(content)
    for command in commands:
        done = CliRunner().invoke(main, [*command.split(), str(path)])
        assert done.exit_code == (0 if said is None else 2), done.output
        assert isinstance(done.exception, SystemExit | None)
        if said is not None:
            assert done.stderr.count("\n") == 1
            assert done.stderr.startswith(f"Error: {path / name}")
            assert said in done.stderr


def test_without_its_memory_a_driver_begins_afresh_and_grants_no_request_twice(campaign: SmallCampaign) -> None:
    records = campaign.records
    records.ask(request="strategy", changes={"name": None, "mode": "disabled"})  # taken in long ago
    (records.path / "driver.json").unlink()
    assert campaign.json("status")["strategy"]["iterations"] == 0
    assert campaign.run().returncode == 1  # for the task in error
    assert campaign.json("status")["strategy"]["name"] == "uniform"
    assert len(campaign.estimates()[name_with(campaign, "complete")]) == 3
