"""The word for how a campaign stands, and what a report says of imported results."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from filled_campaign import filled_campaign, network_index, scattered
from report_pages import ReportPage

from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.client import Campaign
from xpm_alchem.report.file import report_page
from xpm_alchem.report.material import Material
from xpm_alchem.report.standing import Standing

INDEX = network_index([("a", "b")])
FIRST = INDEX.transformations[0].id
DORMANT = {"status": "dormant", "iterations": 3}


def material(records: CampaignRecords) -> Material:
    campaign = Campaign(records)
    return Material.of(records, campaign.summary(), campaign.budget())


@pytest.mark.parametrize(
    ("strategy", "more", "plan", "word", "sentence"),
    [
        (DORMANT, {}, {}, "satisfied", "the strategy wants nothing more"),
        ({}, {}, {}, "not finished", "the strategy has not said"),
        (DORMANT, {FIRST: "error"}, {}, "in error", "1 task(s) in error"),
        (DORMANT, {FIRST: "running"}, {}, "running", "nobody drives"),
        (DORMANT, {FIRST: "waiting"}, {}, "not finished", "tasks wait"),
        (DORMANT, {FIRST: "waiting"}, {"budget": {"total": "3 gpu-h"}}, "budget used up", ""),
        ({"status": "error", "exception": "ValueError: odd"}, {}, {}, "in error", "the strategy raised"),
        ({}, {}, {"strategy": {"name": None, "mode": "disabled"}}, "satisfied", ""),
    ],
)
def test_how_a_campaign_stands_is_said_in_a_word(tmp_path, strategy, more, plan, word, sentence):
    plan = {"launcher": {"kind": "local", "gpus": 1}, **plan}
    records = filled_campaign(tmp_path / "c", INDEX, scattered(INDEX, 2), more=more, plan=plan)
    with records.lock():
        records.set_driver_state({"strategy": strategy} if strategy else {})
    found = Standing.of(material(records))
    assert found.word == word and sentence in found.sentence


def test_a_campaign_that_is_driven_is_running(tmp_path):
    records = filled_campaign(tmp_path / "c", INDEX, {})
    with records.lock():
        found = Standing.of(material(records))
    assert found.word == "running" and found.sentence.startswith("driven on host ")
    assert Standing.of(material(records)).word == "not begun"


def test_imported_results_are_told_apart(tmp_path: Path):
    records = filled_campaign(tmp_path / "c", INDEX, scattered(INDEX, 1))
    directory, task = f"campaigns/filled/imported/run-{FIRST}", f"{FIRST}-2"
    (records.workspace / directory).mkdir(parents=True)
    (records.workspace / directory / "quickrun.json").write_text("{}")
    made: dict[str, Any] = {"event": "created", "task": task, "transformation": FIRST, "repeat": 2, "imported": "run"}
    done = {"event": "status", "task": task, "status": "complete", "estimate": 1.0, "reason": "imported from old.json"}
    with records.lock():
        records.write({**made, "directory": directory}, done)
    page = ReportPage.of("".join(report_page(material(records))))
    assert "repeats imported 1" in page.text["overview"] and "cost of a result 1 gpu-h" in page.text["overview"]
    assert f"solvent_a_b:2 imported from old.json {hashlib.sha256(b'{}').hexdigest()}" in page.text["provenance"]
