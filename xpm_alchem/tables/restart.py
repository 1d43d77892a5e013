"""The view of restart patterns as tables for a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType

from xpm_alchem.tables.drawing import rows_table
from xpm_alchem.views.overview import View


def restarts_table(view: View) -> RenderableType:
    """Render `restarts_view`."""
    in_error = view["tasks_in_error"]
    patterns = rows_table(
        f"{view['campaign']}: restart patterns",
        ("pattern", "from scratch", "restarts allowed", f"matches of {in_error} in error"),
        [
            (row["pattern"], "yes" if row["from_scratch"] else "", str(row["allowed"]), str(row["in_error"]))
            for row in view["patterns"]
        ]
        or [("none", "", "", "")],
        right=range(2, 4),
        red=[bool(row["in_error"]) for row in view["patterns"]] or [False],
    )
    rules = rows_table(
        "default rules (where no pattern matches; `default_restarts` in campaign.yaml)",
        ("rule", "what it is", "in force", "restarts allowed", "matches"),
        [
            (row["name"], row["meaning"], "yes" if row["in_force"] else "no", str(row["allowed"]), str(row["in_error"]))
            for row in view["default_rules"]
        ],
        right=range(3, 5),
        red=[bool(row["in_error"]) for row in view["default_rules"]],
    )
    return Group(patterns, rules)
