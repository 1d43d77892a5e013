"""CPU seconds and memory of what reads long journals: `status` at 100,000 lines, a task's history of 50,000 attempts.

The peer reads every line of the same file with json.loads, and does nothing else. "then" is what 0.1.0 took of a
journal of as many lines and a history of as many attempts, on a machine that was busy: compare with the peer, too.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common import Usage, make_network, measured, mebibytes, options, own_place, print_table, write_campaign

REPEATS, SLICES = 10, 4
PEER = "import json, sys\nfor line in open(sys.argv[1]):\n    json.loads(line)"
LOOKS = 3
THEN_STATUS, THEN_RUN = ("6.4", "255"), "58"  # 0.1.0 at the full sizes: CPU seconds and MiB; seconds


def main() -> None:
    """Print the tables."""
    parser = options(__doc__)
    parser.add_argument("--history", metavar="ATTEMPTS", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.history is not None:
        print(json.dumps(history(Path.cwd(), given.history)))
        return
    with own_place() as place:
        _print_status(place, 20 if given.quick else 1000, ("", "") if given.quick else THEN_STATUS)
        _print_history(place, 500 if given.quick else 50_000, "" if given.quick else THEN_RUN)


# ------------------------------------------------------------------------------------------------ a campaign's journal
def _print_status(place: Path, transformations: int, then: tuple[str, str]) -> None:
    campaign = make_campaign(place, transformations)
    journal, snapshot = campaign / "tasks.jsonl", campaign / "tasks.snapshot"
    status = [sys.executable, "-m", "xpm_alchem", "status", campaign]
    rows = [_row("python -c pass", measured([sys.executable, "-c", "pass"]))]
    rows.append(_row("peer: json.loads of every line", measured([sys.executable, "-c", PEER, journal])))
    rows.append(_row("xpm-alchem --version", measured([sys.executable, "-m", "xpm_alchem", "--version"])))
    rows.append(_row("status, first look", measured(status), *then))
    rows += [_row("status, later look", measured(status), *then) for _ in range(LOOKS)]
    size = mebibytes(snapshot.stat().st_size) if snapshot.exists() else "no"
    lines = journal.read_bytes().count(b"\n")
    title = f"a journal of {lines} lines, {mebibytes(journal.stat().st_size)} MiB, {transformations * REPEATS} tasks"
    print_table(f"{title}; {size} MiB of snapshot", ("", "CPU s", "peak MiB", "then s", "then MiB"), rows)


def _row(name: str, used: Usage, *then: str) -> tuple[str, ...]:
    return (name, f"{used.cpu:.2f}", mebibytes(used.peak), *(then or ("", "")))


def make_campaign(place: Path, transformations: int) -> Path:
    """Make a campaign with the package's own writers, as if it had run; return its directory."""
    from xpm_alchem.campaign.records import CampaignRecords
    from xpm_alchem.network.loading import load_network
    from xpm_alchem.plan.campaign_yaml import read_plan

    path = write_campaign(place, make_network(transformations), {"trusted_modules": ["dummy_protocol"]})
    plan = read_plan(path)
    network = load_network(plan.network, plan.trusted_modules)
    records = CampaignRecords.create(place / "workspace", plan, path.read_text(), network)
    with records.lock():
        records.write(*events(network.index))
    return records.path


def events(index: Any) -> Iterator[dict[str, Any]]:
    """Yield ten lines for every task: it was made, cancelled, worked on in slices, and is complete."""
    for repeat in range(1, REPEATS + 1):
        for number, record in enumerate(index.transformations):
            task = {"task": f"{record.id}-{repeat}"}
            directory = f"jobs/xpm_alchem.run/{number:060d}{repeat:04d}"
            made = {"transformation": record.id, "repeat": repeat, "directory": directory}
            yield {"event": "created", **task, **made, "reason": f"strategy uniform, iteration {repeat}"}
            yield {"event": "actioned", **task, "reason": "as you asked"}
            for attempt in range(1, SLICES + 1):
                price = {"cost_per_hour": 1.0, "cost_unit": "gpu-h", "longest": 3600.0}
                yield {"event": "submitted", **task, "attempts": attempt - 1, "reason": "", **price}
                start = 1.76e9 + 3600.0 * attempt + number
                spent = {"attempt": attempt, "start": start, "seconds": 3600.0, "cost": 1.0, "unit": "gpu-h"}
                told = {"machine": f"node{number % 40}", "node": f"node{number % 40}", "progress": True}
                told |= {"spent": [spent], "lost": {"gpu-h": 0.1}}
                if attempt < SLICES:
                    why = "timeout: a slice: it stopped at its time limit and had made progress; goes on, free"
                    yield {"event": "status", **task, "status": "waiting", "reason": why, "outcome": "timeout", **told}
                    continue
                result = {"estimate": (number % 17) / 10 + repeat / 100, "uncertainty": 0.0, "seconds": 14400.0}
                told |= {"outcome": "complete", "attempts": SLICES, **result}
                yield {"event": "status", **task, "status": "complete", "reason": "", **told}


# -------------------------------------------------------------------------------------------------- a task's history
def _print_history(place: Path, attempts: int, then: str) -> None:
    where = place / "history"
    where.mkdir()
    (where / "answer").write_bytes(b"")
    command = [sys.executable, Path(__file__).resolve(), "--history", attempts]
    child = [sys.executable, "-c", _INTO, where / "answer", *command]
    used = measured(child, cwd=where)
    found = json.loads((where / "answer").read_text())
    peer = measured([sys.executable, "-c", PEER, where / "task" / "attempts.jsonl"])
    rows = [("peer: json.loads of every line", f"{peer.cpu:.2f}", "")]
    rows += [(name, f"{seconds:.2f}", then if "run" in name else "") for name, seconds in found.items()]
    title = (
        f"a task of {attempts} attempts, all in one process ({mebibytes(used.peak)} MiB of peak with its history made)"
    )
    print_table(title, ("", "CPU s", "then s"), rows)


_INTO = "import os, sys; os.dup2(os.open(sys.argv[1], os.O_WRONLY), 1); os.execv(sys.argv[2], sys.argv[2:])"


def history(place: Path, attempts: int) -> dict[str, float]:
    """Return the CPU seconds of one who works on a task with a long history, and of a driver's step with it."""
    from one_task import Task

    task = Task(place)
    task.files.path.mkdir(exist_ok=True)
    write_history(task.files.attempts, attempts)
    return {
        "first look": _seconds(lambda: task.attempts),
        "run, as an attempt": _seconds(task.run),
        "later look": _seconds(lambda: task.attempts),
        "a driver's step": _seconds(lambda: _step(task.files.attempts)),
        "a driver's next step": _seconds(lambda: _step(task.files.attempts)),
    }


def _seconds(action: Any) -> float:
    began = time.process_time()
    action()
    return time.process_time() - began


def _step(path: Path) -> None:
    """Do what a driver does with a history when an attempt has ended, and another one begins."""
    from xpm_alchem.campaign.spending import Ledger
    from xpm_alchem.execution.attempt_log import AttemptLog
    from xpm_alchem.execution.demand import demand
    from xpm_alchem.failures.restarts import RestartPolicy, decide

    log, ledger = AttemptLog(path), Ledger()
    for _ in range(3):
        attempts = log.read()
    decision = decide(attempts, RestartPolicy(3))
    log.decide(attempts[-1], decision.what, decision.reason)
    ledger.submitted("task", {"attempts": 0}, 0.0)
    ledger.ended("task", ledger.account("task", log.read()))
    demand(AttemptLog(path).read())


def write_history(path: Path, attempts: int) -> None:
    """Write slices, as attempts do that went on from the checkpoints of those before them."""
    with open(path, "w") as out:
        for record in _records(path.parent, attempts):
            out.write(json.dumps(record, sort_keys=True) + "\n")


def _records(directory: Path, attempts: int) -> Iterator[dict[str, Any]]:
    yield {"format": "xpm-alchem attempts", "format_version": 1}
    place = {"directory": str(directory), "inode": directory.stat().st_ino}
    process = {"host": "node1", "pid": 4711, "boot": "b", "since_boot": 1.0}
    price = {"cost_per_hour": 1.0, "cost_unit": "gpu-h", "limit": 60.0, "versions": {"gufe": "1.6.1"}}
    ending = {"outcome": "timeout", "reason": "told to end", "progress": True, "cpu_seconds": 50.0, "at_work": "u"}
    ending |= {"peak_memory_bytes": 10**9, "stop_seconds": 1.0, "checkpoint_seconds": 5.0}
    for number in range(1, attempts + 1):
        when, this = 1.76e9 + 61.0 * number, {"attempt": number}
        began = {"time": when, "pid_start": when, "began_on_disk": when, "launched_as": str(number), "node": "node1"}
        yield {"event": "start", **this, **began, **process, **place, **price}
        yield {"event": "unit", **this, "time": when + 1, "name": "simulate", "at": float(number), "seconds": 1.0}
        end = {"time": when + 60, "seconds": 60.0, "kept_seconds": 55.0, "reached": number}
        yield {"event": "end", **this, **ending, **end}
        yield {"event": "decision", **this, "time": when + 61, "decision": "resume", "reason": "a slice"}


if __name__ == "__main__":
    main()
