"""What has failed, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType

from xpm_alchem.base.values import printable
from xpm_alchem.tables.console import told
from xpm_alchem.tables.drawing import time_text
from xpm_alchem.views.overview import View

_SHOWN = 20  # kinds of failure
_NAMES = 3
_LONGEST = 300  # characters of a line


def failures_table(view: View) -> RenderableType:
    """Render `failures_view`."""
    standing, restarted = view["failures"], view["restarted"]
    if not view["in_error"]:
        parts: list[RenderableType] = [told(f"{view['campaign']}: no task is in error")]
    else:
        kinds = "1 kind of failure" if len(standing) == 1 else f"{len(standing)} kinds of failure"
        parts = [told(f"{view['campaign']}: {view['in_error']} task(s) in error, {kinds}")]
    parts += [_block(number, group, standing_lines(group)) for number, group in enumerate(standing[:_SHOWN], start=1)]
    parts += _more(len(standing))
    if restarted:
        parts.append(told("", "failures of tasks that are not in error any more:"))
        parts += [
            _block(number, group, restarted_lines(group)) for number, group in enumerate(restarted[:_SHOWN], start=1)
        ]
        parts += _more(len(restarted))
    return Group(*parts)


def _more(kinds: int) -> list[RenderableType]:
    return [told("", f"and {kinds - _SHOWN} more kinds: --json has all")] if kinds > _SHOWN else []


def _block(number: int, group: View, lines: Iterator[str]) -> RenderableType:
    head = told("", f"{number}. ") + told(failure_head(group), style="red")
    return Group(head, told(*(f"   {line}" for line in lines)))


def failure_head(group: View) -> str:
    """Return what was raised, the latest of its kind."""
    outcome = "" if group["outcome"] == "error" else f"{group['outcome']}: "
    return f"{outcome}{_printable(group['example'])}"


def standing_lines(group: View) -> Iterator[str]:
    """Yield what is said of a group of tasks in error, and the commands that deal with it."""
    yield from _common(group)
    if (only := group["only_host"]) is not None:
        there = f"{only['succeeded_there']} succeeded there and " if only["succeeded_there"] else ""
        yield (
            f"               all on {only['host']}, while of the tasks looked at {there}{only['succeeded_elsewhere']} "
            "succeeded elsewhere: is something wrong with that host?"
        )
    for reason, tasks in group["reasons"].items():
        yield f"not restarted  {reason}" + (f" ({tasks} tasks)" if len(group["reasons"]) > 1 else "")
    if group["passing"]:
        yield "it may pass by itself; to restart these tasks, and others that fail so:"
    else:
        yield "look at one, mend the cause, then try again:"
    yield from (f"  {command}" for command in group["commands"])
    if group["tasks_left"]:
        yield f"  and so on for {group['tasks_left']} more: --json names them"


def restarted_lines(group: View) -> Iterator[str]:
    """Yield what is said of failures of tasks that are not in error any more."""
    yield from _common(group)
    yield f"now            {', '.join(f'{count} {status}' for status, count in group['now'].items())}"


def _common(group: View) -> Iterator[str]:
    tasks, transformations = group["tasks"], group["transformations"]
    of = _some(tasks) if len(transformations) == len(tasks) else f"of {len(transformations)}: {_some(transformations)}"
    yield f"tasks          {len(tasks)} ({group['attempts']} failed attempts), {of}"
    if group["hosts"]:
        yield f"hosts          {_some([f'{host} ({count})' for host, count in group['hosts'].items()], most=6)}"
    yield f"when           {_between(group['first'], group['last'])}"


def _between(first: float, last: float) -> str:
    return time_text(first) if time_text(first) == time_text(last) else f"{time_text(first)} to {time_text(last)}"


def _some(names: Sequence[str], most: int = _NAMES) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _printable(line: str) -> str:
    """Return a line that does nothing to the terminal."""
    text = printable(line)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
