"""The strategist against a small model: any sequence of results, errors, requests, passing time and exceptions."""

from __future__ import annotations

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from xpm_alchem.campaign.task_state import CampaignState, TaskState, TaskStatus, grouped
from xpm_alchem.plan.strategy import NORMALIZATIONS, SCALINGS, StrategyPlan
from xpm_alchem.strategies.changes import Changes, cancelled, counts_of, events, is_to_end
from xpm_alchem.strategy import AWAKE, DORMANT, ERROR, StrategyState, is_due, iterate

NAMES = ("a", "b", "c")
OFTEN = ("full", "full", "partial", "partial", "disabled")
PATIENCE = 50.0


class Strategist(RuleBasedStateMachine):
    """A campaign whose strategy wants `runs` results of each transformation; `raises` makes it raise.

    The model is `status`, `seen` (the results at the last iteration) and `slept_until`, kept by the rules of the
    documentation alone; tasks are the real thing.
    """

    @initialize(
        mode=st.sampled_from(OFTEN),
        interval=st.sampled_from([0.0, 0.0, 30.0]),
        scaling=st.sampled_from(SCALINGS),
        normalization=st.sampled_from(NORMALIZATIONS),
        most=st.integers(2, 5),
        cap=st.none() | st.integers(1, 6),
        preference=st.sampled_from([0.0, 0.5, 1.0]),
    )
    def begin(self, mode, interval, scaling, normalization, most, cap, preference):
        self.plan = StrategyPlan(
            mode=mode,
            sleep_interval=interval,
            task_scaling=scaling,
            normalization=normalization,
            max_tasks_per_transformation=most,
            max_tasks_per_network=cap,
            extends_preference=preference,
            patience=PATIENCE,
        )
        self.state, self.unwanted, self.campaign = StrategyState(), {}, CampaignState()
        self.now, self.runs, self.raises = 0.0, dict.fromkeys(NAMES, 3), False
        self.status, self.seen, self.slept_until, self.iterations = "awake", None, -1.0, 0

    # ------------------------------------------------------------------------------------------- what there is
    @property
    def tasks(self) -> list[TaskState]:
        return list(self.campaign.tasks.values())

    def counts(self):
        groups = grouped(self.tasks)
        return {name: counts_of(groups.get(name, [])) for name in NAMES}

    def results(self) -> int:
        return sum(task.status is TaskStatus.COMPLETE for task in self.tasks)

    def propose(self, to_come):
        if self.raises:
            raise RuntimeError("as it was told")
        counts = self.counts()
        return {n: 1.0 if counts[n].complete + to_come[n] < self.runs[n] else None for n in NAMES}

    def set_status(self, task: TaskState, status: str) -> None:
        self.campaign.apply({"event": "status", "task": task.task, "status": status, "time": self.now})

    # ------------------------------------------------------------------------------------------------ the world
    @rule(
        times=st.integers(1, 3),
        seconds=st.sampled_from([0.0, 1.0, 29.0, 60.0]),
        slots=st.integers(0, 4),
        ends=st.lists(st.sampled_from(["complete", "complete", "error", "waiting"]), max_size=3),
    )
    def the_campaign_goes_on(self, times, seconds, slots, ends):
        for _ in range(times):
            self.step(seconds, slots, ends)

    def step(self, seconds, slots, ends):
        self.the_driver_looks()
        for task in [task for task in self.tasks if task.status is TaskStatus.WAITING and task.actioned][:slots]:
            self.campaign.apply({"event": "submitted", "task": task.task, "time": self.now})
        self.now += seconds
        for task, how in zip([t for t in self.tasks if t.status is TaskStatus.RUNNING], ends, strict=False):
            self.set_status(task, how)
        self.the_driver_looks()

    # ------------------------------------------------------------------------------------------------- the user
    @rule(data=st.data(), status=st.sampled_from(["complete", "error", "waiting", "running"]))
    def the_user_deals_with_a_task(self, data, status):
        found = [task.task for task in self.tasks if task.status == status]
        if not found:
            return
        task = self.campaign.tasks[data.draw(st.sampled_from(found))]
        if status == "complete":
            self.set_status(task, "invalid")
        elif status == "error":
            self.set_status(task, "waiting")
            self.campaign.apply({"event": "actioned", "task": task.task})
            self.requested()
        elif task.actioned:
            self.campaign.apply({"event": "cancelled", "task": task.task, "by": "user", "time": self.now})
            self.requested()

    def requested(self):
        """What a driver does after a request: a dormant strategy thinks again, one in error does not."""
        if self.state.status == DORMANT:
            self.state = self.state.awakened()
        self.status = "awake" if self.status == "dormant" else self.status

    @rule(runs=st.lists(st.integers(0, 5), min_size=3, max_size=3), mode=st.sampled_from((None, None, *OFTEN)))
    def another_strategy_is_set(self, runs, mode):
        self.runs = dict(zip(NAMES, runs, strict=True))
        self.plan = attrs.evolve(self.plan, mode=mode or self.plan.mode)
        self.set_awake()

    def set_awake(self):
        self.state, self.status = self.state.awakened(), "awake"

    @rule(bug=st.booleans(), then_awake=st.booleans())
    def the_strategy_has_a_bug_or_is_mended(self, bug, then_awake):
        self.raises = bug
        if then_awake or not bug:
            self.set_awake()

    # ----------------------------------------------------------------------------------------------- the driver
    def the_driver_looks(self):
        results = self.results()
        awake = self.status == "awake" or (self.status == "dormant" and results != self.seen)
        due = self.plan.mode != "disabled" and awake and self.now >= self.slept_until
        assert is_due(self.plan, self.state, results, self.now) == due
        if due:
            self.iteration()
        self.end_unwanted()

    def iteration(self):
        counts = self.counts()
        weights = None if self.raises else self.propose({n: count.in_flight for n, count in counts.items()})
        proposal = iterate(self.plan, self.state, counts, self.propose, self.now)
        self.state, self.slept_until = proposal.state, self.now + self.plan.sleep_interval
        if self.raises:
            self.status = "error"
            assert (proposal.create, dict(proposal.cancel), dict(proposal.unwanted)) == ((), {}, {})
            assert self.state.exception == "RuntimeError: as it was told" and "Traceback" in self.state.traceback
            assert self.state.iterations == self.iterations
            return
        self.iterations, self.seen = self.iterations + 1, self.results()
        made = Changes.of(proposal, grouped(self.tasks), self.unwanted, self.now)
        wants = any(weight and not counts[name].error for name, weight in weights.items())
        self.status = "awake" if wants or made.create or made.action else "dormant"
        self.check(made, counts)
        self.unwanted = dict(made.unwanted)
        new = [
            {
                "event": "created",
                "task": task.id,
                "transformation": task.transformation,
                "repeat": task.repeat,
                "extends": task.extends,
                "directory": f"jobs/{task.id}",
            }
            for task in made.create
        ]
        changes = [*new, *events(made, "iteration")]
        self.campaign.apply({"event": "iteration", "time": self.now, "changes": changes})
        again = iterate(self.plan, self.state, self.counts(), self.propose, self.now)
        if not proposal.unwanted:
            assert (again.create, again.action, again.cancel, again.unwanted) == ((), {}, {}, {})

    def check(self, made: Changes, counts) -> None:
        """Check what one iteration does."""
        by_name = {task.task: task for task in self.tasks}
        for task in made.create:
            assert not counts[task.transformation].error
            if task.extends is not None:
                assert by_name[task.extends].status is TaskStatus.COMPLETE
                assert all(other.extends != task.extends for other in self.tasks if other.exists)
        for task in (by_name[name] for name in (*made.action, *made.cancel, *made.unwanted)):
            assert not counts[task.transformation].error
        assert all(by_name[name].cancelled_by == "strategy" for name in made.action)
        assert all(by_name[name].status is TaskStatus.WAITING for name in made.cancel)
        assert all(by_name[name].status is TaskStatus.RUNNING for name in made.unwanted)
        if self.plan.mode == "partial":
            assert not made.cancel and not made.unwanted
        for name in {by_name[task].transformation for task in made.unwanted}:  # waiting ones go before running ones
            assert counts[name].waiting == sum(by_name[task].transformation == name for task in made.cancel)

    def end_unwanted(self):
        for name, since in self.unwanted.items():
            task = self.campaign.tasks[name]
            ends = is_to_end(self.plan, since, 0.0, None, self.now) and self.state.status != ERROR
            if ends and task.status is TaskStatus.RUNNING and task.actioned:
                assert self.plan.mode == "full" and self.now - since >= PATIENCE
                self.campaign.apply(cancelled(name, "unwanted") | {"time": self.now})

    # --------------------------------------------------------------------------------------------- at all times
    @invariant()
    def the_status_is_the_model_s(self):
        if hasattr(self, "plan"):
            assert (self.state.status, self.state.iterations) == (self.status, self.iterations)
            assert self.state.status in (AWAKE, DORMANT, ERROR)

    @invariant()
    def nothing_is_extended_by_two(self):
        if hasattr(self, "plan"):
            extended = [task.extends for task in self.tasks if task.extends and task.exists]
            assert len(extended) == len(set(extended))


Strategist.TestCase.settings = settings(
    max_examples=120, stateful_step_count=50, deadline=None, derandomize=True, print_blob=False
)
TestStrategist = Strategist.TestCase
