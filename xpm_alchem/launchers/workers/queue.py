"""The tasks of one driver in a pool, and a thread that looks at what became of them.

Four listings a second tell where all tasks are, however many there are. A task is over when its worker says so. One
whose worker is dead, or silent for long, is over when its attempt is gone too: by its process where that is here, else
by its own signs of life.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import attrs

from xpm_alchem.base.errors import FormatError
from xpm_alchem.execution.attempt_log import AttemptLog
from xpm_alchem.execution.directory import TaskDirectory
from xpm_alchem.execution.fence import Orders
from xpm_alchem.execution.life_signs import files_of
from xpm_alchem.execution.processes import kill_session
from xpm_alchem.launchers.base import Waiting
from xpm_alchem.launchers.local_attempt import running_script
from xpm_alchem.launchers.waiters import Waiters
from xpm_alchem.launchers.workers.members import SILENT_SECONDS, Members
from xpm_alchem.launchers.workers.pool import Place, Pool, parse_launch

_log = logging.getLogger("xpm.alchem.workers")
_STEP_SECONDS = 1.0
_WORKERS_SECONDS = 10.0  # between two looks at whether the workers of our tasks live
_NOWHERE_SECONDS = 75.0  # for which a task may be seen nowhere: another machine may see new names a minute late
_WAITING_SECONDS = 30.0  # after which a user is told that a task waits for a worker


@attrs.define(eq=False)
class Entry:
    """A task in a pool, as a driver knows it.

    Attributes
    ----------
    task
        Its name in the pool.
    directory
        The task's own.
    since
        When it was offered, or taken up; seconds since the epoch.
    place
        Where it was seen last; None for nowhere.
    seen
        When, by a clock that nobody sets.
    ended
        Whether it is over.
    lost
        Why it is over without a word of its worker, in words; '' if that is not so.
    is_proved
        Whether its process is surely gone.
    """

    task: str
    directory: Path
    since: float = attrs.field(factory=time.time)
    place: Place | None = None
    seen: float = attrs.field(factory=time.monotonic)
    ended: bool = False
    lost: str = ""
    is_proved: bool = True


class PoolQueue:
    """What a driver has in a pool.

    Parameters
    ----------
    pool
        The pool.
    campaign
        Whose ends are looked for.
    """

    def __init__(self, pool: Pool, campaign: str) -> None:
        self.pool, self.members = pool, Members(pool)
        self.campaign = campaign
        self._lock = threading.RLock()
        self._entries: dict[Path, Entry] = {}
        self.waiters: Waiters[Entry] = Waiters(self._lock)
        self._wake, self._closed = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._asked = float("-inf")
        self._trouble = ""

    # ------------------------------------------------------------------------------------------- for other threads
    def add(self, task: str, directory: Path) -> Entry:
        """Look after a task that is offered now."""
        entry = Entry(task, directory)
        with self._lock:
            self._entries[directory] = entry
        self.start()
        return entry

    def find(self, directory: Path) -> Entry | None:
        """Return the entry of a task, taking up a launch that the task's orders name; None if there is none here.

        Raises
        ------
        OSError, FormatError
            The orders cannot be read.
        """
        with self._lock:
            if directory in self._entries:
                return self._entries[directory]
        launch = parse_launch(Orders.read(directory).launch)
        if launch is None or launch[0] != self.pool.name:
            return None
        entry = Entry(launch[1], directory)
        entry.place = self.pool.places(self.campaign).get(entry.task)
        entry.ended = entry.place is not None and entry.place.code is not None
        with self._lock:
            entry = self._entries.setdefault(directory, entry)
        self.start()
        return entry

    def place(self, entry: Entry) -> Place | None:
        """Return where a task is now, None for nowhere.

        Raises
        ------
        OSError
            That cannot be seen now.
        """
        return self.pool.places(self.campaign).get(entry.task)

    def is_nowhere(self, entry: Entry) -> bool:
        """Whether a task is in no place of the pool, and has not been for a while.

        Raises
        ------
        OSError
            That cannot be seen now.
        """
        return self.place(entry) is None and time.monotonic() - entry.seen > _NOWHERE_SECONDS

    def holds(self, entry: Entry) -> bool:
        """Whether an entry was neither forgotten nor replaced."""
        with self._lock:
            return self._entries.get(entry.directory) is entry

    def ended(self) -> set[Path]:
        """Return the tasks of whose attempts the end was seen."""
        with self._lock:
            return {directory for directory, entry in self._entries.items() if entry.ended}

    def forget(self, directory: Path) -> None:
        """Forget a task: what became of it is known."""
        with self._lock:
            entry = self._entries.pop(directory, None)
        if entry is not None:
            self.pool.forget(self.campaign, entry.task, entry.place)
        elif (launch := parse_launch(Orders.read(directory).launch)) is not None and launch[0] == self.pool.name:
            self.pool.forget(self.campaign, launch[1], None)  # an earlier driver's
        self._wake.set()

    def withdraw(self, directory: Path) -> None:
        """Take a task back, or have its worker end it at once."""
        entry = self.find(directory)
        if entry is None:
            return
        if self.pool.withdraw(entry.task):
            entry.ended, entry.lost = True, "it was taken back before a worker took it"
        elif (place := self.place(entry)) is not None and place.worker and place.code is None:
            self.pool.kill(entry.task, place.worker)
        self._wake.set()

    def waiting(self) -> dict[Path, Waiting]:
        """Return the tasks that wait for a worker."""
        now = time.time()
        with self._lock:
            offered = [one for one in self._entries.values() if not one.ended and one.place == Place()]
        reason = self._trouble or "a worker takes it when it has a free slot (`xpm-alchem workers`)"
        return {
            one.directory: Waiting(f"pool {self.pool.name}", None, one.since, "", reason)
            for one in offered
            if now - one.since > _WAITING_SECONDS
        }

    def is_settled(self) -> bool:
        """Whether every task that was offered has been seen."""
        with self._lock:
            return all(entry.ended or entry.place is not None for entry in self._entries.values())

    def close(self) -> None:
        """End the thread; tasks go on."""
        self._closed.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(1.0)

    def start(self) -> None:
        """Have the thread look, now."""
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="pool", daemon=True)
                self._thread.start()
        self._wake.set()

    # -------------------------------------------------------------------------------------------------- the thread
    def _run(self) -> None:
        while not self._closed.is_set():
            self._wake.clear()
            try:
                self._look()
                self._trouble = ""
            except Exception as error:  # the next look comes: a dead thread would hang the driver
                _log.warning("the pool %s cannot be seen now: %s", self.pool.name, error)
                self._trouble = f"the pool cannot be seen now ({error})"
            self.waiters.tell(lambda entry: entry.ended or not self.holds(entry))
            self._wake.wait(_STEP_SECONDS)

    def _look(self) -> None:
        with self._lock:
            is_open = [entry for entry in self._entries.values() if not entry.ended]
        if not is_open:
            return
        places, now = self.pool.places(self.campaign), time.monotonic()
        for entry in is_open:
            place = places.get(entry.task)
            if place is not None:
                entry.place, entry.seen = place, now
                entry.ended = place.code is not None
        if now - self._asked > _WORKERS_SECONDS:
            self._asked = now
            self._look_for_dead(entry for entry in is_open if not entry.ended)

    def _look_for_dead(self, entries: Iterable[Entry]) -> None:
        """Note which tasks have no process any more although nobody has said so."""
        dead: dict[str, bool | None] = {}
        for entry in entries:
            worker = "" if entry.place is None else entry.place.worker
            if worker and worker not in dead:
                dead[worker] = self.members.watched_dead(worker)
            is_nowhere = time.monotonic() - entry.seen > _NOWHERE_SECONDS
            if is_nowhere or (worker and dead[worker]):
                with suppress(OSError, FormatError):  # looked at again
                    self._bury(entry, worker)

    def _bury(self, entry: Entry, worker: str) -> None:
        """Note that a task's attempt is gone, if it is: who started it is."""
        log = AttemptLog(TaskDirectory(entry.directory).attempts).read()
        last = log[-1] if log and (not worker or log[-1].launched_as == worker) else None
        process = last.process if last is not None else None
        if process is not None and process.is_here and not process.is_alive():
            kill_session(process)  # what it has left behind, as its worker would
        if last is not None and last.outcome is not None:
            entry.ended = True
            return
        member = self.members.get(worker) if worker else None
        who = f"its worker {worker}" if worker else "its launch"
        if process is not None and process.is_here:
            if process.is_alive():
                return  # it goes on without its worker
            entry.lost, entry.is_proved = f"{who} and its process ended without a word (killed?)", True
        elif process is None and member is not None and member.process.is_here:
            if running_script(entry.directory) is not None:
                return
            entry.lost, entry.is_proved = f"{who} ended before it began", True
        else:
            quiet = self.members.clock.quiet(files_of(entry.directory))
            if quiet < SILENT_SECONDS:
                return
            told = "" if quiet == float("inf") else f", and none of its attempt for {quiet / 60:.0f} min"
            entry.lost, entry.is_proved = f"no sign of life of {who}{told}; it was fenced off", False
        entry.ended = True
