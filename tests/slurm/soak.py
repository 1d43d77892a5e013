"""A long campaign on a real SLURM cluster while everything is killed at random times; then every result is checked.

    python tests/slurm/soak.py --minutes 30 --tasks 1000 --seed 1

Until the time is over or the campaign is complete, one of these happens every few seconds: SIGKILL of the driver, of a
task's process, of a slurmd (for a few seconds, or for longer than SlurmdTimeout, so that its node fails), of slurmctld
or of slurmdbd (each for up to 40 s); scancel of a job. A driver that ends with anything but 0 is started again. Then
everything is mended and the campaign must come to its end. What is checked: every task is complete; every unit was
finished once, by the journals of attempts; every estimate is bit by bit that of a calm run (of the same network with no
waiting, unit by unit in this process); no driver ended by itself with a failure; no job and no process is left.

Exits with 1 if anything is wrong, and keeps the directory then. Times are real, so a seed gives the same order of
faults, not the same run.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from campaigns import SmallCampaign, calm_estimates
from patience import Patience, end_of, whole_minutes
from places import python_path
from slurm_cluster import SlurmCluster, missing, whole_seconds
from slurm_counter import SlurmCounter
from storm import SlurmStorm, campaign_processes

from xpm_alchem.base.errors import XpmAlchemError
from xpm_alchem.execution.directory import TaskDirectory

REPEATS = 10
STEPS = 4
NODES = 4
SLURMD_TIMEOUT = whole_seconds(10)
UNITS = {"setup", "simulate 0", "analyse"}
WEIGHTS = {"driver": 3, "task": 4, "scancel": 3, "slurmd": 1.5, "node": 1, "slurmctld": 1, "slurmdbd": 1}


class Soak:
    """A campaign, its drivers, and what was seen of them."""

    def __init__(self, place: Path, *, tasks: int, slots: int, tasks_per_job: int, task_seconds: float) -> None:
        self.tasks, self._place = tasks, place
        self.edges = list(itertools.islice(itertools.combinations(range(60), 2), tasks // REPEATS))
        uniform = {"name": "uniform", "settings": {"repeats": REPEATS}, "max_tasks_per_transformation": REPEATS}
        limit = f"{3 * whole_minutes()}min"
        packing = {"tasks_per_job": tasks_per_job, "side_by_side": min(2, tasks_per_job)}
        self.campaign = SmallCampaign(
            place / "storm",
            edges=self.edges,
            plan={
                "launcher": {"kind": "slurm", "time": limit, "margin": "30s", "slots": slots, **packing},
                "strategy": uniform,
                "max_retries": 1000,
            },
            n_steps=STEPS,
            step_seconds=task_seconds / STEPS,
        )
        self.counter = SlurmCounter(place / "counter")
        self.started = 0
        self.codes: Counter[int] = Counter()
        self.wrong: list[str] = []

    @property
    def path(self) -> Path:
        """Where the campaign is."""
        return self.campaign.path

    # ------------------------------------------------------------------------------------------------------ running
    def start(self) -> subprocess.Popen[bytes]:
        """Start a driver."""
        self.started += 1
        out = self._place / f"driver-{self.started:03}.out"
        with open(out, "wb") as stream:
            return subprocess.Popen(
                self.campaign.command("run", "--quiet", self.campaign.file),
                cwd=self.path,
                env=self.counter.environment(),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )

    def weather(self, storm: SlurmStorm, seconds: float) -> subprocess.Popen[bytes]:
        """Run the campaign while it is stormy; return the driver that is at work at the end, or has ended with 0."""
        until = time.time() + seconds
        driver, told = self.start(), time.time()
        while time.time() < until:
            storm.step(driver)
            if driver.poll() is not None:
                if self._ended(driver):
                    return driver
                driver = self.start()
            if time.time() - told > 30:
                told = time.time()
                print(f"  {time.strftime('%H:%M:%S')} {self.counts()} {dict(storm.hits)}", flush=True)
            time.sleep(0.1)
        return driver

    def finish(self, driver: subprocess.Popen[bytes], storm: SlurmStorm, patience: float) -> None:
        """Let the campaign come to its end; note it as hung if nothing changes for `patience` seconds."""
        seen, hung, failures = self.counts(), Patience(patience), 0
        while True:
            storm.mend(time.time())
            if driver.poll() is not None:
                if self._ended(driver):
                    return
                failures += 1
                if failures == 3:
                    self.wrong.append(f"the driver ended three times in calm weather, last with {driver.returncode}")
                    return
                driver = self.start()
            if (now := self.counts()) != seen:
                seen, hung = now, Patience(patience)
            elif hung.is_over():
                self.wrong.append(f"hung: nothing changed for {hung} at {now}")
                driver.send_signal(signal.SIGINT)
                end_of(driver, 60)
                return
            time.sleep(1.0)

    def _ended(self, driver: subprocess.Popen[bytes]) -> bool:
        """Note how a driver ended; return whether the campaign is done."""
        code = driver.returncode
        self.codes[code] += 1
        if code not in (0, -signal.SIGKILL):
            out = (self._place / f"driver-{self.started:03}.out").read_text(errors="replace")
            self.wrong.append(f"driver {self.started} ended with {code}:\n{out[-2000:]}")
            time.sleep(1.0)
        return code == 0

    def counts(self) -> dict[str, int]:
        """Return the number of tasks by status."""
        try:
            found = Counter(str(task.status) for task in self.campaign.records.state().tasks.values())
        except XpmAlchemError:
            return {}
        return dict(found)

    # ----------------------------------------------------------------------------------------------------- checking
    def check(self, cluster: SlurmCluster) -> None:
        """Check the results, and that nothing is left."""
        self._check_left(cluster)
        counts = self.counts()
        if counts != {"complete": self.tasks}:
            self.wrong.append(f"not every one of {self.tasks} tasks is complete: {counts}")
        estimates = self.campaign.estimates()
        calm = calm_estimates(self._place / "calm", self.edges, REPEATS, n_steps=STEPS)
        differ = [name for name in calm if estimates.get(name) != calm[name]]
        print(
            f"estimates: {sum(map(len, estimates.values()))}, of {len(differ)} transformations not those of a calm run"
        )
        if differ or len(estimates) != len(calm):
            self.wrong.append(f"other estimates than a calm run's: {differ}")
        self._check_attempts()

    def _check_left(self, cluster: SlurmCluster) -> None:
        patience = Patience(90)
        while True:
            alive = [job for job in cluster.jobs() if job["state"] in ("PENDING", "RUNNING", "COMPLETING", "SUSPENDED")]
            processes = campaign_processes(self.path)
            if not alive and not processes:
                print("left behind: no job, no process")
                return
            if patience.is_over():
                break
            time.sleep(1.0)
        self.wrong.append(f"left behind: jobs {alive}, processes {[' '.join(p.cmdline()) for p in processes]}")

    def _check_attempts(self) -> None:
        records = self.campaign.records
        directories = {task.task: records.task_path(task) for task in records.state().tasks.values()}
        outcomes: Counter[str] = Counter()
        twice, unnoted, doubled, most, fenced = [], [], [], 0, 0
        for task, attempts in self.campaign.attempts().items():
            outcomes.update(str(attempt.outcome) for attempt in attempts)
            most = max(most, len(attempts))
            finished = Counter(unit["name"] for attempt in attempts for unit in attempt.units if unit.get("ok"))
            if any(number > 1 for number in finished.values()) or set(finished) - UNITS:
                twice.append((str(directories[task]), dict(finished)))
            if UNITS - set(finished):
                unnoted.append((str(directories[task]), sorted(UNITS - set(finished))))
            if sum(str(attempt.outcome) == "complete" for attempt in attempts) != 1:
                doubled.append(str(directories[task]))
            results = list(TaskDirectory(directories[task]).results.glob("*.json"))
            if len(results) != len(UNITS):
                self.wrong.append(f"{directories[task]}: {len(results)} results of units instead of {len(UNITS)}")
            fenced += len(list((directories[task] / "shared").glob("*.generation-*")))
        print(
            f"attempts: {outcomes.total()} ({dict(outcomes)}), at most {most} of a task; {fenced} units after a fence"
        )
        jobs = Counter(path.read_text() for path in (records.workspace / "slurm").glob("*/job"))
        print(f"ids of jobs that slurmctld gave twice: {sum(number > 1 for number in jobs.values())}")
        print(f"units finished twice: {twice or 'none'}")
        print(f"units finished, but killed before their journal said so: {unnoted or 'none'}")
        print(f"tasks not completed by exactly one attempt: {doubled or 'none'}")
        if twice:
            self.wrong.append(f"units finished more than once: {twice}")
        if doubled:
            self.wrong.append(f"tasks not completed by exactly one attempt: {doubled}")

    def tracebacks(self) -> Counter[str]:
        """Return the last lines of the tracebacks in the drivers' output and in driver.log."""
        found: Counter[str] = Counter()
        for path in [*self._place.glob("driver-*.out"), self.campaign.records.path / "driver.log"]:
            lines = path.read_text(errors="replace").splitlines() if path.exists() else []
            inside = False
            for line in lines:
                if line.lstrip().startswith("Traceback"):
                    inside = True
                elif inside and line and not line[0].isspace():
                    found[f"{path.name if path.suffix == '.log' else 'driver'}: {line[:200]}"] += 1
                    inside = False
        return found


def per_minute(calls: Counter[str], seconds: float) -> str:
    """Return calls a minute by program."""
    return ", ".join(f"{name} {number * 60 / seconds:.1f}" for name, number in calls.most_common()) or "none"


def soak(place: Path, *, minutes: float, seed: int, longest: float, patience: float, **sizes: Any) -> bool:
    """Run all of it in a directory; return whether everything is right."""
    if absent := missing(accounting=True):
        print(f"needs SLURM with accounting; not installed: {', '.join(absent)}")
        return False
    home = place / "home"
    home.mkdir()
    os.environ |= {"HOME": str(home), "XPM_WORKDIR": str(home / "xpm"), "PYTHONPATH": python_path(), "COLUMNS": "200"}
    os.environ["XPM_ALCHEM_PAUSES"] = "0"  # what is killed all the time is tried again at once
    cluster = SlurmCluster(place / "cluster", nodes=NODES, accounting=True, settings={"SlurmdTimeout": SLURMD_TIMEOUT})
    os.environ["SLURM_CONF"] = str(cluster.conf)
    try:
        cluster.start()
        whole = Soak(place, **sizes)
        storm = SlurmStorm(
            cluster, whole.path, random.Random(seed), WEIGHTS, longest=longest, slurmd_timeout=SLURMD_TIMEOUT
        )
        began = time.time()
        driver = whole.weather(storm, minutes * 60)
        stormy, calls = time.time() - began, whole.counter.take()
        print(f"the storm is over after {stormy:.0f} s: {whole.counts()}", flush=True)
        began = time.time()
        storm.mend()
        if driver.poll() != 0:
            whole.finish(driver, storm, patience)
        calm, calm_calls = time.time() - began, whole.counter.take()
        (place / "events.txt").write_text("\n".join(storm.events) + "\n")
        print(f"{sum(whole.counts().values())} tasks, {stormy:.0f} s of storm, {calm:.0f} s until the end")
        print(f"faults: {storm.hits.total()} ({dict(storm.hits)})")
        print(f"daemons that ended by themselves: {dict(storm.by_themselves) or 'none'}")
        print(f"drivers: {whole.started}, exit codes {dict(whole.codes)}")
        print(f"tracebacks in their output and log: {dict(whole.tracebacks()) or 'none'}")
        print(f"calls a minute, storm: {per_minute(calls, stormy)}; after it: {per_minute(calm_calls, max(calm, 1.0))}")
        whole.check(cluster)
    finally:
        cluster.stop()
    for sentence in whole.wrong:
        print(f"WRONG: {sentence}")
    return not whole.wrong


def main() -> int:
    """Print what was seen; return 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0, help="most minutes of storm")
    parser.add_argument("--tasks", type=int, default=1000, help=f"a multiple of {REPEATS}")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--slots", type=int, default=40)
    parser.add_argument("--tasks-per-job", type=int, default=1, help="as in a launcher's profile")
    parser.add_argument("--task-seconds", type=float, default=1.6, help="beyond 10: orphans outlive their nodes")
    parser.add_argument("--longest", type=float, default=8.0, help="most seconds between two faults")
    parser.add_argument("--patience", type=float, default=400.0, help="seconds without any change that count as hung")
    parser.add_argument("--keep", action="store_true", help="keep the directory also if all is right")
    given = parser.parse_args()
    if given.tasks % REPEATS:
        parser.error(f"--tasks: give a multiple of {REPEATS}")
    place = Path(tempfile.mkdtemp(prefix="xpm-alchem-soak-"))
    options = {key: value for key, value in vars(given).items() if key != "keep"}
    right = False
    try:
        right = soak(place, **options)
    finally:
        if right and not given.keep:
            shutil.rmtree(place, ignore_errors=True)
        else:
            print(f"kept: {place}")
    print("all is right" if right else "something is wrong")
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
