"""The workers of a workspace, as tables."""

from __future__ import annotations

import shlex
from collections import Counter

from rich.console import Group, RenderableType

from xpm_alchem.launchers.workers.pool import DEFAULT_POOL
from xpm_alchem.tables.console import told
from xpm_alchem.tables.drawing import duration_text, rows_table
from xpm_alchem.views.overview import View

_HEADINGS = ("worker", "job", "GPUs", "for", "left", "slots", "last sign", "does")
_OPTIONAL = (1, 2)  # columns that are left out where no worker has anything to show


def workers_table(view: View) -> RenderableType:
    """Render `workers_view`."""
    if not view["pools"]:
        return told(f"{view['workspace']}: no pool yet: it is made by `xpm-alchem work`, or by a launcher of workers")
    return Group(*(_pool(pool, view["workspace"]) for pool in view["pools"]))


def _pool(pool: View, workspace: str) -> RenderableType:
    rows = [
        (
            row["worker"],
            row["job"] or "",
            str(len(row["devices"]) or ""),
            duration_text(row["age_seconds"]),
            "-" if row["left_seconds"] is None else duration_text(row["left_seconds"]),
            f"{row['taken']}/{row['slots']}",
            "-" if row["quiet_seconds"] is None else duration_text(row["quiet_seconds"]),
            _does(row),
        )
        for row in pool["workers"]
    ]
    title = f"pool {pool['pool']}: {pool['waiting']} task(s) wait, workers have {pool['taken']}"
    if not rows:
        option = "" if pool["pool"] == DEFAULT_POOL else f" --pool {pool['pool']}"
        return told(f"{title}; there is no worker: xpm-alchem work -w {shlex.quote(workspace)}{option}")
    shown = [place for place in range(len(_HEADINGS)) if place not in _OPTIONAL or any(row[place] for row in rows)]
    return rows_table(
        title,
        tuple(_HEADINGS[place] for place in shown),
        [tuple(row[place] for place in shown) for row in rows],
        right=range(len(shown) - 5, len(shown) - 1),
        red=[row["status"] == "dead" for row in pool["workers"]],
    )


def _does(row: View) -> str:
    if row["status"] in ("dead", "silent"):
        return str(row["status"])
    campaigns = Counter(task["campaign"] for task in row["tasks"])
    return ", ".join(f"{name}: {count}" for name, count in campaigns.items()) or "waits"
