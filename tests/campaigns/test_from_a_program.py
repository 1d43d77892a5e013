"""A program that drives a campaign: what it is told on stderr, and drivers in the background."""

from __future__ import annotations

import sys
from pathlib import Path

import patience
import pytest
from campaigns import SmallCampaign, held

from xpm_alchem import Campaign
from xpm_alchem.base.errors import CampaignError, XpmAlchemError

EDGES = [(0, 1), (1, 2)]


def program(campaign: SmallCampaign, code: str) -> list[str]:
    begin = f"from xpm_alchem import Campaign\nc = Campaign.create({str(campaign.file)!r})\n"
    return [sys.executable, "-c", begin + code]


def test_it_is_told_line_by_line_beside_what_it_prints(tmp_path: Path) -> None:
    campaign = SmallCampaign(tmp_path / "c", edges=EDGES)
    done = patience.run(program(campaign, "print(c.run())"), cwd=tmp_path)
    assert done.stdout == "0\n"
    lines = done.stderr.splitlines()
    assert sum("complete, " in line for line in lines) == 2 and not any("unit" in line for line in lines)
    assert lines[-1].endswith("satisfied: the strategy wants no more results")


@pytest.mark.parametrize("how", ["progress=False", "observe=lambda event: None"])
def test_it_may_be_silent(tmp_path: Path, how: str) -> None:
    campaign = SmallCampaign(tmp_path / "c", edges=EDGES)
    done = patience.run(program(campaign, f"print(c.run({how}))"), cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("0\n", "")


def test_what_the_background_cannot_know_is_refused(tmp_path: Path) -> None:
    campaign = Campaign.create(SmallCampaign(tmp_path / "c", edges=EDGES).file)
    for more in ({"strategy": object()}, {"observe": print}, {"init_tasks": [1]}, {"once": True}):
        with pytest.raises(CampaignError, match="background"):
            campaign.run(detach=True, **more)
    assert campaign.records.holder() is None


def test_a_background_that_does_not_start_says_why(tmp_path: Path) -> None:
    go_on = tmp_path / "go on"
    small = SmallCampaign(tmp_path / "c", edges=EDGES, script=held(until=go_on))
    driver = small.start("--quiet")
    small.wait_until_at_work()
    with pytest.raises(XpmAlchemError, match="is driven by another process"):
        Campaign.open(small.file).run(detach=True)
    go_on.touch()
    patience.communicate(driver)


def test_who_waits_is_told_how_it_stands(tmp_path: Path) -> None:
    small = SmallCampaign(
        tmp_path / "c", edges=EDGES, script={"simulate 0": {"do": "raise", "text": "no", "times": 99}}
    )
    small.write_plan(default_restarts=False, max_retries=0)
    campaign = Campaign.create(small.file)
    assert campaign.wait(progress=False) == 3  # nobody drives it, and it is not finished
    assert campaign.run(progress=False) == 1
    assert campaign.wait(progress=False) == 1
    campaign.set_network_strategy_mode("disabled")
