"""Who may write a campaign: a command that makes one change is waited for, a driver is not; no old plan is driven."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from campaigns import SmallCampaign

from xpm_alchem.base.errors import CampaignLockedError
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.client import Campaign
from xpm_alchem.driver.planning import Planning


@pytest.fixture
def records(tmp_path: Path) -> CampaignRecords:
    return Campaign.create(SmallCampaign(tmp_path / "c", edges=[(0, 1)]).file).records


def hold(path: Path, held: threading.Event, release: threading.Event, *, is_brief: bool) -> threading.Thread:
    """Hold the lock in a thread, with records of its own."""

    def run() -> None:
        with CampaignRecords.open(path).lock(is_brief=is_brief):
            held.set()
            release.wait(60)

    thread = threading.Thread(target=run)
    thread.start()
    assert held.wait(60)
    return thread


def test_a_driver_waits_for_a_command_that_makes_one_change(records: CampaignRecords) -> None:
    held, release = threading.Event(), threading.Event()
    thread = hold(records.path, held, release, is_brief=True)
    timer = threading.Timer(0.5, release.set)
    timer.start()
    with records.lock():
        assert release.is_set()
    thread.join()
    timer.join()


def test_a_driver_is_not_waited_for(records: CampaignRecords) -> None:
    held, release = threading.Event(), threading.Event()
    thread = hold(records.path, held, release, is_brief=False)
    try:
        with pytest.raises(CampaignLockedError), records.lock():
            pass
    finally:
        release.set()
        thread.join()


def test_a_command_that_holds_the_lock_for_ever_is_told(records: CampaignRecords, monkeypatch) -> None:
    monkeypatch.setattr("xpm_alchem.campaign.lock._BRIEF_SECONDS", 0.2)
    held, release = threading.Event(), threading.Event()
    thread = hold(records.path, held, release, is_brief=True)
    try:
        with pytest.raises(CampaignLockedError), records.lock():
            pass
    finally:
        release.set()
        thread.join()


def test_a_plan_that_changes_before_the_driver_has_the_lock_is_the_plan(records: CampaignRecords) -> None:
    said = []
    planning = Planning(records, lambda event: said.append(event.what))
    other = Campaign.open(records.path)
    assert not other.add_task_restart_patterns(["weird"], 2).later  # done at once: nobody holds the lock
    assert not other.set_network_strategy("uniform", {"repeats": 7}).later
    with records.lock():
        planning.take_plan()
        planning.iterate()
    assert [pattern.pattern for pattern in planning.plan.restarts] == ["weird"]
    assert len(records.state().tasks) == 3  # max_tasks_per_transformation
    assert any("restarts" in sentence for sentence in said)
