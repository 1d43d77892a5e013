"""The network as a graph: ligands as nodes, all legs of a pair of ligands as one edge. Plain data, nothing is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xpm_alchem.network.index import Index, TransformationRecord, told_apart
from xpm_alchem.views.overview import View

# of an edge, the first that holds for any of its legs
STATES = ("left out", "closed", "error", "running", "waiting", "complete")


def graph_view(index: Index, show: View, results: View, status: View) -> View:
    """Return nodes and edges.

    A relative transformation joins its two ligands, any other one its two chemical systems.

    Parameters
    ----------
    show, results, status
        The views of these names.

    Returns
    -------
    View
        `nodes`: `id`, `name`, `is_ligand`. `edges`: `a` and `b` (ids of nodes), `name`, `legs` (rows of `show`, with
        `standard_error`), `values` (rows of the results' `edges`), `state` (one of `STATES`), `standard_error` (the
        largest of the values', else of the legs'; kcal/mol).
    """
    rows = {row["id"]: row for row in show["rows"]}
    errors = {row["id"]: row["standard_error"] for row in results["transformations"]}
    left_out = {one["id"] for one in status["left_out"]}
    closed = {one["id"] for one in status["budget"]["closed"]}
    values: dict[str, list[View]] = {}
    for row in results["edges"]:
        values.setdefault(row["transformations"][0], []).append(row)
    nodes: dict[str, View] = {}
    edges: dict[frozenset[str], View] = {}
    names = told_apart({node: name for record in index.transformations for node, name in _ends(record)})
    for record in index.transformations:
        (a, name_a), (b, name_b) = ((node, names[node]) for node, _ in _ends(record))
        for node, name in ((a, name_a), (b, name_b)):
            nodes.setdefault(node, {"id": node, "name": name, "is_ligand": bool(record.ligand_a_id)})
        edge = edges.setdefault(
            frozenset((a, b)), {"a": a, "b": b, "name": f"{name_a} -> {name_b}", "legs": [], "values": []}
        )
        edge["legs"].append({**rows[record.id], "standard_error": errors[record.id]})
        edge["values"] += values.get(record.id, [])
    for edge in edges.values():
        edge["state"] = _state(edge["legs"], left_out, closed)
        edge["standard_error"] = _largest(edge["values"]) if edge["values"] else _largest(edge["legs"])
    return {"nodes": list(nodes.values()), "edges": list(edges.values())}


def _ends(record: TransformationRecord) -> tuple[tuple[str, str], tuple[str, str]]:
    if record.ligand_a_id and record.ligand_b_id:
        return (record.ligand_a_id, record.ligand_a), (record.ligand_b_id, record.ligand_b)
    return (record.system_a_id, record.system_a), (record.system_b_id, record.system_b)


def _state(legs: list[View], left_out: set[str], closed: set[str]) -> str:
    states = {_state_of_leg(leg, left_out, closed) for leg in legs}
    return next(state for state in STATES if state in states)


def _state_of_leg(leg: View, left_out: set[str], closed: set[str]) -> str:
    if leg["id"] in left_out:
        return "left out"
    if leg["id"] in closed:
        return "closed"
    return next((state for state in ("error", "running", "waiting") if leg[state]), _idle(leg))


def _idle(leg: Mapping[str, Any]) -> str:
    return "complete" if leg["complete"] else "waiting"


def _largest(rows: list[View]) -> float | None:
    return max((row["standard_error"] for row in rows if row["standard_error"] is not None), default=None)
