"""A campaign at a glance: status, show, summary, list."""

from __future__ import annotations

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table

from xpm_alchem.campaign.standing import Standing
from xpm_alchem.plan.amounts import amount_text
from xpm_alchem.tables.console import cell, told
from xpm_alchem.tables.drawing import rows_table, time_left, time_text
from xpm_alchem.views.overview import View
from xpm_alchem.views.rows import number


def _driver(driver: dict[str, Any] | None) -> str:
    if driver is None:
        return "none"
    return f"host {driver['host']}, pid {driver['pid']}, since {time_text(driver['since'])}"


def status_table(view: View) -> RenderableType:
    """Render `status_view`."""
    strategy = view["strategy"]
    lines = [
        f"campaign  {view['campaign']}  ({view['path']})",
        f"driver    {_driver(view['driver'])}",
        *_standing_line(view),
        f"strategy  {strategy['name'] or 'none'}, mode {strategy['mode']}, {strategy['status']}, "
        f"{strategy['iterations']} iteration(s)",
        "tasks     "
        + ", ".join(f"{count} {status}" for status, count in view["tasks"].items() if count)
        + ("" if any(view["tasks"].values()) else "none yet"),
    ]
    lines += [f"          {sentence}" for sentence in _held_up(view)]
    if view.get("gone_transformations"):
        lines.append(f"gone      {view['gone_transformations']} transformation(s), kept apart (show --gone)")
    lines.append(f"budget    {_money(view['budget'])}")
    lines += [f"          {one['sentence']}" for one in (*view["budget"]["closed"], *view["budget"]["mostly_lost"])]
    if strategy["exception"]:
        lines.append(f"          the strategy raised {strategy['exception']}")
    lines += [
        f"          {one['sentence']}" for one in (*view["left_out"], *view["repeats_left_out"], *view["failing_hosts"])
    ]
    return told(*lines)


def _standing_line(view: View) -> list[str]:
    """Return how the network stands in its workspace, where that is to be said."""
    standing = Standing().changed(view)
    if standing == Standing():
        return []
    return [f"network   {standing.sentence or f'{standing.state}, weight {standing.weight:g}'}"]


def _money(view: View) -> str:
    limits = [] if view["total"] is None else [f"of {amount_text(view['total'], view['unit'])}"]
    limits += [] if view["rate"] is None else [f"at most {amount_text(view['rate'], view['unit'])} an hour"]
    limits += [] if view["until"] is None else [f"until {view['until']}"]
    lost = [f"lost work {amount_text(view['lost'], view['unit'])}"] if view["lost"] else []
    return ", ".join([f"{amount_text(view['spent'], view['unit'])} spent", *limits, *lost])


def _held_up(view: View) -> list[str]:
    """Return what holds tasks up, what needs the user first."""
    return [*(f"needs you: {sentence}" for sentence in view.get("needs_user", ())), *view.get("held_up", ())]


_SHOW_HEADINGS = ("transformation", "leg", "done", "run", "wait", "err", "estimate", "SD", "weight", "cost", "next")


def show_table(view: View) -> RenderableType:
    """Render `show_view`."""
    rows = [
        (
            row["transformation"],
            row["leg"],
            *(str(row[key] or "·") for key in ("complete", "running", "waiting", "error")),
            number(row["estimate"], 3),
            number(row["sd"], 3),
            number(row["weight"]),
            amount_text(row["cost"]) if row["cost"] else "·",
            row["next"],
        )
        for row in view["rows"]
    ]
    title = f"{view['campaign']} ({', '.join(unit for unit in (view['unit'], view['cost_unit']) if unit)})"
    red = [bool(row["error"]) for row in view["rows"]]
    table = rows_table(title, _SHOW_HEADINGS, rows, right=range(2, 10), red=red, one_line=("next",))
    parts: list[RenderableType] = [table, *([_gone_table(view)] if view.get("gone_rows") else [])]
    below = _held_up(view)
    if view.get("gone_transformations") and not view["gone_rows"]:
        below.append(f"{view['gone_transformations']} transformation(s) are gone from the network (--gone shows them)")
    return Group(*parts, *([told(*below)] if below else []))


def _gone_table(view: View) -> RenderableType:
    """Render the rows of what is gone from the network."""
    rows = [
        (
            row["transformation"],
            row["leg"],
            *(str(row[key] or "·") for key in ("complete", "at_work", "error")),
            number(row["estimate"], 3),
            number(row["sd"], 3),
            amount_text(row["cost"]) if row["cost"] else "·",
        )
        for row in view["gone_rows"]
    ]
    headings = ("transformation", "leg", "done", "ending", "err", "estimate", "SD", "cost")
    title = f"{view['campaign']}: gone from the network"
    return rows_table(title, headings, rows, right=range(2, 8), red=[False] * len(rows))


def summary_table(view: View) -> RenderableType:
    """Render `summary_view`."""
    driven = "driven" if view["driver"] else "no driver"
    title = f"{view['campaign']}: {view['strategy']}, {driven}"
    # it fits into 80 columns
    table = Table(title=cell(title), title_justify="left", box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    states = [f"{view[state]} {state}" for state in ("complete", "running", "waiting", "error") if view[state]]
    states += [f"({view['queued']} in a queue)"] if view.get("queued") else []
    cells = {
        "with result": f"{view['with_result']} of {view['transformations']}",
        "tasks": "\n".join(states) or "none",
        "cost": f"{amount_text(view['cost'])}\n{view['cost_unit']}{_lost(view)}",
        "a result": "-" if view["cost_per_result"] is None else amount_text(view["cost_per_result"]),
        "last hour": f"{view['results_last_hour']} results\n{amount_text(view['cost_last_hour'])}",
        "time left": time_left(view["time_left"], gap="\n"),
    }
    for heading in cells:
        table.add_column(heading)
    table.add_row(*cells.values())
    needs_user = [f"needs you: {sentence}" for sentence in view.get("needs_user", ())]
    return Group(table, told(*needs_user)) if needs_user else table


def _lost(view: View) -> str:
    """Return how much of the cost was lost work, where that is most of it for some task at work."""
    return f"\n{amount_text(view['lost'])} lost" if view["mostly_lost"] else ""


def list_table(view: View) -> RenderableType:
    """Render `list_view`."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("campaign", "results", "run", "wait", "err", "strategy", "network", "driver"):
        right = heading in ("results", "run", "wait", "err")
        table.add_column(
            heading,
            justify="right" if right else "left",
            no_wrap=heading != "campaign",
            min_width=12 if heading == "campaign" else None,
            overflow="fold" if heading == "campaign" else "ellipsis",
        )
    for row in view["campaigns"]:
        table.add_row(
            cell(row["campaign"]),
            f"{row['with_result']} of {row['transformations']}",
            *(str(row[key] or "·") for key in ("running", "waiting", "error")),
            row["strategy"],
            f"{row['state']}, {row['weight']:g}",
            "yes" if row["driver"] else "no",
        )
    if not view["broken"]:
        return table
    return Group(table, told(*(f"{one['campaign']} cannot be looked at: {one['sentence']}" for one in view["broken"])))
