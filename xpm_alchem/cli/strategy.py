"""Commands about a campaign's strategy: set, show, health, awake, mode, clear, explain."""

from __future__ import annotations

from typing import Any

import click
import yaml

from xpm_alchem.base import safe_yaml
from xpm_alchem.base.errors import InputError
from xpm_alchem.cli.options import json_option, output, say, workspace_option
from xpm_alchem.client import Campaign
from xpm_alchem.plan.strategy import MODES, NORMALIZATIONS, SCALINGS
from xpm_alchem.requests.change import Change
from xpm_alchem.tables import strategy as strategy_tables

campaign_argument = click.argument("campaign", metavar="[CAMPAIGN]", default="campaign.yaml")


@click.group("strategy")
def strategy_command() -> None:
    """Look at a campaign's strategy and change it, also while a driver is at work.

    CAMPAIGN is a campaign.yaml (default: the one here), a campaign's directory, or its name in the workspace.
    """


@strategy_command.command("set")
@click.argument("name")
@campaign_argument
@click.option("-s", "--setting", "settings", multiple=True, metavar="KEY=VALUE", help="A setting of the strategy.")
@click.option("--mode", metavar="|".join(MODES), help="Only add tasks, also cancel them, or do nothing.")
@click.option("--max-tasks-per-transformation", metavar="N", help="Tasks waiting or running at once.")
@click.option("--max-tasks-per-network", metavar="N|none", help="The same for the whole network.")
@click.option("--task-scaling", metavar="|".join(SCALINGS), help="How weights become tasks.")
@click.option("--normalization", metavar="|".join(NORMALIZATIONS), help="By what weights are divided.")
@click.option("--sleep-interval", metavar="DURATION", help="Least time between two iterations.")
@click.option("--extends-preference", metavar="0..1", help="Share of tasks that extend a complete one.")
@click.option("--patience", metavar="DURATION", help="Mode full: how long a running task is unwanted before it ends.")
@workspace_option
def set_command(
    name: str, campaign: str, settings: tuple[str, ...], workspace: str | None, **options: str | None
) -> None:
    """Put the strategy NAME in force: uniform, connectivity, ..., or module:Class of a stratocaster Strategy.

    Settings are added to those there are if the name stays the same. Other options stay as they are unless given.
    """
    changes = {key: _value(f"--{key.replace('_', '-')}", text) for key, text in options.items() if text is not None}
    made = Campaign.open(campaign, workspace=workspace)
    change = made.set_network_strategy(name, dict(_setting(text) for text in settings) or None, **changes)
    _say(f"strategy {name}", change, made)


def _setting(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not key.strip() or not equals:
        raise InputError(f"-s {text}: give a setting as KEY=VALUE, for example repeats=5.")
    return key.strip(), _value(f"-s {text}", value)


def _value(where: str, text: str) -> Any:
    """Return what campaign.yaml would hold."""
    if text == "none":
        return None
    try:
        return safe_yaml.load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        raise InputError(f"{where}: {text!r} is not a value as campaign.yaml may hold it.") from None


@strategy_command.command("show")
@campaign_argument
@workspace_option
@json_option
def show_command(campaign: str, workspace: str | None, as_json: bool) -> None:
    """Show the strategy in force with all its options."""
    from xpm_alchem.views.strategy import strategy_view

    view = strategy_view(Campaign.open(campaign, workspace=workspace).records)
    output(view, as_json, strategy_tables.strategy_table)


@strategy_command.command("health")
@campaign_argument
@workspace_option
@json_option
def health_command(campaign: str, workspace: str | None, as_json: bool) -> None:
    """Show its mode, status, iterations, last iteration, and what it raised."""
    view = Campaign.open(campaign, workspace=workspace).get_network_strategy_health()
    output(view, as_json, strategy_tables.health_table)


@strategy_command.command("explain")
@campaign_argument
@click.argument("transformation", required=False)
@workspace_option
@json_option
def explain_command(campaign: str, transformation: str | None, workspace: str | None, as_json: bool) -> None:
    """Show for each transformation what an iteration would do now, and why; nothing is changed."""
    view = Campaign.open(campaign, workspace=workspace).explain_network_strategy(transformation)
    output(view, as_json, strategy_tables.explain_table)


@strategy_command.command("awake")
@campaign_argument
@workspace_option
def awake_command(campaign: str, workspace: str | None) -> None:
    """Perform the strategy again: after an error, or although no result is new."""
    made = Campaign.open(campaign, workspace=workspace)
    change = made.set_network_strategy_awake()
    say("the driver performs it again within seconds" if change.later else "awake; `xpm-alchem run` performs it")


@strategy_command.command("mode")
@click.argument("mode", metavar="|".join(MODES))
@campaign_argument
@workspace_option
def mode_command(mode: str, campaign: str, workspace: str | None) -> None:
    """Set the mode.

    partial: tasks are only added. full: those nobody wants any more are cancelled. disabled: nothing is done.
    """
    made = Campaign.open(campaign, workspace=workspace)
    _say(f"mode {mode}", made.set_network_strategy_mode(mode), made)


@strategy_command.command("clear")
@campaign_argument
@workspace_option
def clear_command(campaign: str, workspace: str | None) -> None:
    """Drop the strategy: nothing is proposed any more, tasks in flight go on. `set` gives the campaign one again."""
    made = Campaign.open(campaign, workspace=workspace)
    _say("no strategy", made.set_network_strategy(None), made)


def _say(what: str, change: Change, campaign: Campaign) -> None:
    say(f"{what}: {'the driver takes it in within seconds' if change.later else 'in force'}")
    say(f"({campaign.path / 'campaign.yaml'}; `run FILE` puts FILE's strategy in force: change it there too)")
