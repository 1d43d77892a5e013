"""The views of tasks as tables for a terminal."""

from __future__ import annotations

from rich.console import RenderableType

from xpm_alchem.tables.drawing import rows_table
from xpm_alchem.views.overview import View
from xpm_alchem.views.rows import number

_HELD = {"queued": "waiting in a queue", "gone": "waiting, its process is gone", "paused": "waiting, tried again later"}
_HEADINGS = ("task", "status", "priority", "attempts", "estimate", "host", "extends", "reason")


def tasks_table(view: View) -> RenderableType:
    """Render `tasks_view`."""
    rows = [
        (
            row["task"],
            _status(row),
            str(row["priority"]),
            str(row["attempts"] or "·"),
            number(row["estimate"], 3),
            row["host"] or "",
            row["extends"] or "",
            row["reason"],
        )
        for row in view["rows"]
    ]
    title = f"{view['campaign']}: {len(rows)} task(s) ({view['unit']})"
    red = [row["status"] == "error" for row in view["rows"]]
    return rows_table(title, _HEADINGS, rows, right=range(2, 5), red=red)


def _status(row: View) -> str:
    """Return the status, with what it does not say by itself."""
    status = f"{row['status']}{', gone' if row.get('gone') else ''}"
    if (hold := row.get("hold")) is not None and row["actioned"]:
        return _HELD[hold["kind"]]
    if row["at_work"] and (row["status"] != "running" or not row["actioned"]):
        return f"{status}, its attempt is ending"
    return f"{status}, cancelled" if row["status"] == "waiting" and not row["actioned"] else status
