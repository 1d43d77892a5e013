"""What a driver does while N attempts are at work and nothing happens: system calls, and CPU.

    python bench/at_work.py [--quick] [--tasks 200 1000] [--only slurm local peer] [--seconds 20] [--slow 0.005]

Attempts of SLURM are jobs of a site that has no processes (tests/support/idle_site.py), those of the local launcher
are processes that sleep; what an attempt writes when it begins is written for them. The driver is the real one, a
process of its own. `calls/s` is all its system calls, `files/s` those that name something in the workspace or list a
directory of it: what a metadata server sees (a file that is open already is asked without a name). `CPU %` is
measured without strace. `end s` is how long the driver takes to write down that an attempt has ended. `watch files/s`
is one `xpm-alchem watch` on a terminal, `loop s` the longest that the driver took from one look for requests to the
next. The `peer` is plain experimaestro, whose own SLURM launcher waits for as many jobs of the same site by asking
sacct; its `end s` is how long it takes until it writes anything in the directory of a job that has ended. With `--slow`
every call of the driver on a name in the workspace takes so many seconds (slow_names.c; needs gcc).
"""

from __future__ import annotations

import itertools
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from common import BENCH, make_network, options, own_place, print_table, write_campaign
from idle_site import batches, begin_all, end_for_accounting, end_job, make_site

THEN = {  # version 0.1.0: files/s, calls/s, CPU %, watch files/s
    ("slurm", 200): ("970", "2600", "2.5-3.8", "179"),
    ("slurm", 1000): ("1889", "14800", "7-12", "879"),
    ("local", 200): ("210", "2600", "2.5-3.8", "179"),
    ("local", 1000): ("689", "14800", "7-12", "879"),
}
FILE_CALL = re.compile(r"^\d+ +[\d.]+ (\w+)\((.*)")
NAMES = {"openat", "open", "stat", "lstat", "newfstatat", "statx", "access", "faccessat", "faccessat2", "readlink"}
NAMES |= {"readlinkat", "mkdir", "mkdirat", "unlink", "unlinkat", "rename", "renameat", "renameat2", "link", "linkat"}
NAMES |= {"symlink", "symlinkat", "chmod", "fchmodat", "utimensat", "utime", "statfs", "getdents64", "rmdir", "creat"}


def main() -> None:
    """Print the table."""
    parser = options(__doc__)
    parser.add_argument("--tasks", type=int, nargs="+", help="default 200 1000, quick 20")
    parser.add_argument("--only", nargs="+", choices=("slurm", "local", "peer"), default=("slurm", "local", "peer"))
    parser.add_argument("--seconds", type=float, help="each measurement takes (default 20, quick 5)")
    parser.add_argument("--slow", type=float, default=0.0, help="seconds that each call on a name takes")
    parser.add_argument("--calls", action="store_true", help="print which calls there were")
    parser.add_argument("--drive", nargs=2, metavar=("KIND", "DIR"), help="internal")
    given = parser.parse_args()
    if given.drive:
        drive(given.drive[0], Path(given.drive[1]), given.tasks[0])
        return
    seconds = given.seconds or (5.0 if given.quick else 20.0)
    rows = []
    for kind in given.only:
        for tasks in given.tasks or ([20] if given.quick else [200, 1000]):
            how = measure_peer if kind == "peer" else measure
            rows.append((f"{kind}, {tasks}", *how(kind, tasks, seconds, given.calls, slow=given.slow)))
            if then := THEN.get((kind, tasks)):
                rows.append(("  0.1.0", *then[:3], "", "", then[3]))
    print_table(
        "a driver while nothing happens",
        ("driver", "files/s", "calls/s", "CPU %", "end s", "loop s", "watch files/s"),
        rows,
    )


def measure(kind: str, tasks: int, seconds: float, show: bool, *, slow: float) -> tuple[str, ...]:
    """Return the cells of a row."""
    with own_place() as place:
        os.environ["PATH"] = os.pathsep.join([str(make_site(place / "bin")), os.environ["PATH"]])
        launcher = {"kind": "slurm", "time": "24h"} if kind == "slurm" else {}
        uniform = {"name": "uniform", "settings": {"repeats": 1}, "max_tasks_per_transformation": 1}
        plan = {"launcher": {**launcher, "slots": tasks}, "strategy": uniform, "trusted_modules": ["dummy_protocol"]}
        write_campaign(place, make_network(tasks), plan)
        workspace = (place / "workspace").resolve()
        with driver(kind, place, tasks, slowed(place, workspace, slow)) as process:
            jobs = workspace / "jobs" / "xpm_alchem.run"
            wait_until(lambda: len(list(jobs.glob("*/*.pid"))) == tasks, process)
            if kind == "slurm":
                wait_until(lambda: sum(map(len, batches(workspace).values())) == tasks, process)
                time.sleep(5.0)
            begin_all(workspace)
            time.sleep(15.0)
            cpu = cpu_share(process, seconds)
            calls, files, loop = count_calls(process.pid, workspace, seconds, show)
            watch = watch_calls(workspace / "campaigns" / "bench", workspace, seconds, show)
            ended = time_of_end(kind, workspace)
        return f"{files:.1f}", f"{calls:.0f}", f"{100 * cpu:.2f}", f"{ended:.1f}", f"{loop:.1f}", f"{watch:.1f}"


def measure_peer(kind: str, tasks: int, seconds: float, show: bool, *, slow: float) -> tuple[str, ...]:
    """Return the cells of a row."""
    with own_place() as place:
        make_site(place / "bin")
        workspace = (place / "workspace").resolve()
        with driver(kind, place, tasks, slowed(place, workspace, slow)) as process:
            jobs = workspace / "jobs" / "xpm_alchem.bench.noop"
            wait_until(lambda: len(list(jobs.glob("*/*.pid"))) == tasks, process)
            time.sleep(15.0)
            cpu = cpu_share(process, seconds)
            calls, files, _ = count_calls(process.pid, workspace, seconds, show)
            ended = time_of_peers_end(place / "bin", next(jobs.iterdir()))
        return f"{files:.1f}", f"{calls:.0f}", f"{100 * cpu:.2f}", f"{ended:.1f}", "", ""


@contextmanager
def driver(kind: str, place: Path, tasks: int, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Let a driver run; it ends with the block."""
    with open(place / "driver.out", "wb") as out:
        process = subprocess.Popen(
            [sys.executable, __file__, "--drive", kind, str(place), "--tasks", str(tasks)],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def drive(kind: str, place: Path, tasks: int) -> None:
    """Run the campaign, or the peer; the attempts of a local one are processes that only sleep."""
    if kind == "peer":
        drive_peer(place, tasks)
        return
    from xpm_alchem.client import Campaign
    from xpm_alchem.launchers import local_attempt

    if kind == "local":
        local_attempt.python = lambda *arguments: ["sleep", "100000"]
    Campaign.create(place / "campaign.yaml").run()


def drive_peer(place: Path, tasks: int) -> None:
    """Submit tasks of plain experimaestro to the site, and wait for them."""
    from experimaestro import experiment
    from experimaestro.experiments.configuration import DirtyGitAction
    from experimaestro.launchers.slurm import SlurmLauncher
    from noop_task import NoopTask

    quiet = {"register_signals": False, "no_environmental_impact": True, "dirty_git": DirtyGitAction.IGNORE}
    launcher = SlurmLauncher(binpath=place / "bin")
    with experiment(place / "workspace", "bench", project_paths=[], **quiet) as xp:
        for number in range(tasks):
            NoopTask.C(number=number).submit(launcher=launcher)
        xp.wait()


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    """Wait for a condition as long as a driver runs."""
    while not condition():
        if process.poll() is not None:
            raise RuntimeError("the driver has ended: see driver.out")
        time.sleep(0.5)


def cpu_share(process: subprocess.Popen[bytes], seconds: float) -> float:
    """Return the share of a core that a process uses."""
    one = psutil.Process(process.pid)
    before = sum(one.cpu_times()[:2])
    time.sleep(seconds)
    return (sum(one.cpu_times()[:2]) - before) / seconds


def slowed(place: Path, workspace: Path, seconds: float) -> dict[str, str]:
    """Return the variables with which every call on a name in the workspace takes a while."""
    if not seconds:
        return {}
    library = place / "slow_names.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O2", "-o", library, BENCH / "slow_names.c", "-ldl"], check=True)
    return {"LD_PRELOAD": str(library), "SLOW_ROOT": str(workspace), "SLOW_NANOSECONDS": str(int(seconds * 1e9))}


def count_calls(pid: int, workspace: Path, seconds: float, show: bool) -> tuple[float, float, float]:
    """Return the system calls of a process a second, those about the workspace's files, and its longest turn (s)."""
    strace = shutil.which("strace")
    if strace is None:
        return float("nan"), float("nan"), float("nan")
    out = workspace.parent / f"calls-{pid}"
    tracer = subprocess.Popen(
        [strace, "-f", "-y", "-ttt", "-s", "256", "-o", str(out), "-p", str(pid)], stderr=subprocess.DEVNULL
    )
    time.sleep(seconds)
    threads = {int(path.name) for path in Path(f"/proc/{pid}/task").iterdir()}
    tracer.send_signal(signal.SIGINT)
    tracer.wait()
    calls, files, turns = Counter[str](), Counter[str](), list[float]()
    for line in out.read_text(errors="replace").splitlines():
        match = FILE_CALL.match(line)
        if match and int(line.split()[0]) in threads:  # and not of a command that it runs
            calls[match[1]] += 1
            if match[1] in NAMES and str(workspace) in match[2] and "AT_EMPTY_PATH" not in line:
                files[f"{match[1]} {shape(match[2], workspace)}"] += 1
                if "/inbox.jsonl" in match[2]:
                    turns.append(float(line.split()[1]))
    if show:
        for what, count in [*calls.most_common(12), *files.most_common(25)]:
            print(f"{count / seconds:9.1f}/s  {what}")
    longest = max((after - before for before, after in itertools.pairwise(turns)), default=float("nan"))
    return calls.total() / seconds, files.total() / seconds, longest


def shape(arguments: str, workspace: Path) -> str:
    """Return the path in a call, without what differs from task to task."""
    path = arguments[arguments.index(str(workspace)) + len(str(workspace)) :]
    return re.sub(r"[0-9a-f]{32,}|\d{8}-\d{6}-[0-9a-f]+|\d+", "*", re.split(r'[">]', path)[0])


def watch_calls(campaign: Path, workspace: Path, seconds: float, show: bool) -> float:
    """Return how often a second `watch` asks for files of the workspace."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ["TERM"] = "xterm"
        os.execv(sys.executable, [sys.executable, "-m", "xpm_alchem", "watch", str(campaign)])
    pumping = subprocess.Popen(["cat"], stdin=terminal, stdout=subprocess.DEVNULL)
    try:
        time.sleep(10.0)
        return count_calls(child, workspace, seconds, show)[1]
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        pumping.kill()
        pumping.wait()
        os.close(terminal)


def time_of_end(kind: str, workspace: Path) -> float:
    """End an attempt as a kill does, and return the seconds until the campaign's journal tells of it."""
    journal = workspace / "campaigns" / "bench" / "tasks.jsonl"
    before = journal.stat().st_size
    began = time.monotonic()
    if kind == "slurm":
        end_job(max(batches(workspace)), 0)
    else:
        spec = json.loads(next((workspace / "jobs" / "xpm_alchem.run").glob("*/*.pid")).read_text())
        os.kill(spec["pid"], signal.SIGKILL)
    while b'"status"' not in journal.read_bytes()[before:]:
        time.sleep(0.1)
        if time.monotonic() - began > 120:
            return float("inf")
    return time.monotonic() - began


def time_of_peers_end(site: Path, job: Path) -> float:
    """Let a job end, and return the seconds until anything is written in its directory."""
    end_for_accounting(site, json.loads(next(job.glob("*.pid")).read_text())["pid"])
    before, began = written_last(job), time.monotonic()
    while written_last(job) == before:
        time.sleep(0.1)
        if time.monotonic() - began > 120:
            return float("inf")
    return time.monotonic() - began


def written_last(directory: Path) -> float:
    """Return when anything in a directory was written last."""
    return max(path.stat().st_mtime for path in (directory, *directory.rglob("*")))


if __name__ == "__main__":
    main()
