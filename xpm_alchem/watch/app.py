"""The application of `xpm-alchem watch`."""

from __future__ import annotations

from typing import ClassVar

from textual.app import App
from textual.binding import Binding, BindingType

from xpm_alchem.views.commands import Address
from xpm_alchem.watch.campaign_screen import CampaignScreen
from xpm_alchem.watch.picture import Picture, Watcher


class WatchApp(App[None]):
    """Shows a campaign while it goes on; see `CampaignScreen`."""

    TITLE = "xpm-alchem watch"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+c", "quit", show=False, priority=True)]

    def __init__(self, watcher: Watcher, picture: Picture, address: Address) -> None:
        super().__init__()
        self.campaign_screen = CampaignScreen(watcher, picture, address)

    def on_mount(self) -> None:
        """Show the campaign."""
        self.push_screen(self.campaign_screen)
