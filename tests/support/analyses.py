"""An analysis of results that a test makes up."""

from __future__ import annotations

import attrs

from xpm_alchem.campaign.task_state import TaskState, TaskStatus
from xpm_alchem.network.index import Edge, Index, Leg, TransformationRecord
from xpm_alchem.results.analysis import Analysis


def index_of(edges, environments=("solvent", "complex"), places=None):
    """Return the index of edges (A, B), each with a leg in every environment."""
    blank = {field.name: "" for field in attrs.fields(TransformationRecord)}
    records, made = [], []
    for a, b in edges:
        legs = []
        for environment in environments:
            facts = {"id": f"{a}{b}-{environment}", "name": f"{a}{b}-{environment}", "environment": environment}
            place = (places or {}).get((a, b), "") + environment
            ends = {"ligand_a": a, "ligand_b": b, "ligand_a_id": f"id {a}", "ligand_b_id": f"id {b}"}
            records.append(TransformationRecord(**blank | facts | ends | {"environment_id": place}))
            legs.append(Leg(facts["id"], environment, 1))
        made.append(Edge(a, b, tuple(legs)))
    return Index("n", tuple(records), ((),), tuple(made), {}, ())


def analysis(index, estimates, experimental=None):
    tasks = {
        transformation: [
            TaskState(f"{transformation}-{n}", transformation, n, "", status=TaskStatus.COMPLETE, estimate=estimate)
            for n, estimate in enumerate(values, start=1)
        ]
        for transformation, values in estimates.items()
    }
    return Analysis(index, tasks, experimental)
