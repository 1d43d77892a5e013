"""The command that examines the environment and a campaign: doctor."""

from __future__ import annotations

import signal
import sys
from typing import NoReturn

import click
from rich.console import Console
from rich.progress import Progress

from xpm_alchem.base.durations import duration
from xpm_alchem.cli.options import json_option, output, say, workspace_option
from xpm_alchem.client import Campaign
from xpm_alchem.tables.doctor import doctor_table


@click.command("doctor")
@click.argument("campaign", required=False, metavar="[CAMPAIGN]")
@workspace_option
@click.option("--launcher", metavar="NAME", help="Launcher to look at (default: the campaign's, else local).")
@click.option("--node", metavar="LAUNCHER|CAMPAIGN", help="Look at a node instead, by one short job of a launcher.")
@click.option("--timeout", metavar="DURATION", help="With --node: how long to wait for it (default: 10min).")
@click.option("--fix", is_flag=True, help="Mend what can be mended without losing anything.")
@json_option
def doctor_command(
    campaign: str | None,
    workspace: str | None,
    launcher: str | None,
    node: str | None,
    timeout: str | None,
    fix: bool,
    as_json: bool,
) -> NoReturn:
    """Check the environment, and a campaign if one is given; say how to mend what is wrong.

    --node submits one short job through a launcher (a profile of settings.yaml, local, or a campaign's) and shows what
    works where it runs: GPUs and platform, packages, workspace, locks, scratch. Ctrl-C cancels it.

    Exit codes: 0 nothing wrong (but perhaps warnings), 1 at least one fault, 2 bad usage or input.
    """
    if node is not None:
        if launcher is not None or fix:
            raise click.UsageError("--node goes with neither --launcher nor --fix: give the launcher to --node.")
        _look_at_node(node, campaign, workspace, timeout, as_json)
    if timeout is not None:
        raise click.UsageError("--timeout goes with --node.")
    screen = Console(stderr=True)
    with Progress(console=screen, transient=True, disable=not screen.is_terminal) as shown:
        line = shown.add_task("tasks", total=None, visible=False)

        def progress(done: int, total: int) -> None:
            shown.update(line, completed=done, total=total, visible=done < total)

        view = Campaign.doctor(campaign, workspace=workspace, launcher=launcher, fix=fix, progress=progress)
    output(view, as_json, doctor_table)
    sys.exit(1 if view["faults"] else 0)


def _look_at_node(
    node: str, campaign: str | None, workspace: str | None, timeout: str | None, as_json: bool
) -> NoReturn:
    for number in (signal.SIGTERM, signal.SIGHUP):  # as Ctrl-C: the job is not to outlive this
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            signal.signal(number, signal.default_int_handler)
    given = {} if timeout is None else {"timeout": duration(timeout, "--timeout")}
    view = Campaign.doctor_of_node(
        node, campaign, workspace=workspace, tell=lambda sentence: say(sentence, err=True), **given
    )
    output(view, as_json, doctor_table)
    sys.exit(1 if view["faults"] else 0)
