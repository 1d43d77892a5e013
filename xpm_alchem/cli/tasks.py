"""Commands about tasks: list, create, extend, cancel, retry, invalidate, delete, priority."""

from __future__ import annotations

import click

from xpm_alchem.base.errors import InputError
from xpm_alchem.campaign.task_state import DEFAULT_PRIORITY, TaskStatus
from xpm_alchem.cli.change import cancel_command, retry_command
from xpm_alchem.cli.options import (
    campaign_argument,
    gone_option,
    json_option,
    output,
    say,
    say_tasks,
    tasks_argument,
    workspace_option,
)
from xpm_alchem.client import Campaign
from xpm_alchem.requests.change import TaskChange
from xpm_alchem.tables import task as task_tables

count_option = click.option("--count", type=int, default=1, show_default=True, metavar="N", help="How many.")
priority_option = click.option(
    "--priority", type=int, default=DEFAULT_PRIORITY, show_default=True, metavar="P", help="1 is the most urgent."
)


@click.group("tasks")
def tasks_command() -> None:
    """Look at single tasks and change them, also while a driver is at work.

    CAMPAIGN is a campaign.yaml, a campaign's directory, or its name in the workspace. A command for several tasks
    changes all of them or, where that is not possible for one of them, none.
    """


tasks_command.add_command(cancel_command)
tasks_command.add_command(retry_command)


@tasks_command.command("list")
@campaign_argument
@click.option("--status", metavar="STATUS", help=f"Only tasks that are {', '.join(TaskStatus)}.")
@click.option("--transformation", metavar="T", help="Only tasks of this transformation.")
@gone_option
@workspace_option
@json_option
def list_command(
    campaign: str, status: str | None, transformation: str | None, gone: bool, workspace: str | None, as_json: bool
) -> None:
    """A row for every task: status, priority, attempts, estimate (kcal/mol), host, what it extends, reason."""
    made = Campaign.open(campaign, workspace=workspace)
    view = made.get_tasks(status=status, transformation=transformation, gone=gone)
    output(view, as_json, task_tables.tasks_table)


@tasks_command.command("create")
@campaign_argument
@click.argument("transformation")
@count_option
@click.option("--extends", metavar="TRANSFORMATION:REPEAT", help="A task that each goes on from when it is complete.")
@priority_option
@workspace_option
def create_command(
    campaign: str, transformation: str, count: int, extends: str | None, priority: int, workspace: str | None
) -> None:
    """Create tasks of a transformation, beside those that the strategy wants."""
    made = Campaign.open(campaign, workspace=workspace)
    change = made.create_tasks(transformation, count=count, extends=extends, priority=priority)
    _say_created(change, count, transformation)


@tasks_command.command("extend")
@campaign_argument
@click.argument("task", metavar="TRANSFORMATION:REPEAT")
@count_option
@priority_option
@workspace_option
def extend_command(campaign: str, task: str, count: int, priority: int, workspace: str | None) -> None:
    """Create tasks that each extend a task: they wait until it is complete, and go on from its result."""
    made = Campaign.open(campaign, workspace=workspace)
    change = made.extend_task(task, count=count, priority=priority)
    _say_created(change, count, task)


def _say_created(change: TaskChange, count: int, what: str) -> None:
    if change.later:
        say(f"{what}: the driver creates {count} task(s) within seconds")
    say_tasks(change, "created; `xpm-alchem run` runs it", "")


@tasks_command.command("invalidate")
@campaign_argument
@tasks_argument
@workspace_option
def invalidate_command(campaign: str, tasks: tuple[str, ...], workspace: str | None) -> None:
    """Set tasks invalid, and all that extend them: their results count no more. There is no way back.

    Running attempts end at their next checkpoint. Directories are kept.
    """
    change = Campaign.open(campaign, workspace=workspace).set_tasks_status(tasks, TaskStatus.INVALID)
    say_tasks(change, "invalid", "the driver sets it invalid within seconds")


@tasks_command.command("delete")
@campaign_argument
@tasks_argument
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@workspace_option
def delete_command(campaign: str, tasks: tuple[str, ...], yes: bool, workspace: str | None) -> None:
    """Set tasks deleted, and all that extend them: their results count no more. There is no way back.

    Running attempts end at their next checkpoint. Directories are kept.
    """
    made = Campaign.open(campaign, workspace=workspace)
    if not yes:
        _confirm(made, tasks)
    say_tasks(made.set_tasks_status(tasks, TaskStatus.DELETED), "deleted", "the driver sets it deleted within seconds")


def _confirm(campaign: Campaign, tasks: tuple[str, ...]) -> None:
    for task in dict.fromkeys(tasks):
        say(f"  {task}")
    for task in campaign.get_tasks_extending(tasks):
        say(f"  {task} (extends one of these)")
    try:
        sure = click.confirm("set these tasks deleted, for good?")
    except click.Abort:  # nobody there to answer
        sure = False
    if not sure:
        raise InputError("nothing was deleted (--yes does it without a question).")


@tasks_command.command("priority")
@campaign_argument
@click.argument("priority", type=int, metavar="N")
@tasks_argument
@workspace_option
def priority_command(campaign: str, priority: int, tasks: tuple[str, ...], workspace: str | None) -> None:
    """Set the priority of tasks: of those that wait, the lowest number is started first (10 unless set)."""
    change = Campaign.open(campaign, workspace=workspace).set_tasks_priority(tasks, priority)
    say_tasks(change, f"priority {priority}", f"the driver sets priority {priority} within seconds")
