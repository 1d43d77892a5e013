"""Jobs that are to end: scancel is run again and again until SLURM says that they have ended, whatever scancel says."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping

import attrs

from xpm_alchem.launchers.slurm.commands import JobState, Slurm, SlurmError

_RETRY_SECONDS = 2.0  # after a scancel that failed
_AGAIN_LEAST, _AGAIN_MOST = 10.0, 300.0  # after one that went well, while the job is listed nevertheless
_ABSENT_ANSWERS = 3  # that do not list a job: there is nothing to cancel, as far as anybody can see


@attrs.define
class _Wish:
    tries: int = 0
    absent: int = 0
    due: float = 0.0


class Cancellations:
    """Jobs that are to end.

    Parameters
    ----------
    slurm
        The cluster.
    tell
        Called with what a user should know, and a key under which it is told once.
    """

    def __init__(self, slurm: Slurm, tell: Callable[[str, str], None]) -> None:
        self._slurm, self._tell = slurm, tell
        self._lock = threading.Lock()
        self._wishes: dict[str, _Wish] = {}
        self._issued: set[str] = set()

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._wishes)

    @property
    def are_issued(self) -> bool:
        """Whether scancel was run for all of them."""
        with self._lock:
            return all(wish.tries for wish in self._wishes.values())

    def were_issued(self, jobs: Collection[str]) -> bool:
        """Whether scancel was run for all of some jobs, and there are any."""
        with self._lock:
            return bool(jobs) and self._issued.issuperset(jobs)

    def add(self, jobs: Iterable[str]) -> None:
        """End jobs, too."""
        with self._lock:
            for job in jobs:
                wish = self._wishes.setdefault(job, _Wish())
                wish.due = min(wish.due, time.monotonic())

    def run(self) -> bool:
        """Run scancel for what is due; return whether it was."""
        now = time.monotonic()
        with self._lock:
            due = {job: wish for job, wish in self._wishes.items() if wish.due <= now}
        if not due:
            return False
        try:
            self._slurm.cancel(sorted(due))
        except SlurmError as error:
            self._tell(f"SLURM does not answer; cancelling is tried again ({error})", "cancel")
            for wish in due.values():
                wish.due = now + _RETRY_SECONDS
            return False
        self._issued.update(due)
        for wish in due.values():
            wish.due = now + min(_AGAIN_MOST, _AGAIN_LEAST * 2**wish.tries)
            wish.tries += 1
        return True

    def heard(self, by_job: Mapping[str, JobState]) -> None:
        """Take note of what the controller lists: what has ended, or is not there, needs no scancel any more."""
        with self._lock:
            for job, wish in list(self._wishes.items()):
                if not wish.tries:
                    continue
                state = by_job.get(job) or by_job.get(job.partition("_")[0])
                if state is None:
                    wish.absent += 1
                else:
                    wish.absent = 0
                if wish.absent >= _ABSENT_ANSWERS or (state is not None and not state.is_alive):
                    del self._wishes[job]
