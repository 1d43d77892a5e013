"""The views of a strategy as tables for a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from xpm_alchem.tables.console import told
from xpm_alchem.tables.drawing import rows_table, time_text
from xpm_alchem.views.overview import View
from xpm_alchem.views.rows import number

_PLAIN = ("mode", "task_scaling", "normalization", "max_tasks_per_transformation", "max_tasks_per_network")
_SECONDS = ("sleep_interval", "patience")


def strategy_table(view: View) -> RenderableType:
    """Render `strategy_view`."""
    rows = [("name", view["name"] or "none: nothing is proposed")]
    rows += [(f"settings.{key}", str(value)) for key, value in view["settings"].items()]
    rows += [(key, "none" if view[key] is None else str(view[key])) for key in (*_PLAIN, "extends_preference")]
    rows += [(key, f"{view[key]:g} s") for key in _SECONDS]
    return _lines(view["campaign"], rows)


def health_table(view: View) -> RenderableType:
    """Render `health_view`."""
    seen = view["last_iteration_result_count"]
    rows = [
        ("mode", view["mode"]),
        ("status", view["status"]),
        ("iterations", str(view["iterations"])),
        ("sleep_interval", f"{view['sleep_interval']:g} s"),
        ("last_iteration", time_text(view["last_iteration"])),
        ("last_iteration_result_count", "-" if seen is None else str(seen)),
    ]
    if view["exception"]:
        rows.append(("exception", view["exception"]))
    parts: list[RenderableType] = [_lines(view["campaign"], rows)]
    if view["traceback"]:
        parts.append(told("", *view["traceback"].rstrip().expandtabs().split("\n")))
    if view["status"] == "error":
        parts.append(told("", "it is not performed again until: xpm-alchem strategy awake"))
    return Group(*parts)


def _lines(campaign: str, rows: list[tuple[str, str]]) -> Text:
    width = max(len(key) for key, _ in rows) + 2
    return told(f"strategy of {campaign}", *(f"{key.ljust(width)}{value}" for key, value in rows))


def explain_table(view: View) -> RenderableType:
    """Render `explain_view`."""
    head = told(f"strategy {view['name'] or 'none'} of {view['campaign']}: {_standing(view)}")
    return Group(head, _rows_table(view), *(told(remark) for remark in view["remarks"]))


_HEADINGS = ("transformation", "leg", "results", "estimate", "SD", "weight", "target", "in flight", "decision", "why")


def _rows_table(view: View) -> RenderableType:
    rows = [
        (
            row["transformation"],
            row["leg"],
            str(row["results"]),
            number(row["estimate"], 3),
            number(row["sd"], 3),
            number(row["weight"]),
            str(row["target"]),
            str(row["in_flight"]),
            row["decision"],
            row["why"],
        )
        for row in view["rows"]
    ]
    title = f"what an iteration would do now ({view['unit']})"
    return rows_table(title, _HEADINGS, rows, right=range(2, 8), red=[bool(row["error"]) for row in view["rows"]])


def _standing(view: View) -> str:
    """Say whether what the table shows is going to happen."""
    if view["name"] is None:
        return "nothing is proposed"
    if view["mode"] == "disabled":
        return "mode disabled, nothing is proposed"
    head = f"mode {view['mode']}, {view['status']}, {view['iterations']} iteration(s)"
    if view["status"] == "error":
        return f"{head}; it raised {view['exception']} (health shows where; awake performs it again)"
    if view["would_raise"]:
        return f"{head}; an iteration would now raise {view['would_raise']}"
    if view["due"]:
        return f"{head}; an iteration is due"
    if view["status"] == "dormant":
        return f"{head}; no iteration until the number of results changes"
    return f"{head}; the next iteration after the sleep interval"
