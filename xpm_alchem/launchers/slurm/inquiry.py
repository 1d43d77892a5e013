"""Asking SLURM about jobs in all the ways there are: the whole queue, one job by its id, accounting."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

import attrs

from xpm_alchem.launchers.slurm.commands import JobState, Slurm, SlurmError, Trouble
from xpm_alchem.launchers.slurm.entry import Entry

_log = logging.getLogger("xpm.alchem.slurm")
_NO_ACCOUNTS_SECONDS = 600.0  # after accounting was said not to exist, until it is asked again


@attrs.define
class Accounts:
    """What accounting said.

    Attributes
    ----------
    is_final
        Whether it answered, or there is none: there is nothing to wait for.
    """

    states: list[JobState]
    is_final: bool


class Inquiry:
    """Asks about the jobs that the queue does not list."""

    def __init__(self, slurm: Slurm) -> None:
        self._slurm = slurm
        self._accounts_at = 0.0

    def by_id(self, entries: Sequence[Entry]) -> tuple[str, list[JobState] | None] | None:
        """Ask the controller for the job of one of some entries, the one that was asked for longest ago.

        Returns
        -------
        tuple
            The id, without an array's index, and what is known of it, None if the controller knows no such job. None
            if nothing could be asked.
        """
        asked = [(entry, job) for entry in entries if entry.absence and (job := entry.base_job()) is not None]
        if not asked:
            return None
        job = min(asked, key=lambda one: (one[0].absence and one[0].absence.asked) or 0.0)[1]
        for entry, other in asked:
            if other == job and entry.absence is not None:
                entry.absence.asked = time.monotonic()
        try:
            return job, self._slurm.queue_of(job)
        except SlurmError as error:
            _log.warning("%s", error)
            return None

    def accounts(self, entries: Sequence[Entry], since: float) -> Accounts:
        """Ask accounting for the jobs of entries, those that nobody knows the id of by their names.

        Parameters
        ----------
        since
            When the first of them may have been submitted, seconds since the epoch.
        """
        if time.monotonic() < self._accounts_at:
            return Accounts([], True)
        jobs, names = set[str](), set[str]()
        for entry in entries:
            assert entry.batch is not None
            since = min(since, entry.batch.made)
            jobs.update(known := entry.batch.jobs_for(entry.number) or [])
            if not known:
                names.add(entry.batch.job_name)
        try:
            return Accounts(self._slurm.accounts(jobs, names, since), True)
        except SlurmError as error:
            if error.trouble is Trouble.NO_ACCOUNTING:
                self._accounts_at = time.monotonic() + _NO_ACCOUNTS_SECONDS
                return Accounts([], True)
            if error.trouble is not Trouble.UNREACHABLE:
                _log.warning("%s", error)
            return Accounts([], False)
