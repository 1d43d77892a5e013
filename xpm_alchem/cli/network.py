"""Commands about a workspace's networks: what there is, and what each gets beside the others."""

from __future__ import annotations

from pathlib import Path

import click

from xpm_alchem.campaign.standing import NetworkState
from xpm_alchem.cli.growth import confirm_what_goes, tell_growth
from xpm_alchem.cli.look import list_command
from xpm_alchem.cli.options import a_path, campaign_argument, say, workspace_option
from xpm_alchem.client import Campaign
from xpm_alchem.client.networks import named_transformations, read_given_network
from xpm_alchem.requests.growth import Growth, growth_by_command, growth_without


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


_yes = click.option("--yes", is_flag=True, help="Without a question, whatever goes.")


@network_command.command("grow")
@campaign_argument
@click.argument("network", type=a_path)
@_yes
@workspace_option
def grow_command(campaign: str, network: Path, yes: bool, workspace: str | None) -> None:
    """Put another network in force: what is new joins, what is not in it is gone, what is the same keeps all it has."""
    made = Campaign.open(campaign, workspace=workspace)
    given = read_given_network(made.records, network)
    growth = growth_by_command(made.records, given)
    tell_growth(growth)
    if not growth.change:
        say(f"{made.name}: this is the network already")
        return
    if not growth.is_another:
        confirm_what_goes(growth, yes=yes)
    _say_done(made, growth, later=made.grow(network, anew=yes).later)


@network_command.command("drop")
@campaign_argument
@click.argument("transformations", nargs=-1, required=True, metavar="TRANSFORMATION...")
@_yes
@workspace_option
def drop_command(campaign: str, transformations: tuple[str, ...], yes: bool, workspace: str | None) -> None:
    """Take transformations out of the network: they get no more tasks, and their results count no more."""
    made = Campaign.open(campaign, workspace=workspace)
    growth = growth_without(made.records, named_transformations(made.records, transformations))
    tell_growth(growth)
    confirm_what_goes(growth, yes=yes)
    _say_done(made, growth, later=made.drop(transformations).later)


def _say_done(made: Campaign, growth: Growth, *, later: bool) -> None:
    if later:
        say(f"{made.name}: the driver takes it in within seconds")
    elif growth.change.new:
        say(f"{made.name}: done; `xpm-alchem run` computes what is new")
    else:
        say(f"{made.name}: done")
