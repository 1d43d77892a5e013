"""Run a campaign while its driver and its tasks are killed with SIGKILL at random times.

By hand, on any campaign: python tests/kill_loop.py campaign.yaml --kills 30 --seed 1
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
from patience import communicate

from xpm_alchem.base.errors import XpmAlchemError
from xpm_alchem.client import Campaign
from xpm_alchem.execution.attempt_log import AttemptLog
from xpm_alchem.execution.directory import TaskDirectory


def kill_loop(plan: Path, *, kills: int, seed: int, longest: float = 4.0) -> Counter[str]:
    """Run a campaign to its end through `kills` kills; return how many hit 'driver' and 'task'.

    Parameters
    ----------
    longest
        Most seconds between two kills.
    """
    rng = random.Random(seed)
    hits: Counter[str] = Counter()
    while True:
        driver = subprocess.Popen(
            [sys.executable, "-m", "xpm_alchem", "run", "--quiet", str(plan)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        while driver.poll() is None:
            if hits.total() >= kills:
                out, _ = communicate(driver, 1800)
                break
            victim = rng.choice(("task", "task", "driver"))
            time.sleep(rng.uniform(0.2, longest))
            if victim == "driver" and driver.poll() is None:
                driver.kill()
                hits["driver"] += 1
            while victim == "task" and driver.poll() is None:
                if tasks := _running_tasks(plan):  # none may have begun yet
                    rng.choice(tasks).kill()
                    hits["task"] += 1
                    break
                time.sleep(0.1)
        else:
            out, _ = driver.communicate()
        if driver.returncode == 0:
            return hits
        if driver.returncode != -9:
            raise AssertionError(f"the driver ended with {driver.returncode}:\n{out[-3000:]}")


def _running_tasks(plan: Path) -> list[psutil.Process]:
    """Return the processes of attempts that have begun and not ended."""
    try:
        records = Campaign.open(plan).records
    except XpmAlchemError:
        return []
    found = []
    for task in records.state().tasks.values():
        attempts = AttemptLog(TaskDirectory(records.task_path(task)).attempts).read()
        if attempts and attempts[-1].outcome is None and attempts[-1].process.is_alive():
            found.append(psutil.Process(attempts[-1].process.pid))
    return found


def finished_units(plan: Path) -> dict[str, Counter[str]]:
    """Return how often each unit of each task was finished, by the journals of attempts."""
    records = Campaign.open(plan).records
    return {
        task.task: Counter(
            unit["name"]
            for attempt in AttemptLog(TaskDirectory(records.task_path(task)).attempts).read()
            for unit in attempt.units
            if unit.get("ok")
        )
        for task in records.state().tasks.values()
    }


def main() -> None:
    """Print the hits, and whether any finished unit ran twice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("plan", type=Path)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--longest", type=float, default=4.0)
    options = parser.parse_args()
    hits = kill_loop(options.plan, kills=options.kills, seed=options.seed, longest=options.longest)
    units = finished_units(options.plan)
    twice = {task: counter for task, counter in units.items() if set(counter.values()) != {1}}
    print(f"{hits.total()} kills ({dict(hits)}), {len(units)} tasks, units finished twice: {twice or 'none'}")


if __name__ == "__main__":
    main()
