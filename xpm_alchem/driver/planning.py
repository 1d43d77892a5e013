"""The strategist's iterations of a campaign: what the user asked for is taken in, the journal gains what is decided."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import attrs

from xpm_alchem.base.files import set_aside
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.task_state import TaskState, TaskStatus, grouped, mean_seconds
from xpm_alchem.driver.harvest import DriverEvent
from xpm_alchem.execution.attempt_log import AttemptLog
from xpm_alchem.execution.directory import TaskDirectory
from xpm_alchem.execution.fence import current
from xpm_alchem.plan.campaign_yaml import Plan
from xpm_alchem.requests.creation import created
from xpm_alchem.requests.growth import agree_with_network
from xpm_alchem.requests.inbox import apply_inbox
from xpm_alchem.requests.taking_over import take_over
from xpm_alchem.strategies.changes import UNWANTED, Changes, cancelled, events, is_to_end
from xpm_alchem.strategies.strategist import Strategist
from xpm_alchem.strategy import DORMANT, ERROR, StrategyState, is_due


class Planning:
    """Decides which tasks there are to be. What it remembers is in driver.json; the caller holds the campaign's lock.

    Parameters
    ----------
    records
        The campaign.
    observe
        Called with every event, for a display.
    strategy
        An instance of a (stratocaster) Strategy instead of the plan's.

    Attributes
    ----------
    plan
        The plan in force.
    state
        The strategy's.
    stopping
        Whether the user has asked that all attempts end.
    """

    def __init__(self, records: CampaignRecords, observe: Callable[[DriverEvent], None], strategy: Any = None) -> None:
        self.records, self.observe = records, observe
        self.plan: Plan = records.plan()
        self.state = StrategyState()
        self.stopping = False
        self._network = records.network
        self._strategist = Strategist(self.plan, self._network, records.workspace, strategy, cache=records.cache_path)
        self._weights: dict[str, float | None] = {}
        self._unwanted: dict[str, float] = {}
        self._inbox = 0
        self._began = time.time()
        self._planned_at = -1

    def remember(self) -> None:
        """Take up what the last driver knew."""
        known = self.records.driver_state()
        self.state = StrategyState(**known["strategy"]) if "strategy" in known else StrategyState()
        self._weights, self._unwanted = known.get("weights", {}), known.get("unwanted", {})
        self._inbox = int(known.get("inbox", 0))
        is_changed = known.get("plan") != attrs.asdict(self.plan.strategy)
        if is_changed or known.get("network", 1) != self.records.in_force.number:
            self.state = self.state.awakened()  # the user changed it: think again

    def take_requests(self) -> None:
        """Take in what the user asked for while a driver was at work."""
        offset, taken = apply_inbox(self.records, self._inbox)
        for request in taken:
            if "refused" in request:
                self.observe(DriverEvent(f"could not be granted: {request['refused']}"))
        granted = {request["request"] for request in taken if "refused" not in request}
        self.stopping |= any(
            request["request"] == "stop" and request.get("time", 0.0) > self._began for request in taken
        )
        if granted & {"strategy", "awake", "restarts", "budget", "grow"}:
            self.take_plan()
        if "grow" in granted:
            self.take_over()
        if granted - {"stop"}:
            if self.state.status == DORMANT:  # one in error stays so until it is set awake
                self.state = self.state.awakened()
            self._planned_at = -1
            self.observe(DriverEvent("took in what was asked for"))
        if offset != self._inbox:
            self._inbox = offset
            self._save()

    @property
    def has_requests(self) -> bool:
        """Whether something was asked for that is not taken in yet."""
        return bool(self.records.requests(self._inbox)[0])

    def take_plan(self) -> None:
        """Take in the plan, what the last driver knew, and the strategy's state, as they are on the disk."""
        plan = self.records.plan()
        if plan != self.plan:
            for change in self.plan.differences(plan):
                self.observe(DriverEvent(f"plan changed: {change}"))
            self._strategist = self._strategist.with_plan(plan)
            self.plan = plan
        if self.records.network is not self._network:
            self._network = self.records.network
            self._strategist = self._strategist.with_network(self._network)
            size = len(self.records.index.transformations)
            self.observe(DriverEvent(f"network {self.records.in_force.number} is in force: {size} transformation(s)"))
        self.remember()

    def take_over(self) -> None:
        """Let the journal agree with the network, and count what the workspace has of it already."""
        agree_with_network(self.records)
        if count := take_over(self.records):
            self.observe(DriverEvent(f"{count} result(s) were there already: other campaigns have computed them"))
            self._planned_at = -1

    def _save(self) -> None:
        self.records.set_driver_state(
            {
                "strategy": attrs.asdict(self.state),
                "weights": self._weights,
                "unwanted": self._unwanted,
                "plan": attrs.asdict(self.plan.strategy),
                "inbox": self._inbox,
                **({} if self.records.in_force.number == 1 else {"network": self.records.in_force.number}),
            }
        )

    def wants(self, transformation: str) -> bool:
        """Whether the strategy wanted more results of a transformation when it was asked last."""
        return bool(self._weights.get(transformation))

    def iterate(self) -> None:
        """Make an iteration of the strategy if one is due and anything has happened since the last."""
        state = self.records.state()
        if self.records.position == self._planned_at or not state.standing.starts:
            return
        results = sum(task.status is TaskStatus.COMPLETE for task in state.tasks.values())
        now = time.time()
        if not is_due(self.plan.strategy, self.state, results, now):
            return
        proposal = self._strategist.iterate(self.state, state, now)
        if (broken := self._strategist.broken_results()) and self._make_again(broken):
            return
        if proposal.state.status != ERROR:
            changes = Changes.of(proposal, grouped(state.tasks.values()), self._unwanted, now)
            reason = f"strategy {self.plan.strategy.name}, iteration {proposal.state.iterations}"
            self._write_changes(changes, reason)
            self._unwanted, self._weights = dict(changes.unwanted), dict(proposal.weights)
        before, self.state = self.state, proposal.state
        try:
            self._save()
        except OSError:
            self.state = before  # as on the disk
            raise
        self.records.state()
        self._planned_at = self.records.position
        if self.state.status == ERROR:
            self.observe(DriverEvent(f"the strategy raised {self.state.exception}"))
        elif proposal.create:
            self.observe(DriverEvent(f"iteration {self.state.iterations}: {len(proposal.create)} new task(s)"))

    def _make_again(self, broken: Collection[Path]) -> bool:
        """Run complete tasks again whose results are gone or damaged; their finished units are kept."""
        again = []
        for task in list(self.records.state().tasks.values()):
            files = TaskDirectory(self.records.task_path(task))
            if task.status is TaskStatus.COMPLETE and task.actioned and files.result in broken:
                for path in filter(os.path.lexists, (*current(files.path).summaries, files.result)):
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
        done = [*(created(self.records, task, reason) for task in changes.create), *events(changes, reason)]
        if done:
            self.records.write({"event": "iteration", "changes": done})

    def end_unwanted(self) -> None:
        """Cancel running tasks that the strategy has not wanted for its patience, unless they are about to end."""
        now = time.time()
        for task_id, since in list(self._overdue(now)):
            self.records.write(cancelled(task_id, f"{UNWANTED}, for {now - since:.0f} s"))

    def _overdue(self, now: float) -> Iterator[tuple[str, float]]:
        """Yield running tasks that are to be cancelled now, and since when they are unwanted."""
        plan, tasks = self.plan.strategy, self.records.state().tasks
        late = {t: since for t, since in self._unwanted.items() if is_to_end(plan, since, 0.0, None, now)}
        if not late or self.state.status == ERROR:
            return
        groups = grouped(tasks.values())
        for task_id, since in late.items():
            task = tasks.get(task_id)
            if task is None or task.status is not TaskStatus.RUNNING or not task.actioned:
                continue
            if is_to_end(plan, since, self._seconds_used(task), mean_seconds(groups[task.transformation]), now):
                yield task_id, since

    def _seconds_used(self, task: TaskState) -> float:
        """Return how long a task has run, in all attempts."""
        attempts = AttemptLog(TaskDirectory(self.records.task_path(task)).attempts).read()
        return sum(max(0.0, attempt.age()) if attempt.outcome is None else attempt.seconds for attempt in attempts)
