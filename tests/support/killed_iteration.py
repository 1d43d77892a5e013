"""Iterations of a real driver that are killed (SIGKILL) at a point each; prints what the next driver proposes.

Usage: killed_iteration.py CAMPAIGN KILLS. Every kill is that of a child process which holds the campaign's lock; the
campaign is put back before each, so that every one is killed in its first iteration.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from xpm_alchem.base.journal import Journal
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.workspace import find_workspace, read_settings
from xpm_alchem.driver.loop import Driver
from xpm_alchem.driver.planning import Planning
from xpm_alchem.launchers.local import LocalLauncher
from xpm_alchem.strategies.strategist import Strategist


def driver(path: Path) -> Driver:
    """Return a new driver of the campaign."""
    records = CampaignRecords.open(path)
    return Driver(records, find_workspace(str(records.workspace), read_settings()), LocalLauncher())


def iterate(path: Path) -> None:
    """Make one iteration, as a driver that starts does."""
    made = driver(path)
    with made.records.lock():
        made.steps.planning.remember()
        made.steps.planning.take_requests()
        made.steps.planning.iterate()


def die() -> None:
    """End at once, leaving everything as it is."""
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def before(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that dies instead."""
    return lambda *args, **kwargs: die()


def after(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that dies when it has returned."""

    def call(*args: Any, **kwargs: Any) -> Any:
        function(*args, **kwargs)
        die()

    return call


def torn(append: Callable[..., Any]) -> Callable[..., Any]:
    """Return an append that dies after a part of its bytes, as many as chance will have it."""

    def call(self: Journal, *records: Any) -> None:
        text = "".join(json.dumps(record, sort_keys=True) + "\n" for record in records)
        header = json.dumps({"format": self.kind, "format_version": self.version}) + "\n"
        data = (header + text).encode()
        with open(self.path, "ab") as out:
            out.write(data[: random.randrange(len(data))])
        die()

    return call


POINTS = [
    (Strategist, "iterate", before),
    (Strategist, "iterate", after),  # between computing and writing
    (Journal, "append", before),
    (Journal, "append", torn),
    (Journal, "append", after),
    (os, "replace", before),  # driver.json is written beside, not yet renamed
    (os, "replace", after),
    (Planning, "_save", after),
]


def killed(path: Path, seed: int) -> str:
    """Let a child begin an iteration and die; return at which point."""
    owner, name, how = POINTS[seed % len(POINTS)]
    child = os.fork()
    if child == 0:
        random.seed(seed)
        made = driver(path)
        with made.records.lock():
            made.steps.planning.remember()
            setattr(owner, name, how(getattr(owner, name)))
            made.steps.planning.iterate()
        os._exit(9)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
        raise RuntimeError(f"the child was not killed: {status}")
    return f"{how.__name__} {owner.__name__}.{name}"


def proposed(path: Path) -> list[Any]:
    """Return the tasks there are."""
    tasks = CampaignRecords.open(path).state().tasks.values()
    return [(task.task, task.directory, task.extends, str(task.status), task.actioned) for task in tasks]


def main(campaign: Path, kills: int) -> None:
    kept = campaign.with_name("kept")
    shutil.copytree(campaign, kept)
    iterate(campaign)
    expected = proposed(campaign)
    points: dict[str, int] = {}
    for seed in range(kills):
        shutil.rmtree(campaign)
        shutil.copytree(kept, campaign)
        point = killed(campaign, seed)
        points[point] = points.get(point, 0) + 1
        iterate(campaign)
        found = proposed(campaign)
        if found != expected:
            print(json.dumps({"point": point, "seed": seed, "found": found, "expected": expected}))
            sys.exit(1)
    print(json.dumps({"tasks": len(expected), "points": points}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
