"""Which waiting tasks get an attempt now, and attempts that run already: an earlier driver has left them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from xpm_alchem.base.files import exists, write_json
from xpm_alchem.campaign.task_state import TaskState, TaskStatus
from xpm_alchem.costs.admission import Word
from xpm_alchem.driver.budget_watch import BudgetWatch
from xpm_alchem.driver.harvest import DriverEvent, Harvest
from xpm_alchem.driver.planning import Planning
from xpm_alchem.driver.submission import Job, Session, clear_markers, pid_file
from xpm_alchem.driver.troubles import never
from xpm_alchem.driver.withdrawal import Withdrawal
from xpm_alchem.execution.attempt_log import AttemptLog
from xpm_alchem.execution.attempts import Attempt
from xpm_alchem.execution.demand import demand
from xpm_alchem.execution.directory import TaskDirectory
from xpm_alchem.execution.fence import give_orders
from xpm_alchem.tasks import make_task

_ENDING_SECONDS = 60.0  # that a process may take to end after it has said that it does


class Starts:
    """Starts attempts of a campaign's tasks.

    Parameters
    ----------
    session
        experimaestro's, which starts processes and waits for them.
    planning
        Has the plan in force.
    harvest
        Takes in attempts that are found to have ended; its records and its launcher are used.
    budget
        Says whether an attempt may be started.
    withdrawal
        Ends attempts that are not to go on.
    jobs
        Gains the attempts of this driver's session, by task id.
    """

    def __init__(
        self,
        session: Session,
        planning: Planning,
        harvest: Harvest,
        budget: BudgetWatch,
        withdrawal: Withdrawal,
        jobs: dict[str, Job],
    ) -> None:
        self._session, self._planning = session, planning
        self._records, self._launcher, self._observe = harvest.records, harvest.launcher, harvest.observe
        self._harvest, self._budget, self._withdrawal, self._jobs = harvest, budget, withdrawal, jobs
        self._is_full = False  # whether the launcher had no place for an attempt, now

    def look(self) -> None:
        """Take up what runs already, then start waiting tasks, the most urgent first, as slots and budget allow."""
        self.look_at_work()
        if self.may_start:
            free = self.free
            with self.passing() as starting:
                while free > 0 and (taken := next(starting, None)) is not None:
                    free -= taken

    @property
    def may_start(self) -> bool:
        """Whether the network is to have anything started."""
        return self._records.state().standing.starts

    @property
    def free(self) -> int:
        """How many slots of the launcher this campaign does not use."""
        return self._launcher.slots - sum(task.at_work for task in self._records.state().everything.values())

    def look_at_work(self) -> None:
        """Take up attempts that run already, and end those that are not to go on."""
        troubles = self._harvest.troubles
        for task in [task for task in self._records.state().everything.values() if task.at_work]:
            is_ours = task.task in self._jobs or task.task in self._harvest.resting
            if (is_ours and not task.is_to_end) or troubles.wait(task):
                continue
            with troubles.of(task, never):
                if task.is_to_end:
                    self._withdrawal.end(task, task.reason, since=task.changed)
                else:
                    self._adopt(task)

    @contextmanager
    def passing(self) -> Iterator[Iterator[int]]:
        """Go through the waiting tasks once.

        Yields
        ------
        Starts the next task whenever it is asked, the most urgent first, and gives the slots that it takes: none where
        its result is there already.
        """
        self._is_full = False
        self._launcher.avoid(self._records.state().hosts.avoided_devices(time.time()))
        self._budget.pass_begins()
        yield self._starting()
        self._budget.pass_ends()

    def _starting(self) -> Iterator[int]:
        troubles, tasks = self._harvest.troubles, self._records.state().tasks
        waiting = [task for task in tasks.values() if task.status is TaskStatus.WAITING and task.actioned]
        for task in sorted(waiting, key=lambda task: (task.priority, -task.weight)):
            other = tasks.get(task.extends or "")
            ready = (other is None or other.status is TaskStatus.COMPLETE) and not task.leaving
            ready = ready and task.waits_until(time.time()) is None and not troubles.wait(task)
            if not ready:
                continue
            word = self._budget.may_start(task)
            if word is Word.WAIT:
                return
            if word is Word.OK:
                taken = 0
                with troubles.of(task, self._harvest.give_up):
                    taken = self._start(task)
                yield taken
                if self._is_full:
                    return

    def _adopt(self, task: TaskState) -> None:
        """Let experimaestro wait for an attempt that an earlier driver (or another campaign's) started."""
        directory = self._records.task_path(task)
        attempts = AttemptLog(TaskDirectory(directory).attempts).read()
        attempt = attempts[-1] if attempts and attempts[-1].outcome is None else None
        if not self._launcher.is_running(directory, attempt):
            return
        if not exists(pid_file(directory)):
            if (spec := self._launcher.process_spec(directory, attempt)) is None:
                return  # it has ended meanwhile: the next look takes it in
            write_json(pid_file(directory), spec)
        self._jobs[task.task] = self._session.submit(self._configuration(task), self._launcher.of(directory))
        self._observe(DriverEvent("taken up again", task))

    def _start(self, task: TaskState) -> int:
        """Start an attempt; return how many slots it takes (none where the result is there already)."""
        files = TaskDirectory(self._records.task_path(task))
        attempts = AttemptLog(files.attempts).read()
        if attempts and self._harvest.complete(task, files, attempts):
            return 0  # another campaign of this workspace has computed it, or an attempt that was given up
        unended = attempts[-1] if attempts and attempts[-1].outcome is None and not attempts[-1].elsewhere else None
        alive = self._launcher.is_running(files.path, unended) is not False
        if alive and unended is None and _is_just_ending(attempts):
            return 0  # another campaign's, which has said its end: looked at again when its process is gone
        made = None if alive else self._configuration(task)
        if made is not None and self._session.has(made):
            return 0  # of another campaign of this process: its result is taken over when it is there
        wanted = demand(attempts, self._records.state().hosts.avoided_nodes(time.time()))
        if not alive:
            if len(attempts) > task.attempts_before and attempts[-1].decision is None:
                self._harvest.take_in(task)
                return 0
            if not self._launcher.reserve(files.path, wanted, task.priority):
                self._is_full = self._launcher.is_full()
                return 0
            self._launcher.prepare(files.path)
            clear_markers(files.path, attempts[-1].number if attempts else 0)
        self._withdrawal.forget(task)
        before = len(attempts) - (alive and unended is not None)
        launcher = self._launcher.of(files.path).for_task(wanted)
        price = {"cost_per_hour": launcher.cost_per_hour, "cost_unit": launcher.cost_unit}
        if not alive:
            give_orders(files.path, **price)
        what = {"event": "submitted", "task": task.task, "attempts": before, "reason": task.reason}
        self._records.write({**what, **price, "longest": launcher.longest})
        task = self._records.state().tasks[task.task]
        if alive:
            self._adopt(task)
        else:
            self._jobs[task.task] = self._session.submit(made, launcher)
            self._observe(DriverEvent("submitted", task))
        return 1

    def _configuration(self, task: TaskState) -> Any:
        other = self._records.state().tasks.get(task.extends or "")
        made = make_task(
            self._records.index.by_id[task.transformation],
            task.repeat,
            network=self._records.network_path,
            trusted=self._planning.plan.trusted_modules,
            extends=None if other is None else self._records.task_path(other),
        )
        return made.tag("campaign", self._records.name)


def _is_just_ending(attempts: Sequence[Attempt]) -> bool:
    """Whether the last attempt has said how it ended a moment ago, and nobody has dealt with that yet."""
    last = attempts[-1] if attempts else None
    if last is None or last.end is None or last.decision is not None:
        return False
    return 0 <= time.time() - last.end < _ENDING_SECONDS
