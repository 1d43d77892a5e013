"""Commands about a workspace's networks: what there is, and what each gets beside the others."""

from __future__ import annotations

import click

from xpm_alchem.campaign.standing import NetworkState
from xpm_alchem.cli.look import list_command
from xpm_alchem.cli.options import campaign_argument, say, workspace_option
from xpm_alchem.client import Campaign


@click.group("network")
def network_command() -> None:
    """Look at a workspace's networks and change what each gets, also while a driver is at work."""


network_command.add_command(list_command)


@network_command.command("weight")
@campaign_argument
@click.argument("weight", type=float)
@workspace_option
def weight_command(campaign: str, weight: float, workspace: str | None) -> None:
    """Set a network's weight: its part of slots and submissions beside others' (0 to 1, 0.5 unless set; 0 pauses)."""
    made = Campaign.open(campaign, workspace=workspace)
    change = made.set_network_weight(weight)
    say(f"{made.name}: {f'the driver sets weight {weight:g} within seconds' if change.later else f'weight {weight:g}'}")


@network_command.command("state")
@campaign_argument
@click.argument("state", metavar=f"[{'|'.join(NetworkState)}]")
@workspace_option
def state_command(campaign: str, state: str, workspace: str | None) -> None:
    """Set a network's state: of one that is not active nothing new is started; what runs goes on.

    A deleted network keeps its directory and its results, and is listed only with --all.
    """
    made = Campaign.open(campaign, workspace=workspace)
    change = made.set_network_state(state)
    say(f"{made.name}: {f'the driver sets it {state} within seconds' if change.later else state}")
