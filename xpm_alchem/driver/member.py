"""One campaign among those that a process drives: taken up when there is something to do, left alone when there is not.

Nothing here waits. What goes wrong with one campaign is told, and tried again later: it stops no other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any, cast

from experimaestro.settings import WorkspaceSettings

from xpm_alchem.base.errors import CampaignLockedError, XpmAlchemError
from xpm_alchem.base.files import exists
from xpm_alchem.base.stamps import stamp_of
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.standing import NetworkState
from xpm_alchem.driver.budget_watch import USED_UP
from xpm_alchem.driver.harvest import DriverEvent
from xpm_alchem.driver.log import note, note_failure
from xpm_alchem.driver.loop import BEAT_SECONDS, stopping
from xpm_alchem.driver.starts import Starts
from xpm_alchem.driver.steps import ExitCode, Steps
from xpm_alchem.driver.workspace_budget import WorkspaceBudget
from xpm_alchem.launchers.base import AttemptLauncher
from xpm_alchem.requests.inbox import STOPPED

_BUSY_SECONDS, _QUIET_SECONDS = 1.0, 5.0  # between two turns: while attempts are at work or may be started; else
_TURN, _START, _REST = "a turn", "a start", "the rest"  # what may fail by itself, and be well again
_LOOK_SECONDS, _MOST_LOOK_SECONDS = 5.0, 20.0  # between two looks whether there is something to do again
_LOCKED_SECONDS = 15.0  # until it is tried again to take up what another process drives
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0  # seconds, after something went wrong
_CHANGED = ("tasks.jsonl", "inbox.jsonl", "driver.json", "campaign.yaml", "index.json")  # by whoever wants something


class Member:
    """A campaign that a process drives together with others.

    Parameters
    ----------
    path
        The campaign's directory.
    workspace
        experimaestro's settings of the workspace.
    launcher_of
        Returns the launcher of a campaign's plan.
    observe
        Called with every event.
    ended
        Called from any thread when an attempt has ended.
    budget
        The workspace's.
    running
        Returns the experimaestro experiment of all campaigns, opened by now.

    Attributes
    ----------
    ending
        How it stood when it was left; None before.
    trouble
        What is wrong with it, in a sentence; '' if nothing is.
    is_locked
        Whether another process drives it.
    weight
        Its network's, as it was in its last turn.
    """

    def __init__(
        self,
        path: Path,
        workspace: WorkspaceSettings,
        launcher_of: Callable[[CampaignRecords], AttemptLauncher],
        observe: Callable[[DriverEvent], None],
        ended: Callable[[], None],
        budget: WorkspaceBudget,
        running: Callable[[], Any],
    ) -> None:
        self.name, self._path = path.name, path
        self._workspace, self._launcher_of, self._observe = workspace, launcher_of, observe
        self._told_of_end, self._budget, self._running = ended, budget, running
        self._held = ExitStack()
        self._steps: Steps | None = None
        self._starts: Starts | None = None
        self._stopping: tuple[str, float] | None = None
        self._seen: tuple[Any, ...] | None = None  # of the files, when it was left
        self._due, self._pause, self._beaten = 0.0, 0.0, float("-inf")
        self._has_news, self._failed, self._rests_until = False, "", 0.0
        self._may_start, self._tasks_at_work = False, dict[str, Path]()
        self.ending: ExitCode | None = None
        self.trouble = ""
        self.is_locked = False
        self.weight = 0.0

    # ----------------------------------------------------------------------------------------------------- its turn
    @property
    def is_open(self) -> bool:
        """Whether this process drives it now."""
        return self._steps is not None

    @property
    def is_hoped_for(self) -> bool:
        """Whether there may soon be something to do: trouble that has lasted for minutes may last for days."""
        return self.is_open or self.is_locked or (bool(self.trouble) and self._pause < _LONGEST_PAUSE)

    def is_gone(self) -> bool:
        """Whether its directory is there no more."""
        try:
            return not exists(self._path)
        except OSError:  # nobody knows
            return False

    def _ended(self) -> None:
        """Take note, in any thread, that an attempt of its own has ended."""
        self._has_news = True
        self._told_of_end()

    def take_turn(self, crowd: float) -> None:
        """Do what is to be done, if it is its turn; never raises but for an interrupt.

        Parameters
        ----------
        crowd
            Seconds between two turns of its own that leave others theirs; what has ended is looked at at once.
        """
        if self._has_news and self._steps is not None and time.monotonic() >= self._rests_until:
            self._due = 0.0
        if time.monotonic() >= self._due:
            self._has_news = False
            self.guarded(partial(self._turn, crowd), _TURN)

    def guarded(self, step: Callable[[], Any], what: str = _REST) -> Any:
        """Do a step and return what it returns; what it raises is told, and the campaign is left alone for a while.

        Parameters
        ----------
        what
            Whose trouble it is: another kind of step that succeeds ends none.
        """
        try:
            done = step()
        except CampaignLockedError as error:
            if not self.is_locked:
                self._observe(DriverEvent(f"left to the process that drives it: {error}"))
            self.is_locked, self._due = True, time.monotonic() + _LOCKED_SECONDS
            return None
        except (XpmAlchemError, OSError) as error:
            self._bear(str(error), what)
            return None
        except Exception as error:  # a fault of ours stops no other campaign either
            note_failure(f"{self.name}: a step of its driver failed")
            self._bear(f"something is wrong with it ({type(error).__name__}: {error}); see driver.log", what)
            return None
        if self.trouble and what == self._failed:
            self.trouble, self._pause = "", 0.0
            self._observe(DriverEvent("goes on"))
        return done

    def _bear(self, sentence: str, what: str) -> None:
        if sentence != self.trouble:
            note(f"{self.name}: {sentence}")
            self._observe(DriverEvent(f"{sentence} Other campaigns go on; this one is tried again."))
        self.trouble, self._failed = sentence, what if what == _START else _TURN
        self._pause = min(_LONGEST_PAUSE, 2 * self._pause or _FIRST_PAUSE)
        self._rests_until = time.monotonic() + self._pause
        if self._starts is None:  # nothing of it runs here
            self._let_go()
        if what != _START or self._steps is None:
            self._due = self._rests_until

    def _turn(self, crowd: float) -> None:
        if self._steps is None:
            self._due = time.monotonic() + max(_LOOK_SECONDS, min(crowd, _MOST_LOOK_SECONDS))
            if not self._may_have_work():
                return
            self._open()
        steps = self._steps
        assert steps is not None
        if (now := time.monotonic()) - self._beaten > BEAT_SECONDS:
            steps.records.beat()
            self._beaten = now
        if self._stopping is not None:
            self._go_on_stopping(steps, *self._stopping)
        elif (reason := steps.turn()) is not None:
            self.stop(reason)
        elif steps.is_over():
            self._leave(steps.ending())
        else:
            if self._starts is not None:
                self._starts.look_at_work()
            elif steps.at_work():
                self.starts.look_at_work()
        for sentence in steps.launcher.news():
            self._observe(DriverEvent(sentence))
        self._take_stock()
        busy = bool(steps.jobs) or self._stopping is not None or self.wants_slots
        self._due = time.monotonic() + (max(_BUSY_SECONDS, min(crowd, _QUIET_SECONDS)) if busy else _QUIET_SECONDS)

    # ------------------------------------------------------------------------------------------------ its attempts
    @property
    def steps(self) -> Steps:
        """Its steps; it is open."""
        assert self._steps is not None
        return self._steps

    @property
    def starts(self) -> Starts:
        """What starts its attempts, in a session with experimaestro."""
        if self._starts is None:
            steps = self.steps
            steps.launcher.check()
            session = self._held.enter_context(steps.session(self._running()))
            self._starts = steps.starts(session)
        return self._starts

    def start_one(self, passes: ExitStack, starting: dict[str, Iterator[int]]) -> int | None:
        """Start the next task of a pass, which begins with the first; return the slots it takes, None for no task."""
        return cast("int | None", self.guarded(partial(self._start_one, passes, starting), _START))

    def _start_one(self, passes: ExitStack, starting: dict[str, Iterator[int]]) -> int | None:
        if self.name not in starting:
            passing = ExitStack()
            starting[self.name] = passing.enter_context(self.starts.passing())
            passes.callback(self.guarded, passing.close)
        taken = next(starting[self.name], None)
        self._take_stock()
        return taken

    def _take_stock(self) -> None:
        """Note what sharing slots needs of it: nobody else changes that between two turns and starts of its own."""
        self._may_start, self._tasks_at_work = False, {}
        if (steps := self._steps) is not None:
            records, state = steps.records, steps.records.state()
            self.weight = state.standing.weight
            self._tasks_at_work = {task.task: records.task_path(task) for task in steps.at_work()}
            self._may_start = state.standing.starts and any(
                task.in_flight and not task.at_work and not task.leaving for task in state.tasks.values()
            )

    @property
    def wants_slots(self) -> bool:
        """Whether it has tasks that wait, and may start some."""
        can_start = self._steps is not None and self._stopping is None and time.monotonic() >= self._rests_until
        return can_start and self._may_start

    @property
    def at_work(self) -> dict[str, bool]:
        """Its attempts at work by their tasks' ids, each with whether it has a slot, and waits in no queue."""
        waiting = {} if self._steps is None else self._steps.launcher.waiting()
        return {task: path not in waiting for task, path in self._tasks_at_work.items()}

    # ------------------------------------------------------------------------------------------ taking up, leaving
    def _may_have_work(self) -> bool:
        """Whether there may be something to do: it was never looked at, or something has changed since."""
        seen = self._stamps()
        if seen == self._seen:
            return False
        records = CampaignRecords.open(self._path)
        if records.state().standing.state is NetworkState.ACTIVE or self._has_attempts(records):
            return True
        self._seen, self.ending = seen, None  # neither active nor at work
        return False

    @staticmethod
    def _has_attempts(records: CampaignRecords) -> bool:
        return any(task.at_work for task in records.state().everything.values()) or bool(
            records.requests(records.driver_state().get("inbox", 0))[0]
        )

    def _stamps(self) -> tuple[Any, ...]:
        return tuple(stamp_of(self._path / name) for name in _CHANGED)

    def _open(self) -> None:
        held = ExitStack()
        try:
            records = CampaignRecords.open(self._path)
            held.enter_context(records.lock())
            launcher = self._launcher_of(records)
            launcher.open(records.workspace, records.name)
            held.callback(_closing(launcher))
            held.callback(lambda: self._budget.leave(self.name))
            steps = Steps(records, self._workspace, launcher, self._observe, self._ended, workspace_budget=self._budget)
            held.callback(steps.notices.finish)
            steps.begin()
        except BaseException:
            held.close()
            raise
        self._held, self._steps, self.is_locked = held, steps, False

    def stop(self, reason: str = STOPPED) -> None:
        """Begin to end all attempts."""
        if self._steps is not None and self._stopping is None:
            self._observe(DriverEvent(stopping(reason)))
            self._stopping = (reason, time.time())
            self._due = 0.0

    @property
    def is_stopping(self) -> bool:
        """Whether its attempts are being ended."""
        return self._stopping is not None

    def _go_on_stopping(self, steps: Steps, reason: str, since: float) -> None:
        steps.take_requests()  # to end some of them at once, for example
        steps.harvest.look()
        if not steps.end_all(reason, since):
            return
        self._observe(DriverEvent("stopped: no attempt is at work"))
        if reason == USED_UP:
            self._leave(steps.ending() if steps.is_finished() else ExitCode.BUDGET)
            return
        if steps.planning.stopping:  # its user asked for that: other campaigns go on, and this one does not
            inactive = {"event": "network", "state": str(NetworkState.INACTIVE), "reason": STOPPED}
            steps.records.write(inactive)
        self._leave(ExitCode.DETACHED)

    def _leave(self, ending: ExitCode) -> None:
        """Drive it no more until something of it has changed."""
        self.steps.tell_ending(ending)
        self._seen = self._stamps()  # while nobody else may write but to the inbox: what comes later is a change
        if self.steps.planning.has_requests:
            return
        if ending is not self.ending:
            self._observe(DriverEvent(_ENDINGS[ending]))
        self.ending = ending
        self._let_go()

    def _let_go(self) -> None:
        self._steps = self._starts = self._stopping = None
        self._may_start, self._tasks_at_work = False, {}
        held, self._held = self._held, ExitStack()
        with suppress(OSError):
            held.close()

    def note_ending(self) -> None:
        """Take note of how it stands, as it is open."""
        self.ending = self.steps.ending()

    def settle(self) -> bool:
        """Look once more; return whether the launcher has started what it was given."""
        self.steps.harvest.look()
        return self.steps.is_settled()

    def give_up(self) -> None:
        """Drive it no more, as its directory is gone."""
        self._observe(DriverEvent("its directory is gone: it is driven no more; attempts that run go on"))
        self._let_go()

    def close(self) -> None:
        """Drive it no more; its attempts go on."""
        self._let_go()


_ENDINGS = {
    ExitCode.SATISFIED: "satisfied: the strategy wants no more results",
    ExitCode.IN_ERROR: "some tasks, or the strategy, are in error, and nothing else is to be done",
    ExitCode.DETACHED: "nothing is to be done now",
    ExitCode.BUDGET: "the budget is used up",
}


def _closing(launcher: AttemptLauncher) -> Callable[[], None]:
    def close() -> None:
        with suppress(OSError):
            launcher.close()

    return close
