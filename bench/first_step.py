"""Seconds from the submission of a hydration task to its first unit and its first MD step, and where they go.

`to process`: from the driver's 'submitted' to the start of the attempt's process. `imports`: interpreter, imports and
the transformation's record, until the attempt says that it began. `make DAG`: until the first unit begins. `setup`: the
setup unit (parameters, minimisation); the next unit's first MD step follows it.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import psutil
import yaml
from common import ROOT, measured, options, own_place, print_table, spread

PARTS = ("to process", "imports", "make DAG", "setup")


def main() -> None:
    """Print the table."""
    given = options(__doc__).parse_args()
    with own_place() as place:
        build = ROOT / "experiments" / "hydration" / "build_network.py"
        subprocess.run(
            [sys.executable, build, "--small", "--out", place / "all.json"], check=True, stdout=subprocess.DEVNULL
        )
        names = shorten(place / "all.json", place / "network.json", 2 if given.quick else 9)
        tables = []
        for slots in (1,) if given.quick else (1, 2):
            plan = {
                "name": f"slots-{slots}",
                "network": "network.json",
                "workspace": f"./workspace-{slots}",
                "launcher": {"slots": slots},
                "strategy": {"name": "uniform", "settings": {"repeats": 1}},
            }
            file = place / f"{plan['name']}.yaml"
            file.write_text(yaml.safe_dump(plan))
            measured([sys.executable, "-m", "xpm_alchem", "run", file, "--quiet"], cwd=place)
            tables.append((slots, steps(place / f"workspace-{slots}" / "campaigns" / plan["name"])))
    shift = clock_shift()
    for slots, found in tables:
        found = [(task[0] - shift, task[1] + shift, *task[2:]) for task in found]
        rows = [(part, *spread(task[i] for task in found).split(" / ")) for i, part in enumerate(PARTS)]
        first_unit = [sum(task[:3]) for task in found]
        first_step = [sum(task) for task in found]
        rows.append(("= to the first unit", *spread(first_unit).split(" / ")))
        rows.append(("= to the first MD step", *spread(first_step).split(" / ")))
        title = f"seconds after submission, {len(found)} of {len(names)} tasks, {slots} at once"
        print_table(title, ("", "min", "median", "max"), rows)


def shorten(source: Path, target: Path, count: int) -> list[str]:
    """Write a network of the first transformations with the shortest possible sampling; return their names."""
    from xpm_alchem import gufe_seam as seam
    from xpm_alchem.network.trust import check_module
    from xpm_alchem.protocols.gb_hydration import GBHydrationProtocol, GBHydrationSettings

    network = seam.load(source, check_module(str(source)))
    sampling = {"n_windows": 2, "production_ps": 1.0, "equilibration_ps": 0.2, "segment_ps": 0.2, "sample_every": 10}
    protocol = GBHydrationProtocol(GBHydrationSettings(**sampling))
    chosen = sorted(network.edges, key=lambda edge: edge.name)[:count]
    short = [seam.Transformation(t.stateA, t.stateB, protocol, None, name=t.name) for t in chosen]
    seam.save(seam.AlchemicalNetwork(edges=short, name="first-step"), target)
    return [t.name for t in chosen]


def clock_shift() -> float:
    """Return the seconds by which psutil's start times are off on this machine (it adds to the boot time)."""
    shifts = []
    for _ in range(5):
        now = time.time()
        with subprocess.Popen(
            [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as it:
            shifts.append(psutil.Process(it.pid).create_time() - now)
    return statistics.median(shifts)


def steps(campaign: Path) -> list[tuple[float, ...]]:
    """Return the seconds of `PARTS` for every task of a campaign."""
    from xpm_alchem.campaign.records import CampaignRecords
    from xpm_alchem.execution.attempt_log import AttemptLog

    found = []
    records = CampaignRecords.open(campaign)
    for task in records.state().tasks.values():
        attempt = AttemptLog(records.task_path(task) / "attempts.jsonl").read()[0]
        setup = attempt.units[0]
        first = setup["time"] - setup["seconds"]
        times = (task.submitted, attempt.process.start, attempt.start, first, setup["time"])
        found.append(tuple(late - early for early, late in pairwise(times)))
    return found


if __name__ == "__main__":
    main()
