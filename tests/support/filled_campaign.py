"""Campaigns with given results, written by the package's own writers: nothing is run, no network file is needed."""

from __future__ import annotations

import csv
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import yaml

from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.execution.attempt_log import AttemptLog
from xpm_alchem.execution.attempts import Launched, Outcome, Priced
from xpm_alchem.execution.directory import TaskDirectory
from xpm_alchem.network.index import Edge, Index, Leg, TransformationRecord
from xpm_alchem.network.loading import Network
from xpm_alchem.plan.campaign_yaml import parse_plan

BEGAN = 1_760_000_000.0  # when it all began, seconds since the epoch
HOUR = 3600.0


def network_index(
    edges: Sequence[tuple[str, str]], environments: Sequence[str] = ("solvent", "complex"), *, name: str = "made"
) -> Index:
    """Return the index of edges between ligands, with a leg in each environment; of one alone nothing is paired."""
    blank = {field.name: "" for field in attrs.fields(TransformationRecord)}
    records, made = [], []
    for a, b in edges:
        ends = {"ligand_a": a, "ligand_b": b, "ligand_a_id": f"id {a}", "ligand_b_id": f"id {b}"}
        legs = []
        for environment in environments:
            stable_id = f"{len(records):016x}"
            facts = {"id": stable_id, "name": f"{environment}_{a}_{b}", "environment": environment}
            facts |= {"kind": "relative", "protocol": "DummyProtocol"}
            records.append(TransformationRecord(**blank | facts | ends))
            legs.append(Leg(stable_id, environment, 1))
        made += [Edge(a, b, tuple(legs))] if len(legs) > 1 else []
    return Index(name, tuple(records), (tuple(r.id for r in records),), tuple(made), {}, ())


def random_network(ligands: int, edges: int) -> Index:
    """Return the index of a connected network."""
    dice = random.Random(1)
    pairs = {(dice.randrange(n), n) for n in range(1, ligands)}
    while len(pairs) < edges:
        pairs.add(tuple(sorted(dice.sample(range(ligands), 2))))
    return network_index([(f"lig_{a:03d}", f"lig_{b:03d}") for a, b in sorted(pairs)])


def scattered(index: Index, repeats: int) -> dict[str, list[float]]:
    """Return repeats of every transformation, about right for ligands with values of their own."""
    dice = random.Random(2)
    truth = defaultdict(lambda: dice.gauss(0, 2))
    return {
        record.id: [
            truth[record.ligand_b, record.environment]
            - truth[record.ligand_a, record.environment]
            + dice.gauss(0, 0.1 + dice.random() / 2)
            for _ in range(repeats)
        ]
        for record in index.transformations
    }


def tyk2_repeats(index: Index, file: Path) -> dict[str, list[float]]:
    """Return the public repeats of TYK2, of a file like `tyk2_per_repeat_pymbar3.csv`."""
    ids = {record.name: record.id for record in index.transformations}
    found: dict[str, list[float]] = defaultdict(list)
    with open(file) as lines:
        for row in csv.DictReader(lines):
            for leg in ("solvent", "complex"):
                found[ids[f"{leg}_{row['ligandA']}_{row['ligandB']}"]].append(float(row[f"dg_{leg}"]))
    return dict(found)


def filled_campaign(
    path: Path,
    index: Index,
    repeats: Mapping[str, Sequence[float]],
    *,
    more: Mapping[str, str] | None = None,
    plan: Mapping[str, Any] | None = None,
    experimental: Path | None = None,
    histories: bool = True,
) -> CampaignRecords:
    """Make a campaign.

    Parameters
    ----------
    repeats
        Estimates of complete repeats by stable id, kcal/mol; each took an hour, all first repeats come before all
        second ones.
    more
        Status of one more task by stable id: waiting, running or error.
    plan
        More of campaign.yaml.
    experimental
        A file of measured values.
    histories
        Whether the tasks have directories with their attempts in them.
    """
    path.mkdir(parents=True)
    content = {"name": "filled", "network": "network.json", "strategy": {"name": "uniform"}, **(plan or {})}
    text = yaml.safe_dump(content, allow_unicode=True)
    parts = (tuple(record.id for record in index.transformations),)
    network = Network(path / "network.json", b"{}", [], attrs.evolve(index, components=parts), ())
    records = CampaignRecords.create(path / "workspace", parse_plan(text, path / "campaign.yaml"), text, network)
    events: list[dict[str, Any]] = []
    most = max(map(len, repeats.values()), default=0)
    order = [(t, n) for n in range(most) for t, values in repeats.items() if n < len(values)]
    for number, (t, n) in enumerate(order):
        events += _complete(t, n + 1, repeats[t][n], BEGAN + HOUR * (number % 7 + 2 * number) / 4)
    for t, status in (more or {}).items():
        events += _unfinished(t, len(repeats.get(t, ())) + 1, status)
    if histories:
        _write_histories(records, events)
    with records.lock():
        records.write(*sorted(events, key=lambda event: event["time"]))
        if experimental is not None:
            records.set_experimental(experimental)
    records.state()
    return records


def _complete(t: str, repeat: int, estimate: float, start: float) -> list[dict[str, Any]]:
    lost = {"lost": {"gpu-h": 0.2}} if repeat == 2 else {}
    spent = [{"attempt": 1, "start": start, "seconds": HOUR, "cost": 1.0, "unit": "gpu-h"}]
    task = f"{t}-{repeat}"
    made = _made(t, repeat, start - HOUR)
    return [
        {"event": "iteration", "time": made["time"], "changes": [made]},
        _submitted(task, start),
        {"event": "status", "task": task, "time": start + HOUR, "status": "complete", "estimate": estimate}
        | {"seconds": HOUR, "attempts": 1, "spent": spent, **lost},
    ]


def _unfinished(t: str, repeat: int, status: str) -> list[dict[str, Any]]:
    made, task = _made(t, repeat, BEGAN + 500 * HOUR), f"{t}-{repeat}"
    events = [made]
    if status != "waiting":
        events.append(_submitted(task, made["time"] + 1))
    if status == "error":
        events.append({"event": "status", "task": task, "time": made["time"] + 2, "status": "error", "reason": "NaN"})
    return events


def _made(t: str, repeat: int, when: float) -> dict[str, Any]:
    facts = {"event": "created", "time": when, "task": f"{t}-{repeat}", "transformation": t, "repeat": repeat}
    return facts | {"directory": f"jobs/{t}/{repeat}"}


def _submitted(task: str, when: float) -> dict[str, Any]:
    return {"event": "submitted", "task": task, "time": when, "attempts": 0, "cost_per_hour": 1.0, "cost_unit": "gpu-h"}


def _write_histories(records: CampaignRecords, events: list[dict[str, Any]]) -> None:
    """Write an attempt of each task that was submitted, which ended as the events say."""
    submitted = {event["task"] for event in events if event["event"] == "submitted"}
    ended = {event["task"]: event["status"] for event in events if event["event"] == "status"}
    made = [change for event in events for change in event.get("changes", [event]) if change["event"] == "created"]
    for task in made:
        if task["task"] not in submitted:
            continue
        files = TaskDirectory(records.workspace / task["directory"])
        files.path.mkdir(parents=True)
        log = AttemptLog(files.attempts)
        versions, priced = {"xpm-alchem": "0.0.9", "gufe": "1.6.1"}, Priced(1.0, "gpu-h")
        attempt = log.start(limit=None, launched=Launched(node="node<7>"), versions=versions, priced=priced)
        match ended.get(task["task"]):
            case "complete":
                log.end(attempt, Outcome.COMPLETE)
            case "error":
                log.end(attempt, Outcome.ERROR, traceback="RuntimeError: <b>NaN</b>")
