"""What a pool of workers costs: tasks a second, calls about files a task, and what idle workers and drivers ask for.

    python bench/pool.py [--quick] [--only tasks idle] [--workers 1 8 32] [--tasks 200] [--seconds 30] [--calls]

The pool alone is measured: offers whose process is `true`, taken by real workers of one slot each, a process each.
`offered/s` is how fast a driver offers tasks (orders and offer of each, on the disk), `tasks/s` how fast all workers
together take them, run them and tell of their ends. `calls/task` are the calls of all workers that name something in
the workspace or list a directory of it, with strace, in a run of its own. The second table is what is asked for a
minute while nothing happens: of one worker that waits, and of a driver whose tasks wait for workers, or are with one.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from at_work import FILE_CALL, NAMES, count_calls, cpu_share, driver, wait_until
from common import make_network, options, own_place, print_table, write_campaign
from idle_site import begin_all

from xpm_alchem.devices.slots import Slot
from xpm_alchem.execution.fence import give_orders
from xpm_alchem.execution.processes import ProcessIdentity
from xpm_alchem.launchers import attempt_process
from xpm_alchem.launchers.workers.members import Member, Members
from xpm_alchem.launchers.workers.pool import Offer, Pool, launch_of, new_task
from xpm_alchem.launchers.workers.time_limit import TimeLimit
from xpm_alchem.launchers.workers.worker import Terms, Worker

MOST = 600.0  # seconds until something must be wrong


def main() -> None:
    """Print the tables."""
    parser = options(__doc__)
    parser.add_argument("--workers", type=int, nargs="+", help="default 1 8 32, quick 1 4")
    parser.add_argument("--tasks", type=int, help="default 200, quick 20")
    parser.add_argument("--only", nargs="+", choices=("tasks", "idle"), default=("tasks", "idle"))
    parser.add_argument("--seconds", type=float, help="each look at an idle one takes (default 30, quick 5)")
    parser.add_argument("--calls", action="store_true", help="print which calls there were of idle ones")
    parser.add_argument("--work", nargs=2, metavar=("DIR", "IDLE"), help="internal")
    given = parser.parse_args()
    if given.work:
        work(Path(given.work[0]), float(given.work[1]))
        return
    if "tasks" in given.only:
        print_tasks(
            given.workers or ([1, 4] if given.quick else [1, 8, 32]), given.tasks or (20 if given.quick else 200)
        )
    if "idle" in given.only:
        print_idle((20,) if given.quick else (200, 1000), given.seconds or (5.0 if given.quick else 30.0), given.calls)


def print_tasks(workers: Sequence[int], tasks: int) -> None:
    """Measure how fast tasks pass through a pool."""
    rows = []
    for number in workers:
        offered, done, _ = measure(number, tasks, is_traced=False)
        *_, calls = measure(number, tasks, is_traced=True)
        rows.append((number, f"{offered:.0f}", f"{done:.1f}", f"{calls:.1f}"))
    print_table(f"{tasks} tasks in a pool", ("workers", "offered/s", "tasks/s", "calls/task"), rows)


def print_idle(sizes: Sequence[int], seconds: float, show: bool) -> None:
    """Measure what is asked for while nothing happens."""
    rows = [("a worker that waits", *idle_worker(seconds, show))]
    for number in sizes:
        for is_taken in (False, True):
            what = "with a worker" if is_taken else "waiting"
            rows.append((f"a driver, {number} tasks {what}", *idle_driver(number, seconds, show, is_taken)))
    print_table("while nothing happens", ("", "files/min", "calls/min", "CPU %"), rows)


def work(workspace: Path, idle: float) -> None:
    """Be a worker whose attempts are `true`, when a line comes."""
    attempt_process.python = lambda script: ["true"]
    worker = Worker(
        Pool(workspace, "main"), [Slot(0)], Terms(TimeLimit(), idle), scope=str(workspace), say=lambda line: None
    )
    print(flush=True)
    sys.stdin.readline()
    worker.run()


def measure(workers: int, tasks: int, *, is_traced: bool) -> tuple[float, float, float]:
    """Return tasks offered a second, tasks done a second, and the calls about files a task."""
    with own_place() as place:
        workspace = (place / "workspace").resolve()
        pool = Pool(workspace, "main")
        pool.make()
        began = time.perf_counter()
        for _ in range(tasks):
            offer(pool)
        offered = tasks / (time.perf_counter() - began)
        traces = [place / f"trace-{number}" for number in range(workers)] if is_traced else []
        if is_traced and shutil.which("strace") is None:
            return offered, float("nan"), float("nan")
        with started(workspace, workers, 1.0, traces) as processes:
            began = time.perf_counter()
            for process in processes:
                process.stdin.write(b"\n")
                process.stdin.flush()
            while len(list((pool.ended_path / "bench").glob("*"))) < tasks:
                time.sleep(0.02)
                if time.perf_counter() - began > MOST:
                    raise RuntimeError(f"{pool.places('bench')}")
            done = tasks / (time.perf_counter() - began)
            for process in processes:
                process.wait()
        return offered, done, sum(named(trace, workspace) for trace in traces) / tasks


def offer(pool: Pool) -> None:
    """Offer a task as a driver does."""
    task = new_task(10)
    directory = pool.workspace / "jobs" / "xpm_alchem.run" / task
    directory.mkdir(parents=True)
    made = Offer(str(directory / "run.py"), launch_of(pool.name, task), "bench", margin=60.0)
    give_orders(directory, launch=made.launch)
    pool.offer(made, task)


@contextmanager
def started(workspace: Path, number: int, idle: float, traces: list[Path]) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Start workers; they begin when they are sent a line."""
    processes = []
    for index in range(number):
        before = ["strace", "-f", "-y", "-ttt", "-s", "256", "-o", str(traces[index])] if traces else []
        command = [*before, sys.executable, __file__, "--work", str(workspace), str(idle)]
        processes.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
    try:
        for process in processes:
            process.stdout.readline()
        yield processes
    finally:
        for process in processes:
            process.terminate()
            process.communicate()


def named(trace: Path, workspace: Path) -> int:
    """Return how many calls in a trace name something in the workspace."""
    matches = (FILE_CALL.match(line) for line in trace.read_text(errors="replace").splitlines())
    found = [match for match in matches if match and match[1] in NAMES]
    return sum(str(workspace) in match[2] and "AT_EMPTY_PATH" not in match[2] for match in found)


def idle_worker(seconds: float, show: bool) -> tuple[str, str, str]:
    """Return the cells of a worker that waits."""
    with own_place() as place:
        workspace = (place / "workspace").resolve()
        with started(workspace, 1, 1e9, []) as (process,):
            process.stdin.write(b"\n")
            process.stdin.flush()
            wait_until(lambda: Pool(workspace, "main").workers.is_dir(), process)
            return looked_at(process, workspace, seconds, show)


def idle_driver(tasks: int, seconds: float, show: bool, is_taken: bool) -> tuple[str, str, str]:
    """Return the cells of a driver whose tasks wait, or are with a worker: this process."""
    with own_place() as place:
        uniform = {"name": "uniform", "settings": {"repeats": 1}, "max_tasks_per_transformation": 1}
        plan = {"launcher": {"kind": "workers", "slots": tasks}, "strategy": uniform}
        write_campaign(place, make_network(tasks), {**plan, "trusted_modules": ["dummy_protocol"]})
        workspace = (place / "workspace").resolve()
        pool = Pool(workspace, "main")
        with driver("workers", place, tasks, {}) as process:
            wait_until(lambda: len(pool.offered()) == tasks, process)
            if is_taken:
                Members(pool).join(Member("bench-1", ProcessIdentity.of(), time.time(), tasks))
                begin_all(workspace)
                for task in pool.offered():
                    pool.take(task, "bench-1")
            return looked_at(process, workspace, seconds, show)


def looked_at(process: subprocess.Popen[bytes], workspace: Path, seconds: float, show: bool) -> tuple[str, str, str]:
    """Return a process's calls about files and all its calls, a minute, and its share of a core."""
    time.sleep(min(15.0, 3 * seconds))  # it comes to rest
    cpu = cpu_share(process, seconds)
    calls, files, _ = count_calls(process.pid, workspace, seconds, show)
    return f"{60 * files:.0f}", f"{60 * calls:.0f}", f"{100 * cpu:.2f}"


if __name__ == "__main__":
    main()
