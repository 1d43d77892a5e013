"""The steps of driving one campaign: begin, look what happened, plan, start, end. Whoever calls them waits in between.

The disk is the truth, events only hurry, the driver is disposable: any step may be the last one, or follow itself half
done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import IntEnum
from typing import Any

from experimaestro.settings import WorkspaceSettings

from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.task_state import TaskState, TaskStatus, without_tasks
from xpm_alchem.driver.budget_watch import USED_UP, BudgetWatch
from xpm_alchem.driver.harvest import DriverEvent, Harvest
from xpm_alchem.driver.notices import Notices
from xpm_alchem.driver.planning import Planning
from xpm_alchem.driver.queue_watch import QueueWatch
from xpm_alchem.driver.starts import Starts
from xpm_alchem.driver.submission import Job, Session
from xpm_alchem.driver.troubles import never
from xpm_alchem.driver.withdrawal import Withdrawal
from xpm_alchem.driver.workspace_budget import WorkspaceBudget
from xpm_alchem.failures.restarts import RestartPolicy
from xpm_alchem.launchers.base import AttemptLauncher
from xpm_alchem.requests.inbox import STOPPED
from xpm_alchem.strategy import AWAKE, ERROR


class ExitCode(IntEnum):
    """How driving a campaign ended; the command's exit code."""

    SATISFIED = 0
    IN_ERROR = 1
    DETACHED = 3
    BUDGET = 4
    UNWRITABLE = 5


class Steps:
    """The steps of driving a campaign; the caller holds its lock.

    Parameters
    ----------
    records
        The campaign.
    workspace
        experimaestro's settings of the workspace.
    launcher
        Starts attempts.
    observe
        Called with every event.
    ended
        Called from any thread when an attempt has ended.
    running
        An experimaestro experiment that is open already.
    init_tasks
        experimaestro init tasks of every attempt.
    strategy
        An instance of a (stratocaster) Strategy instead of the plan's.
    workspace_budget
        That of all campaigns of the workspace.

    Attributes
    ----------
    jobs
        The attempts of this driver's session, by task id.
    """

    def __init__(
        self,
        records: CampaignRecords,
        workspace: WorkspaceSettings,
        launcher: AttemptLauncher,
        observe: Callable[[DriverEvent], None],
        ended: Callable[[], None],
        *,
        running: Any = None,
        init_tasks: Iterable[Any] = (),
        strategy: Any = None,
        workspace_budget: WorkspaceBudget | None = None,
    ) -> None:
        self.records, self.launcher, self.observe = records, launcher, observe
        self._workspace, self._ended = workspace, ended
        self._running, self._init_tasks = running, tuple(init_tasks)
        self.jobs: dict[str, Job] = {}
        self.planning = Planning(records, observe, strategy)
        self.budget = BudgetWatch(records, launcher, observe, workspace_budget)
        self.notices = Notices(records, observe)
        self._withdrawal = Withdrawal(records, launcher)
        self._queue = QueueWatch(records, launcher, observe)
        self.harvest = Harvest(
            records,
            launcher,
            self.jobs,
            observe,
            policy=RestartPolicy.of(self.planning.plan, workspace.max_retries),
        )

    def begin(self) -> None:
        """Take up what the last driver left."""
        self.planning.take_plan()  # it may have changed until the lock was ours
        self.planning.take_over()
        self.take_requests()
        self.harvest.look()
        self.harvest.look_again()  # the plan may have changed

    def session(self, running: Any = None) -> Session:
        """Return a session with experimaestro, to be entered; `running`: an experiment that is open by now."""
        return Session(
            self._workspace,
            self.records.name,
            self._ended,
            running=self._running if running is None else running,
            init_tasks=self._init_tasks,
        )

    def starts(self, session: Session) -> Starts:
        """Return what starts attempts in an entered session."""
        return Starts(session, self.planning, self.harvest, self.budget, self._withdrawal, self.jobs)

    def turn(self) -> str | None:
        """Look at what happened and plan; return why all attempts are to end, if they are."""
        self.tell()
        self.take_requests()
        if self.planning.stopping:
            return STOPPED
        self.harvest.look()
        if self.budget.must_stop():
            return USED_UP
        self.plan()
        return None

    def plan(self) -> None:
        """Decide which tasks there are to be."""
        self.budget.close_and_open()
        self.planning.iterate()
        self.planning.end_unwanted()

    def take_requests(self) -> None:
        """Take in what the user asked for."""
        self.planning.take_requests()
        self.budget.put_in_force(self.planning.plan.budget)
        self.harvest.policy = RestartPolicy.of(self.planning.plan, self._workspace.max_retries)

    # ------------------------------------------------------------------------------------------- ending attempts
    def at_work(self) -> list[TaskState]:
        """Return the tasks whose attempts were submitted and have not been dealt with."""
        return [task for task in self.records.state().everything.values() if task.at_work]

    def end_all(self, reason: str, since: float) -> bool:
        """Tell all attempts to end, or again those that have not; return whether none is at work.

        Parameters
        ----------
        since
            When it was begun, seconds since the epoch.
        """
        tasks = self.at_work()
        for task in tasks:
            with self.harvest.troubles.of(task, never):
                self._withdrawal.end(task, reason, since=since)
        return not tasks

    def end_at_once(self) -> bool:
        """End the attempts that are to end without waiting for a checkpoint; return whether there are none."""
        self.harvest.look()
        tasks = [task for task in self.at_work() if task.is_to_end and task.at_once]
        for task in tasks:
            with self.harvest.troubles.of(task, never):
                self._withdrawal.end(task, task.reason, since=task.changed)
        return not tasks

    # ---------------------------------------------------------------------------------------- telling, and the end
    def tell(self) -> None:
        """Tell the user, if the plan says so, that something is in error while the rest goes on."""
        exception = self.planning.state.exception if self.planning.state.status == ERROR else None
        self._queue.look()
        self.notices.look(self.planning.plan, exception, self._queue.stuck)

    def tell_ending(self, ending: ExitCode) -> None:
        """Tell the user, if the plan says so, how driving ended."""
        self._queue.look()
        if ending is ExitCode.SATISFIED:
            self.notices.satisfied(self.planning.plan)
        elif ending is ExitCode.BUDGET:
            self.notices.used_up(self.planning.plan)
        elif ending is ExitCode.IN_ERROR:
            self.notices.in_error(self.planning.plan, self.planning.state.exception)
        else:
            self.tell()

    def is_over(self) -> bool:
        """Whether there is nothing to do, also after a last look for what the user asked for meanwhile."""
        if self._has_nothing_to_do():
            self.take_requests()
        return self._has_nothing_to_do()

    def _has_nothing_to_do(self) -> bool:
        return self.is_finished() or self._is_spent() or self._is_paused()

    def _is_spent(self) -> bool:
        """Whether nothing runs, and the budget allows nothing of what is left."""
        return self.budget.exhausted and self._is_idle()

    def _is_paused(self) -> bool:
        """Whether nothing runs, and the network is not to have anything started."""
        return not self.records.state().standing.starts and self._is_idle()

    def _is_idle(self) -> bool:
        return not self.jobs and not self.at_work()

    def is_finished(self) -> bool:
        """Whether nothing is in flight and the strategy wants nothing more."""
        tasks = self.records.state().tasks.values()
        if self.jobs or self.at_work() or any(self._can_come(task) for task in tasks):
            return False
        return self.planning.plan.strategy.mode == "disabled" or self.planning.state.status != AWAKE

    def _can_come(self, task: TaskState) -> bool:
        if not task.in_flight:
            return False
        other = self.records.state().tasks.get(task.extends or "")
        return other is None or other.status is TaskStatus.COMPLETE or self._can_come(other)

    def ending(self) -> ExitCode:
        """Return how it stands."""
        tasks = self.records.state().tasks.values()
        if self.planning.state.status == ERROR:
            return ExitCode.IN_ERROR
        if not self.is_finished():
            return ExitCode.BUDGET if self._is_spent() else ExitCode.DETACHED
        if any(task.status is TaskStatus.ERROR for task in tasks):
            return ExitCode.IN_ERROR
        if self.budget.keeps_back(self.planning.wants):
            return ExitCode.BUDGET
        return ExitCode.DETACHED if self._lacks_results() else ExitCode.SATISFIED

    def _lacks_results(self) -> bool:
        """Whether there are transformations without a result, and the strategy that might want one is disabled."""
        if not self.planning.plan.strategy.is_paused:
            return False
        return bool(without_tasks(self.records.index.by_id, self.records.state().tasks.values()))

    def is_settled(self) -> bool:
        """Whether the launcher knows what became of everything and has started what was submitted."""
        return all(job.launched for job in self.jobs.values()) and self.launcher.is_settled()
