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
from contextlib import suppress
from pathlib import Path
from typing import Any

import forked
import psutil
from campaigns import SmallCampaign, calm_estimates
from patience import communicate

SETTINGS = {"n_steps": 6, "step_seconds": 0.3}
_LEADS = ("worker", "worker", "tree", "attempt", "freeze", "driver", "term")


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
        self.workers: list[subprocess.Popen[bytes]] = []
        self.frozen: dict[int, float] = {}  # pids of stopped processes, until when
        self.number, self._frozen_seconds = workers, frozen
        self.done: Counter[str] = Counter()
        self.driver = self.campaign.start("--quiet")
        self.log = open(path / "workers.log", "ab")  # noqa: SIM115 - as long as the workers live

    def start_worker(self) -> None:
        slots = self.rng.choice((1, 2, 3))
        command = [sys.executable, "-m", "xpm_alchem", "work", "-w", "./workspace", "--slots", str(slots)]
        command += ["--idle", "never"]
        environment = dict(os.environ)
        fake = shutil.which("faketime")
        if fake is not None and not any(word == fake for worker in self.workers for word in worker.args):
            command = [fake, "-f", "+3600s", *command]
            environment["FAKETIME_DONT_FAKE_MONOTONIC"] = "1"
        self.workers.append(
            forked.Popen(
                command,
                cwd=self.campaign.path,
                env=environment,
                stdout=self.log,
                stderr=self.log,
                stdin=subprocess.DEVNULL,
            )
        )

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
        alive = [worker for worker in self.workers if worker.poll() is None and worker.pid not in self.frozen]
        victim = self.rng.choice(alive) if alive else None
        if what == "driver":
            self.driver.kill()
            communicate(self.driver, 60)
            self.driver = self.campaign.start("--quiet")
        elif what == "attempt":
            if attempts := self.attempts():
                self._send(self.rng.choice(attempts).pid, signal.SIGKILL)
        elif victim is None:
            return
        elif what == "worker":
            victim.kill()
        elif what == "term":
            victim.terminate()
        elif what == "tree":
            members = psutil.Process(victim.pid).children(recursive=True)
            for process in [victim, *members]:
                self._send(process.pid, signal.SIGKILL)
        elif what == "freeze":
            members = [one.pid for one in psutil.Process(victim.pid).children(recursive=True)]
            for pid in [victim.pid, *(members if self.rng.random() < 0.5 else [])]:
                self._send(pid, signal.SIGSTOP)
                self.frozen[pid] = time.monotonic() + self._frozen_seconds
        self.done[what] += 1

    @staticmethod
    def _send(pid: int, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, number)

    def run(self, seconds: float) -> Counter[str]:
        """Let it storm for so long, or until all is computed; then wait for the end in calm."""
        until = time.monotonic() + seconds
        while self.driver.poll() is None:
            self.workers = [worker for worker in self.workers if worker.poll() is None]
            while len(self.workers) < self.number:
                self.start_worker()
            for pid, thaw in list(self.frozen.items()):
                if time.monotonic() > thaw or time.monotonic() > until:
                    self._send(pid, signal.SIGCONT)
                    del self.frozen[pid]
            if time.monotonic() < until:
                self.misfortune()
                time.sleep(self.rng.uniform(0.3, 3.0))
            else:
                time.sleep(0.5)
        return self.done

    def end(self) -> None:
        """End all that is left."""
        for pid in self.frozen:
            self._send(pid, signal.SIGCONT)
        for worker in self.workers:
            if worker.poll() is None:
                worker.terminate()
        for worker in self.workers:
            worker.wait()
        if self.driver.poll() is None:
            self.driver.terminate()
            communicate(self.driver, 60)
        self.log.close()

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
        calm = calm_estimates(self.campaign.path / "calm", self.edges, 1, **SETTINGS)
        if self.campaign.estimates() != calm:
            found.append("estimates differ from those of a calm run")
        done = self.campaign.call("doctor", self.campaign.file, "--fix")
        pools = self.campaign.path / "workspace" / "pools" / "main"
        left = [str(path.relative_to(pools)) for path in pools.rglob("*") if path.is_file() and path.name != "clock"]
        if left:
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
