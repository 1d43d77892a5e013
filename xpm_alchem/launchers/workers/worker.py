"""A worker: takes tasks of a pool, the most urgent first, one in each of its slots, until its time is over."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import attrs

from xpm_alchem.base.errors import FormatError
from xpm_alchem.devices.slots import Slot
from xpm_alchem.execution.attempts import Outcome
from xpm_alchem.execution.fence import Orders
from xpm_alchem.execution.processes import HOST, ProcessIdentity
from xpm_alchem.launchers.attempt_process import last_outcome
from xpm_alchem.launchers.crew import Child, Crew
from xpm_alchem.launchers.workers.limits import VARIABLE, steady_time
from xpm_alchem.launchers.workers.members import ALIVE_SECONDS, Member, Members, new_name
from xpm_alchem.launchers.workers.pool import Offer, Pool, parse_launch
from xpm_alchem.launchers.workers.time_limit import TimeLimit

_STEP_SECONDS = 0.1
_LOOK_LEAST, _LOOK_MOST = 1.0, 10.0  # between two looks at the pool that found nothing
_LEAST_SECONDS = 30.0  # a task that would get less than this beside the margin is left to others
_AVOIDED_SECONDS = 120.0  # for which an offer is left to workers elsewhere
_TROUBLE_SECONDS = 5.0
_UNFIT_SECONDS = 60.0  # until a task is tried again that could not be begun here
_GRACE_SECONDS = 20.0  # from the warning of a worker that was told to end at once to the end of its attempts
_END = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)  # at once; the others warn of an end that is to come
_WARNINGS = (signal.SIGUSR1, signal.SIGUSR2)


@attrs.frozen
class Terms:
    """For how long a worker works.

    Attributes
    ----------
    limit
        The time that its scheduler, or its user, gives it.
    idle
        Seconds without a task after which it ends; None: it waits for ever.
    most
        How many tasks it takes; None: without end.
    """

    limit: TimeLimit
    idle: float | None = 600.0
    most: int | None = None


class Worker:
    """Works on the tasks of a pool.

    Parameters
    ----------
    pool
        Its pool.
    slots
        Its places.
    terms
        For how long.
    scope
        See `Crew`.
    say
        Called with what happens, in words.
    """

    def __init__(
        self, pool: Pool, slots: Sequence[Slot], terms: Terms, *, scope: str, say: Callable[[str], None]
    ) -> None:
        self._pool, self._terms, self._say = pool, terms, say
        self.name = new_name()
        self._members = Members(pool)
        self._crew: Crew[str] = Crew(slots, scope)
        self._offers: dict[str, Offer] = {}  # of the tasks at work
        self._untold: dict[str, int] = {}  # exit codes that could not be written down yet
        self._taken = 0
        self._unfit: dict[str, float] = {}  # offers that are not for us, until when
        self._looked, self._pause = float("-inf"), _LOOK_LEAST
        self._said_alive = self._busy = time.monotonic()
        self._why = ""  # it ends, if it does
        self._said = ""  # last of why it ends, or of what is wrong with the pool
        self._is_short = False  # of time for what is offered
        self._kill_at = float("inf")

    # ---------------------------------------------------------------------------------------------------- its life
    def run(self) -> int:
        """Work until the time is over, or nothing is left to do; return how many tasks it took."""
        self._pool.make()
        self._join()
        before = {number: signal.signal(number, self._heed) for number in (*_END, *_WARNINGS)}
        while not self._is_over():
            try:
                self._step()
            except Exception as error:  # whatever it is, attempts are at work that have computed for hours
                self._say(f"something is wrong, and is tried again: {type(error).__name__}: {error}")
                time.sleep(_TROUBLE_SECONDS)
            time.sleep(_STEP_SECONDS)
        self._tell_last_ends()
        for number, handler in before.items():
            signal.signal(number, handler)
        self._members.leave(self.name)
        self._say(f"{self._why or 'ends'}; {self._taken} task(s) were taken")
        return self._taken

    def _join(self) -> None:
        left, now = self._terms.limit.left(), self._members.clock.now()
        devices = dict.fromkeys(str(device) for slot in self._crew.slots for device in slot.devices)
        self._members.join(
            Member(
                name=self.name,
                process=ProcessIdentity.of(),
                since=now,
                slots=len(self._crew.slots),
                devices=tuple(devices),
                job=self._terms.limit.job,
                ends=None if left is None else now + left,
            )
        )

    def _heed(self, number: int, frame: object) -> None:
        name = signal.Signals(number).name
        self._why = self._why or f"told to end by {name}"
        if number in _END:
            is_urgent = number == signal.SIGINT and self._kill_at < float("inf")  # Ctrl-C again
            self._kill_at = min(self._kill_at, time.monotonic() + (0.0 if is_urgent else _GRACE_SECONDS))
        self._crew.warn()  # now: the loop may be waiting for a scheduler, or for a disk

    def _is_over(self) -> bool:
        """Whether there is nothing left to do, and will be nothing."""
        if self._crew.children:
            return False
        if not self._why and self._terms.most is not None and self._taken >= self._terms.most:
            self._why = f"has taken {self._taken} task(s), as many as it should"
        if not self._why and self._crew.is_unusable:
            self._why = (
                "tasks fail here for the node's fault: see `xpm-alchem failures`, or `doctor --node` for a profile"
            )
        if not self._why and (self._is_short or not self._has_time()):
            self._why = "its time is nearly over"
        if not self._why and self._terms.idle is not None and time.monotonic() - self._busy > self._terms.idle:
            self._why = f"had nothing to do for {self._terms.idle:g} s"
        return bool(self._why)

    def _step(self) -> None:
        if self._why and self._why != self._said and self._crew.children:
            self._said = self._why
            self._say(f"{self._why}; {len(self._crew.children)} attempt(s) are told to stop at their checkpoints")
        if time.monotonic() - self._said_alive > ALIVE_SECONDS:
            self._said_alive = time.monotonic()
            self._members.say_alive(self.name)
            if not self._members.has(self.name):  # somebody has removed the pool
                with suppress(OSError):
                    self._pool.make()
                    self._join()
            self._heed_kills()
            self._tell_ends()
        for child, code in self._crew.ended():
            self._busy = time.monotonic()
            self._untold[child.task] = code
            self._say(f"{_name(self._offers[child.task])}: {_how(child, code)}")
            self._tell_ends()
            self._looked = float("-inf")  # another one may be taken at once
        if self._crew.children:
            self._busy = time.monotonic()
        left = self._terms.limit.left()
        if time.monotonic() > self._kill_at or (left is not None and left <= 0):
            self._crew.kill()
        elif self._why:
            self._crew.warn()
        else:
            if left is not None:  # attempts know of it, unless it has changed since they began
                self._crew.warn(left)
            if not self._crew.is_full:
                self._take_one()

    def _tell_last_ends(self) -> None:
        """Tell of all ends; a file system that is away for a while must not leave one untold."""
        until = time.monotonic() + _GRACE_SECONDS
        self._tell_ends()
        while self._untold and time.monotonic() < until:
            time.sleep(1.0)
            self._tell_ends()

    def _tell_ends(self) -> None:
        """Write ends down; what cannot be written now is tried again."""
        for task, code in list(self._untold.items()):
            with suppress(OSError):
                self._pool.end(task, self.name, self._offers[task].campaign, code)
                del self._untold[task], self._offers[task]

    def _heed_kills(self) -> None:
        with suppress(OSError):
            for task in self._pool.kills(self.name):
                if not self._crew.kill(task):  # it has ended
                    self._pool.forget_kill(task, self.name)

    # ----------------------------------------------------------------------------------------------------- its tasks
    def _has_time(self, margin: float = 0.0) -> bool:
        left = self._terms.limit.left()
        return left is None or left > margin + _LEAST_SECONDS

    def _take_one(self) -> None:
        if time.monotonic() - self._looked < self._pause:
            return
        if self._terms.most is not None and self._taken >= self._terms.most:
            return
        now = time.monotonic()
        try:
            offered = self._pool.offered()
            self._unfit = {task: self._unfit[task] for task in offered if self._unfit.get(task, 0.0) > now}
            self._is_short = False
            if any(self._takes(task) for task in offered if task not in self._unfit):
                self._pause, self._looked = _LOOK_LEAST, float("-inf")
                return
        except OSError as error:  # it is looked again
            self._say_once(f"the pool cannot be seen now: {error}")
        self._looked = time.monotonic()
        self._pause = min(_LOOK_MOST, self._pause * 1.5) if not self._crew.children else _LOOK_LEAST

    def _takes(self, task: str) -> bool:
        """Take an offer and begin it; return False if it is not for this worker, or somebody was sooner."""
        try:
            offer, since, owner = self._pool.look_at(task)
        except (OSError, FormatError):
            return False
        if owner != os.getuid() or not self._is_sound(task, offer):
            self._unfit[task] = float("inf")  # whoever may write here must not have us run what he likes
            return False
        wait = 0.0
        if offer.avoid.get(HOST) == () and self._are_others_elsewhere():
            wait = since + _AVOIDED_SECONDS - self._members.clock.now()
        if not self._has_time(offer.margin):
            self._is_short = True
            return False
        if wait > 0:
            self._unfit[task] = time.monotonic() + wait
            return False
        if (place := self._crew.place(offer.avoid.get(HOST, ()))) is None:
            return False
        slot, held = place
        try:
            if not self._pool.take(task, self.name):
                return False
            if Orders.read(Path(offer.script).parent).launch != offer.launch:
                self._pool.end(task, self.name, offer.campaign, 0)  # given to others, or taken back
                return True
            told = {"launch": offer.launch, "margin": offer.margin, "worker": self.name, "ends": self._ends()}
            variables = {**offer.env, VARIABLE: json.dumps(told)}
            self._crew.start(
                task,
                Path(offer.script),
                slot,
                launch=offer.launch,
                held=held,
                platform=offer.platform,
                container=offer.container,
                variables=variables,
                margin=offer.margin,
                has_session=True,
            )
            self._offers[task] = offer
        except (OSError, FormatError) as error:
            self._say(f"{_name(offer)}: could not be begun ({error})")
            self._pool.give_back(task, self.name)
            self._unfit[task] = time.monotonic() + _UNFIT_SECONDS
            return False
        finally:
            held.close()
        self._taken += 1
        where = f" on {', '.join(map(str, slot.devices))}" if slot.devices else ""
        self._say(f"{_name(offer)}: begun{where}")
        return True

    def _are_others_elsewhere(self) -> bool:
        """Whether a worker on another machine could take what should not be tried here."""
        others = (member for member in self._members.all() if member.process.host != HOST)
        return any(self._members.is_dead(other.name) is False for other in others)

    def _is_sound(self, task: str, offer: Offer) -> bool:
        """Whether an offer names itself, and a script of this workspace."""
        script = Path(offer.script)
        if parse_launch(offer.launch) != (self._pool.name, task) or ".." in script.parts:
            return False
        jobs = self._pool.workspace / "jobs"
        if script.is_relative_to(jobs) or script.parent.resolve().is_relative_to(jobs.resolve()):
            return True
        self._say(f"{_name(offer)} is not in {self._pool.workspace}: mount the workspace here at the driver's path")
        return False

    def _say_once(self, line: str) -> None:
        if line != self._said:
            self._said = line
            self._say(line)

    def _ends(self) -> float | None:
        left = self._terms.limit.left()
        return None if left is None else steady_time() + left


def _how(child: Child[str], code: int) -> str:
    """Say how an attempt has ended."""
    if code == 0:
        return "ended"
    outcome = last_outcome(child.script) if code > 0 else None
    if outcome is Outcome.TIMEOUT:
        return "stopped; its next attempt goes on"
    return f"ended with {f'outcome {outcome.value}' if outcome is not None else f'exit code {code}'}"


def _name(offer: Offer) -> str:
    return f"{offer.campaign}, {Path(offer.script).parent.name[:12]}"
