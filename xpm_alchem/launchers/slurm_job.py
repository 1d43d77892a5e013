"""What a SLURM job runs on its node: ``python -m xpm_alchem.launchers.slurm_job BATCH``.

A job of one task becomes that task's process, so that SLURM's signals reach it. A job of several takes on one task
after another until its time is nearly over; what is left is for other jobs.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from xpm_alchem.fence import Orders
from xpm_alchem.launchers.slurm_batch import Batch
from xpm_alchem.launchers.slurm_commands import Slurm

_LEAST_SECONDS = 30.0  # a task that would get less than this beside the margin is left to another job
_LINGER_SECONDS = 10.0  # for the next task to become ready
_POLL_SECONDS = 0.2
_LOOK_SECONDS = 2.0  # between two looks at the pool that found nothing
_POOL_DAYS = 7


def main() -> int:
    """Run the task or the tasks of this job; return its exit code."""
    path = Path(sys.argv[1])
    batch = Batch.read(path)
    if batch is None:
        sys.stderr.write(f"{path}: no such batch\n")
        return 2
    job = os.environ["SLURM_JOB_ID"]
    index = 0
    submitted_as = job
    if batch.is_array:
        submitted_as = os.environ["SLURM_ARRAY_JOB_ID"]
        index = int(os.environ["SLURM_ARRAY_TASK_ID"])
        job = f"{submitted_as}_{index}"
    if batch.job() is None:  # the driver that ran sbatch was killed before it heard the answer, or has not heard it yet
        batch.set_job(submitted_as)
    if batch.tasks_per_job > 1:
        return _Worker(batch, job).run()
    script = Path(batch.scripts[index])
    if not _may_run(batch, index):
        sys.stderr.write(f"{script.parent}: given to another job meanwhile; nothing to do\n")
        return 0
    environment = _environment(batch, index, job)
    with open(script.with_suffix(".out"), "ab") as out, open(script.with_suffix(".err"), "ab") as err:
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # until the attempt handles it; it looks at its limit itself
    os.execve(sys.executable, [sys.executable, str(script)], environment)


def _may_run(batch: Batch, number: int) -> bool:
    return Orders.read(Path(batch.scripts[number]).parent).launch == batch.launch(number)


def _environment(batch: Batch, number: int, job: str) -> dict[str, str]:
    facts = {"job": job, "launch": batch.launch(number), "margin": batch.margin, "limit": batch.limit}
    return {**os.environ, "XPM_ALCHEM_SLURM": json.dumps(facts)}


class _Worker:
    """A job that takes on tasks of its pool as long as it has time."""

    def __init__(self, batch: Batch, job: str) -> None:
        self._batch, self._job = batch, job
        self._children: list[subprocess.Popen[bytes]] = []
        self._stopping = False
        self._end = float("inf") if batch.limit is None else time.time() + batch.limit
        self._asked = self._looked = 0.0

    def run(self) -> int:
        for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._hand_on)
        idle_since = time.time()
        while True:
            self._children = [child for child in self._children if child.poll() is None]
            while len(self._children) < self._batch.side_by_side and self._has_time():
                if not self._take_one():
                    break
                idle_since = time.time()
            if self._children:
                idle_since = time.time()
            elif not self._has_time() or time.time() - idle_since > _LINGER_SECONDS:
                return 0
            time.sleep(_POLL_SECONDS)

    def _hand_on(self, number: int, frame: object) -> None:
        self._stopping = True
        for child in self._children:
            if child.poll() is None:
                child.send_signal(number)

    def _has_time(self) -> bool:
        now = time.time()
        need = self._batch.margin + _LEAST_SECONDS
        if now - self._asked > 60.0 and (self._batch.limit is None or self._end - now < need + 60.0):
            self._asked = now
            left = Slurm().time_left(os.environ["SLURM_JOB_ID"])
            self._end = self._end if left is None else now + left
        return not self._stopping and self._end - now > need

    def _take_one(self) -> bool:
        if time.time() - self._looked < _LOOK_SECONDS:
            return False
        for batch, number in self._open():
            if batch.claim(number, self._job):
                script = Path(batch.scripts[number])
                with open(script.with_suffix(".out"), "ab") as out, open(script.with_suffix(".err"), "ab") as err:
                    self._children.append(
                        subprocess.Popen(
                            [sys.executable, str(script)],
                            env=_environment(batch, number, self._job),
                            stdin=subprocess.DEVNULL,
                            stdout=out,
                            stderr=err,
                            start_new_session=True,
                        )
                    )
                return True
        self._looked = time.time()
        return False

    def _open(self) -> Iterator[tuple[Batch, int]]:
        """Yield the tasks that nobody has taken on: of this batch first, then of others of its pool, oldest first."""
        others = sorted(path.parent for path in self._batch.path.parent.glob("*/batch.json"))
        for path in [self._batch.path, *(path for path in others if path != self._batch.path)]:
            batch = self._batch if path == self._batch.path else Batch.read(path)
            if batch is None or batch.pool != self._batch.pool or batch.made < time.time() - _POOL_DAYS * 86400:
                continue
            for number in range(len(batch.scripts)):
                if batch.claimed_by(number) is None and _may_run(batch, number):
                    yield batch, number


if __name__ == "__main__":
    sys.exit(main())
