"""The main loop of one campaign: harvest, plan, submit, wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from typing import Any

from experimaestro.settings import WorkspaceSettings

from xpm_alchem.base.passing import patiently
from xpm_alchem.base.streams import wait_at_most
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.driver.budget_watch import USED_UP
from xpm_alchem.driver.endurance import Endurance, Unwritable
from xpm_alchem.driver.harvest import DriverEvent
from xpm_alchem.driver.interrupts import Interrupts
from xpm_alchem.driver.log import Teller
from xpm_alchem.driver.steps import ExitCode, Steps
from xpm_alchem.driver.submission import quiet_experimaestro
from xpm_alchem.driver.workspace_budget import WorkspaceBudget
from xpm_alchem.launchers.base import AttemptLauncher
from xpm_alchem.requests.inbox import STOPPED

_TICK_SECONDS = 1.0
_SETTLE_SECONDS = 60.0
_AT_ONCE_SECONDS = 60.0  # for attempts to be gone that are ended at once
BEAT_SECONDS = 10.0


class Driver:
    """Drives one campaign until its strategy is satisfied or its budget used up; another process can take over.

    Parameters
    ----------
    records
        The campaign.
    workspace
        experimaestro's settings of the workspace.
    launcher
        Starts attempts.
    observe
        Called in the main thread with every event, for a display.
    begun
        Called once the campaign's lock is held.
    running
        An experimaestro experiment that is open already.
    init_tasks
        experimaestro init tasks of every attempt.
    strategy
        An instance of a (stratocaster) Strategy instead of the plan's.
    workspace_budget
        That of all campaigns of the workspace.
    """

    def __init__(
        self,
        records: CampaignRecords,
        workspace: WorkspaceSettings,
        launcher: AttemptLauncher,
        *,
        observe: Callable[[DriverEvent], None] = lambda event: None,
        begun: Callable[[], None] = lambda: None,
        running: Any = None,
        init_tasks: Iterable[Any] = (),
        strategy: Any = None,
        workspace_budget: WorkspaceBudget | None = None,
    ) -> None:
        self.records, self.launcher = records, launcher
        self.observe = Teller(observe)
        self._begun = begun
        self._ended = threading.Event()
        self._interrupts = Interrupts()
        self._beaten = float("-inf")
        self.steps = Steps(
            records,
            workspace,
            launcher,
            self.observe,
            self._ended.set,
            running=running,
            init_tasks=init_tasks,
            strategy=strategy,
            workspace_budget=workspace_budget,
        )
        self._endurance = Endurance(
            lambda sentence: self.observe(DriverEvent(sentence)),
            self._notify,
            self._pause,
            self._is_at_work,
        )

    def run(self, *, once: bool = False, stop: bool = False, at_once: bool = False) -> ExitCode:
        """Drive the campaign.

        Parameters
        ----------
        once
            Harvest, plan and submit once, then leave; jobs go on.
        stop
            Only end all attempts, at their checkpoints.
        at_once
            Only end those attempts that are to end without waiting for a checkpoint.

        Raises
        ------
        CampaignLockedError
            Another process drives it.
        WorkspaceError
            The campaign cannot be written by this user: nothing was begun.
        """
        with self.records.lock(is_brief=at_once):
            wait_at_most()
            patiently(lambda: quiet_experimaestro(self.records.path / "driver.log"))
            self._begun()
            try:
                with self._interrupts.heard():
                    self._endurance.do(lambda: self.launcher.open(self.records.workspace, self.records.name))
                    return self._stop() if stop else self._end_at_once() if at_once else self._told(self._drive(once))
            except KeyboardInterrupt:
                self.observe(DriverEvent("detached"))
                return ExitCode.DETACHED
            except Unwritable as error:
                self.observe(DriverEvent(str(error)))
                self._notify(str(error))
                return ExitCode.UNWRITABLE
            finally:
                self.steps.notices.finish()
                self.observe.look()
                with suppress(OSError):
                    self.launcher.close()

    def _drive(self, once: bool) -> ExitCode:
        do, steps = self._endurance.do, self.steps
        do(steps.begin)
        if once:
            do(self._settle)
        if do(steps.budget.must_stop):
            return self._stop(USED_UP)
        do(steps.plan)
        if do(steps.is_over):
            return do(steps.ending)
        self.launcher.check()
        with ExitStack() as opened:
            session = do(lambda: opened.enter_context(steps.session()))
            starts = steps.starts(session)
            do(starts.look)
            if once:
                do(self._settle)
                return do(steps.ending)
            while not do(steps.is_over):
                self._wait()
                if (ending := do(steps.turn)) is not None:
                    return self._stop(ending)
                do(starts.look)
            return do(steps.ending)

    def _told(self, ending: ExitCode) -> ExitCode:
        """Tell the user how a run ended."""
        self._endurance.do(lambda: self.steps.tell_ending(ending))
        return ending

    def _notify(self, sentence: str) -> None:
        self.steps.notices.in_trouble(self.steps.planning.plan, sentence)

    def _is_at_work(self) -> bool:
        """Whether an attempt of this session is at work, as far as its process tells."""
        return any(not job.ended for job in self.steps.jobs.values())

    def _pause(self, seconds: float) -> None:
        """Wait without a look at the campaign's files."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._interrupts.check()
            self.records.beat()
            time.sleep(min(left, _TICK_SECONDS))

    def _stop(self, reason: str = STOPPED) -> ExitCode:
        """End all attempts: tell them, wait until they have kept their state; nothing is submitted."""
        do, steps = self._endurance.do, self.steps
        self.observe(DriverEvent(stopping(reason)))
        began = time.time()
        while not do(lambda: steps.end_all(reason, began)):
            self._wait()
            do(steps.take_requests)  # to end some of them at once, for example
            do(steps.harvest.look)
        self.observe(DriverEvent("stopped: no attempt is at work"))
        if reason == USED_UP:
            return do(steps.ending) if do(steps.is_finished) else ExitCode.BUDGET
        return ExitCode.DETACHED

    def _end_at_once(self) -> ExitCode:
        """End the attempts that are to end at once, and wait a while until they are gone."""
        until = time.time() + _AT_ONCE_SECONDS
        while time.time() < until and not self._endurance.do(self.steps.end_at_once):
            self._wait()
        return ExitCode.DETACHED

    def _wait(self) -> None:
        """Wait for an event, or for the next look at the disk; events may repeat, come late or never come."""
        self._interrupts.check()
        now = time.monotonic()
        if now - self._beaten > BEAT_SECONDS:
            self.records.beat()
            self._beaten = now
        self._ended.wait(_TICK_SECONDS)
        self._ended.clear()
        self.observe.look()
        self._tell_news()

    def _settle(self) -> None:
        """Wait until the launcher knows what became of everything and has started what was submitted."""
        until = time.time() + _SETTLE_SECONDS
        while time.time() < until:
            self.steps.harvest.look()
            if self.steps.is_settled():
                return
            time.sleep(0.05)
        self._tell_news()

    def _tell_news(self) -> None:
        for sentence in self.launcher.news():
            self.observe(DriverEvent(sentence))


def stopping(reason: str) -> str:
    """Return what a user is told when all attempts are ended for a reason."""
    why = ", the budget is used up" if reason == USED_UP else ""
    return f"stopping{why}: attempts end at their next checkpoint"
