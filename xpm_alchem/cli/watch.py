"""The command that shows a campaign on a whole screen, live."""

from __future__ import annotations

import os
import sys

import click

from xpm_alchem.base.errors import InputError
from xpm_alchem.cli.options import campaign_argument, workspace_option
from xpm_alchem.client import Campaign
from xpm_alchem.views.commands import Address


@click.command("watch")
@campaign_argument
@workspace_option
def watch_command(campaign: str, workspace: str | None) -> None:
    """Watch a campaign on a whole screen, live: figures, a row for every transformation, what happened last.

    `?` shows the keys. Nothing is changed unless you press `p` (pause).
    """
    streams = (sys.__stdin__, sys.__stdout__, sys.__stderr__)  # the screen is drawn on stderr
    if os.environ.get("TERM", "dumb") == "dumb" or not all(stream and stream.isatty() for stream in streams):
        raise InputError("watch needs a terminal; `xpm-alchem show` and `xpm-alchem status` print the same once.")
    made = Campaign.open(campaign, workspace=workspace)
    from xpm_alchem.watch.app import WatchApp
    from xpm_alchem.watch.picture import Watcher

    watcher = Watcher(made)
    if (picture := watcher.look()) is not None:
        WatchApp(watcher, picture, Address(campaign, workspace)).run()
