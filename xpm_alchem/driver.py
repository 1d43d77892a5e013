"""The main loop: harvest, plan, submit. The disk is the truth, events only hurry, the driver is disposable."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import Any

import attrs
from experimaestro.settings import WorkspaceSettings

from xpm_alchem.attempts import AttemptLog, Outcome
from xpm_alchem.campaign import CampaignRecords
from xpm_alchem.changes import UNWANTED, Changes, NewTask, cancelled, events, is_to_end
from xpm_alchem.demand import demand
from xpm_alchem.directory import TaskDirectory
from xpm_alchem.errors import WorkspaceError
from xpm_alchem.fence import give_orders
from xpm_alchem.files import set_aside
from xpm_alchem.harvest import DriverEvent, Harvest
from xpm_alchem.launchers.base import AttemptLauncher
from xpm_alchem.strategist import Strategist
from xpm_alchem.strategy import AWAKE, DORMANT, ERROR, StrategyState, is_due
from xpm_alchem.submission import Job, Session, clear_markers, pid_file, quiet_experimaestro
from xpm_alchem.task_state import TaskState, TaskStatus, grouped, mean_seconds
from xpm_alchem.tasks import directory_in_workspace, make_task
from xpm_alchem.wishes import STOPPED, take_in

_TICK_SECONDS = 1.0
_SETTLE_SECONDS = 60.0
_STOP_SECONDS = 300.0  # an attempt has to keep its state after it was ordered to stop
_BEAT_SECONDS = 10.0


class Ending(IntEnum):
    """How a run of the driver ended; the command's exit code."""

    SATISFIED = 0
    IN_ERROR = 1
    DETACHED = 3


class Driver:
    """Drives one campaign until its strategy is satisfied, in one process; another one can take over at any time.

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
        running: Any = None,
        init_tasks: Iterable[Any] = (),
        strategy: Any = None,
    ) -> None:
        self.records, self.workspace, self.launcher, self.observe = records, workspace, launcher, observe
        self._running, self._init_tasks = running, tuple(init_tasks)
        self._ended = threading.Event()
        self._jobs: dict[str, Job] = {}
        self._plan = records.plan()
        self._network = records.network
        self._strategist = Strategist(self._plan, self._network, records.workspace, strategy, cache=records.cache_path)
        self._strategy = StrategyState()
        self._weights: dict[str, float | None] = {}
        self._unwanted: dict[str, float] = {}
        self._inbox = 0
        self._began = time.time()
        self._stopping = False
        self._withdrawn: set[str] = set()
        self._planned_at = -1
        self._beaten = 0.0
        self._harvest = Harvest(
            records,
            launcher,
            self._jobs,
            observe,
            max_retries=workspace.max_retries if self._plan.max_retries is None else self._plan.max_retries,
            patterns=self._plan.restarts,
        )

    # -------------------------------------------------------------------------------------------------- the loop
    def run(self, *, once: bool = False, stop: bool = False) -> Ending:
        """Drive the campaign.

        Parameters
        ----------
        once
            Harvest, plan and submit once, then leave; jobs go on.
        stop
            Only end all attempts, at their checkpoints.

        Raises
        ------
        CampaignLockedError
            Another process drives it.
        WorkspaceError
            The disk is full or cannot be written; tasks that run go on.
        """
        with self.records.lock():
            try:
                self.launcher.open(self.records.workspace, self.records.name)
                with _signals_as_interrupts():
                    return self._stop() if stop else self._drive(once)
            except KeyboardInterrupt:
                self.observe(DriverEvent("detached"))
                return Ending.DETACHED
            except OSError as error:
                if isinstance(error, WorkspaceError):
                    raise
                raise WorkspaceError(
                    f"{error.filename or self.records.path}: cannot be written ({error.strerror}). Tasks that run go "
                    "on and nothing is lost: mend that, then run the campaign again."
                ) from error
            finally:
                self.launcher.close()

    def _drive(self, once: bool) -> Ending:
        quiet_experimaestro(self.records.path / "driver.log")
        self._remember()
        self._take_wishes()
        self._harvest.look()
        if once:
            self._settle()
        self._iterate()
        self._end_unwanted()
        if self._is_over():
            return self._ending()
        self.launcher.check()
        session = Session(
            self.workspace,
            self.records.name,
            self._ended.set,
            running=self._running,
            init_tasks=self._init_tasks,
        )
        with session:
            self._submit(session)
            if once:
                self._settle()
                return self._ending()
            while not self._is_over():
                self._wait()
                self._take_wishes()
                if self._stopping:
                    return self._stop()
                self._harvest.look()
                self._iterate()
                self._end_unwanted()
                self._submit(session)
            return self._ending()

    def _stop(self) -> Ending:
        """End all attempts: tell them, wait until they have kept their state; nothing is submitted."""
        quiet_experimaestro(self.records.path / "driver.log")
        self.observe(DriverEvent("stopping: attempts end at their next checkpoint"))
        began = time.time()
        while running := [t for t in self.records.state().tasks.values() if t.status is TaskStatus.RUNNING]:
            for task in running:
                self._end_attempt(task, STOPPED, patience=_STOP_SECONDS - (time.time() - began))
            self._wait()
            self._harvest.look()
        self.observe(DriverEvent("stopped: no attempt is at work"))
        return Ending.DETACHED

    def _end_attempt(self, task: TaskState, reason: str, *, patience: float) -> None:
        """Order an attempt to end; one that has not begun, or is deaf for too long, is taken back by its launcher."""
        directory = self.records.task_path(task)
        orders = give_orders(directory, stop=reason)
        attempts = AttemptLog(TaskDirectory(directory).attempts).read()
        begun = len(attempts) > task.attempts_before
        if task.task not in self._withdrawn and (not begun or patience <= 0) and orders.stop:
            self._withdrawn.add(task.task)
            self.launcher.withdraw(directory)

    def _is_over(self) -> bool:
        """Whether the campaign is finished, also after a last look for what the user asked for meanwhile."""
        if self._finished():
            self._take_wishes()
        return self._finished()

    def _finished(self) -> bool:
        """Whether nothing is in flight and the strategy wants nothing more."""
        if self._jobs or any(self._can_come(task) for task in self.records.state().tasks.values()):
            return False
        return self._plan.strategy.mode == "disabled" or self._strategy.status != AWAKE

    def _can_come(self, task: TaskState) -> bool:
        if not task.in_flight:
            return False
        other = self.records.state().tasks.get(task.extends or "")
        return other is None or other.status is TaskStatus.COMPLETE or self._can_come(other)

    def _ending(self) -> Ending:
        tasks = self.records.state().tasks.values()
        if self._strategy.status == ERROR:
            return Ending.IN_ERROR
        if not self._finished():
            return Ending.DETACHED
        return Ending.IN_ERROR if any(task.status is TaskStatus.ERROR for task in tasks) else Ending.SATISFIED

    def _wait(self) -> None:
        """Wait for an event, or for the next look at the disk; events may repeat, come late or never come."""
        now = time.time()
        if now - self._beaten > _BEAT_SECONDS:
            self.records.beat()
            self._beaten = now
        self._ended.wait(_TICK_SECONDS)
        self._ended.clear()
        for sentence in self.launcher.news():
            self.observe(DriverEvent(sentence))
        tasks = self.records.state().tasks
        for task_id, job in self._jobs.items():
            for method, arguments in job.new_outputs():
                if method == "unit_finished":
                    self.observe(DriverEvent(f"unit {arguments.get('name')}", tasks[task_id]))

    # ------------------------------------------------------------------------------------------------------- plan
    def _remember(self) -> None:
        known = self.records.driver_state()
        self._strategy = StrategyState(**known["strategy"]) if "strategy" in known else StrategyState()
        self._weights, self._unwanted = known.get("weights", {}), known.get("unwanted", {})
        self._inbox = int(known.get("inbox", 0))
        if known.get("plan") != attrs.asdict(self._plan.strategy):
            self._strategy = self._strategy.awakened()  # the user changed it: think again

    def _take_wishes(self) -> None:
        """Take in what the user asked for while a driver was at work."""
        offset, taken = take_in(self.records, self._inbox)
        for wish in taken:
            if "refused" in wish:
                self.observe(DriverEvent(f"could not be granted: {wish['refused']}"))
        granted = {wish["wish"] for wish in taken if "refused" not in wish}
        self._stopping |= any(wish["wish"] == "stop" and wish.get("time", 0.0) > self._began for wish in taken)
        if granted & {"strategy", "awake"}:
            self._take_plan()
        if granted - {"stop"}:
            if self._strategy.status == DORMANT:  # one in error stays so until it is set awake
                self._strategy = self._strategy.awakened()
            self._planned_at = -1
            self.observe(DriverEvent("took in what was asked for"))
        if offset != self._inbox:
            self._inbox = offset
            self._save()

    def _take_plan(self) -> None:
        """Take in the plan and the strategy's state as a wish has left them on the disk."""
        plan = self.records.plan()
        if plan.strategy != self._plan.strategy:
            for change in self._plan.differences(plan):
                self.observe(DriverEvent(f"plan changed: {change}"))
            self._strategist = self._strategist.with_plan(plan)
            self._plan = plan
        self._remember()

    def _save(self) -> None:
        self.records.set_driver_state(
            {
                "strategy": attrs.asdict(self._strategy),
                "weights": self._weights,
                "unwanted": self._unwanted,
                "plan": attrs.asdict(self._plan.strategy),
                "inbox": self._inbox,
            }
        )

    def _iterate(self) -> None:
        state = self.records.state()
        if self.records.position == self._planned_at:
            return  # nothing happened since
        results = sum(task.status is TaskStatus.COMPLETE for task in state.tasks.values())
        now = time.time()
        if not is_due(self._plan.strategy, self._strategy, results, now):
            return
        proposal = self._strategist.iterate(self._strategy, state, now)
        if (broken := self._strategist.broken_results()) and self._make_again(broken):
            return
        if proposal.state.status != ERROR:
            changes = Changes.of(proposal, grouped(state.tasks.values()), self._unwanted, now)
            reason = f"strategy {self._plan.strategy.name}, iteration {proposal.state.iterations}"
            self._write_changes(changes, reason)
            self._unwanted, self._weights = dict(changes.unwanted), dict(proposal.weights)
        self._strategy = proposal.state
        self._save()
        self.records.state()
        self._planned_at = self.records.position
        if self._strategy.status == ERROR:
            self.observe(DriverEvent(f"the strategy raised {self._strategy.exception}"))
        elif proposal.create:
            self.observe(DriverEvent(f"iteration {self._strategy.iterations}: {len(proposal.create)} new task(s)"))

    def _make_again(self, broken: Collection[Path]) -> bool:
        """Run complete tasks again whose results are gone or damaged; their finished units are kept."""
        again = []
        for task in list(self.records.state().tasks.values()):
            files = TaskDirectory(self.records.task_path(task))
            if task.status is TaskStatus.COMPLETE and task.actioned and files.result in broken:
                for path in filter(os.path.lexists, (files.summary, files.result)):
                    set_aside(path)
                reason = f"{files.result.name} was gone or damaged: it is made again"
                again.append({"event": "status", "task": task.task, "status": "waiting", "reason": reason})
        if again:
            self.records.write(*again)
        for event in again:
            self.observe(DriverEvent("waiting", self.records.state().tasks[event["task"]]))
        return bool(again)

    def _write_changes(self, changes: Changes, reason: str) -> None:
        """Write all changes of an iteration in one line: a driver killed meanwhile leaves all of them or none."""
        done = [*(self._created(task, reason) for task in changes.create), *events(changes, reason)]
        if done:
            self.records.write({"event": "iteration", "changes": done})

    def _created(self, new: NewTask, reason: str) -> dict[str, Any]:
        record = self._network.index.by_id[new.transformation]
        other = self.records.state().tasks.get(new.extends or "")
        extends = None if other is None else self.records.task_path(other)
        return {
            "event": "created",
            "task": new.id,
            "transformation": new.transformation,
            "repeat": new.repeat,
            "extends": new.extends,
            "directory": directory_in_workspace(
                make_task(record, new.repeat, network=self.records.network_path, extends=extends)
            ),
            "reason": reason,
        }

    def _end_unwanted(self) -> None:
        """Cancel running tasks that the strategy has not wanted for its patience, unless they are about to end."""
        plan, now, tasks = self._plan.strategy, time.time(), self.records.state().tasks
        late = {t: since for t, since in self._unwanted.items() if is_to_end(plan, since, 0.0, None, now)}
        if not late or self._strategy.status == ERROR:
            return
        groups = grouped(tasks.values())
        for task_id, since in late.items():
            task = tasks.get(task_id)
            if task is None or task.status is not TaskStatus.RUNNING or not task.actioned:
                continue
            expected = mean_seconds(groups[task.transformation])
            if is_to_end(plan, since, self._seconds_used(task, now), expected, now):
                self.records.write(cancelled(task_id, f"{UNWANTED}, for {now - since:.0f} s"))

    def _seconds_used(self, task: TaskState, now: float) -> float:
        """Return how long a task has run, in all attempts."""
        attempts = AttemptLog(TaskDirectory(self.records.task_path(task)).attempts).read()
        return sum(now - attempt.start if attempt.outcome is None else attempt.seconds for attempt in attempts)

    # ----------------------------------------------------------------------------------------------------- submit
    def _submit(self, session: Session) -> None:
        """Take up what runs already, then start waiting tasks while there are free slots."""
        tasks = self.records.state().tasks
        running = [task for task in tasks.values() if task.status is TaskStatus.RUNNING]
        for task in running:
            if not task.actioned:
                self._end_attempt(task, task.reason, patience=_STOP_SECONDS - (time.time() - task.changed))
            elif task.task not in self._jobs:
                self._adopt(session, task)
        free = self.launcher.slots - len(running)
        for task in list(tasks.values()):
            if free <= 0:
                return
            other = tasks.get(task.extends or "")
            ready = other is None or other.status is TaskStatus.COMPLETE
            if task.status is TaskStatus.WAITING and task.actioned and ready:
                free -= self._start(session, task)

    def _adopt(self, session: Session, task: TaskState) -> None:
        """Let experimaestro wait for an attempt that an earlier driver (or another campaign's) started."""
        directory = self.records.task_path(task)
        attempts = AttemptLog(TaskDirectory(directory).attempts).read()
        attempt = attempts[-1] if attempts and attempts[-1].outcome is None else None
        if not self.launcher.is_running(directory, attempt):
            return
        if not pid_file(directory).exists():
            pid_file(directory).write_text(json.dumps(self.launcher.process_spec(directory, attempt)))
        self._jobs[task.task] = session.submit(self._configuration(task), self.launcher)
        self.observe(DriverEvent("taken up again", task))

    def _start(self, session: Session, task: TaskState) -> int:
        """Start an attempt; return how many slots it takes (none where the result is there already)."""
        files = TaskDirectory(self.records.task_path(task))
        attempts = AttemptLog(files.attempts).read()
        if attempts and attempts[-1].outcome is Outcome.COMPLETE and self._harvest.complete(task, files):
            return 0  # another campaign of this workspace has computed it, or an earlier driver that was killed
        unended = attempts[-1] if attempts and attempts[-1].outcome is None and not attempts[-1].elsewhere else None
        alive = self.launcher.is_running(files.path, unended) is not False
        if not alive:
            self.launcher.prepare(files.path)
            clear_markers(files.path)
        self._withdrawn.discard(task.task)
        before = len(attempts) - (alive and unended is not None)
        self.records.write({"event": "submitted", "task": task.task, "attempts": before, "reason": task.reason})
        task = self.records.state().tasks[task.task]
        if alive:
            self._adopt(session, task)
        else:
            launcher = self.launcher.for_task(demand(attempts))
            self._jobs[task.task] = session.submit(self._configuration(task), launcher)
            self.observe(DriverEvent("submitted", task))
        return 1

    def _configuration(self, task: TaskState) -> Any:
        other = self.records.state().tasks.get(task.extends or "")
        return make_task(
            self._network.index.by_id[task.transformation],
            task.repeat,
            network=self.records.network_path,
            trusted=self._plan.trusted_modules,
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


@contextmanager
def _signals_as_interrupts() -> Iterator[None]:
    """Make SIGTERM and SIGHUP (the login session ended) detach like Ctrl-C; what nohup ignores stays ignored."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    heard = [n for n in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) is not signal.SIG_IGN]
    before = {number: signal.signal(number, interrupt) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
