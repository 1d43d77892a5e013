"""What `xpm-alchem doctor` found, as a table for a terminal, and how to mend it, in lines to copy from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table

from xpm_alchem.tables.console import cell, told
from xpm_alchem.views.overview import View

_STYLES = {"ok": "green", "warning": "yellow", "fault": "red"}
_MOST_PLACES = 5


def doctor_table(view: View) -> RenderableType:
    """Render what `doctor.examination.examine` returns."""
    parts: list[RenderableType] = []
    for area in ("environment", "campaign", "node"):
        rows = [check for check in view["checks"] if check["area"] == area]
        if rows:
            parts.append(_table(_title(view, area), rows))
            parts += [told(f"{row['check']}: {row['mend']}") for row in rows if row["mend"]]  # commands are not folded
    parts += [told(f"mended: {sentence}", style="green") for sentence in view["mended"]]
    parts += [told(f"could not be mended: {sentence}", style="red") for sentence in view["not_mended"]]
    parts.append(told(_sum(view)))
    return Group(*parts)


def _title(view: View, area: str) -> str:
    if area == "campaign":
        return f"campaign '{view['campaign']}' in {view['path']}"
    if area == "node":
        return f"node {view['node'] or 'unknown'}; workspace {view['workspace']}, launcher {view['launcher']}"
    return f"environment; workspace {view['workspace'] or 'none'}, launcher {view['launcher'] or 'none'}"


def _table(title: str, rows: list[Mapping[str, Any]]) -> Table:
    table = Table(title=cell(title), title_justify="left")
    table.add_column("check", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("found", overflow="fold", ratio=1)
    for row in rows:
        style = _STYLES[row["verdict"]]
        table.add_row(cell(row["check"]), cell(row["verdict"], style), cell("\n".join(_found(row))))
    return table


def _found(row: Mapping[str, Any]) -> list[str]:
    places = row["places"]
    lines = [row["found"], *(f"  {place}" for place in places[:_MOST_PLACES] if place not in row["found"])]
    if len(places) > _MOST_PLACES:
        lines.append(f"  ... and {len(places) - _MOST_PLACES} more (--json lists all)")
    return lines


def _sum(view: View) -> str:
    told = f"{view['faults']} fault(s), {view['warnings']} warning(s)"
    fixable = sum(check["can_fix"] for check in view["checks"])
    return f"{told}; --fix mends what {fixable} check(s) found, without loss" if fixable else told
