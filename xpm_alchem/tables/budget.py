"""The view of a budget as tables for a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType

from xpm_alchem.plan.amounts import amount_text
from xpm_alchem.tables.console import told
from xpm_alchem.tables.drawing import table_of, time_text
from xpm_alchem.views.overview import View
from xpm_alchem.views.rows import Rows


def budget_table(view: View) -> RenderableType:
    """Render `budget_view`."""
    return Group(
        told(f"{view['campaign']}: budget", *budget_lines(view)),
        table_of(leg_costs(view)),
        table_of(transformation_costs(view)),
    )


def budget_lines(view: View) -> list[str]:
    """Return what the budget is, what is spent of it, and what is allowed."""
    unit, budget, flight = view["unit"], view["budget"], view["in_flight"]
    lines: list[str] = []

    def line(name: str, text: str) -> None:
        lines.append(f"{name:<12}{text}")

    of_total = "no total" if budget["total"] is None else f"of {amount_text(budget['total'], unit)}"
    line("spent", f"{amount_text(view['spent'], unit)}, {of_total}; lost work: {amount_text(view['lost'], unit)}")
    if view.get("spent_on_gone"):
        line("", f"{amount_text(view['spent_on_gone'], unit)} of it for what is gone from the network")
    for other, cost in view["other_units"].items():
        line("", f"and {amount_text(cost, other)}, which this budget does not count")
    expected = f", expected {amount_text(flight['expected'], unit)}" if flight["expected"] > flight["accrued"] else ""
    line("in flight", f"{flight['attempts']} attempt(s), {amount_text(flight['accrued'], unit)} so far{expected}")
    if view["left"] is not None:
        line("left", amount_text(view["left"], unit))
    rate = "" if budget["rate"] is None else f" of {amount_text(budget['rate'], unit)} an hour"
    line("last hour", f"{amount_text(view['last_hour'], unit)}{rate}")
    if budget["per_result"] is not None:
        line("per result", f"{amount_text(budget['per_result'], unit)}, judged after {budget['grace']:g} times as much")
    end = {None: "the strategy is satisfied", "never": "never: it goes on improving"}.get(budget["until"])
    line("until", end or budget["until"])
    if budget["total"] is not None or end is None:
        line("then", "running attempts finish" if budget["on_exhausted"] == "finish" else "running attempts stop")
    if view["sentence"]:
        line("now", view["sentence"])
    if view["next_start"] is not None:
        line("next start", f"about {time_text(view['next_start'])}, earlier if something ends")
    return lines


def leg_costs(view: View) -> Rows:
    """Return what the legs cost."""
    rows = [
        (one["leg"], str(one["results"]), amount_text(one["spent"]), amount_text(one["lost"])) for one in view["legs"]
    ]
    return Rows(f"by leg ({view['unit']})", ("leg", "results", "spent", "lost"), rows, range(1, 4))


def transformation_costs(view: View) -> Rows:
    """Return what the transformations cost."""
    rows = [
        (
            row["transformation"],
            row["leg"],
            str(row["results"]),
            amount_text(row["spent"]),
            amount_text(row["lost"]),
            _or_dash(row["cost_per_result"]),
            _or_dash(row["expected"]),
            row["closed"] or "",
        )
        for row in view["transformations"]
    ]
    headings = ("transformation", "leg", "results", "spent", "lost", "a result", "expected", "")
    red = frozenset(number for number, row in enumerate(view["transformations"]) if row["closed"] is not None)
    return Rows(f"by transformation ({view['unit']})", headings, rows, range(2, 7), red)


def _or_dash(value: float | None) -> str:
    return "-" if value is None else amount_text(value)
