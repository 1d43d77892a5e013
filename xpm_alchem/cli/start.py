"""Commands that start something: init, run, attach."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import click
from rich.console import Console

from xpm_alchem.base.errors import InputError, MissingPackageError, XpmAlchemError
from xpm_alchem.base.shell import command_line
from xpm_alchem.base.streams import wait_at_most
from xpm_alchem.campaign.task_state import without_tasks
from xpm_alchem.cli.growth import confirm_what_goes, tell_growth
from xpm_alchem.cli.options import a_path, campaign_argument, console, say, workspace_option
from xpm_alchem.client import Campaign
from xpm_alchem.network.advice import advice
from xpm_alchem.network.archive_file import unpack_network
from xpm_alchem.network.loading import Network, load_network
from xpm_alchem.network.trust import require_packages
from xpm_alchem.plan.amounts import amount_text
from xpm_alchem.plan.campaign_yaml import read_plan
from xpm_alchem.plan.notify import missing_program
from xpm_alchem.plan.templates import campaign_template
from xpm_alchem.requests.preparation import Forecast, Preparation
from xpm_alchem.tables import overview as tables
from xpm_alchem.views.commands import Address
from xpm_alchem.views.overview import tasks_now


@click.command("init")
@click.argument("network", type=a_path)
@click.option("--name", help="The campaign's name (default: the network's).")
@click.option("-o", "--out", type=a_path, default=Path("campaign.yaml"), show_default=True)
@workspace_option
@click.option("--trust", multiple=True, metavar="PACKAGE", help="A Python package the network may name.")
@click.option("--force", is_flag=True, help="Overwrite an existing campaign file.")
def init_command(
    network: Path, name: str | None, out: Path, workspace: str | None, trust: tuple[str, ...], force: bool
) -> None:
    """Look at a network file, say what is in it, and write a campaign.yaml that runs.

    Of an AlchemicalArchive the network is written to network.json beside that; `import` takes its results.
    """
    archive, inside = network, out.parent / "network.json"
    is_archive = unpack_network(archive, inside, force=force)
    found = load_network(inside if is_archive else network, trust)
    if out.exists() and not force:
        raise InputError(f"{out}: exists already. Give --force to overwrite it, or another file with --out.")
    _describe(console(), found)
    text = campaign_template(found, out, name=name, workspace=workspace, trusted=trust)
    try:
        out.write_text(text)
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror}).") from None
    read_plan(out)
    _say_what_is_there(out, workspace)
    say("", f"wrote {out}; look at it, then: {command_line('run', str(out))}")
    if is_archive:
        say(f"wrote {inside}; the results in the archive: {command_line('import', str(out), str(archive))}")


def _say_what_is_there(plan_file: Path, workspace: str | None) -> None:
    """Say what the workspace has of a network already, where that can be known."""
    with suppress(XpmAlchemError, OSError):
        _print_there(Campaign.forecast(plan_file, workspace=workspace))


def _describe(out: Console, network: Network) -> None:
    index = network.index
    legs: dict[str, int] = {}
    kinds: dict[str, int] = {}
    for record in index.transformations:
        legs[record.environment] = legs.get(record.environment, 0) + 1
        kinds[record.kind] = kinds.get(record.kind, 0) + 1
    protocols = sorted({record.protocol for record in index.transformations})
    systems = {s for record in index.transformations for s in (record.system_a_id, record.system_b_id)}
    say(f"network '{index.name}': {len(index.transformations)} transformations between {len(systems)} systems")
    out.print(f"  kinds       {', '.join(f'{n} {kind}' for kind, n in kinds.items())}")
    out.print(f"  legs        {', '.join(f'{n} {leg}' for leg, n in legs.items())}")
    out.print(f"  protocols   {', '.join(protocols)}")
    out.print(f"  components  {len(index.components)} connected part(s)")
    out.print(f"  edges       {len(index.edges)} ligand pair(s) with legs in two or more environments")
    if index.unpaired:
        out.print(f"  unpaired    {len(index.unpaired)} transformation(s) belong to no edge:")
        for stable_id, reason in list(index.unpaired.items())[:5]:
            say(f"              {index.by_id[stable_id].name}: {reason}")
        if len(index.unpaired) > 5:
            out.print(f"              ... and {len(index.unpaired) - 5} more")
    for sentence in advice(network):
        say(f"  note: {sentence}")
    try:
        require_packages(index.modules, str(network.path))
    except MissingPackageError as error:
        say(f"  warning: {error}")


@click.command("run")
@click.argument("campaign", type=a_path, metavar="[CAMPAIGN.yaml]", required=False)
@click.option("--all", "everything", is_flag=True, help="Drive every active campaign of the workspace, as one process.")
@click.option("--stay", is_flag=True, help="With --all: go on when there is nothing to do; campaigns may come.")
@workspace_option
@click.option("--launcher", metavar="NAME", help="Launcher instead of the campaign's.")
@click.option("--once", is_flag=True, help="Harvest, plan and submit once, then leave (for cron and scrontab).")
@click.option("--detach", is_flag=True, help="Drive in the background.")
@click.option("--yes", is_flag=True, help="Take a changed network without a question, whatever goes from it.")
@click.option("--dry-run", is_flag=True, help="Say what would be submitted, where, at what cost; change nothing.")
@click.option("-q", "--quiet", is_flag=True, help="No line for every unit, no table at the end.")
def run_command(
    campaign: Path | None,
    everything: bool,
    stay: bool,
    workspace: str | None,
    launcher: str | None,
    once: bool,
    detach: bool,
    yes: bool,
    dry_run: bool,
    quiet: bool,
) -> NoReturn:
    """Run a campaign, or go on with it after any interruption; or (--all) every campaign of a workspace.

    Exit codes: 0 satisfied, 1 something in error, 2 bad usage or input (nothing was started), 3 detached or not
    finished, 4 budget used up, 5 ended because the campaign's files could not be read or written for too long.
    """
    if everything or campaign is None:
        _check_all(campaign, everything=everything, launcher=launcher, dry_run=dry_run)
        from xpm_alchem.cli.workspace import run_all

        run_all(workspace, once=once, stay=stay, detach=detach, quiet=quiet)
    if stay:
        raise click.UsageError("--stay is for --all.")
    out = console()
    given = Preparation.read(campaign, workspace, launcher)
    forecast = given.forecast(anew=yes)
    if dry_run:
        _print_forecast(out, forecast)
        if word := given.launcher.check():
            out.print(word)
        if word := missing_program(given.plan.notify):
            say(f"warning: {word}")
        out.print("dry run: nothing was changed")
        sys.exit(0)
    for change in forecast.changes:
        say(f"plan changed: {change}")
    _print_kept(out, forecast)
    if forecast.growth is not None:
        tell_growth(forecast.growth)
        confirm_what_goes(forecast.growth, yes=yes)
    _print_there(forecast)
    prepared = given.make(anew=yes)
    made = Campaign(prepared.records)
    if prepared.is_asked:
        say(
            f"{made.records.holder() or 'another process'} drives the campaign, and takes the network in within seconds"
        )
        sys.exit(3)
    if detach:
        _detach(out, made, launcher)
    from xpm_alchem.cli.display import Display

    wait_at_most()
    out.print(f"campaign '{made.name}' in {made.path}\nattempts run {forecast.launcher}")
    with Display(out, made.records, units=not quiet) as display:
        code = made.run(launcher=launcher, once=once, observe=display)
    _close(out, made, code, quiet=quiet, once=once)
    sys.exit(code)


def _check_all(campaign: Path | None, *, everything: bool, launcher: str | None, dry_run: bool) -> None:
    if not everything:
        raise click.UsageError("Missing argument 'CAMPAIGN.yaml', or --all for every campaign of the workspace.")
    if campaign is not None:
        raise click.UsageError(f"--all drives every campaign of a workspace; leave '{campaign}' out, or --all.")
    if launcher is not None or dry_run:
        raise click.UsageError("--launcher and --dry-run are for one campaign; each has its own launcher with --all.")


def _print_kept(out: Console, forecast: Forecast) -> None:
    for change in forecast.kept:
        say(f"stays as commands have set it: {change}")


def _print_there(forecast: Forecast) -> None:
    """Say what the workspace has already, and what the rest costs."""
    if not forecast.there:
        return
    there, left = forecast.there, len(forecast.tasks)
    cost = "" if forecast.cost is None else f", expected cost {_cost(forecast)}"
    say(f"{there} of {there + left} are there already, {left} to compute{cost}")


def _cost(forecast: Forecast) -> str:
    least, most = (amount_text(cost) for cost in forecast.cost or (0.0, 0.0))
    return f"{least} to {most} {forecast.cost_unit}"


def _print_forecast(out: Console, forecast: Forecast) -> None:
    for change in forecast.changes:
        say(f"the plan would change: {change}")
    _print_kept(out, forecast)
    if forecast.growth is not None:
        tell_growth(forecast.growth, would="would be ")
    _print_there(forecast)
    out.print(f"launcher: {forecast.launcher}\nruns:     ", end="")
    first, *more = forecast.script.rstrip().split("\n")
    say(first, *(f"          {line}" for line in more))
    if forecast.waiting:
        out.print(f"{forecast.waiting} task(s) are in flight already")
    out.print(f"{len(forecast.tasks)} task(s) would be created now, in this order:")
    for name, repeat in forecast.tasks[:50]:
        say(f"  {name}:{repeat}")
    if len(forecast.tasks) > 50:
        out.print(f"  ... and {len(forecast.tasks) - 50} more")
    if forecast.cost is not None:
        what = " with those in flight" if forecast.waiting else ""
        out.print(f"expected cost{what}: {_cost(forecast)} (as the tasks that are complete)")
    elif forecast.seconds_each is None:
        out.print("expected cost: unknown until the first task is complete")
    else:
        out.print("expected cost: none")


def _detach(out: Console, campaign: Campaign, launcher: str | None) -> NoReturn:
    driver = campaign.start_driver(launcher)
    if driver.drives and driver.code is None:
        out.print(f"detached: {campaign.records.holder() or f'pid {driver.pid}'}")
        out.print(f"watch it with: {Address.of(campaign.records).command('attach')}")
    else:
        out.print(driver.sentence)
    sys.exit(3 if driver.code is None else driver.code)


def _close(out: Console, campaign: Campaign, code: int, *, quiet: bool, once: bool) -> None:
    if code == 5:
        return  # why was said last, and what a table is made of cannot be read
    if not quiet:
        from xpm_alchem.tables.result import results_table

        out.print(results_table(campaign.results(running=False)) if code == 0 else tables.show_table(campaign.show()))
    if code == 0:
        out.print("satisfied: the strategy wants no more results")
    elif code == 4:
        out.print(f"budget used up: {_why_over(campaign)}")
        out.print(f"raise it with `{Address.of(campaign.records).command('budget set')} ...`, then run again")
    elif code == 1:
        out.print("some tasks are in error: `xpm-alchem why` tells what happened to one")
    elif lacking := _lacks(campaign):
        _say_lacking(lacking)
    elif sentence := campaign.records.state().standing.sentence:
        say(f"{sentence} (`{Address.of(campaign.records).command('network state')} active` and `network weight`)")
    elif once:
        out.print("not finished: run the same command again later")
    elif not _is_anything_at_work(campaign.status()):
        out.print(f"stopped: nothing runs. Go on with: xpm-alchem run ... ({campaign.path})")
    else:
        attach = Address.of(campaign.records).command("attach")
        out.print(f"detached: running tasks go on. Come back with: xpm-alchem run ... or {attach}")


def _is_anything_at_work(status: dict[str, Any]) -> bool:
    """Whether attempts run, or wait in a queue."""
    return bool(status["tasks"]["running"] or status["queued"])


def _lacks(campaign: Campaign) -> int:
    """Return how many transformations have no result, where the strategy is disabled and nothing is to be done."""
    if not campaign.records.plan().strategy.is_paused:
        return 0
    tasks = tasks_now(campaign.records).values()
    is_over = not any(task.in_flight for task in tasks)
    return len(without_tasks(campaign.records.index.by_id, tasks)) if is_over else 0


def _say_lacking(number: int) -> None:
    say(f"the strategy's mode is disabled, so nothing more is started: {number} transformation(s) have no result")


def _why_over(campaign: Campaign) -> str:
    """Return why the budget allows no more, in a sentence."""
    if sentence := campaign.budget()["sentence"]:
        return str(sentence)
    closed = campaign.status()["budget"]["closed"]
    return "; ".join(one["sentence"] for one in closed) or "nothing more is started"


@click.command("attach")
@campaign_argument
@workspace_option
def attach_command(campaign: str, workspace: str | None) -> NoReturn:
    """Watch a campaign that another process drives, until it ends; Ctrl-C leaves it alone."""
    from xpm_alchem.cli.display import Display

    out = console()
    made = Campaign.open(campaign, workspace=workspace)
    out.print(tables.show_table(made.show()))
    try:
        with Display(out, made.records) as display:
            code = made.wait(observe=display)
    except KeyboardInterrupt:
        out.print("left; the driver goes on")
        sys.exit(3)
    out.print(tables.status_table(made.status()))
    if code == 4:
        out.print(f"budget used up: {_why_over(made)}")
    elif code == 3 and (lacking := _lacks(made)):
        _say_lacking(lacking)
    elif code == 3:
        out.print("nobody drives this campaign and it is not finished: `xpm-alchem run` goes on with it")
    sys.exit(code)
