"""A campaign whose network grows, again and again, while its driver is killed with SIGKILL at random moments.

By hand: python tests/support/growing.py campaign.yaml NETWORK... --kills 20 --seed 1
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import patience
from campaigns import SmallCampaign

from xpm_alchem.base.errors import XpmAlchemError
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.task_state import TaskState, TaskStatus
from xpm_alchem.execution.attempt_log import AttemptLog
from xpm_alchem.execution.directory import TaskDirectory
from xpm_alchem.network.loading import load_network

WAYS = ("handed over", "killed meanwhile", "found")  # how a driver comes by a network that has changed


def grow_under_kills(
    campaign: SmallCampaign, networks: Sequence[Path], *, kills: int, seed: int, longest: float
) -> Counter[str]:
    """Run a campaign to its end while its network becomes one after the other; return what was killed, how often.

    Parameters
    ----------
    networks
        Files: the first is the network already, the others are given to `run` in turns, the last one early enough that
        some of the kills come after it.
    kills
        How many drivers are killed; also those that take a network in, and commands that hand one to a driver.
    longest
        Most seconds from the start of a driver to its end.
    """
    rng = random.Random(seed)
    hits: Counter[str] = Counter()
    left = list(networks[1:])
    due = sorted(rng.uniform(0, 0.8 * kills) for _ in left)
    driver = campaign.start("--quiet", "--yes")
    while hits["driver"] < kills:
        handing, is_due = None, bool(left) and hits["driver"] >= due[0]
        if is_due:
            _replace(left[0], campaign.path / "network.json")
            way = WAYS[(len(left) + seed) % len(WAYS)]
            if way != "found":
                patience.wait_for(partial(_drives, campaign, driver), seconds=120, what="a driver at work")
                handing = campaign.begin(campaign.command("run", campaign.file, "--once", "--quiet", "--yes"))
            if way == "handed over" and handing is not None:
                handing.communicate()
        time.sleep(rng.uniform(0.0, longest))
        if driver.poll() is None:
            driver.kill()
            hits["driver"] += 1
        driver.communicate()
        if handing is not None and handing.poll() is None:
            if rng.random() < 0.5:
                handing.kill()
                hits["command"] += 1
            handing.communicate()
        driver = campaign.start("--quiet", "--yes")
        if is_due:
            _wait_until_in_force(campaign, left.pop(0), driver)
            due.pop(0)
            hits["grown"] += 1
    out, _ = patience.communicate(driver, 1800)
    if driver.returncode != 0:
        raise AssertionError(f"the last driver ended with {driver.returncode}:\n{out[-3000:]}")
    return hits


def _drives(campaign: SmallCampaign, driver: subprocess.Popen[str]) -> bool:
    """Whether a process drives the campaign, or has ended already."""
    return driver.poll() is not None or (campaign.is_made and campaign.records.holder() is not None)


def _replace(source: Path, target: Path) -> None:
    shutil.copyfile(source, target.with_name("next.json"))
    os.replace(target.with_name("next.json"), target)


def _wait_until_in_force(campaign: SmallCampaign, network: Path, driver: object) -> None:
    """Wait until a network is in force, but not that whoever put it in force has done anything else."""
    wanted = load_network(network, campaign.plan.get("trusted_modules", ())).index.by_id.keys()

    def in_force() -> bool:
        try:
            return campaign.records.in_force.index.by_id.keys() == wanted
        except XpmAlchemError:  # the campaign is not made yet
            return False

    patience.wait_for(in_force, seconds=120, what=f"{network.name} in force (driver: {driver})")


def what_is_wrong(records: CampaignRecords) -> list[str]:
    """Return a sentence for every result that is not there once, and all that was computed twice."""
    state, found = records.state(), []
    created: Counter[str] = Counter()
    completed: Counter[str] = Counter()
    for event in records.events():
        for change in (event, *event.get("changes", ())):
            created[change.get("task")] += change.get("event") == "created"
            completed[change.get("task")] += change.get("status") == "complete"
    for task in state.everything.values():
        name = records.name_of(task)
        if created[task.task] != 1:
            found.append(f"{name} was created {created[task.task]} times")
        if completed[task.task] != (task.status is TaskStatus.COMPLETE):
            found.append(f"{name} was completed {completed[task.task]} times, and is {task.status}")
        if task.task in state.tasks and task.status is not TaskStatus.COMPLETE:
            found.append(f"{name} is {task.status}")
        twice = {unit for unit, times in units_done(records, task).items() if times != 1}
        if twice:
            found.append(f"{name}: units were finished more than once: {sorted(twice)}")
        if task.at_work:
            found.append(f"{name} is at work")
    return found


def units_done(records: CampaignRecords, task: TaskState) -> Counter[str]:
    """Return how often each unit of a task was finished."""
    attempts = AttemptLog(TaskDirectory(records.task_path(task)).attempts).read()
    return Counter(unit["name"] for attempt in attempts for unit in attempt.units if unit.get("ok"))


def main() -> None:
    """Print what was killed, and what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("plan", type=Path)
    parser.add_argument("networks", type=Path, nargs="+")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--longest", type=float, default=4.0)
    options = parser.parse_args()
    campaign = SmallCampaign.at(options.plan.absolute().parent)
    hits = grow_under_kills(campaign, options.networks, kills=options.kills, seed=options.seed, longest=options.longest)
    print(f"{dict(hits)}; wrong: {what_is_wrong(campaign.records) or 'nothing'}")


if __name__ == "__main__":
    main()
