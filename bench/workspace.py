"""One driver for all campaigns of a workspace: whether slots follow weights, and what it costs beside a driver each.

    python bench/workspace.py [--quick] [--only shares cost idle] [--campaigns 20] [--seconds 300]

*shares*: campaigns of weights from 0 to 1 all want the 8 slots of the local launcher; attempts are real processes that
sleep for 3 s (forked from a process that has imported everything: tests/support/fork_server.py). `share` is each one's
part of the slot seconds by the attempts' own journals, `fair` its part of the weights; `off` is the difference in
attempts of average length: less than one is as near as it can be.

*cost*: every campaign has all its transformations at work on a site of SLURM that has no processes
(tests/support/idle_site.py). Once one `run --all` looks after them, once `run FILE` for each; all processes of a kind
together. `files/min` are calls that name something in the workspace or list a directory of it, `calls/min` all system
calls, with strace, on their own; `squeue/min` how often SLURM is asked.

*idle*: `run --all --stay` where no campaign has anything to do.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import psutil
from at_work import count_calls, wait_until
from common import make_network, mebibytes, options, own_place, print_table, write_campaign
from idle_site import batches, begin_all, make_site, times_called

from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.client import Campaign
from xpm_alchem.execution.attempt_log import AttemptLog
from xpm_alchem.execution.directory import TaskDirectory

SLOTS, ATTEMPT_SECONDS = 8, 3.0
HEAD = ("driver", "CPU s/min", "USS MiB", "threads", "files/min", "calls/min", "squeue/min")


def main() -> None:
    """Print the tables."""
    parser = options(__doc__)
    parser.add_argument("--only", nargs="+", choices=("shares", "cost", "idle"), default=("shares", "cost", "idle"))
    parser.add_argument("--campaigns", type=int, help="default 20, quick 3")
    parser.add_argument("--transformations", type=int, help="of each; default 50, quick 10")
    parser.add_argument("--seconds", type=float, help="for which slots are shared (default 300, quick 15)")
    parser.add_argument("--look", type=float, help="seconds that each measurement of costs takes (default 60, quick 5)")
    parser.add_argument("--calls", action="store_true", help="print which calls one driver made")
    parser.add_argument("--drive", metavar="DIR", help="internal")
    given = parser.parse_args()
    if given.drive:
        drive(Path(given.drive))
        return
    campaigns = given.campaigns or (3 if given.quick else 20)
    transformations = given.transformations or (10 if given.quick else 50)
    look = given.look or (5.0 if given.quick else 60.0)
    if "shares" in given.only:
        print_shares(campaigns, transformations, given.seconds or (15.0 if given.quick else 300.0))
    if "cost" in given.only:
        print_cost(campaigns, transformations, look, given.calls)
    if "idle" in given.only:
        print_idle(campaigns, look, given.calls)


# ------------------------------------------------------------------------------------------------------------- shares
def print_shares(campaigns: int, transformations: int, seconds: float) -> None:
    """Measure what each campaign gets of slots that all want."""
    weights = [0.0, *(0.05 + 0.95 * n / (campaigns - 2) for n in range(campaigns - 1))]
    with own_place() as place:
        plan = {"launcher": {"kind": "local", "slots": SLOTS}}
        made = make_campaigns(place, campaigns, transformations, plan, step_seconds=ATTEMPT_SECONDS)
        for campaign, weight in zip(made, weights, strict=True):
            campaign.set_network_weight(weight)
        with driver(place, [sys.executable, __file__, "--drive", str(place / "workspace")]) as process:
            wait_until(lambda: any(spans(campaign.records) for campaign in made), process)
            began = time.time()
            while time.time() - began < seconds and process.poll() is None:
                time.sleep(1.0)
            ended = time.time()
        had = [[end - start for start, end in spans(campaign.records, began, ended)] for campaign in made]
    all_attempts = [one for attempts in had for one in attempts]
    mean, total = sum(all_attempts) / len(all_attempts), sum(all_attempts)
    rows, worst, worst_off = [], 0.0, 0.0
    for weight, attempts in zip(weights, had, strict=True):
        share, fair = sum(attempts) / total, weight / sum(weights)
        off = (share - fair) * total / mean
        worst_off = max(worst_off, abs(off))
        if weight:
            worst = max(worst, abs(share / fair - 1))
        ratio = f"{share / fair:.2f}" if fair else ""
        row = (
            f"{weight:.3f}",
            len(attempts),
            f"{sum(attempts):.0f}",
            f"{share:.4f}",
            f"{fair:.4f}",
            ratio,
            f"{off:+.1f}",
        )
        rows.append(row)
    print_table(
        f"{len(all_attempts)} attempts of {mean:.1f} s in {ended - began:.0f} s, {total / (ended - began):.1f} at once",
        ("weight", "attempts", "slot seconds", "share", "fair", "share/fair", "off"),
        rows,
    )
    print(f"largest deviation {100 * worst:.0f} %, {worst_off:.1f} attempts")


def spans(records: CampaignRecords, began: float = 0.0, ended: float = float("inf")) -> list[tuple[float, float]]:
    """Return from when to when attempts were at work between two times."""
    found = []
    for task in records.state().tasks.values():
        for attempt in AttemptLog(TaskDirectory(records.task_path(task)).attempts).read():
            start, end = max(attempt.start, began), min(attempt.end or ended, ended)
            if end > start:
                found.append((start, end))
    return found


def drive(workspace: Path) -> None:
    """Drive all campaigns; attempts are forked."""
    import forked

    from xpm_alchem.client import Workspace

    subprocess.Popen = forked.Popen  # type: ignore[misc]
    Workspace(str(workspace)).run()


# --------------------------------------------------------------------------------------------------------------- cost
@attrs.frozen
class Cost:
    """What processes use together, a minute."""

    cpu: float
    memory: int
    threads: int
    files: float
    calls: float
    squeue: float

    def cells(self) -> tuple[str, ...]:
        """Return the cells of a row."""
        numbers = (self.files, self.calls, self.squeue)
        return f"{self.cpu:.1f}", mebibytes(self.memory), str(self.threads), *(f"{one:.0f}" for one in numbers)

    def beside(self, other: Cost) -> tuple[str, ...]:
        """Return how many times as much the other one is, as the cells of a row."""
        pairs = zip(attrs.astuple(self), attrs.astuple(other), strict=True)
        return tuple(f"{theirs / own:.1f} x" if own else "" for own, theirs in pairs)


def print_cost(campaigns: int, transformations: int, seconds: float, show: bool) -> None:
    """Measure one driver beside a driver for each campaign."""
    with own_place() as place:
        one = cost_at_work(place, campaigns, transformations, seconds, show, together=True)
    with own_place() as place:
        each = cost_at_work(place, campaigns, transformations, seconds, False, together=False)
    rows = [
        ("one driver", *one.cells()),
        (f"{campaigns} drivers", *each.cells()),
        ("  times as much", *one.beside(each)),
    ]
    print_table(f"{campaigns} campaigns, {transformations} attempts of each at work", HEAD, rows)


def cost_at_work(
    place: Path, campaigns: int, transformations: int, seconds: float, show: bool, *, together: bool
) -> Cost:
    """Measure drivers whose campaigns have all their tasks at work."""
    site, tasks = make_site(place / "bin"), campaigns * transformations
    os.environ["PATH"] = os.pathsep.join([str(site), os.environ["PATH"]])
    plan = {"launcher": {"kind": "slurm", "time": "24h", "slots": tasks}}
    made = make_campaigns(place, campaigns, transformations, plan)
    workspace = (place / "workspace").resolve()
    jobs = workspace / "jobs" / "xpm_alchem.run"
    run = [sys.executable, "-m", "xpm_alchem", "run"]
    files = [str(place / campaign.name / "campaign.yaml") for campaign in made]
    commands = [[*run, "--all", "--workspace", str(workspace)]] if together else [[*run, file] for file in files]
    with drivers(place, commands) as processes:
        wait_until(lambda: len(list(jobs.glob("*/*.pid"))) == tasks, processes[0])
        wait_until(lambda: sum(map(len, batches(workspace).values())) == tasks, processes[0])
        time.sleep(5.0)
        begin_all(workspace)
        time.sleep(60.0 if seconds > 30 else 15.0)  # until SLURM is asked as seldom as it will be
        return cost_of(processes, workspace, site, seconds, show)


def print_idle(campaigns: int, seconds: float, show: bool) -> None:
    """Measure one driver whose campaigns' strategies are disabled, and that stays."""
    with own_place() as place:
        cost = cost_idle(place, campaigns, seconds, show)
    print_table(f"{campaigns} campaigns with nothing to do", HEAD, [("one driver", *cost.cells())])


def cost_idle(place: Path, campaigns: int, seconds: float, show: bool) -> Cost:
    """Return what such a driver uses."""
    site = make_site(place / "bin")
    (site / "calls").touch()
    made = make_campaigns(place, campaigns, 2, {}, mode="disabled")
    workspace = (place / "workspace").resolve()
    command = [sys.executable, "-m", "xpm_alchem", "run", "--all", "--stay", "--workspace", str(workspace)]
    with drivers(place, [command]) as processes:
        wait_until(lambda: (workspace / "driver" / "holder.json").exists(), processes[0])
        wait_until(lambda: all((campaign.path / "driver.json").exists() for campaign in made), processes[0])
        time.sleep(20.0)
        return cost_of(processes, workspace, site, seconds, show)


def cost_of(
    processes: Sequence[subprocess.Popen[bytes]], workspace: Path, site: Path, seconds: float, show: bool
) -> Cost:
    """Return what processes use while nothing happens."""
    known = [psutil.Process(process.pid) for process in processes]
    asked, cpu = times_called(site, "squeue"), sum(sum(one.cpu_times()[:2]) for one in known)
    time.sleep(seconds)
    asked, cpu = times_called(site, "squeue") - asked, sum(sum(one.cpu_times()[:2]) for one in known) - cpu
    memory, threads = sum(one.memory_full_info().uss for one in known), sum(one.num_threads() for one in known)
    with ThreadPoolExecutor(len(processes)) as pool:
        counts = [*pool.map(lambda one: count_calls(one.pid, workspace, seconds, show), processes)]
    calls, files = (60 * sum(count[n] for count in counts) for n in (0, 1))
    minutes = seconds / 60
    return Cost(cpu / minutes, memory, threads, files, calls, asked / minutes)


# ----------------------------------------------------------------------------------------------------------- campaigns
def make_campaigns(
    place: Path, campaigns: int, transformations: int, plan: dict[str, Any], *, mode: str = "full", **settings: Any
) -> list[Campaign]:
    """Make campaigns that share no task in one workspace."""
    made = []
    for number in range(campaigns):
        name = f"c{number:03}"
        content = {
            "name": name,
            "workspace": str((place / "workspace").resolve()),
            "strategy": {
                "name": "uniform",
                "mode": mode,
                "settings": {"repeats": 100 if settings else 1},  # never done while shares are measured
                "max_tasks_per_transformation": 1,
            },
            "trusted_modules": ["dummy_protocol"],
            **plan,
        }
        network = make_network(transformations, f"{name}_ligand", **settings)
        made.append(Campaign.create(write_campaign(place / name, network, content)))
    return made


@contextmanager
def drivers(place: Path, commands: Sequence[Sequence[str]]) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Let drivers run; they end with the block."""
    with open(place / "driver.out", "wb") as out:
        processes = [
            subprocess.Popen(list(command), stdin=subprocess.DEVNULL, stdout=out, stderr=out) for command in commands
        ]
    try:
        yield processes
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


@contextmanager
def driver(place: Path, command: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Let one driver run; it ends with the block."""
    with drivers(place, [command]) as (process,):
        yield process


if __name__ == "__main__":
    main()
