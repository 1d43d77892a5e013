"""Workers that are started, killed, frozen and thawed at random, one of them with a clock that is an hour wrong.

By hand: python tests/support/worker_storm.py --minutes 10 --tasks 300 --workers 6 --seed 1
"""

from __future__ import annotations

import argparse
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

import psutil
from campaigns import SmallCampaign, calm_estimates
from patience import communicate
from workers import Workers, in_pool, send, tree

SETTINGS = {"n_steps": 6, "step_seconds": 0.3}
_LEADS = ("worker", "worker", "tree", "attempt", "freeze", "driver", "term")


def wrong_clock() -> dict[str, str]:
    """Return variables with which a process sees a clock that is an hour wrong; none where faketime is not installed.

    Its command is a process of its own, which would be killed in place of the worker.
    """
    if (fake := shutil.which("faketime")) is None:
        return {}
    told = subprocess.run([fake, "-f", "+3600s", "env"], capture_output=True, text=True, check=True).stdout
    found = dict(line.split("=", 1) for line in told.splitlines() if "=" in line)
    return {name: found[name] for name in ("LD_PRELOAD", "FAKETIME")}


class WorkerStorm:
    """A campaign whose tasks workers take, and what happens to those.

    Parameters
    ----------
    path
        Its directory.
    tasks, workers
        How many.
    frozen
        Seconds for which a frozen worker stays so.
    """

    def __init__(self, path: Path, *, tasks: int, workers: int, seed: int, frozen: float) -> None:
        self.rng = random.Random(seed)
        self.edges = [(0, number + 1) for number in range(tasks)]
        plan = {"launcher": {"kind": "workers", "slots": tasks, "margin": "2s"}, "max_retries": 50}
        self.campaign = SmallCampaign(path, edges=self.edges, plan=plan, **SETTINGS)
        self.workers = Workers(path / "workspace", path / "workers.log")
        self.wrong: subprocess.Popen[bytes] | None = None  # the one whose clock is
        self.number, self._frozen_seconds = workers, frozen
        self.done: Counter[str] = Counter()
        self.driver = self.campaign.start("--quiet")

    def start_worker(self) -> None:
        """Start a worker, with a clock of its own if none has one."""
        options = ("--slots", self.rng.choice((1, 2, 3)), "--idle", "never")
        is_wrong = self.wrong is None or self.wrong.poll() is not None
        clock = wrong_clock() if is_wrong else {}
        worker = self.workers.start(*options, **clock)
        self.wrong = worker if is_wrong else self.wrong

    def attempts(self) -> list[psutil.Process]:
        """Return the processes of attempts."""
        found = []
        for process in psutil.process_iter(["cmdline"]):
            words = process.info["cmdline"] or []
            if words and words[-1].endswith("run.py") and words[-1].startswith(str(self.campaign.path)):
                found.append(process)
        return found

    def misfortune(self) -> None:
        """Let something happen."""
        what = self.rng.choice(_LEADS)
        alive = self.workers.alive(frozen=False)
        victim = self.rng.choice(alive) if alive else None
        if what == "driver":
            self.driver.kill()
            communicate(self.driver, 60)
            self.driver = self.campaign.start("--quiet")
        elif what == "attempt":
            if attempts := self.attempts():
                send(self.rng.choice(attempts).pid, signal.SIGKILL)
        elif victim is None:
            return
        elif what == "worker":
            victim.kill()
        elif what == "term":
            victim.terminate()
        elif what == "tree":
            for pid in tree(victim.pid):
                send(pid, signal.SIGKILL)
        elif what == "freeze":
            pids = tree(victim.pid) if self.rng.random() < 0.5 else [victim.pid]
            self.workers.freeze(pids, self._frozen_seconds)
        self.done[what] += 1

    def run(self, seconds: float) -> Counter[str]:
        """Let it storm for so long, or until all is computed; then wait for the end in calm."""
        until = time.monotonic() + seconds
        while self.driver.poll() is None:
            while len(self.workers.alive()) < self.number:
                self.start_worker()
            self.workers.thaw(all_of_them=time.monotonic() > until)
            if time.monotonic() < until:
                self.misfortune()
                time.sleep(self.rng.uniform(0.3, 3.0))
            else:
                time.sleep(0.5)
        return self.done

    def end(self) -> None:
        """End all that is left."""
        self.workers.end()
        if self.driver.poll() is None:
            self.driver.terminate()
            communicate(self.driver, 60)

    def faults(self) -> list[str]:
        """Return what is wrong when all is over."""
        found = []
        if self.driver.returncode != 0:
            found.append(f"the driver ended with {self.driver.returncode}")
        for task, units in self.campaign.units_done().items():
            if set(units.values()) != {1} or len(units) != 3:
                found.append(f"{task}: units {dict(units)}")
        for task, attempts in self.campaign.attempts().items():
            for attempt in attempts:
                if "fenced" in attempt.reason:
                    found.append(
                        f"{task}: attempt {attempt.number} of a living machine was fenced off: {attempt.reason}"
                    )
        calm = calm_estimates(self.campaign.path / "calm", self.edges, 1, n_steps=SETTINGS["n_steps"])
        if self.campaign.estimates() != calm:
            found.append("estimates differ from those of a calm run")
        done = self.campaign.call("doctor", self.campaign.file, "--fix")
        if left := in_pool(self.campaign.path / "workspace"):
            found.append(f"left in the pool after doctor --fix: {left[:10]}\n{done.stdout[-2000:]}")
        return found


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--tasks", type=int, default=300)
    parser.add_argument("--workers", type=int, default=6)
    parser.add_argument("--frozen", type=float, default=120.0)
    parser.add_argument("--seed", type=int, default=1)
    options: Any = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="worker-storm-"))
    os.environ["XPM_ALCHEM_PAUSES"] = "0"
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)
    storm = WorkerStorm(
        place / "c", tasks=options.tasks, workers=options.workers, seed=options.seed, frozen=options.frozen
    )
    try:
        done = storm.run(options.minutes * 60)
    finally:
        storm.end()
    faults = storm.faults()
    attempts = Counter(len(attempts) for attempts in storm.campaign.attempts().values())
    print(f"{place}: {dict(done)}; tasks by attempts: {dict(sorted(attempts.items()))}")
    print("\n".join(faults) or "all is right")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
