"""What the driver costs: N no-op tasks of a campaign beside plain experimaestro with N no-op ResumableTasks.

Both are whole processes, in turns, with the same number of tasks at once (experimaestro: a token). `driver CPU` and
`peak MiB` are of the driving process alone; what its tasks use is not in it. A task of ours runs a ProtocolDAG of
three empty units and writes its journal and results; a plain one imports gufe and ends. The difference in wall seconds
is therefore mostly the tasks', that in driver CPU the driver's.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path
from typing import Any

from common import (
    make_network,
    measured,
    mebibytes,
    options,
    own_place,
    peak_rss,
    print_table,
    spread,
    write_campaign,
)

AT_ONCE = 2
REPEATS = 10


def main() -> None:
    """Print the table."""
    parser = options(__doc__)
    parser.add_argument("--tasks", type=int, help="how many (default 1000, quick 40)")
    parser.add_argument("--rounds", type=int, help="how often each (default 2, quick 1)")
    parser.add_argument("--drive", nargs=4, metavar=("WHAT", "DIR", "TASKS", "OUT"), help="internal")
    given = parser.parse_args()
    if given.drive:
        what, directory, tasks, out = given.drive
        {"campaign": drive_campaign, "experimaestro": drive_experimaestro}[what](Path(directory), int(tasks))
        used = resource.getrusage(resource.RUSAGE_SELF)
        Path(out).write_text(json.dumps({"cpu": used.ru_utime + used.ru_stime, "peak": peak_rss()}))
        return
    tasks = given.tasks or (40 if given.quick else 1000)
    rows, seconds, cpu = [], {}, {}
    for number in range(given.rounds or (1 if given.quick else 2)):
        for what in ("experimaestro", "campaign")[:: 1 if number % 2 else -1]:
            wall, driver = drive(what, tasks)
            seconds.setdefault(what, []).append(wall)
            cpu.setdefault(what, []).append(driver["cpu"])
            row = (f"{wall:.1f}", f"{driver['cpu']:.2f}", f"{1000 * driver['cpu'] / tasks:.1f}")
            rows.append((what, *row, mebibytes(driver["peak"]), f"{tasks / wall:.2f}"))
    head = ("driver", "wall s", "driver CPU s", "ms CPU/task", "peak MiB", "tasks/s")
    print_table(f"{tasks} no-op tasks, {AT_ONCE} at once", head, rows)
    for name, values in (("wall seconds", seconds), ("driver CPU seconds", cpu)):
        ratios = [ours / plain for ours, plain in zip(values["campaign"], values["experimaestro"], strict=True)]
        print(f"campaign / plain experimaestro, {name}, min / median / max: {spread(ratios)}")


def drive(what: str, tasks: int) -> tuple[float, dict[str, Any]]:
    """Return the wall seconds of a driver's process, and what it used by itself."""
    with own_place() as place:
        out = place / "used.json"
        if what == "campaign":
            repeats = min(REPEATS, tasks)
            settings = {"name": "uniform", "settings": {"repeats": repeats}, "max_tasks_per_transformation": repeats}
            plan = {"launcher": {"slots": AT_ONCE}, "strategy": settings, "trusted_modules": ["dummy_protocol"]}
            write_campaign(place, make_network(tasks // repeats), plan)
        usage = measured([sys.executable, __file__, "--drive", what, place, tasks, out])
        return usage.wall, json.loads(out.read_text())


def drive_campaign(directory: Path, tasks: int) -> None:
    """Run a campaign of that many tasks."""
    from xpm_alchem.client import Campaign

    campaign = Campaign.create(directory / "campaign.yaml")
    code = campaign.run(progress=False)
    complete = campaign.status()["tasks"]["complete"]
    if code or complete != tasks:
        raise RuntimeError(f"the driver ended with {code}, {complete} of {tasks} tasks are complete")


def drive_experimaestro(directory: Path, tasks: int) -> None:
    """Submit that many tasks and wait for them."""
    from experimaestro import experiment
    from experimaestro.experiments.configuration import DirtyGitAction
    from experimaestro.tokens import CounterToken
    from noop_task import NoopTask

    quiet = {"register_signals": False, "no_environmental_impact": True, "dirty_git": DirtyGitAction.IGNORE}
    with experiment(directory / "workspace", "bench", project_paths=[], **quiet) as xp:
        token = CounterToken.create("bench", directory / "token", AT_ONCE)
        for number in range(tasks):
            token(1, NoopTask.C(number=number)).submit()
        xp.wait()
    done = list((directory / "workspace" / "jobs").glob("*/*/*.done"))
    if len(done) != tasks:
        raise RuntimeError(f"{len(done)} of {tasks} tasks are done")


if __name__ == "__main__":
    main()
