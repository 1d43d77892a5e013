"""Seconds of the commands that look, as whole processes, on a campaign of 1000 transformations x 10 complete tasks.

`python -c pass` is the floor that no Python command can go below.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common import make_network, measured, mebibytes, options, own_place, print_table, write_campaign

REPEATS = 10
COMMANDS = (("status",), ("show",), ("summary",), ("results", "--json"))


def main() -> None:
    """Print the table."""
    given = options(__doc__).parse_args()
    size, times = (20, 2) if given.quick else (1000, 7)
    with own_place() as place:
        campaign = make_campaign(place, size)
        commands: dict[str, list[object]] = {"python -c pass": [sys.executable, "-c", "pass"]}
        commands["python -c 'import gufe'"] = [sys.executable, "-c", "import gufe"]
        for command, *flags in COMMANDS:
            name = " ".join(["xpm-alchem", command, *flags])
            commands[name] = [sys.executable, "-m", "xpm_alchem", command, campaign, *flags]
        used: dict[str, list[Any]] = {name: [] for name in commands}
        for _ in range(times):  # in turns, so that a busy machine slows all of them
            for name, command in commands.items():
                used[name].append(measured(command))
        lines = (campaign / "tasks.jsonl").read_bytes().count(b"\n")
        megabytes = (campaign / "tasks.jsonl").stat().st_size / 1e6
    rows = []
    for name, usages in used.items():
        wall = [usage.wall for usage in usages]
        peak = max(usage.peak for usage in usages)
        rows.append((name, *(f"{f(wall):.2f}" for f in (min, statistics.median, max)), mebibytes(peak)))
    title = f"{size} transformations x {REPEATS} tasks (journal: {lines} lines, {megabytes:.1f} MB), {times} runs each"
    print_table(title, ("command", "min s", "median s", "max s", "peak MiB"), rows)


def make_campaign(place: Path, size: int, repeats: int = REPEATS) -> Path:
    """Make a campaign with the package's own writers, as if it had run; return its directory."""
    from xpm_alchem.campaign.records import CampaignRecords
    from xpm_alchem.network.loading import load_network
    from xpm_alchem.plan.campaign_yaml import read_plan

    path = write_campaign(
        place,
        make_network(size),
        {"trusted_modules": ["dummy_protocol"], "strategy": {"name": "uniform", "settings": {"repeats": repeats}}},
    )
    plan = read_plan(path)
    network = load_network(plan.network, plan.trusted_modules)
    records = CampaignRecords.create(place / "workspace", plan, path.read_text(), network)
    with records.lock():
        records.write(*events(network.index, repeats))
        weights = {record.id: None for record in network.index.transformations}
        strategy = {"status": "dormant", "iterations": repeats, "last_iteration": time.time()}
        records.set_driver_state({"strategy": strategy, "weights": weights})
    return records.path


def events(index: Any, repeats: int = REPEATS) -> Iterator[dict[str, Any]]:
    """Yield the journal of a campaign whose tasks are all complete."""
    for repeat in range(1, repeats + 1):
        for number, record in enumerate(index.transformations):
            task = f"{record.id}-{repeat}"
            reason = f"strategy uniform, iteration {repeat}"
            yield {
                "event": "created",
                "task": task,
                "transformation": record.id,
                "repeat": repeat,
                "directory": f"jobs/xpm_alchem.run/{number:060d}{repeat:04d}",
                "reason": reason,
            }
            yield {"event": "submitted", "task": task, "attempts": 0, "reason": reason}
            yield {
                "event": "status",
                "task": task,
                "status": "complete",
                "reason": "",
                "estimate": (number % 17) / 10 + repeat / 100,
                "uncertainty": 0.0,
                "seconds": 3600.0,
                "attempts": 1,
            }


if __name__ == "__main__":
    main()
