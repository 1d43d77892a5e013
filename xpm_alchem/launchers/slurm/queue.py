"""All of one process's dealings with SLURM, in one thread: submits what was gathered, polls, cancels.

Nobody waits for SLURM but this thread. What the disk says counts first: an attempt that has noted its end is over,
whatever SLURM says. "The query failed", "not listed" and "not known" never mean "not running": see absence.py.
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
from pathlib import Path

from xpm_alchem.base.errors import FormatError
from xpm_alchem.execution.fence import Orders, give_orders
from xpm_alchem.launchers.base import Waiting
from xpm_alchem.launchers.slurm.batch import Batch, parse_launch
from xpm_alchem.launchers.slurm.cancellation import Cancellations
from xpm_alchem.launchers.slurm.commands import WAITING_STATES, Slurm
from xpm_alchem.launchers.slurm.disk_look import DiskLook
from xpm_alchem.launchers.slurm.ended_jobs import EndedJobs
from xpm_alchem.launchers.slurm.entry import Entry
from xpm_alchem.launchers.slurm.findings import Findings
from xpm_alchem.launchers.slurm.profile import SlurmProfile
from xpm_alchem.launchers.slurm.reasons import reason_of
from xpm_alchem.launchers.slurm.submission import Submission
from xpm_alchem.launchers.waiters import Waiters

_log = logging.getLogger("xpm.alchem.slurm")

_STEP_SECONDS, _SHORT_STEP_SECONDS = 1.0, 0.25  # between two steps; while something is to be submitted or cancelled
_SUBMIT_SECONDS = 10.0  # that a submission takes as a rule, with the first look at what became of it
_PLACE, _HERE = "SLURM's queue", "line to be submitted to SLURM"
_POLL_LEAST, _POLL_MOST, _POLL_GROWTH = 2.0, 60.0, 1.5
_UNFOUND_MOST = 15.0  # between two polls while jobs are not listed


class SlurmQueue:
    """The tasks of the campaigns that this process drives, or looks at, in SLURM's queue.

    Parameters
    ----------
    root
        Directory of the batches.
    slurm
        The cluster.
    """

    def __init__(self, root: Path, slurm: Slurm) -> None:
        self.root, self._slurm = root, slurm
        self._lock = threading.RLock()
        self._submission = Submission(root, slurm, self._lock, self._tell)
        self._entries: dict[Path, Entry] = {}
        self._cancellations = Cancellations(slurm, self._tell)
        self._news: list[str] = []
        self._told: set[str] = set()
        self._wake, self._closed = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._interval, self._poll_at = _POLL_LEAST, 0.0
        self._disk = DiskLook()
        self._waiters: Waiters[Entry] = Waiters(self._lock)
        self._findings = Findings(root, slurm, self._lock, self._cancellations, self._tell)

    # ------------------------------------------------------------------------------------------- for other threads
    def join(self, campaign: str) -> None:
        """Begin to be used by a campaign's driver."""
        with self._lock:
            self._disk.join(EndedJobs(self.root, campaign))

    def leave(self, campaign: str) -> bool:
        """End being used by it; return whether no other driver uses the queue."""
        with self._lock:
            self._entries = {path: entry for path, entry in self._entries.items() if entry.campaign != campaign}
            return self._disk.leave(campaign)

    def submit(self, script: Path, profile: SlurmProfile, campaign: str) -> None:
        """Hand a task's script to SLURM, soon, together with others of its campaign; returns at once."""
        with self._lock:
            self._entries[script.parent] = Entry(script, profile, campaign, gathered=time.time())
        self._start()
        self._wake.set()

    def find(self, directory: Path) -> Entry | None:
        """Return the entry of a task, taking up a launch that the task's orders name; None if there is none."""
        with self._lock:
            entry = self._entries.get(directory)
            if entry is not None:
                return entry
            entry = self._from_disk(directory)
            if entry is not None:
                self._entries[directory] = entry
                self._hurry()
        if entry is not None:
            self._start()
        return entry

    def is_over(self, entry: Entry) -> bool:
        """Whether an entry has ended, was forgotten, or replaced."""
        with self._lock:
            return entry.ended or self._entries.get(entry.directory) is not entry

    def is_known(self, directory: Path) -> bool:
        """Return False if a task's job is one of which SLURM has said nothing yet."""
        with self._lock:
            entry = self._entries.get(directory)
            return entry is None or entry.ended or entry.batch is None or entry.state is not None

    def ended(self) -> set[Path]:
        """Return the tasks of whose attempts the end was seen."""
        with self._lock:
            return {directory for directory, entry in self._entries.items() if entry.ended}

    async def end_of(self, entry: Entry) -> None:
        """Wait until an entry is over."""
        end = self._waiters.add(entry)
        self._start()
        self._wake.set()
        await end

    def forget(self, directory: Path) -> None:
        """Forget a task: what became of it is known."""
        with self._lock:
            self._entries.pop(directory, None)
        self._wake.set()

    def cancel(self, directory: Path) -> None:
        """End a task's job, or do not submit it; goes on trying until SLURM answers."""
        with self._lock:
            entry = self._entries.get(directory) or self._from_disk(directory)
            if entry is None:
                return
            self._entries[directory] = entry
            batch = entry.batch
            if batch is not None and (batch.tasks_per_job == 1 or batch.claimed_by(entry.number) is not None):
                self._cancellations.add(batch.jobs_for(entry.number) or ())
            else:  # no job has taken it on; from now on none will, also not of an sbatch that is under way
                give_orders(directory, launch=f"withdrawn/{entry.number}")
                entry.lost = entry.ended = True
                if batch is not None:
                    self._cancel_needless(batch, [one for one in self._entries.values() if one.batch == batch])
        self._start()
        self._wake.set()

    def ask(self, entry: Entry) -> None:
        """Find out how an entry's job ended, although its attempt has ended by its own word."""
        with self._lock:
            if not entry.asked:
                entry.asked, entry.asked_since = True, time.monotonic()
                self._hurry()
        self._start()

    def is_settled(self) -> bool:
        """Whether nothing waits to be submitted, cancelled, or found out."""
        with self._lock:
            if not self._cancellations.are_issued:
                return False
            for entry in self._entries.values():
                known = entry.batch is not None and entry.state is not None
                if (not entry.ended and not known) or entry.asked:
                    return False
            return True

    def waiting(self) -> dict[Path, Waiting]:
        """Return the tasks whose jobs wait, and why, by their directories."""
        now = time.time()
        with self._lock:
            may_wait = [one for one in self._entries.values() if one.state is None or one.state.state in WAITING_STATES]
            found = {entry.directory: self._why_it_waits(entry, now) for entry in may_wait}
        return {directory: waiting for directory, waiting in found.items() if waiting is not None}

    def _why_it_waits(self, entry: Entry, now: float) -> Waiting | None:
        if entry.ended:
            return None
        if entry.batch is None:
            if now - entry.gathered < _SUBMIT_SECONDS:
                return None
            return Waiting(_HERE, None, entry.gathered, "", self._submission.trouble or "is about to be submitted")
        state, made = entry.state, entry.batch.made
        if state is not None and state.state in WAITING_STATES:
            reason = reason_of(state.reason)
            return Waiting(_PLACE, state.job, made, reason.word, reason.words, reason.is_lasting and entry.is_steady)
        if state is None and now - made > _SUBMIT_SECONDS:
            return Waiting(_PLACE, entry.batch.job(), made, "", "SLURM has not said anything of its job yet")
        return None

    def news(self) -> list[str]:
        """Return what a user should know and was not told yet."""
        with self._lock:
            news, self._news = self._news, []
            return news

    def close(self) -> None:
        """End the thread; jobs go on."""
        self._closed.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(1.0)

    def _start(self) -> None:
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="slurm", daemon=True)
                self._thread.start()

    def _from_disk(self, directory: Path) -> Entry | None:
        launch = parse_launch(self.root, Orders.read(directory).launch or "")
        batch = None if launch is None else Batch.read(launch[0])
        if launch is None or batch is None or launch[1] >= len(batch.scripts):
            return None
        return Entry(Path(batch.scripts[launch[1]]), campaign=batch.campaign, batch=batch, number=launch[1])

    # -------------------------------------------------------------------------------------------------- the thread
    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                self._step()
            except Exception:  # whatever it is, the next step comes: a dead thread would hang the driver
                _log.exception("a step of the SLURM queue failed")
                self._tell("something is wrong with the bookkeeping of SLURM jobs: see driver.log")
                self._closed.wait(5.0)
            self._waiters.tell(self.is_over)
            self._wake.wait(_SHORT_STEP_SECONDS if self._is_busy() else _STEP_SECONDS)
            self._wake.clear()

    def _step(self) -> None:
        if self._disk.look(self._launched()):
            self._submission.there_is_room()
        self._submit_gathered()
        if self._cancellations.run():
            self._hurry()
        if time.monotonic() >= self._poll_at and (
            self._cancellations or any(entry.is_open for entry in self._launched())
        ):
            self._poll()

    def _is_busy(self) -> bool:
        """Whether the next step has something to do that is urgent."""
        with self._lock:
            to_submit = any(entry.batch is None and not entry.ended for entry in self._entries.values())
        return to_submit or not self._cancellations.are_issued

    def _launched(self) -> list[Entry]:
        with self._lock:
            return [entry for entry in self._entries.values() if entry.batch is not None]

    def _tell(self, sentence: str, key: str | None = None) -> None:
        """Tell a sentence once; an empty one says that what its key was about is over."""
        with self._lock:
            if not sentence:
                self._told.discard(key or "")
                return
            if (key or sentence) not in self._told:
                self._told.add(key or sentence)
                self._news.append(sentence)

    def _hurry(self) -> None:
        self._interval = _POLL_LEAST
        self._poll_at = min(self._poll_at, time.monotonic() + _POLL_LEAST)

    # ----------------------------------------------------------------------------------------- submitting, cancelling
    def _submit_gathered(self) -> None:
        with self._lock:
            waiting = [entry for entry in self._entries.values() if entry.batch is None and not entry.ended]
        for batch, entries in self._submission.submit(waiting):
            with self._lock:
                for number, entry in enumerate(entries):
                    entry.batch, entry.number = batch, number
                self._cancel_needless(batch, entries)
                self._hurry()

    def _cancel_needless(self, batch: Batch, entries: list[Entry]) -> None:
        """Cancel the jobs of a batch whose tasks were all cancelled before a job took them on."""
        if batch.tasks_per_job > 1:
            if all(entry.ended for entry in entries):
                self._cancellations.add(batch.all_jobs())
            return
        for entry in entries:
            if entry.lost:
                self._cancellations.add(batch.jobs_for(entry.number) or ())

    # ------------------------------------------------------------------------------------------------------- polling
    def _poll(self) -> None:
        """Ask SLURM once, and again the sooner the more there is to find out."""
        changed, are_all_found = self._findings.poll(self._launched())
        most = _POLL_MOST if are_all_found else _UNFOUND_MOST
        self._interval = _POLL_LEAST if changed else min(most, self._interval * _POLL_GROWTH)
        self._poll_at = time.monotonic() + self._interval


def remove_old(root: Path, days: float = 60.0) -> None:
    """Delete the directories of batches that were made long ago: longer than any job lasts."""
    for path in root.glob("*/batch.json"):
        try:
            batch = Batch.read(path.parent)
        except FormatError:
            continue
        if batch is not None and batch.made < time.time() - days * 86400:
            shutil.rmtree(path.parent, ignore_errors=True)
