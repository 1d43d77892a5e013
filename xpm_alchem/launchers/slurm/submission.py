"""Submitting tasks to SLURM: as many as there are with one sbatch, and again later what was refused."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import attrs

from xpm_alchem.execution.fence import give_orders
from xpm_alchem.launchers.slurm.batch import Batch
from xpm_alchem.launchers.slurm.commands import Slurm, SlurmError, Trouble
from xpm_alchem.launchers.slurm.entry import Entry
from xpm_alchem.launchers.slurm.profile import SlurmProfile

_GATHER_SECONDS, _GATHER_MOST = 0.3, 5.0  # to wait for more tasks to send along, after the last one and in all
_RETRY_LEAST, _RETRY_MOST = 2.0, 300.0
_ROOM_SECONDS = 2.0  # after a job has ended, until SLURM takes another one
_LIMIT_SECONDS = 60.0  # between two tries when a site's limit on jobs is reached


class Submission:
    """What is to be submitted next, and what the site was found to refuse.

    Parameters
    ----------
    root
        Directory of the batches.
    slurm
        The cluster.
    lock
        Held by whoever cancels a task.
    tell
        Called with what a user should know, and a key under which it is told once.

    Attributes
    ----------
    trouble
        What SLURM said when a submission failed last; '' since one went well.
    """

    def __init__(self, root: Path, slurm: Slurm, lock: threading.RLock, tell: Callable[[str, str], None]) -> None:
        self._root, self._slurm = root, slurm
        self._lock, self._tell = lock, tell
        self._retry, self._not_before = _RETRY_LEAST, 0.0
        self._refused: dict[SlurmProfile, tuple[float, float]] = {}  # not before, and how long then
        self._largest_batch = 1000
        self._arrays = True
        self.trouble = ""

    def there_is_room(self) -> None:
        """Take note that a job has ended: a limit on their number may be reached no more."""
        self._not_before = min(self._not_before, time.time() + _ROOM_SECONDS)

    def submit(self, waiting: Sequence[Entry]) -> Iterator[tuple[Batch, list[Entry]]]:
        """Submit tasks whose time has come.

        Yields
        ------
        Each batch that was submitted, or perhaps was, with its tasks in order. One that was cancelled meanwhile may be
        among them.
        """
        now = time.time()
        if not waiting or now < self._not_before:
            return
        oldest, newest = (pick(entry.gathered for entry in waiting) for pick in (min, max))
        if now - newest < _GATHER_SECONDS and now - oldest < _GATHER_MOST:
            return
        groups: dict[tuple[str, SlurmProfile], list[Entry]] = {}
        for entry in waiting:
            assert entry.profile is not None
            if now >= self._refused.get(entry.profile, (0.0, 0.0))[0]:
                groups.setdefault((entry.campaign, entry.profile), []).append(entry)
        for (campaign, profile), entries in groups.items():
            largest = self._largest_batch * profile.tasks_per_job if self._arrays else profile.tasks_per_job
            for start in range(0, len(entries), largest):
                wanted = [entry for entry in entries[start : start + largest] if not entry.ended]
                if not wanted:
                    continue
                batch, trouble = self._sbatch(campaign, profile, wanted)
                self.trouble = str(trouble or "")
                if trouble is None or trouble.trouble is Trouble.UNREACHABLE:
                    yield batch, wanted
                if trouble is None:
                    self._retry = _RETRY_LEAST
                    self._refused.pop(profile, None)
                elif trouble.trouble in (Trouble.REFUSED, Trouble.NO_NODE):
                    self._hold(profile, wanted, trouble)  # what asks for something else may be accepted
                else:
                    self._after_refusal(trouble, batch)
                    return

    def _sbatch(self, campaign: str, profile: SlurmProfile, entries: list[Entry]) -> tuple[Batch, SlurmError | None]:
        """Submit tasks of a campaign with one sbatch: first the intent, then the deed. Its name begins the jobs'."""
        batch = Batch.make(
            self._root,
            campaign,
            [str(entry.script) for entry in entries],
            is_array=self._arrays,
            tasks_per_job=profile.tasks_per_job,
            **{
                key: getattr(profile, key)
                for key in ("side_by_side", "tasks_per_gpu", "mps", "nodes", "platform", "container")
            },
            pool=profile.pool,
            margin=profile.margin,
            limit=profile.time,
        )
        jobs = batch.jobs if batch.is_array else None
        script = profile.script(name=batch.job_name, directory=batch.path, jobs=jobs, campaign=campaign)
        batch.write(script)
        for number, entry in enumerate(entries):
            with self._lock:
                if not entry.ended:
                    give_orders(entry.directory, launch=batch.launch(number), stop=None)
        try:
            batch.set_job(self._slurm.submit(batch.script))
        except SlurmError as error:
            if error.trouble is not Trouble.UNREACHABLE:
                shutil.rmtree(batch.path, ignore_errors=True)
            return batch, error
        return batch, None

    def _hold(self, profile: SlurmProfile, entries: list[Entry], error: SlurmError) -> None:
        """Submit what was refused as it is later; without its avoided nodes, if those are all there are, at once."""
        if error.trouble is Trouble.NO_NODE and profile.avoided:
            self._tell("no node is left beside those that are avoided: jobs are sent to any", "avoided")
            for entry in entries:
                entry.profile = attrs.evolve(profile, avoided=())
            return
        self._tell(f"SLURM refuses the job; tried again ({error})", f"submit {error}")
        wait = self._refused.get(profile, (0.0, _RETRY_LEAST))[1]
        self._refused[profile] = time.time() + wait, min(_RETRY_MOST, wait * 2)

    def _after_refusal(self, error: SlurmError, batch: Batch) -> None:
        now = time.time()
        if error.trouble is Trouble.TOO_LARGE_ARRAY:
            if batch.jobs == 1:
                self._arrays = False
            self._largest_batch = max(1, batch.jobs // 2)
            return
        if error.trouble is Trouble.TOO_MANY and batch.jobs > 1:
            self._largest_batch = max(1, batch.jobs // 2)
            return
        if error.trouble is Trouble.TOO_MANY:
            self._tell(f"the cluster takes no more jobs of yours now; the others wait ({error})", "too many")
            self._not_before = now + _LIMIT_SECONDS
            return
        self._tell(f"SLURM does not answer; tried again ({error})", f"submit {error}")
        self._not_before = now + self._retry
        self._retry = min(_RETRY_MOST, self._retry * 2)
