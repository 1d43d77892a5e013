"""The history of one task for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from xpm_alchem.tables.console import told
from xpm_alchem.tables.drawing import columns, duration_text, time_text
from xpm_alchem.views.overview import View

_FOLDED = 4  # attempts in a row that ended in the same way and are shown as one
_MANY = 12  # attempts; of fewer all are shown
_LISTED = 2  # files of a kind, the latest

Attempt = dict[str, Any]


def why_table(view: View, *, everything: bool = False) -> RenderableType:
    """Render `why_view`; attempts in a row that ended alike are folded unless `everything` is asked for."""
    head = f"{view['transformation']} repeat {view['repeat']}: {view['status']}"
    if view["reason"] and (view["status"] != "complete" or view["left_out"]):
        head += f" ({view['reason']})"
    if (hold := view.get("hold")) is not None:
        head = f"{view['transformation']} repeat {view['repeat']}: {hold['sentence']}"
    parts: list[RenderableType] = [told(head)]
    if view["trouble"]:
        parts.append(told(f"waits: {view['trouble']} A driver looks at it again."))
    if view["attempts"]:
        parts.append(_attempts(view, everything))
    else:
        parts.append(told(view["imported"] or "no attempt yet"))
    if view["traceback"]:
        parts.append(_block(f"the last traceback, of attempt {view['traceback_attempt']}:", view["traceback"].rstrip()))
    if view["stderr"]:
        parts.append(_block(f"the last lines on stderr of attempt {len(view['attempts'])}:", view["stderr"]))
    parts.append(told(*_files(view)))
    if view["commands"]:
        lines = (f"  {item['command']}  # {item['what']}" for item in view["commands"])
        parts.append(told("what you can do:", *lines))
    return Group(*parts)


def _block(head: str, text: str) -> Text:
    """Return a text of several lines under a heading."""
    return told(head, *text.expandtabs().split("\n"), "")


def _attempts(view: View, everything: bool) -> RenderableType:
    """Return two or more lines for each run of attempts: its facts, how it ended, and what was decided."""
    runs = [[attempt] for attempt in view["attempts"]] if everything else list(folded(view["attempts"]))
    jobs = any(attempt["job"] for attempt in view["attempts"])
    devices = any(attempt["devices"] for attempt in view["attempts"])
    where = ("host", *(["device"] if devices else []), *(["job"] if jobs else []))
    rows = [("attempt", *where, "began", "took", "units", "MB")]
    for run in runs:
        first, last = run[0], run[-1]
        rows.append(
            (
                str(first["attempt"]) if len(run) == 1 else f"{first['attempt']}-{last['attempt']}",
                _some(sorted({attempt["host"] for attempt in run})),
                *([_some(sorted({name for attempt in run for name in attempt["devices"]}))] if devices else []),
                *([str(first["job"] or "") if len(run) == 1 else ""] if jobs else []),
                time_text(first["start"]),
                duration_text(sum(attempt["seconds"] for attempt in run)),
                _units(last, view["units_total"]),
                f"{max(attempt['peak_memory_bytes'] for attempt in run) / 1e6:.0f}",
            )
        )
    head, *facts = columns(rows, right=range(len(rows[0]) - 3, len(rows[0])))
    parts = [told(""), told(head, style="bold")]
    for run, line in zip(runs, facts, strict=True):
        said = _said(run[-1]) if len(run) == 1 else f"{len(run)} times {_said(run[-1])}"
        style = "red" if run[-1]["outcome"] == "error" else ""
        parts += [told(line), told(*(f"         {part}" for part in said.split("\n")), style=style)]
    if len(runs) < len(view["attempts"]):
        parts.append(told("alike attempts are shown as one; --all shows each"))
    return Group(*parts, told(""))


def folded(attempts: Sequence[Attempt]) -> Iterator[list[Attempt]]:
    """Yield the attempts, those in a row that ended alike together where there are many; the last one alone."""
    if len(attempts) <= _MANY:
        yield from ([attempt] for attempt in attempts)
        return
    for _, group in groupby(attempts[:-1], key=_kind):
        run = list(group)
        if len(run) < _FOLDED:
            yield from ([attempt] for attempt in run)
        else:
            yield run
    yield [attempts[-1]]


def _kind(attempt: Attempt) -> tuple[Any, ...]:
    """Return what attempts must have in common to be shown as one; tracebacks differ, so errors are not."""
    alone = attempt["attempt"] if attempt["outcome"] == "error" or attempt["set_aside"] or attempt["notes"] else None
    return attempt["outcome"], attempt["progress"], attempt["decision"], alone


def _some(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{', '.join(names[:2])} and {len(names) - 2} more"


def _units(attempt: Attempt, total: int | None) -> str:
    return f"{attempt['units_so_far']}/{total}" if total else str(attempt["units_so_far"])


def _said(attempt: Attempt) -> str:
    text = attempt["outcome"] or "at work"
    if attempt["reason"]:
        text += f": {attempt['reason']}"
    for name in attempt["set_aside"]:
        if ".json." in name:
            text += f"\na file was damaged and is made again; the old one is {name}"
        else:
            text += f"\na unit failed on the checkpoint it inherited and began afresh; the old one is {name}"
    text += "".join(f"\n{note}" for note in attempt["notes"])
    if attempt["decision"]:
        text += f"\n-> {attempt['decision']}"
        text += f": {attempt['decision_reason']}" if attempt["decision_reason"] else ""
    return text


def _files(view: View) -> Iterator[str]:
    """Yield lines that say where the files are."""
    yield f"files in {view['directory']}:"
    for kind, found in view["files"].items():
        paths = [found] if isinstance(found, str) else found
        names = [_relative(path, view["directory"]) for path in reversed(paths[-_LISTED:])]
        more = f" and {len(paths) - _LISTED} earlier" if len(paths) > _LISTED else ""
        yield f"  {kind.replace('_', ' ').ljust(14)}{', '.join(names)}{more}"


def _relative(path: str, directory: str) -> str:
    return str(Path(path).relative_to(directory)) if Path(path).is_relative_to(directory) else path
