"""What the disk says of tasks in SLURM's hands: which have ended, by the word of their jobs."""

from __future__ import annotations

import itertools
import time
from collections.abc import Collection, Sequence

from xpm_alchem.launchers.slurm.ended_jobs import EndedJobs
from xpm_alchem.launchers.slurm.entry import Entry, passing

_FIRST_LOOKS = 100  # in one look, at entries that were not looked at yet
_ROUND = 1  # at entries of which nothing is told
_CAMPAIGNS = 4  # whose jobs' words are looked for in one look


class DiskLook:
    """Looks for ends: for those that are told at once, for all others in a round, a few at a time.

    What is told to the drivers of campaigns is for them: a monitor that only looks joins for none.
    """

    def __init__(self) -> None:
        self._jobs: dict[str, EndedJobs] = {}
        self._next = self._next_campaign = 0

    def join(self, jobs: EndedJobs) -> None:
        """Hear what is told to a campaign's driver, from now on."""
        jobs.open()
        self._jobs[jobs.campaign] = jobs

    def leave(self, campaign: str) -> bool:
        """Hear it no more; return whether that was the last one."""
        self._jobs.pop(campaign, None)
        return not self._jobs

    def look(self, entries: Sequence[Entry]) -> bool:
        """Note which of some entries have ended; return whether any has."""
        is_open = [entry for entry in entries if not entry.ended]
        for campaign in self._some({entry.campaign for entry in is_open} & self._jobs.keys()):
            jobs = self._jobs[campaign]
            if told := jobs.told():
                self._hear(jobs, told, is_open)
        new = [entry for entry in is_open if not entry.looked][:_FIRST_LOOKS]
        for entry in [*new, *self._round(is_open)]:
            with passing(entry):
                look_at(entry)
        return any(entry.ended for entry in is_open)

    @staticmethod
    def _hear(jobs: EndedJobs, told: Sequence[str], entries: Sequence[Entry]) -> None:
        by_launch = {entry.batch.launch(entry.number): entry for entry in entries if entry.batch is not None}
        for launch in told:
            entry = by_launch.get(launch)
            if entry is None:  # dealt with already, or looked at when it is taken up
                jobs.heard(launch)
                continue
            with passing(entry):
                if look_at(entry):
                    jobs.heard(launch)

    def _some(self, campaigns: Collection[str]) -> list[str]:
        """Return the campaigns whose turn it is: a file system is asked the same a second however many there are."""
        first = self._next_campaign % max(1, len(campaigns))
        self._next_campaign = first + _CAMPAIGNS
        return list(
            itertools.islice(itertools.cycle(sorted(campaigns)), first, first + min(len(campaigns), _CAMPAIGNS))
        )

    def _round(self, entries: Sequence[Entry]) -> list[Entry]:
        if not entries:
            return []
        first = self._next % len(entries)
        self._next = first + _ROUND
        return list(entries[first : first + _ROUND])


def look_at(entry: Entry) -> bool:
    """Note whether the process of a task has ended by the word of its job, and with which code; return it."""
    assert entry.batch is not None
    code = entry.batch.ended(entry.number)
    entry.looked = True
    if code is None:
        return False
    entry.code, entry.seen, entry.ended = code, time.time(), True
    return True
