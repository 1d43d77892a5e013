"""CPU seconds of an attempt's process beside `import gufe`, which none can do without: now, and by version 0.1.0.

All are whole processes, in turns. `nothing left` is an attempt at a task whose units are all done: it starts, imports,
looks at what is there, and ends; so is what any attempt costs beside its units. `three empty units` does those too.
`plain experimaestro` is a task of experimaestro's own that imports gufe and ends. `job.py` is what a SLURM job runs
beside its attempts. 0.1.0 is taken from the repository's history; without it (a shallow clone) its rows are left out.
"""

from __future__ import annotations

import io
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import attrs
from common import BENCH, ROOT, make_network, measured, options, own_place, print_table, write_campaign

THEN = "70ca482e9975bf80152cb2e475639ac4dd52d0ed"  # 0.1.0
FLOOR = "import gufe"


@attrs.frozen
class Row:
    """A process to be measured: its command, its PYTHONPATH where it is another, what is done before each run."""

    command: list[object]
    path: str | None = None
    before: Callable[[], None] = lambda: None

    def cpu(self) -> float:
        """Run it once and return its CPU seconds."""
        self.before()
        return measured(self.command, env=environment(self.path)).cpu


def main() -> None:
    """Print the table."""
    parser = options(__doc__)
    parser.add_argument("--rounds", type=int, help="how often each (default 9, quick 1)")
    given = parser.parse_args()
    with own_place() as place:
        rows = {
            "python -c pass": Row([sys.executable, "-P", "-c", "pass"]),
            FLOOR: Row([sys.executable, "-P", "-c", "import gufe"]),
            "plain experimaestro": plain(place / "plain"),
            **ours(place / "now", "now", None, "xpm_alchem.launchers.slurm.job"),
        }
        if (then := put_then(place / "0.1.0")) is not None:
            rows |= ours(place / "then", "0.1.0", then, "xpm_alchem.launchers.slurm_job")
        else:
            print("0.1.0 is not in this repository's history: its rows are left out")
        seconds: dict[str, list[float]] = {name: [] for name in rows}
        rounds = given.rounds or (1 if given.quick else 9)
        for _ in range(rounds):
            for name, row in rows.items():
                seconds[name].append(row.cpu())
    lines = []
    for name, values in seconds.items():
        ratios = [value / floor for value, floor in zip(values, seconds[FLOOR], strict=True)]
        lines.append(
            (name, *(f"{f(values):.3f}" for f in (min, statistics.median)), f"{statistics.median(ratios):.2f}")
        )
    print_table(f"CPU seconds of whole processes, {rounds} each", ("process", "min", "median", "x import gufe"), lines)


def ours(place: Path, when: str, path: str | None, job: str) -> dict[str, Row]:
    """Return the rows of a version of xpm-alchem, after it has run a campaign of one task."""
    uniform = {"name": "uniform", "settings": {"repeats": 1}, "max_tasks_per_transformation": 1}
    file = write_campaign(place, make_network(1), {"strategy": uniform, "trusted_modules": ["dummy_protocol"]})
    command = [sys.executable, "-m", "xpm_alchem", "run", file, "--quiet"]
    measured(command, cwd=place, env=environment(path))
    (script,) = place.glob("workspace/jobs/*/*/run.py")
    task = script.parent
    kept = place / "kept"
    shutil.copytree(task, kept)

    def restore(*, units: bool) -> Callable[[], None]:
        def before() -> None:
            """Put the task back as it was; with its units to be done."""
            shutil.rmtree(task)
            shutil.copytree(kept, task)
            (task / "run.done").unlink()
            if units:
                for name in ("attempts.jsonl", "dag.json", "result.json", "summary.json"):
                    (task / name).unlink()
                for result in (task / "results").iterdir():
                    result.unlink()

        return before

    import_job = [sys.executable, "-P", "-c", f"import {job}"]
    start = ["env", f"XPM_ALCHEM_LAUNCH={launch_of(task)}", sys.executable, "-P", script]
    return {
        f"attempt, nothing left, {when}": Row(start, path, restore(units=False)),
        f"attempt, three empty units, {when}": Row(start, path, restore(units=True)),
        f"slurm's job.py, {when}": Row(import_job, path),
    }


def launch_of(task: Path) -> str:
    """Return as which launch an attempt may work on a task."""
    from xpm_alchem.execution.fence import Orders

    return Orders.read(task).launch or ""


def plain(place: Path) -> Row:
    """Return the row of plain experimaestro, after it has run one task."""
    place.mkdir()
    command = [sys.executable, BENCH / "driver.py", "--drive", "experimaestro", place, 1, place / "used.json"]
    measured(command)
    (done,) = place.glob("workspace/jobs/*/*/*.done")
    (done.parent / "locks.json").unlink()  # the driver's token is gone
    return Row([sys.executable, "-P", done.with_suffix(".py")], before=lambda: done.unlink(missing_ok=True))


def put_then(place: Path) -> str | None:
    """Put 0.1.0 into a directory, None if it is not to be had; return that for PYTHONPATH."""
    history = ["git", "-C", str(ROOT), "archive", THEN, "xpm_alchem"]
    found = subprocess.run(history, capture_output=True)
    if found.returncode:
        return None
    with tarfile.open(fileobj=io.BytesIO(found.stdout)) as archive:
        archive.extractall(place, filter="data")
    return str(place)


def environment(path: str | None) -> dict[str, str]:
    """Return the environment with a directory first on PYTHONPATH."""
    paths = [*filter(None, [path]), os.environ["PYTHONPATH"]]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


if __name__ == "__main__":
    main()
