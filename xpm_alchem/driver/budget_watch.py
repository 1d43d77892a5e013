"""The driver's watch over a campaign's budget: asked before every submission, says what it refuses and why."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator

import attrs

from xpm_alchem.base.errors import CampaignError
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.spending import InFlight
from xpm_alchem.campaign.task_state import TaskState, TaskStatus, grouped
from xpm_alchem.costs.admission import HOUR, Admission, Commitment, Verdict, Word
from xpm_alchem.costs.closing import BY_BUDGET, Closed, closed_transformations
from xpm_alchem.costs.expected_costs import ExpectedSeconds
from xpm_alchem.driver.harvest import DriverEvent
from xpm_alchem.driver.workspace_budget import WorkspaceBudget
from xpm_alchem.execution.attempt_log import AttemptLog
from xpm_alchem.execution.directory import TaskDirectory
from xpm_alchem.launchers.base import AttemptLauncher
from xpm_alchem.plan.amounts import same_unit
from xpm_alchem.plan.budget import STOP, Budget

USED_UP = "stopped: the budget is used up"
_LOOK_SECONDS = 2.0  # between two looks at which attempts have begun
_SAY_SECONDS = 600.0  # until the same is said again


class BudgetWatch:
    """What the budget allows a driver, and that of the whole workspace.

    Parameters
    ----------
    workspace
        The workspace's budget; None for none.

    Attributes
    ----------
    closed
        Transformations that get no more tasks, by stable id.
    exhausted
        Whether nothing that could be started at the last pass may be, and waiting would not help.
    """

    def __init__(
        self,
        records: CampaignRecords,
        launcher: AttemptLauncher,
        observe: Callable[[DriverEvent], None],
        workspace: WorkspaceBudget | None = None,
    ) -> None:
        self.records, self.launcher, self.observe = records, launcher, observe
        self.budget = Budget()
        self._workspace = None if workspace is None or workspace.is_none else workspace
        if self._workspace is not None:
            self._workspace.join(self)
        self.closed: dict[str, Closed] = {}
        self.exhausted = False
        self._mismatch = ""
        self._starts: dict[str, InFlight] = {}
        self._looked = 0.0
        self._closed_at = -1
        self._told: dict[tuple[str, bool], float] = {}
        self.pass_begins()

    def put_in_force(self, budget: Budget) -> None:
        """Take in the plan's budget."""
        if budget == self.budget:
            return
        self.budget = budget
        self.exhausted, self._closed_at, self._mismatch = False, -1, ""
        self._told.clear()
        try:
            budget.check(self.launcher.cost_per_hour, self.launcher.cost_unit, self.launcher.longest)
        except CampaignError as error:
            self._mismatch = f"nothing is started: {error}"

    # ------------------------------------------------------------------------------------------- before a submission
    def pass_begins(self) -> None:
        """Begin to go through the waiting tasks."""
        self._now = time.time()
        self._admission: tuple[int, Admission] | None = None
        self._expected: ExpectedSeconds | None = None
        self._refused: Verdict | None = None
        self._allowed = False

    def may_start(self, task: TaskState) -> Word:
        """Return whether an attempt of a task may be submitted now."""
        verdict = self._verdict(task)
        if verdict.word is Word.OK:
            self._allowed = True
        else:
            self._refused = verdict
        return verdict.word

    def pass_ends(self) -> None:
        """Note whether everything was refused, and say so."""
        refused = self._refused
        if refused is None and self._has_end and (general := self._look_closely(Admission.general)).word is not Word.OK:
            refused = general
        self.exhausted = refused is not None and refused.word is Word.EXHAUSTED and not self._allowed
        if refused is not None:
            self._say(refused)

    def must_stop(self) -> bool:
        """Whether what runs is to stop at its next checkpoint, as the budget is used up."""
        stopping = [budget for budget in self._budgets if budget.on_exhausted == STOP and _has_end(budget)]
        if not stopping or not self.records.state().ledger.in_flight:
            return False
        self.pass_begins()
        if not self._is_used_up(stopping) or self._has_looked:
            return False  # surely not, or not known exactly: in a moment
        self._look_at_starts()
        return self._is_used_up(stopping)

    @property
    def _has_looked(self) -> bool:
        """Whether it was looked at just now which attempts have begun."""
        return 0 <= self._now - self._looked < _LOOK_SECONDS  # a clock may be set back

    def _is_used_up(self, budgets: Collection[Budget]) -> bool:
        return any(
            one.general().word is Word.EXHAUSTED for one in self._admissions() if any(one.budget is b for b in budgets)
        )

    @property
    def _budgets(self) -> list[Budget]:
        return [self.budget, *([] if self._workspace is None else [self._workspace.budget])]

    @property
    def _has_end(self) -> bool:
        return any(_has_end(budget) for budget in self._budgets)

    def _verdict(self, task: TaskState) -> Verdict:
        if self._mismatch:
            return Verdict(Word.WAIT, self._mismatch)
        if not self._has_end and all(budget.rate is None for budget in self._budgets):
            return Verdict()
        launcher, unit = self.launcher, self.launcher.cost_unit
        attempt = InFlight(launcher.cost_per_hour, self._now, None, launcher.longest, unit)
        new = Commitment(attempt, self._expected_cost(task), self.records.state().ledger.cost(task.task, unit))
        return self._look_closely(lambda admission: admission.verdict(new))

    def _look_closely(self, ask: Callable[[Admission], Verdict]) -> Verdict:
        """Ask with what is known; if that is not enough, look which attempts have begun and ask again.

        Until it is looked at, an attempt is taken to have begun when it was submitted.
        """
        verdict = self._ask_all(ask)
        if verdict.word is Word.OK or self._has_looked:
            return verdict
        self._look_at_starts()
        return self._ask_all(ask)

    def _ask_all(self, ask: Callable[[Admission], Verdict]) -> Verdict:
        """Return the first word that is not 'ok', of the campaign's budget or of the workspace's."""
        own, *others = self._admissions()
        if (verdict := ask(own)).word is not Word.OK:
            return verdict
        for other in others:
            if (verdict := ask(other)).word is not Word.OK:
                return attrs.evolve(verdict, sentence=f"for all campaigns of the workspace {verdict.sentence}")
        return Verdict()

    def _admissions(self) -> list[Admission]:
        own, unit = self._current(), self.launcher.cost_unit
        return [own] if self._workspace is None else [own, self._workspace.admission(self._now, unit)]

    def _current(self) -> Admission:
        state = self.records.state()
        if self._admission is None or self._admission[0] != self.records.position:
            self._now = time.time()  # a submission takes its time, and what runs costs meanwhile
            unit, ledger = self.launcher.cost_unit, state.ledger
            made = Admission(
                self.budget,
                self._now,
                unit,
                ledger.total(unit),
                tuple(ledger.since(self._now - HOUR, unit)),
                tuple(self.commitments(unit)),
            )
            self._admission = (self.records.position, made)
        return self._admission[1]

    def commitments(self, unit: str) -> Iterator[Commitment]:
        """Yield what attempts in flight are expected to cost, those that are counted in a unit."""
        state = self.records.state()
        for task_id, attempt in state.ledger.in_flight.items():
            if not same_unit(attempt.unit, unit):
                continue
            known = self._starts.get(task_id)
            if known is not None and known.submitted >= attempt.submitted:
                attempt = known
            task = state.everything[task_id]
            yield Commitment(attempt, self._expected_cost(task, attempt), state.ledger.cost(task_id, unit))

    def _expected_cost(self, task: TaskState, attempt: InFlight | None = None) -> float | None:
        if all(budget.total is None for budget in self._budgets):
            return None
        if self._expected is None:
            self._expected = ExpectedSeconds(self.records.index, self.records.state().tasks.values())
        expected = self._expected.of(task.transformation)
        price = self.launcher.cost_per_hour if attempt is None else attempt.cost_per_hour
        return None if expected is None else expected.mean * price / HOUR

    def _look_at_starts(self) -> None:
        """Look on the disk which attempts have begun; one that had not by now began later."""
        self._looked, self._admission, state = self._now, None, self.records.state()
        in_flight = state.ledger.in_flight
        self._starts = {task: one for task, one in self._starts.items() if task in in_flight}
        for task_id, attempt in in_flight.items():
            known, task = self._starts.get(task_id), state.everything[task_id]
            if known is not None and known.submitted >= attempt.submitted and known.start is not None:
                continue
            began = self._began(task)
            submitted = attempt.submitted if began is not None else max(attempt.submitted, self._now)
            self._starts[task_id] = attrs.evolve(attempt, submitted=submitted, start=began)

    def _began(self, task: TaskState) -> float | None:
        """Return when a task's attempt began to work, as it says itself."""
        attempts = AttemptLog(TaskDirectory(self.records.task_path(task)).attempts).read()
        return attempts[-1].start if len(attempts) > task.attempts_before else None

    # ------------------------------------------------------------------------------------- what results may cost
    def close_and_open(self) -> None:
        """Cancel waiting tasks of transformations whose results cost too much; take up those of others again."""
        state = self.records.state()
        if self.records.position == self._closed_at:
            return
        groups = grouped(state.tasks.values())
        closed = closed_transformations(self.budget, state.ledger, groups, self.launcher.cost_unit)
        events = []
        for task in state.tasks.values():
            if task.status is not TaskStatus.WAITING:
                continue
            what = {"task": task.task, "by": BY_BUDGET}
            if task.actioned and task.transformation in closed:
                events.append({"event": "cancelled", **what, "reason": closed[task.transformation].sentence})
            elif not task.actioned and task.cancelled_by == BY_BUDGET and task.transformation not in closed:
                events.append({"event": "actioned", **what, "reason": "the budget allows it again"})
        if events:
            self.records.write(*events)
            self.records.state()
        self._closed_at = self.records.position
        names = self.records.index.by_id  # what is gone has no tasks any more, whatever it cost
        for t in closed.keys() - self.closed.keys():
            self.observe(DriverEvent(f"{names[t].name} {closed[t].sentence}"))
        for t in (self.closed.keys() - closed.keys()) & names.keys():
            self.observe(DriverEvent(f"{names[t].name} may have tasks again: its results cost less than per_result"))
        self.closed = closed

    def keeps_back(self, wants: Callable[[str], bool]) -> bool:
        """Whether closed transformations lack results that are wanted."""
        if any(wants(transformation) for transformation in self.closed):
            return True
        tasks = self.records.state().tasks.values()
        return any(task.status is TaskStatus.WAITING and task.cancelled_by == BY_BUDGET for task in tasks)

    def _say(self, refused: Verdict) -> None:
        """Tell why nothing is started, unless the same was told a while ago with other numbers."""
        what = (refused.sentence.partition(":")[0], refused.when is None)
        if self._now - self._told.get(what, 0.0) > _SAY_SECONDS:
            self._told[what] = self._now
            self.observe(DriverEvent(refused.sentence))


def _has_end(budget: Budget) -> bool:
    return budget.total is not None or budget.ends_at is not None
