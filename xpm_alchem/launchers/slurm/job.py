"""What a SLURM job runs on its node: ``python -m xpm_alchem.launchers.slurm.job BATCH``.

It starts the task's process, hands SLURM's signals on to it, and notes how it ended: on the disk, so that nobody has to
ask SLURM. A job of several tasks takes on one after another until its time is nearly over; what is left is for other
jobs of its pool.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from xpm_alchem.base.errors import FormatError
from xpm_alchem.devices.mps import multi_process_service
from xpm_alchem.devices.slots import Slot
from xpm_alchem.execution.fence import Orders
from xpm_alchem.launchers.crew import Crew
from xpm_alchem.launchers.slurm.avoided import AvoidedDevices
from xpm_alchem.launchers.slurm.batch import Batch
from xpm_alchem.launchers.slurm.commands import Slurm
from xpm_alchem.launchers.slurm.job_slots import job_slots

_LEAST_SECONDS = 30.0  # a task that would get less than this beside the margin is left to another job
_LINGER_SECONDS = 10.0  # for the next task to become ready
_POLL_SECONDS = 0.1
_ALIVE_SECONDS = 10.0  # between two signs of life of a task's process
_LOOK_SECONDS = 2.0  # between two looks at the pool that found nothing
_POOL_DAYS = 7
_PATIENCE_SECONDS = 600.0  # with files that cannot be used, at the job's beginning and end
_PAUSE_SECONDS = 5.0
T = TypeVar("T")


def main() -> int:
    """Run the task or the tasks of this job; return its exit code."""
    path = Path(sys.argv[1])
    try:
        batch = _insistently(lambda: Batch.read(path))
    except (OSError, FormatError) as error:
        sys.stderr.write(f"{path}: {error}\n")
        return 2
    if batch is None:
        sys.stderr.write(f"{path}: no such batch\n")
        return 2
    job = submitted_as = os.environ["SLURM_JOB_ID"]
    index = 0
    if batch.is_array:
        submitted_as = os.environ["SLURM_ARRAY_JOB_ID"]
        index = int(os.environ["SLURM_ARRAY_TASK_ID"])
        job = f"{submitted_as}_{index}"
    with suppress(OSError):
        if batch.job() is None:  # the driver that ran sbatch was killed before it heard the answer, or waits for it yet
            batch.set_job(submitted_as)
    worker = _Worker(batch, job, index if batch.tasks_per_job == 1 else None)
    if not batch.mps:
        return worker.run()
    with multi_process_service([device for slot in worker.crew.slots for device in slot.devices]):
        return worker.run()


class _Worker:
    """A job at work.

    Parameters
    ----------
    batch, job
        Its batch, and its id.
    only
        The one task it is for; None if it takes on what it finds in its pool.
    """

    def __init__(self, batch: Batch, job: str, only: int | None) -> None:
        self._batch, self._job, self._only = batch, job, only
        self._node = os.environ.get("SLURM_NODEID", "0") if batch.nodes > 1 else ""
        self.crew: Crew[tuple[str, int]] = Crew(job_slots(batch))  # its tasks by the batch's name
        self._batches = {batch.path.name: batch}
        self._codes: list[int] = []
        self._untold: dict[tuple[str, int], int] = {}  # exit codes that could not be written down yet
        self._stopping = False
        self._end = float("inf") if batch.limit is None else time.time() + batch.limit
        self._asked = self._looked = 0.0
        self._said_alive = time.monotonic()

    def run(self) -> int:
        for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._hand_on)
        if self._only is None:
            self._run_pool()
        elif self._is_still_ours(self._only):
            self._start(self._batch, self._only, self.crew.slots[0])
            while self.crew.children:
                self._reap()
                time.sleep(_POLL_SECONDS)
        else:
            sys.stderr.write(f"{self._batch.launch(self._only)}: given to another job meanwhile; nothing to do\n")
        until = time.monotonic() + _PATIENCE_SECONDS
        while self._untold and time.monotonic() < until:
            time.sleep(_PAUSE_SECONDS)
            self._note_codes()
        return next((abs(code) for code in self._codes if code), 0)

    def _run_pool(self) -> None:
        idle_since = time.time()
        while True:
            self._reap()
            while not self.crew.is_full and self._has_time():
                if not self._take_one():
                    break
            if self.crew.children:
                idle_since = time.time()
            elif not self._has_time() or self.crew.is_unusable or time.time() - idle_since > _LINGER_SECONDS:
                return
            time.sleep(_POLL_SECONDS)

    def _hand_on(self, number: int, frame: object) -> None:
        self._stopping = True
        self.crew.signal(number)

    def _reap(self) -> None:
        """Note which processes have ended, and every few seconds which are alive."""
        for child, code in self.crew.ended():
            self._ended(*child.task, code)
        if time.monotonic() - self._said_alive > _ALIVE_SECONDS:
            for name, number in (child.task for child in self.crew.children):
                self._batches[name].note_alive(number)
            self._said_alive = time.monotonic()
            self._note_codes()

    def _ended(self, name: str, number: int, code: int) -> None:
        self._codes.append(code)
        self._untold[name, number] = code
        self._note_codes()

    def _note_codes(self) -> None:
        """Write exit codes down; what cannot be written now is no reason to end the other tasks."""
        for (name, number), code in list(self._untold.items()):
            with suppress(OSError):
                self._batches[name].set_ended(number, code)
                del self._untold[name, number]

    def _is_still_ours(self, number: int) -> bool:
        """Whether a task is still for this job; one whose orders cannot be read is begun, and looks itself."""
        try:
            return _insistently(lambda: _may_run(self._batch, number))
        except (OSError, FormatError):
            return True

    def _start(self, batch: Batch, number: int, slot: Slot) -> None:
        name = batch.path.name
        self._batches[name] = batch
        facts = {"job": self._job, "launch": batch.launch(number), "margin": self._batch.margin}
        facts["end"] = None if self._end == float("inf") else self._end
        batch.note_alive(number)
        try:
            self.crew.start(
                (name, number),
                Path(batch.scripts[number]),
                slot,
                launch=batch.launch(number),
                platform=self._batch.platform,
                container=self._batch.container,
                variables={"XPM_ALCHEM_SLURM": json.dumps(facts)},
            )
        except OSError as error:
            sys.stderr.write(f"{batch.launch(number)}: it could not be started: {error}\n")
            self._ended(name, number, 1)

    # -------------------------------------------------------------------------------------------- several tasks a job
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
        if (place := self.crew.place(self._avoided())) is None:
            self._looked = time.time()
            return False
        try:
            for batch, number in self._open():
                if batch.claim(number, self._job, self._batch.job_name, self._node):
                    self._start(batch, number, place[0])
                    return True
        except (OSError, FormatError) as error:  # it is looked again
            sys.stderr.write(f"no task could be taken on now: {error}\n")
        self._looked = time.time()
        return False

    def _avoided(self) -> Collection[str]:
        """Return the devices of this node on which tasks fail, where there is a choice."""
        if not any(slot.devices for slot in self.crew.slots):
            return ()
        return AvoidedDevices(self._batch.path.parent, self._batch.campaign).on(os.environ.get("SLURMD_NODENAME", ""))

    def _open(self) -> Iterator[tuple[Batch, int]]:
        """Yield the tasks that nobody has taken on: of this batch first, then of others of its pool, oldest first."""
        others = sorted(path.parent for path in self._batch.path.parent.glob("*/batch.json"))
        for path in [self._batch.path, *(path for path in others if path != self._batch.path)]:
            try:
                batch = self._batch if path == self._batch.path else Batch.read(path)
            except (OSError, FormatError):
                continue  # damaged, or not to be read now: no reason to pass over the others
            if batch is None or batch.pool != self._batch.pool or batch.made < time.time() - _POOL_DAYS * 86400:
                continue
            for number in range(len(batch.scripts)):
                if batch.claimed_by(number) is None and _may_run(batch, number):
                    yield batch, number


def _insistently(action: Callable[[], T]) -> T:
    """Return what an action on files returns, tried again for minutes.

    Raises
    ------
    OSError
        The last one.
    """
    until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return action()
        except OSError:
            if time.monotonic() > until:
                raise
        time.sleep(_PAUSE_SECONDS)


def _may_run(batch: Batch, number: int) -> bool:
    return Orders.read(Path(batch.scripts[number]).parent).launch == batch.launch(number)


if __name__ == "__main__":
    sys.exit(main())
