"""A campaign with several launchers: what the first has no place for goes to the next, also for another driver."""

from __future__ import annotations

from pathlib import Path

import pytest
from campaigns import SmallCampaign, held
from patience import communicate, wait_for
from workers import Workers

pytestmark = pytest.mark.slow


def test_what_this_machine_has_no_place_for_goes_to_workers(tmp_path: Path) -> None:
    go_on = tmp_path / "go on"
    launchers = [{"kind": "local", "slots": 1}, {"kind": "workers", "pool": "night", "slots": 2}]
    edges = [(0, number + 1) for number in range(6)]
    campaign = SmallCampaign(tmp_path / "c", edges=edges, script=held(until=go_on), plan={"launcher": launchers})
    driver = campaign.start()
    wait_for(lambda: campaign.is_made)
    with Workers(campaign.path / "workspace", tmp_path / "workers.log") as workers:
        workers.start("--pool", "night", "--slots", 2, "--idle", "never")
        campaign.wait_until_at_work(3, units=1)
        driver.kill()
        communicate(driver, 60)
        driver = campaign.start()
        wait_for(lambda: campaign.json("status")["driver"] is not None)
        go_on.touch()
        out, _ = communicate(driver, 300)
        assert driver.returncode == 0, out
    attempts = [attempt for (attempt,) in campaign.attempts().values()]
    assert len(attempts) == 6
    assert {attempt.launched_as is None for attempt in attempts} == {True, False}
    assert all(set(units.values()) == {1} for units in campaign.units_done().values())
