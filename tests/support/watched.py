"""`xpm-alchem watch` without a terminal, while a test presses keys."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from patience import Patience
from textual.pilot import Pilot
from textual.widgets import Static

from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.client import Campaign
from xpm_alchem.views.commands import Address
from xpm_alchem.watch.app import WatchApp
from xpm_alchem.watch.picture import Watcher
from xpm_alchem.watch.screens import TextScreen
from xpm_alchem.watch.table import TransformationTable

SMALL, LARGE = (80, 24), (200, 50)


class Watched:
    """The application while a test presses keys."""

    def __init__(self, app: WatchApp, pilot: Pilot[Any]) -> None:
        self.app, self.pilot = app, pilot

    @property
    def table(self) -> TransformationTable:
        return self.app.campaign_screen.query_one(TransformationTable)

    @property
    def names(self) -> list[str]:
        """The rows without what all names have in common."""
        return [
            name.removeprefix("ligand_").removesuffix("_vacuum").replace("_ligand_", "-") for name in self.table.names
        ]

    def said(self, part: str) -> str:
        """Return what stands in a part of the screen."""
        return str(self.app.campaign_screen.query_one(f"#{part}", Static).render())

    @property
    def screen(self) -> str:
        """The whole screen as text."""
        strips = self.app.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips)

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def until(self, condition: Callable[[], Any]) -> None:
        """Wait until something is so; the application looks by itself."""
        patience = Patience(20)
        while not condition():
            if patience.is_over():
                raise AssertionError(f"it did not come about within {patience}:\n{self.screen}")
            await self.pilot.pause(0.05)

    async def text_with(self, *words: str) -> str:
        """Return the text of the screen that is open, once it has these words."""
        screen = self.app.screen
        assert isinstance(screen, TextScreen)
        await self.until(lambda: all(word in screen.text for word in words))
        return screen.text


def watch(records: CampaignRecords, size: tuple[int, int], scenario: Callable[[Watched], Awaitable[None]]) -> None:
    """Run a scenario with the application."""

    async def run() -> None:
        watcher = Watcher(Campaign(CampaignRecords.open(records.path)))
        picture = watcher.look()
        assert picture is not None
        app = WatchApp(watcher, picture, Address("campaign.yaml"))
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            await scenario(Watched(app, pilot))

    asyncio.run(run())
