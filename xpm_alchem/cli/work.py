"""The commands of workers: work, workers."""

from __future__ import annotations

import click

from xpm_alchem.base import checks
from xpm_alchem.base.durations import duration
from xpm_alchem.base.errors import CampaignError
from xpm_alchem.cli.options import json_option, output, say, workspace_option
from xpm_alchem.devices.asked import Asked, asked_of
from xpm_alchem.launchers.workers.pool import DEFAULT_POOL

pool_option = click.option("--pool", metavar="NAME", help=f"Pool of tasks (default: {DEFAULT_POOL}).")


@click.command("work")
@workspace_option
@pool_option
@click.option(
    "--time", "seconds", metavar="TIME", help="End after so long, e.g. 8h (default: with the scheduler's job)."
)
@click.option(
    "--idle", metavar="TIME", default="10min", show_default=True, help="End after so long without a task; 'never'."
)
@click.option("--slots", metavar="N", help="Tasks at once (default: one for each GPU, else one).")
@click.option("--gpus", metavar="GPUS", help="GPUs to give: all, 2, or 0,2 (default: all that are visible; 0: none).")
@click.option("--tasks-per-gpu", metavar="N", help="How many tasks share a GPU.")
@click.option("--max-tasks", metavar="N", help="Take so many tasks at most.")
def work_command(
    workspace: str | None,
    pool: str | None,
    seconds: str | None,
    idle: str,
    slots: str | None,
    gpus: str | None,
    tasks_per_gpu: str | None,
    max_tasks: str | None,
) -> None:
    """Take tasks of a pool, on any machine that mounts the workspace, until the time is over or nothing is left.

    The most urgent come first, one in each slot. In a job of SLURM, PBS, LSF or Grid Engine its time limit is known:
    attempts stop at their checkpoints before it, as on SIGTERM, SIGUSR1 and SIGUSR2.
    """
    from xpm_alchem.client.workers import work

    work(
        workspace,
        pool=pool or DEFAULT_POOL,
        seconds=None if seconds is None else _time(seconds, "--time"),
        idle=None if idle.strip().lower() == "never" else _time(idle, "--idle"),
        slots=_number(slots, "--slots"),
        gpus=_gpus(gpus),
        tasks_per_gpu=_number(tasks_per_gpu, "--tasks-per-gpu"),
        most=_number(max_tasks, "--max-tasks"),
        say=say,
    )


def _time(text: str, where: str) -> float:
    seconds = duration(text, where)
    if seconds <= 0:
        raise CampaignError(f"{where}: {text} must be longer than nothing.")
    return seconds


def _number(text: str | None, where: str) -> int | None:
    if text is None:
        return None
    return checks.whole(int(text) if text.strip().isdigit() else text, where, 1)


def _gpus(text: str | None) -> Asked | None:
    if text is None:
        return None
    if text.strip().lower() == "none":
        text = "0"
    names = [name.strip() for name in text.split(",")]
    alone = text.strip().isdigit() or text.strip().lower() == "all"
    return asked_of(text if alone else [name for name in names if name], "--gpus")


@click.command("workers")
@workspace_option
@pool_option
@json_option
def workers_command(workspace: str | None, pool: str | None, as_json: bool) -> None:
    """List the workers of a workspace: where, since when, their slots, what each does, the last sign of life."""
    from xpm_alchem.client.workers import workers
    from xpm_alchem.tables.workers import workers_table

    output(workers(workspace, pool), as_json, workers_table)
