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

from xpm_alchem.base.files import exists, write_json
from xpm_alchem.base.passing import patiently
from xpm_alchem.base.streams import wait_at_most
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.task_state import TaskState, TaskStatus, without_tasks
from xpm_alchem.costs.admission import Word
from xpm_alchem.driver.budget_watch import USED_UP, BudgetWatch
from xpm_alchem.driver.endurance import Endurance, Unwritable
from xpm_alchem.driver.harvest import DriverEvent, Harvest
from xpm_alchem.driver.log import Teller
from xpm_alchem.driver.notices import Notices
from xpm_alchem.driver.planning import Planning
from xpm_alchem.driver.queue_watch import QueueWatch
from xpm_alchem.driver.submission import Job, Session, clear_markers, pid_file, quiet_experimaestro
from xpm_alchem.driver.withdrawal import Withdrawal
from xpm_alchem.execution.attempts import AttemptLog
from xpm_alchem.execution.demand import demand
from xpm_alchem.execution.directory import TaskDirectory
from xpm_alchem.execution.fence import give_orders
from xpm_alchem.failures.restarts import RestartPolicy
from xpm_alchem.launchers.base import AttemptLauncher
from xpm_alchem.requests.inbox import STOPPED
from xpm_alchem.strategy import AWAKE, ERROR
from xpm_alchem.tasks import make_task

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


def _never(task: TaskState, sentence: str) -> bool:
    return False


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
            do(lambda: self._submit(session))
            if once:
                do(self._settle)
                return do(self._ending)
            while not do(self._is_over):
                self._wait()
                if (ending := do(lambda: self._turn(session))) is not None:
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

    def _turn(self, session: Session) -> str | None:
        """Look at what happened and do what is to be done; return why all attempts are to end, if they are."""
        self._tell()
        self._take_requests()
        if self._planning.stopping:
            return STOPPED
        self._harvest.look()
        if self._budget.must_stop():
            return USED_UP
        self._plan()
        self._submit(session)
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
                with self._harvest.troubles.of(task, _never):
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
                with self._harvest.troubles.of(task, _never):
                    self._withdrawal.end(task, task.reason, since=task.changed)
            self._wait()
        return ExitCode.DETACHED

    def _is_over(self) -> bool:
        """Whether there is nothing to do, also after a last look for what the user asked for meanwhile."""
        if self._finished() or self._is_spent():
            self._take_requests()
        return self._finished() or self._is_spent()

    def _is_spent(self) -> bool:
        """Whether nothing runs, and the budget allows nothing of what is left."""
        if not self._budget.exhausted or self._jobs:
            return False
        return not any(task.at_work for task in self.records.state().tasks.values())

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

    # ----------------------------------------------------------------------------------------------------- submit
    def _submit(self, session: Session) -> None:
        """Take up what runs already, then start waiting tasks, the most urgent first, as slots and budget allow."""
        tasks = self.records.state().tasks
        at_work = [task for task in tasks.values() if task.at_work]
        troubles = self._harvest.troubles
        for task in at_work:
            is_ours = task.task in self._jobs or task.task in self._harvest.resting
            if (is_ours and not task.is_to_end) or troubles.wait(task):
                continue
            with troubles.of(task, _never):
                if task.is_to_end:
                    self._withdrawal.end(task, task.reason, since=task.changed)
                else:
                    self._adopt(session, task)
        free = self.launcher.slots - len(at_work)
        self._budget.pass_begins()
        waiting = [task for task in tasks.values() if task.status is TaskStatus.WAITING and task.actioned]
        for task in sorted(waiting, key=lambda task: task.priority):
            if free <= 0:
                break
            other = tasks.get(task.extends or "")
            ready = (other is None or other.status is TaskStatus.COMPLETE) and not task.leaving
            ready = ready and task.waits_until(time.time()) is None and not troubles.wait(task)
            if ready and task.status is TaskStatus.WAITING and task.actioned:
                word = self._budget.may_start(task)
                if word is Word.WAIT:
                    break
                if word is Word.OK:
                    with troubles.of(task, self._harvest.give_up):
                        free -= self._start(session, task)
        self._budget.pass_ends()

    def _adopt(self, session: Session, task: TaskState) -> None:
        """Let experimaestro wait for an attempt that an earlier driver (or another campaign's) started."""
        directory = self.records.task_path(task)
        attempts = AttemptLog(TaskDirectory(directory).attempts).read()
        attempt = attempts[-1] if attempts and attempts[-1].outcome is None else None
        if not self.launcher.is_running(directory, attempt):
            return
        if not exists(pid_file(directory)):
            write_json(pid_file(directory), self.launcher.process_spec(directory, attempt))
        self._jobs[task.task] = session.submit(self._configuration(task), self.launcher)
        self.observe(DriverEvent("taken up again", task))

    def _start(self, session: Session, task: TaskState) -> int:
        """Start an attempt; return how many slots it takes (none where the result is there already)."""
        files = TaskDirectory(self.records.task_path(task))
        attempts = AttemptLog(files.attempts).read()
        if attempts and self._harvest.complete(task, files, attempts):
            return 0  # another campaign of this workspace has computed it, or an attempt that was given up
        unended = attempts[-1] if attempts and attempts[-1].outcome is None and not attempts[-1].elsewhere else None
        alive = self.launcher.is_running(files.path, unended) is not False
        if not alive:
            if len(attempts) > task.attempts_before and attempts[-1].decision is None:
                self._harvest.take_in(task)
                return 0
            self.launcher.prepare(files.path)
            clear_markers(files.path, attempts[-1].number if attempts else 0)
        self._withdrawal.forget(task)
        before = len(attempts) - (alive and unended is not None)
        launcher = self.launcher.for_task(demand(attempts, self.records.state().hosts.avoided_nodes(time.time())))
        price = {"cost_per_hour": launcher.cost_per_hour, "cost_unit": launcher.cost_unit}
        if not alive:
            give_orders(files.path, **price)
        what = {"event": "submitted", "task": task.task, "attempts": before, "reason": task.reason}
        self.records.write({**what, **price, "longest": launcher.longest})
        task = self.records.state().tasks[task.task]
        if alive:
            self._adopt(session, task)
        else:
            self._jobs[task.task] = session.submit(self._configuration(task), launcher)
            self.observe(DriverEvent("submitted", task))
        return 1

    def _configuration(self, task: TaskState) -> Any:
        other = self.records.state().tasks.get(task.extends or "")
        return make_task(
            self.records.index.by_id[task.transformation],
            task.repeat,
            network=self.records.network_path,
            trusted=self._planning.plan.trusted_modules,
            extends=None if other is None else self.records.task_path(other),
        )

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
