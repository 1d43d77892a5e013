"""Commands about what a campaign may cost: set, show."""

from __future__ import annotations

from typing import Any

import click

from xpm_alchem.base.errors import InputError
from xpm_alchem.cli.options import campaign_argument, json_option, output, say, workspace_option
from xpm_alchem.client import Campaign
from xpm_alchem.tables.budget import budget_table

_OPTIONS = ("total", "rate", "per_result", "grace", "until", "on_exhausted")


@click.group("budget")
def budget_command() -> None:
    """Say what a campaign may cost, also while a driver is at work, and see what it has cost."""


@budget_command.command("set")
@campaign_argument
@click.option("--total", metavar="AMOUNT|none", help="What all attempts together may cost: 200, '200 gpu-h'.")
@click.option("--rate", metavar="AMOUNT/h|none", help="What any 60 minutes may cost: 10/h.")
@click.option("--per-result", metavar="AMOUNT|none", help="What a result of a transformation may cost on average.")
@click.option("--grace", metavar="N|none", help="How many times --per-result before it is judged.")
@click.option("--until", metavar="DATE|never|none", help="Start nothing after this date; never: go on for ever.")
@click.option("--on-exhausted", metavar="finish|stop", help="What becomes of running attempts when it is used up.")
@workspace_option
def set_command(campaign: str, workspace: str | None, **options: str | None) -> None:
    """Change the budget; what is not given stays, 'none' takes a limit away."""
    changes = {key: _value(key, text) for key in _OPTIONS if (text := options[key]) is not None}
    if not changes:
        raise InputError("nothing to set; give at least one option (--total, --rate, ...).")
    change = Campaign.open(campaign, workspace=workspace).set_budget(**changes)
    say("the driver takes it in within seconds" if change.later else "set; `xpm-alchem run` goes on from there")


def _value(key: str, text: str) -> Any:
    if text.strip().lower() == "none":
        return None
    if key != "grace":
        return text
    try:
        return float(text)
    except ValueError:
        return text


@budget_command.command("show")
@campaign_argument
@json_option
@workspace_option
def show_command(campaign: str, as_json: bool, workspace: str | None) -> None:
    """What is spent, by leg and transformation, what is in flight, and what is left."""
    output(Campaign.open(campaign, workspace=workspace).budget(), as_json, budget_table)
