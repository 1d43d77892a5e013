"""The workers of a workspace, as tables."""

from __future__ import annotations

from collections import Counter

from rich.console import Group, RenderableType

from xpm_alchem.tables.console import told
from xpm_alchem.tables.drawing import duration_text, rows_table, time_text
from xpm_alchem.views.overview import View

_HEADINGS = ("worker", "job", "since", "left", "slots", "GPUs", "does", "last sign")


def workers_table(view: View) -> RenderableType:
    """Render `workers_view`."""
    if not view["pools"]:
        return told(f"{view['workspace']}: no pool yet: it is made by `xpm-alchem work`, or by a launcher of workers")
    return Group(*(_pool(pool) for pool in view["pools"]))


def _pool(pool: View) -> RenderableType:
    rows = [
        (
            row["worker"],
            row["job"] or "",
            time_text(row["since"]),
            "-" if row["left_seconds"] is None else duration_text(row["left_seconds"]),
            f"{row['taken']}/{row['slots']}",
            str(len(row["devices"]) or ""),
            _does(row),
            "-" if row["quiet_seconds"] is None else f"{duration_text(row['quiet_seconds'])} ago",
        )
        for row in pool["workers"]
    ]
    title = f"pool {pool['pool']}: {pool['waiting']} task(s) wait, workers have {pool['taken']}"
    if not rows:
        return told(f"{title}; there is no worker: `xpm-alchem work --pool {pool['pool']}`")
    return rows_table(
        title, _HEADINGS, rows, right=range(3, 6), red=[row["status"] == "dead" for row in pool["workers"]]
    )


def _does(row: View) -> str:
    if row["status"] in ("dead", "silent"):
        return str(row["status"])
    campaigns = Counter(task["campaign"] for task in row["tasks"])
    return ", ".join(f"{name}: {count}" for name, count in campaigns.items()) or "waits"
