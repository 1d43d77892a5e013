"""The lines above and below the table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.text import Text

from xpm_alchem.base.values import local_time, printable
from xpm_alchem.campaign.task_state import TaskState, TaskStatus
from xpm_alchem.plan.amounts import amount_text
from xpm_alchem.tables.drawing import time_left
from xpm_alchem.tables.task_lines import event_line
from xpm_alchem.watch.columns import COUNTS
from xpm_alchem.watch.picture import Picture

_BETWEEN = " │ "
_LETTERS = {key: (letter, style) for key, letter, style in COUNTS}


def figures(picture: Picture, width: int) -> Text:
    """Return the campaign in figures, in as few lines of a width as there may be."""
    lines = [Text()]
    for part in _parts(picture):
        if lines[-1] and len(lines[-1]) + len(_BETWEEN) + len(part) > width:
            lines.append(part)
        else:
            lines[-1] = lines[-1] + (_BETWEEN if lines[-1] else "") + part
    return Text("\n").join(lines)


def _parts(picture: Picture) -> Iterator[Text]:
    summary, strategy = picture.summary, picture.strategy
    yield Text(printable(summary["campaign"]), "bold")
    counts = [Text(f"{summary[key]} {key}", style if summary[key] else "") for key, _, style in COUNTS]
    yield Text(", ").join(counts) if summary["tasks"] else Text("no task yet")
    total = "" if picture.total is None else f" of {amount_text(picture.total)}"
    yield Text(f"spent {amount_text(summary['cost'])}{total} {summary['cost_unit']}".rstrip())
    hour = amount_text(summary["cost_last_hour"], summary["cost_unit"])
    yield Text(f"last hour {summary['results_last_hour']} results for {hour}")
    yield Text(f"time left {time_left(summary['time_left'])}")
    paused = strategy["name"] is not None and strategy["mode"] == "disabled"
    name = strategy["name"] or "no strategy"
    yield Text(f"{name} PAUSED", "bold") if paused else Text(f"{name}, {strategy['mode']}, {strategy['status']}")
    yield Text(_driver(picture))


def _driver(picture: Picture) -> str:
    driver = picture.summary["driver"]
    if driver is not None:
        return f"driver {driver['host']} pid {driver['pid']}"
    in_flight = any(task.in_flight or task.leaving for tasks in picture.tasks.values() for task in tasks)
    goes_on = picture.strategy["status"] == "awake" and picture.strategy["mode"] != "disabled"
    return "no driver: `xpm-alchem run` goes on" if in_flight or goes_on else "no driver, and nothing left to do"


def latest(picture: Picture, lines: int) -> Text:
    """Return what has happened last, the latest first."""
    return _joined(
        Text.assemble(f"{local_time(task.changed)[-8:]} ", _line(name, task)) for name, task in picture.latest[:lines]
    )


def tasks_of(picture: Picture, transformation: str) -> Text:
    """Return the tasks of a transformation."""
    tasks = sorted(picture.tasks.get(transformation, ()), key=lambda task: task.repeat)
    return _joined(_line(f"repeat {task.repeat}", task) for task in tasks)


def _line(name: str, task: TaskState) -> Text:
    letter, style = _LETTERS.get(str(task.status), ("-", "dim"))
    what = event_line(str(task.status), task)
    if task.status is TaskStatus.WAITING and not task.actioned:
        what = f"cancelled: {task.reason}"
    return Text.assemble((letter, style), f" {printable(name)}  {printable(what)}")


def _joined(lines: Iterable[Text]) -> Text:
    text = Text("\n").join(lines)
    text.no_wrap, text.overflow = True, "ellipsis"
    return text
