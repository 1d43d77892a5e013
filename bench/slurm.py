"""What a SLURM launcher costs: N trivial tasks on one real cluster, by xpm-alchem, experimaestro alone, and submitit.

    python bench/slurm.py [--quick] [--tasks 50 500] [--only xpm-alchem submitit]

The cluster (tests/support/slurm_cluster.py) has 4 nodes of 2 CPUs and accounting; all of it runs on this machine, so
that at most 8 tasks share its cores. `wall s` is of the whole driving process, from its start to its end. SLURM's
commands are counted by wrappers that come first on PATH, for drivers and inside of jobs alike: `srun` is what
experimaestro and submitit put into every job. `x wall` and `x calls` are ratios to xpm-alchem's row of the same
table.

Every row's task imports gufe, about a second of CPU, which is most of its time; nothing is subtracted for that. A
task of xpm-alchem in addition runs a ProtocolDAG of three empty units and writes its journal and its results.
xpm-alchem has its default of 200 tasks in the queue at once; the others hand in all of theirs. Both of
experimaestro's rows are its own SlurmLauncher, asking sacct every 60 s (its default) and every 2 s. There is no pass
or fail: a competitor that takes longer than its time-out is ended, and its row says so.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import attrs
from common import measured, options, own_place, print_table, write_campaign
from dummy_protocol import dummy_network
from slurm_cluster import SlurmCluster, missing
from slurm_counter import PROGRAMS, SlurmCounter

REPEATS = 10
ROWS = ("xpm-alchem", "experimaestro-60", "experimaestro-2", "submitit")
DONE = {"xpm-alchem": "workspace/jobs/*/*/*.done", "submitit": "submitit/*_result.pkl"}
EXPERIMAESTRO_DONE = "workspace/jobs/*/*/*.done"


@attrs.frozen
class Row:
    """What was seen of one competitor: wall seconds, calls by program, tasks done, and what went wrong if anything."""

    wall: float
    calls: Counter[str]
    done: int
    trouble: str


def main() -> None:
    """Print a table for every number of tasks."""
    parser = options(__doc__)
    parser.add_argument("--tasks", type=int, nargs="+", help=f"multiples of {REPEATS} (default 50 500, quick 10)")
    parser.add_argument("--only", nargs="+", choices=ROWS, default=ROWS)
    parser.add_argument("--timeout", type=float, help="of each row, seconds (default 120 + 4 for each task)")
    parser.add_argument("--drive", nargs=3, metavar=("ROW", "DIR", "TASKS"), help="internal")
    given = parser.parse_args()
    if given.drive:
        drive(given.drive[0], Path(given.drive[1]), int(given.drive[2]))
        return
    sizes = given.tasks or ([10] if given.quick else [50, 500])
    if any(tasks % REPEATS for tasks in sizes):
        parser.error(f"--tasks: give multiples of {REPEATS}")
    if absent := missing(accounting=True):
        print(f"skipped: needs SLURM with accounting, and {', '.join(absent)} are not installed")
        return
    for tasks in sizes:
        with own_place() as place:
            measured([sys.executable, "-c", "import gufe, experimaestro"])  # into the page cache, for nobody's account
            counter = SlurmCounter(place / "counter")
            cluster = SlurmCluster(place / "cluster", accounting=True)
            try:
                cluster.start()
                rows = {}
                for row in given.only:
                    if (reason := unavailable(row)) is not None:
                        print(f"{row}: skipped, {reason}", flush=True)
                        continue
                    rows[row] = run(row, tasks, place / row, cluster, counter, given.timeout or 120 + 4 * tasks)
                    print(f"{row}: {rows[row].wall:.1f} s, {rows[row].trouble or 'complete'}", flush=True)
            finally:
                cluster.stop()
        report(tasks, rows)


def unavailable(row: str) -> str | None:
    """Return why a row cannot be run, None if it can."""
    if row == "submitit":
        try:
            import submitit  # noqa: F401
        except ImportError as error:
            return f"not importable ({error}); `pip install submitit`"
    return None


def run(row: str, tasks: int, place: Path, cluster: SlurmCluster, counter: SlurmCounter, timeout: float) -> Row:
    """Run one competitor in a process of its own, and leave the cluster empty."""
    place.mkdir()
    command = [sys.executable, __file__, "--drive", row, str(place), str(tasks)]
    counter.take()
    with tempfile.TemporaryFile() as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=place,
            env={**counter.environment(), "SLURM_CONF": str(cluster.conf)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            code = process.wait(timeout)
            wall, trouble = time.perf_counter() - began, "" if code == 0 else f"ended with code {code}"
        except subprocess.TimeoutExpired:
            wall, trouble = timeout, f"time-out after {timeout:.0f} s"
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        calls = counter.take()
        if trouble:
            output.seek(0)
            print(output.read().decode(errors="replace")[-3000:])
    done = sum(1 for _ in place.glob(DONE.get(row, EXPERIMAESTRO_DONE)))
    cluster.call(real("scancel"), "-u", str(os.getuid()), check=False)
    cluster.until_idle()
    return Row(wall, calls, done, trouble)


def real(program: str) -> str:
    """Return the path of a program of SLURM's, which is not counted."""
    path = shutil.which(program)
    assert path is not None
    return path


def report(tasks: int, rows: dict[str, Row]) -> None:
    """Print the table."""
    head = ("driver", "done", "wall s", "s/task", *PROGRAMS, "calls", "calls/task", "x wall", "x calls")
    ours = rows.get("xpm-alchem")
    lines = []
    for name, row in rows.items():
        calls = row.calls.total()
        ratios = ("-", "-") if ours is None else (f"{row.wall / ours.wall:.2f}", f"{calls / ours.calls.total():.1f}")
        counts = [row.calls[program] for program in PROGRAMS]
        wall = (f"{'> ' if row.trouble else ''}{row.wall:.1f}", f"{row.wall / tasks:.2f}")
        lines.append((name, row.done, *wall, *counts, calls, f"{calls / tasks:.2f}", *ratios))
    print_table(f"{tasks} trivial tasks on 4 nodes of 2 CPUs, {os.cpu_count()} real cores", head, lines)
    for name, row in rows.items():
        if row.trouble:
            print(f"{name}: {row.trouble}, {row.done} of {tasks} tasks done")
    print("every task imports gufe; one of xpm-alchem also runs three empty units. Nothing is subtracted.")


# ------------------------------------------------------------------------------------------------- in the row's process
def drive(row: str, directory: Path, tasks: int) -> None:
    """Run all tasks to their end."""
    if row == "xpm-alchem":
        drive_campaign(directory, tasks)
    elif row == "submitit":
        drive_submitit(directory, tasks)
    else:
        drive_experimaestro(directory, tasks, interval=float(row.partition("-")[2]))


def drive_campaign(directory: Path, tasks: int) -> None:
    """Run a campaign of that many tasks."""
    from xpm_alchem.client import Campaign

    uniform = {"name": "uniform", "settings": {"repeats": REPEATS}, "max_tasks_per_transformation": REPEATS}
    launcher = {"kind": "slurm", "time": "1h"}
    plan = {"launcher": launcher, "strategy": uniform, "trusted_modules": ["dummy_protocol"]}
    network = dummy_network([(n, n + 1) for n in range(tasks // REPEATS)], n_steps=1)
    campaign = Campaign.create(write_campaign(directory, network, plan))
    code = campaign.run(progress=False)
    complete = campaign.status()["tasks"]["complete"]
    if code or complete != tasks:
        raise RuntimeError(f"the driver ended with {code}, {complete} of {tasks} tasks are complete")


def drive_experimaestro(directory: Path, tasks: int, *, interval: float) -> None:
    """Submit that many tasks and wait for them."""
    from experimaestro import experiment
    from experimaestro.experiments.configuration import DirtyGitAction
    from experimaestro.launchers.slurm import SlurmLauncher, SlurmOptions
    from noop_task import NoopTask

    launcher = SlurmLauncher(
        options=SlurmOptions(time="1:00:00"),
        interval=interval,
        binpath=str(Path(real("sbatch")).parent),  # here the wrappers come first
    )
    quiet = {"register_signals": False, "no_environmental_impact": True, "dirty_git": DirtyGitAction.IGNORE}
    with experiment(directory / "workspace", "bench", project_paths=[], **quiet) as xp:
        for number in range(tasks):
            NoopTask.C(number=number).submit(launcher=launcher)
        xp.wait()
    done = list(directory.glob(EXPERIMAESTRO_DONE))
    if len(done) != tasks:
        raise RuntimeError(f"{len(done)} of {tasks} tasks are done")


def drive_submitit(directory: Path, tasks: int) -> None:
    """Submit a job array of that many tasks and wait for their results."""
    import submitit

    executor = submitit.AutoExecutor(folder=directory / "submitit", cluster="slurm")
    executor.update_parameters(timeout_min=60, slurm_array_parallelism=tasks)
    jobs = executor.map_array(import_gufe, range(tasks))
    if sorted(job.result() for job in jobs) != list(range(tasks)):
        raise RuntimeError("submitit gave other results than were computed")


def import_gufe(number: int) -> int:
    """What a task of submitit's does."""
    import gufe  # noqa: F401

    return number


if __name__ == "__main__":
    main()
