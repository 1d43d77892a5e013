"""The main loop: harvest, plan, submit. The disk is the truth, events only hurry, the driver is disposable."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from enum import IntEnum
from typing import Any

from experimaestro.settings import WorkspaceSettings

from xpm_alchem.base.passing import patiently
from xpm_alchem.base.streams import wait_at_most
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.task_state import TaskState, TaskStatus, without_tasks
from xpm_alchem.driver.budget_watch import USED_UP, BudgetWatch
from xpm_alchem.driver.endurance import Endurance, Unwritable
from xpm_alchem.driver.harvest import DriverEvent, Harvest
from xpm_alchem.driver.log import Teller
from xpm_alchem.driver.notices import Notices
from xpm_alchem.driver.planning import Planning
from xpm_alchem.driver.queue_watch import QueueWatch
from xpm_alchem.driver.starts import Starts
from xpm_alchem.driver.submission import Job, Session, quiet_experimaestro
from xpm_alchem.driver.troubles import never
from xpm_alchem.driver.withdrawal import Withdrawal
from xpm_alchem.failures.restarts import RestartPolicy
from xpm_alchem.launchers.base import AttemptLauncher
from xpm_alchem.requests.inbox import STOPPED
from xpm_alchem.strategy import AWAKE, ERROR

_TICK_SECONDS = 1.0
_SETTLE_SECONDS = 60.0
_AT_ONCE_SECONDS = 60.0  # for attempts to be gone that are ended at once
_BEAT_SECONDS = 10.0


class ExitCode(IntEnum):
    """How a run of the driver ended; the command's exit code."""

    SATISFIED = 0
    IN_ERROR = 1
    DETACHED = 3
    BUDGET = 4
    UNWRITABLE = 5


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
    ) -> None:
        self.records, self.workspace, self.launcher = records, workspace, launcher
        self.observe = observe = Teller(observe)
        self._begun = begun
        self._running, self._init_tasks = running, tuple(init_tasks)
        self._ended = threading.Event()
        self._interrupted = False
        self._jobs: dict[str, Job] = {}
        self._planning = Planning(records, observe, strategy)
        self._withdrawal = Withdrawal(records, launcher)
        self._beaten = 0.0
        self._endurance = Endurance(
            lambda sentence: self.observe(DriverEvent(sentence)),
            lambda sentence: self._notices.in_trouble(self._planning.plan, sentence),
            self._pause,
            self._is_at_work,
        )
        self._budget = BudgetWatch(records, launcher, observe)
        self._notices = Notices(records, observe)
        self._queue = QueueWatch(records, launcher, observe)
        self._harvest = Harvest(
            records,
            launcher,
            self._jobs,
            observe,
            policy=RestartPolicy.of(self._planning.plan, workspace.max_retries),
        )

    # -------------------------------------------------------------------------------------------------- the loop
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
                with self._signals_as_interrupts():
                    self._endurance.do(lambda: self.launcher.open(self.records.workspace, self.records.name))
                    return self._stop() if stop else self._end_at_once() if at_once else self._told(self._drive(once))
            except KeyboardInterrupt:
                self.observe(DriverEvent("detached"))
                return ExitCode.DETACHED
            except Unwritable as error:
                self.observe(DriverEvent(str(error)))
                self._notices.in_trouble(self._planning.plan, str(error))
                return ExitCode.UNWRITABLE
            finally:
                self._notices.finish()
                self.observe.look()
                with suppress(OSError):
                    self.launcher.close()

    @contextmanager
    def _signals_as_interrupts(self) -> Iterator[None]:
        """Make SIGTERM and SIGHUP (the login session ended) detach like Ctrl-C; what nohup ignores stays ignored."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def interrupt(number: int, frame: Any) -> None:
            self._interrupted = True
            raise KeyboardInterrupt

        signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        heard = [number for number in signals if signal.getsignal(number) is not signal.SIG_IGN]
        before = {number: signal.signal(number, interrupt) for number in heard}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _drive(self, once: bool) -> ExitCode:
        do = self._endurance.do
        do(self._begin)
        if once:
            do(self._settle)
        if do(self._budget.must_stop):
            return self._stop(USED_UP)
        do(self._plan)
        if do(self._is_over):
            return do(self._ending)
        self.launcher.check()
        with ExitStack() as opened:
            session = do(lambda: opened.enter_context(self._session()))
            starts = Starts(session, self._planning, self._harvest, self._budget, self._withdrawal, self._jobs)
            do(starts.look)
            if once:
                do(self._settle)
                return do(self._ending)
            while not do(self._is_over):
                self._wait()
                if (ending := do(lambda: self._turn(starts))) is not None:
                    return self._stop(ending)
            return do(self._ending)

    def _begin(self) -> None:
        self._planning.take_plan()  # it may have changed until the lock was ours
        self._take_requests()
        self._harvest.look()
        self._harvest.look_again()  # the plan may have changed

    def _session(self) -> Session:
        return Session(
            self.workspace,
            self.records.name,
            self._ended.set,
            running=self._running,
            init_tasks=self._init_tasks,
        )

    def _turn(self, starts: Starts) -> str | None:
        """Look at what happened and do what is to be done; return why all attempts are to end, if they are."""
        self._tell()
        self._take_requests()
        if self._planning.stopping:
            return STOPPED
        self._harvest.look()
        if self._budget.must_stop():
            return USED_UP
        self._plan()
        starts.look()
        return None

    def _tell(self) -> None:
        """Tell the user, if the plan says so, that something is in error while the rest goes on."""
        exception = self._planning.state.exception if self._planning.state.status == ERROR else None
        self._queue.look()
        self._notices.look(self._planning.plan, exception, self._queue.stuck)

    def _told(self, ending: ExitCode) -> ExitCode:
        """Tell the user how a run ended."""
        self._endurance.do(lambda: self._tell_ending(ending))
        return ending

    def _tell_ending(self, ending: ExitCode) -> None:
        self._queue.look()
        if ending is ExitCode.SATISFIED:
            self._notices.satisfied(self._planning.plan)
        elif ending is ExitCode.BUDGET:
            self._notices.used_up(self._planning.plan)
        elif ending is ExitCode.IN_ERROR:
            self._notices.in_error(self._planning.plan, self._planning.state.exception)
        else:
            self._tell()

    def _is_at_work(self) -> bool:
        """Whether an attempt of this session is at work, as far as its process tells."""
        return any(not job.ended for job in self._jobs.values())

    def _pause(self, seconds: float) -> None:
        """Wait without a look at the campaign's files."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self._interrupted:
                raise KeyboardInterrupt
            self.records.beat()
            time.sleep(min(left, _TICK_SECONDS))

    def _plan(self) -> None:
        self._budget.close_and_open()
        self._planning.iterate()
        self._planning.end_unwanted()

    def _take_requests(self) -> None:
        self._planning.take_requests()
        self._budget.put_in_force(self._planning.plan.budget)
        self._harvest.policy = RestartPolicy.of(self._planning.plan, self.workspace.max_retries)

    def _stop(self, reason: str = STOPPED) -> ExitCode:
        """End all attempts: tell them, wait until they have kept their state; nothing is submitted."""
        do = self._endurance.do
        why = ", the budget is used up" if reason == USED_UP else ""
        self.observe(DriverEvent(f"stopping{why}: attempts end at their next checkpoint"))
        began = time.time()
        while tasks := do(self._at_work):
            for task in tasks:
                with self._harvest.troubles.of(task, never):
                    self._withdrawal.end(task, reason, since=began)
            self._wait()
            do(self._take_requests)  # to end some of them at once, for example
            do(self._harvest.look)
        self.observe(DriverEvent("stopped: no attempt is at work"))
        if reason == USED_UP:
            return do(self._ending) if do(self._finished) else ExitCode.BUDGET
        return ExitCode.DETACHED

    def _at_work(self) -> list[TaskState]:
        return [task for task in self.records.state().tasks.values() if task.at_work]

    def _end_at_once(self) -> ExitCode:
        """End the attempts that are to end at once, and wait a while until they are gone."""
        do = self._endurance.do
        until = time.time() + _AT_ONCE_SECONDS
        while time.time() < until:
            do(self._harvest.look)
            tasks = [t for t in do(self._at_work) if t.is_to_end and t.at_once]
            if not tasks:
                break
            for task in tasks:
                with self._harvest.troubles.of(task, never):
                    self._withdrawal.end(task, task.reason, since=task.changed)
            self._wait()
        return ExitCode.DETACHED

    def _is_over(self) -> bool:
        """Whether there is nothing to do, also after a last look for what the user asked for meanwhile."""
        if self._has_nothing_to_do():
            self._take_requests()
        return self._has_nothing_to_do()

    def _has_nothing_to_do(self) -> bool:
        return self._finished() or self._is_spent() or self._is_paused()

    def _is_spent(self) -> bool:
        """Whether nothing runs, and the budget allows nothing of what is left."""
        return self._budget.exhausted and self._is_idle()

    def _is_paused(self) -> bool:
        """Whether nothing runs, and the network is not to have anything started."""
        return not self.records.state().standing.starts and self._is_idle()

    def _is_idle(self) -> bool:
        return not self._jobs and not any(task.at_work for task in self.records.state().tasks.values())

    def _finished(self) -> bool:
        """Whether nothing is in flight and the strategy wants nothing more."""
        tasks = self.records.state().tasks.values()
        if self._jobs or any(task.leaving or self._can_come(task) for task in tasks):
            return False
        return self._planning.plan.strategy.mode == "disabled" or self._planning.state.status != AWAKE

    def _can_come(self, task: TaskState) -> bool:
        if not task.in_flight:
            return False
        other = self.records.state().tasks.get(task.extends or "")
        return other is None or other.status is TaskStatus.COMPLETE or self._can_come(other)

    def _ending(self) -> ExitCode:
        tasks = self.records.state().tasks.values()
        if self._planning.state.status == ERROR:
            return ExitCode.IN_ERROR
        if not self._finished():
            return ExitCode.BUDGET if self._is_spent() else ExitCode.DETACHED
        if any(task.status is TaskStatus.ERROR for task in tasks):
            return ExitCode.IN_ERROR
        if self._budget.keeps_back(self._planning.wants):
            return ExitCode.BUDGET
        return ExitCode.DETACHED if self._lacks_results() else ExitCode.SATISFIED

    def _lacks_results(self) -> bool:
        """Whether there are transformations without a result, and the strategy that might want one is disabled."""
        if not self._planning.plan.strategy.is_paused:
            return False
        return bool(without_tasks(self.records.index.by_id, self.records.state().tasks.values()))

    def _wait(self) -> None:
        """Wait for an event, or for the next look at the disk; events may repeat, come late or never come."""
        if self._interrupted:  # Python drops an exception that a signal raises in a weakref's callback, say
            raise KeyboardInterrupt
        now = time.time()
        if now - self._beaten > _BEAT_SECONDS:
            self.records.beat()
            self._beaten = now
        self._ended.wait(_TICK_SECONDS)
        self._ended.clear()
        self.observe.look()
        for sentence in self.launcher.news():
            self.observe(DriverEvent(sentence))

    def _settle(self) -> None:
        """Wait until the launcher knows what became of everything and has started what was submitted."""
        until = time.time() + _SETTLE_SECONDS
        while time.time() < until:
            self._harvest.look()
            if all(job.launched for job in self._jobs.values()) and self.launcher.is_settled():
                return
            time.sleep(0.05)
        for sentence in self.launcher.news():
            self.observe(DriverEvent(sentence))
