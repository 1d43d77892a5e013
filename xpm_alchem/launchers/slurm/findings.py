"""What SLURM's answers say of the tasks' jobs. The queue's thread asks; an answer is written into the entries."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs

from xpm_alchem.execution.attempt_log import AttemptLog
from xpm_alchem.execution.directory import TaskDirectory
from xpm_alchem.execution.fence import give_orders
from xpm_alchem.execution.life_signs import FileClock
from xpm_alchem.launchers.slurm.absence import Absence, is_sign_of_life
from xpm_alchem.launchers.slurm.batch import Batch
from xpm_alchem.launchers.slurm.cancellation import Cancellations
from xpm_alchem.launchers.slurm.commands import JobState, Slurm, SlurmError, Trouble
from xpm_alchem.launchers.slurm.disk_look import look_at
from xpm_alchem.launchers.slurm.entry import Entry, passing
from xpm_alchem.launchers.slurm.inquiry import Inquiry
from xpm_alchem.launchers.slurm.reasons import reason_of

_log = logging.getLogger("xpm.alchem.slurm")
_USUAL_REASONS = {"Priority", "Resources", "BeginTime", "JobArrayTaskLimit", "Cleaning", ""}


class Findings:
    """Asks SLURM about entries and notes what it says.

    Parameters
    ----------
    root
        Directory of the batches.
    slurm
        The cluster.
    lock
        Held while entries are changed.
    cancellations
        Gains the jobs that nobody needs any more.
    tell
        Called with what a user should know, and a key under which it is told once.
    """

    def __init__(
        self,
        root: Path,
        slurm: Slurm,
        lock: threading.RLock,
        cancellations: Cancellations,
        tell: Callable[[str, str], None],
    ) -> None:
        self._slurm, self._lock, self._cancellations, self._tell = slurm, lock, cancellations, tell
        self._inquiry, self._clock = Inquiry(slurm), FileClock(root / "clock")
        self._withdrawn: dict[str, Batch] = {}
        self._asked = 0.0  # when SLURM was asked last

    def poll(self, entries: Sequence[Entry]) -> tuple[bool, bool]:
        """Ask the controller for all jobs, and in every other way for those of the entries that it does not list.

        Returns
        -------
        tuple
            Whether anything changed, and whether all jobs were found.
        """
        asked = self._asked = time.monotonic()
        try:
            found = self._slurm.queue()
        except SlurmError as error:
            self._tell(f"SLURM does not answer; what runs goes on ({error})", "poll")
            if error.trouble is not Trouble.UNREACHABLE:
                _log.warning("%s", error)
            return False, True
        self._tell("", "poll")
        changed, absent = self._take_in(entries, found, asked)
        changed |= self._look_for(absent)
        return changed, not any(entry.is_open and entry.absence for entry in absent)

    def _take_in(self, entries: Sequence[Entry], found: list[JobState], asked: float) -> tuple[bool, list[Entry]]:
        """Note what the controller lists; return whether anything changed, and the entries whose jobs it does not."""
        by_job = {state.job: state for state in found}
        names = {state.name: state.job for state in found}
        arrays = {(state.job.partition("_")[0], state.name) for state in found}
        changed, absent = False, []
        with self._lock:
            self._cancellations.heard(by_job)
            self._end_withdrawn(found)
            for entry in entries:
                if not entry.is_open:
                    continue
                with passing(entry):
                    if (state := self._state_of(entry, by_job, names)) is not None:
                        changed |= self._heard(entry, state)
                    else:
                        changed |= entry.absence is None
                        entry.absence = entry.absence or Absence(asked)
                        is_listed = (entry.base_job(), _name_of(entry)) in arrays
                        entry.absence.is_hole = is_listed or self._cancellations.were_issued(entry.jobs())
                        absent.append(entry)
        return changed, absent

    def _heard(self, entry: Entry, state: JobState) -> bool:
        """Note what SLURM says of an entry's job; return whether that is news."""
        is_news = entry.state is None or entry.state.state != state.state
        entry.is_steady = entry.state is not None and entry.state.reason == state.reason
        entry.state, entry.absence, entry.heard = state, None, self._asked
        entry.asked &= state.is_alive
        if not state.is_alive and not entry.ended:
            look_at(entry)  # its own word, where it could leave one
        entry.ended |= not state.is_alive or self._is_hopeless(entry, state)
        self._tell_why_it_waits(state)
        return is_news

    def _look_for(self, absent: list[Entry]) -> bool:
        """Ask for the jobs that the controller does not list, and give up those of which nothing was heard for long.

        An answer that leaves out a job whose attempt shows signs of life is wrong, and counts for none of them.
        """
        if not absent:
            return False
        self._asked = time.monotonic()
        quiet = {id(entry): self._clock.quiet(entry.signs()) for entry in absent}
        if not any(is_sign_of_life(quiet[id(entry)]) for entry in absent if not entry.ended):
            for entry in absent:
                if entry.absence is not None:
                    entry.absence.answers += 1
        by_id = self._inquiry.by_id(absent)
        accounts = self._inquiry.accounts(absent, time.time())
        changed = False
        with self._lock:
            for entry in absent:
                with passing(entry):
                    changed |= self._found(entry, by_id, accounts.states)
                    if entry.absence is not None:
                        self._is_missing(entry, quiet[id(entry)], is_final=accounts.is_final)
                        changed |= not entry.is_open
        return changed

    def _found(self, entry: Entry, by_id: tuple[str, list[JobState] | None] | None, accounts: list[JobState]) -> bool:
        """Note what was said of an entry's job when it was asked for; return whether its end was named."""
        absence = entry.absence
        assert absence is not None
        if by_id is not None and by_id[0] == entry.base_job():
            listed = {state.job: state for state in by_id[1] or ()}
            if (state := self._state_of(entry, listed, {})) is not None:
                return self._heard(entry, state)
            answer = by_id[1]  # an empty one says nothing
            absence.unknown = answer is None or (bool(answer) and all(one.name != _name_of(entry) for one in answer))
        by_job = {state.job: state for state in accounts}
        state = self._state_of(entry, by_job, {state.name: state.job for state in accounts})
        if state is None:
            return False
        if not state.is_alive:
            return self._heard(entry, state)
        absence.accounted = time.monotonic()
        entry.state = entry.state or state
        return False

    def _state_of(self, entry: Entry, by_job: dict[str, JobState], names: dict[str, str]) -> JobState | None:
        """Return the state of the job that works on an entry; of several that may, one that is alive."""
        assert entry.batch is not None
        if entry.batch.job() is None and (job := names.get(entry.batch.job_name)):
            entry.batch.set_job(job.partition("_")[0])
        jobs = entry.batch.jobs_for(entry.number) or ()
        states = [by_job[job] for job in jobs if job in by_job]
        if not states and jobs and (whole := by_job.get(jobs[0].partition("_")[0])) is not None:
            states = [whole]  # elements that were cancelled while they waited are listed as the array itself
        name = _name_of(entry)  # a controller that crashed gives the ids it forgot away again
        states = [state for state in states if state.name == name]
        return next((state for state in states if state.is_alive), states[0] if states else None)

    def _is_missing(self, entry: Entry, quiet: float, *, is_final: bool) -> None:
        """Decide about an entry whose job SLURM does not list: it has ended and is forgotten, or never was, or lives.

        Parameters
        ----------
        quiet
            Seconds since its attempt's last sign of life.
        is_final
            Whether accounting has had its say.
        """
        absence, now = entry.absence, time.monotonic()
        assert entry.batch is not None and absence is not None
        if entry.ended:  # by its own word; only the cause stays unknown
            entry.asked &= not is_final and not absence.is_long(now)
        elif entry.batch.job() is None:
            if absence.never_was(now, quiet, time.time() - entry.batch.made):
                self._withdraw(entry)
        elif absence.is_over(now, quiet) or (absence.is_long(now) and self._has_died(entry)):
            self._give_up(entry, quiet)

    def _has_died(self, entry: Entry) -> bool:
        """Whether an entry's attempt was at work on this machine, and its process is gone."""
        attempts = AttemptLog(TaskDirectory(entry.directory).attempts).read()
        jobs = (entry.batch.jobs_for(entry.number) if entry.batch is not None else None) or []
        last = attempts[-1] if attempts and attempts[-1].launched_as in jobs else None
        return last is not None and last.process.is_here and not last.process.is_alive()

    def _give_up(self, entry: Entry, quiet: float) -> None:
        """Wait for a job no longer; should it be there after all, it is cancelled, and finds itself superseded."""
        assert entry.batch is not None
        jobs = entry.batch.jobs_for(entry.number) or []
        heard = "never" if quiet == float("inf") else f"{quiet / 60:.0f} min ago"
        entry.given_up = (
            f"SLURM does not know its job {', '.join(jobs[:1])} any more and does not say how it ended; last sign of "
            f"life: {heard}"
        )
        entry.ended = True
        if entry.batch.tasks_per_job == 1:
            self._cancellations.add(jobs)

    def _withdraw(self, entry: Entry) -> None:
        """An sbatch came to nothing. Should its job turn up after all, it will find itself superseded."""
        assert entry.batch is not None
        give_orders(entry.directory, launch=f"withdrawn/{entry.number}")
        self._withdrawn[entry.batch.job_name] = entry.batch
        if entry.profile is None:
            entry.ended = entry.lost = True
        else:
            entry.batch, entry.absence, entry.gathered = None, None, time.time()

    def _end_withdrawn(self, found: list[JobState]) -> None:
        """Cancel jobs that have turned up after their tasks were given to others."""
        for state in found:
            batch = self._withdrawn.get(state.name)
            if batch is not None and state.is_alive and not batch.has_work(state.job):
                self._cancellations.add([state.job])

    def _is_hopeless(self, entry: Entry, state: JobState) -> bool:
        """Whether a job that counts as waiting will never run by itself: SLURM failed to launch it and holds it."""
        if "launch failed" not in state.reason.lower():
            return False
        entry.state = attrs.evolve(state, state="NODE_FAIL")
        self._cancellations.add([state.job])
        return True

    def _tell_why_it_waits(self, state: JobState) -> None:
        reason = reason_of(state.reason)  # the driver tells of those that never pass
        if state.state == "PENDING" and reason.word not in _USUAL_REASONS and not reason.is_lasting:
            told = f"job {state.job} waits: {reason.word}: {reason.words} (`squeue -j {state.job}`)"
            self._tell(told, f"waits {reason.word}")


def _name_of(entry: Entry) -> str:
    assert entry.batch is not None
    return entry.batch.name_for(entry.number)
