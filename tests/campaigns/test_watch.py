"""`xpm-alchem watch` beside a driver that is at work."""

from __future__ import annotations

import os
from pathlib import Path

from campaigns import SmallCampaign
from patience import communicate, wait_for
from watched import SMALL, Watched, watch


def test_it_follows_a_driver_and_pauses_its_strategy(tmp_path: Path) -> None:
    go = tmp_path / "go"
    script = {"simulate 0": {"do": "wait", "file": str(go)}}
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1), (1, 2), (2, 3)], script=script)
    driver = campaign.start()
    wait_for(lambda: (campaign.path / "workspace" / "campaigns" / "small" / "holder.json").exists(), what="the driver")

    async def follow(watched: Watched) -> None:
        await watched.until(lambda: "2 running, 1 waiting" in watched.screen)
        assert f"driver {os.uname().nodename} pid {driver.pid}" in watched.screen
        await watched.until(lambda: "repeat 1: unit 2/3" in watched.screen)
        await watched.press("down", "p")
        await watched.until(lambda: "uniform PAUSED" in watched.screen)
        await watched.press("p")
        await watched.until(lambda: "uniform, partial" in watched.screen)
        go.touch()
        await watched.until(lambda: "3 complete, 0 running" in watched.screen)
        await watched.until(lambda: "no driver, and nothing left to do" in watched.screen)
        assert watched.table.cursor_row == 1

    try:
        watch(campaign.records, SMALL, follow)
        out, _ = communicate(driver, 60)
        assert driver.returncode == 0, out
    finally:
        driver.kill()
        driver.communicate()
