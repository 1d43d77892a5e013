"""The strategist: weights become counts, counts become changes. Pure: values in, values out.

After alchemiscale's strategist, without its faults: weights are normalised by their maximum unless asked otherwise,
tasks in flight count as results to come, and errored transformations cannot keep it awake.
"""

from __future__ import annotations

import math
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import attrs

from xpm_alchem.plan.strategy import StrategyPlan

AWAKE, DORMANT, ERROR = "awake", "dormant", "error"
Weights = Mapping[str, float | None]
Propose = Callable[[Mapping[str, int]], Weights]


@attrs.frozen
class StrategyState:
    """What is remembered from one iteration to the next.

    Attributes
    ----------
    status
        'awake', 'dormant' (nothing to do until the number of results changes) or 'error' (it raised).
    last_iteration
        Seconds since the epoch.
    exception
        'Type: message' of what it raised.
    """

    status: str = AWAKE
    iterations: int = 0
    last_iteration: float | None = None
    last_iteration_result_count: int | None = None
    exception: str | None = None
    traceback: str | None = None

    def awakened(self) -> StrategyState:
        """Return the state after a user set it awake: an error is forgotten, and it is performed again."""
        return attrs.evolve(self, status=AWAKE, exception=None, traceback=None)


@attrs.frozen
class StrategyHealth:
    """How a strategy is, with alchemiscale's names; times in seconds (of `last_iteration`: since the epoch)."""

    mode: str
    status: str
    iterations: int
    sleep_interval: float
    last_iteration: float | None
    last_iteration_result_count: int | None
    exception: str | None
    traceback: str | None

    @classmethod
    def of(cls, plan: StrategyPlan, state: StrategyState) -> StrategyHealth:
        """Return the health of a plan's strategy."""
        return cls(mode=plan.mode, sleep_interval=plan.sleep_interval, **attrs.asdict(state))


@attrs.frozen
class Counts:
    """The tasks of one transformation.

    Attributes
    ----------
    complete
        With a result.
    waiting, running
        In flight: actioned and waiting, or running.
    error
        In error: the transformation gets nothing new until a user deals with it.
    closed
        Whether the budget gives it nothing new, as its results cost too much.
    spare
        Cancelled by the strategy: taken up again before new ones are created.
    extended
        How many of all of these extend another.
    extendable
        Ids of the complete ones that nothing extends yet, the latest first.
    """

    complete: int = 0
    waiting: int = 0
    running: int = 0
    error: int = 0
    spare: int = 0
    extended: int = 0
    extendable: tuple[str, ...] = ()
    closed: bool = False

    @property
    def blocked(self) -> bool:
        """Whether it keeps what it has and gets nothing new."""
        return self.closed or self.error > 0

    @property
    def in_flight(self) -> int:
        """Results to come."""
        return self.waiting + self.running

    @property
    def total(self) -> int:
        """All of them."""
        return self.complete + self.waiting + self.running + self.error + self.spare


@attrs.frozen
class Proposal:
    """What an iteration decided.

    Attributes
    ----------
    create
        Transformations by stable id in the order in which tasks are to be created, one entry a task.
    extends
        For each of these the id of the complete task that it extends, or None for a new repeat.
    action
        How many spare tasks of a transformation are to be taken up again.
    cancel
        How many waiting tasks of a transformation are to be cancelled (mode 'full' only).
    unwanted
        How many running tasks of a transformation are not wanted any more (mode 'full' only).
    weights
        The first proposal's weights: given all that is in flight.
    targets
        How many tasks of a transformation its weight is worth; in mode 'full' how many are wanted in flight.
    """

    state: StrategyState
    create: tuple[str, ...] = ()
    extends: tuple[str | None, ...] = ()
    action: Mapping[str, int] = attrs.field(factory=dict)
    cancel: Mapping[str, int] = attrs.field(factory=dict)
    unwanted: Mapping[str, int] = attrs.field(factory=dict)
    weights: Weights = attrs.field(factory=dict)
    targets: Mapping[str, int] = attrs.field(factory=dict)


def is_due(plan: StrategyPlan, state: StrategyState, results: int, now: float) -> bool:
    """Return whether an iteration is to be made: not disabled or in error, slept enough, and awake or woken up."""
    if plan.mode == "disabled" or state.status == ERROR:
        return False
    if state.last_iteration is not None and 0 <= now - state.last_iteration < plan.sleep_interval:
        return False  # one in the future is of a clock that was set back
    return state.status == AWAKE or results != state.last_iteration_result_count


def iterate(
    plan: StrategyPlan, state: StrategyState, counts: Mapping[str, Counts], propose: Propose, now: float
) -> Proposal:
    """Make one iteration.

    Mode 'partial' adds to what is in flight. Mode 'full' asks what would be in flight if nothing were, and goes there:
    so a second iteration without a new result changes nothing. A transformation with a task in error keeps what it has.

    Parameters
    ----------
    counts
        For every transformation of the network, by stable id.
    propose
        The strategy: given the results to come of each transformation, returns the weights.
    now
        Seconds since the epoch.
    """

    def ask(to_come: Mapping[str, int]) -> Weights:
        weights = propose(to_come)
        _check(weights)
        return weights

    try:
        proposal = _full(plan, state, counts, ask) if plan.mode == "full" else _partial(plan, state, counts, ask)
    except Exception as error:
        return Proposal(
            attrs.evolve(
                state,
                status=ERROR,
                last_iteration=now,
                exception=f"{type(error).__name__}: {error}",
                traceback=traceback.format_exc(),
            )
        )
    wants = any(weight and t in counts and not counts[t].blocked for t, weight in proposal.weights.items())
    after = StrategyState(
        status=AWAKE if proposal.create or proposal.action or wants else DORMANT,
        iterations=state.iterations + 1,
        last_iteration=now,
        last_iteration_result_count=sum(count.complete for count in counts.values()),
    )
    return attrs.evolve(proposal, state=after)


def _partial(plan: StrategyPlan, state: StrategyState, counts: Mapping[str, Counts], ask: Propose) -> Proposal:
    in_flight = {t: count.in_flight for t, count in counts.items()}
    weights = ask(in_flight)
    tasks = _wanted_tasks(plan, ask, weights, in_flight, counts)
    return _proposal(plan, state, counts, tasks, weights=weights, targets=_targets(plan, weights, counts))


def _full(plan: StrategyPlan, state: StrategyState, counts: Mapping[str, Counts], ask: Propose) -> Proposal:
    weights = ask({t: count.in_flight for t, count in counts.items()})
    kept = {t: count.in_flight if count.blocked else 0 for t, count in counts.items()}
    wanted = _wanted_tasks(plan, ask, ask(kept), kept, counts)
    targets = Counter(kept) + Counter(wanted)
    surplus = {t: max(0, count.in_flight - targets[t]) for t, count in counts.items()}
    cancel = {t: min(count.waiting, surplus[t]) for t, count in counts.items()}
    tasks, there = [], {t: 0 if count.blocked else count.in_flight for t, count in counts.items()}
    for t in wanted:
        if there[t]:
            there[t] -= 1
        else:
            tasks.append(t)
    if plan.max_tasks_per_network is not None:  # unwanted tasks that run take up room until they have ended
        left = sum(count.in_flight for count in counts.values()) - sum(cancel.values())
        tasks = tasks[: max(0, plan.max_tasks_per_network - left)]
    return _proposal(
        plan,
        state,
        counts,
        tasks,
        weights=weights,
        targets={t: targets[t] for t in counts},
        cancel={t: number for t, number in cancel.items() if number},
        unwanted={t: surplus[t] - cancel[t] for t in counts if surplus[t] > cancel[t]},
    )


def _proposal(
    plan: StrategyPlan,
    state: StrategyState,
    counts: Mapping[str, Counts],
    tasks: Sequence[str],
    *,
    weights: Weights,
    targets: Mapping[str, int],
    cancel: Mapping[str, int] | None = None,
    unwanted: Mapping[str, int] | None = None,
) -> Proposal:
    """Return a proposal of tasks: spare ones are taken up again first, the others created."""
    action: Counter[str] = Counter()
    create = []
    for t in tasks:
        if action[t] < counts[t].spare:
            action[t] += 1
        else:
            create.append(t)
    extends = extensions(plan.extends_preference, create, counts)
    return Proposal(state, tuple(create), extends, +action, cancel or {}, unwanted or {}, weights, targets)


def extensions(preference: float, create: Sequence[str], counts: Mapping[str, Counts]) -> tuple[str | None, ...]:
    """Return for each new task the id of the task that it extends, or None.

    A task extends the latest complete one that nothing extends yet, if there is one and fewer than `preference` of the
    transformation's tasks, this one included, extend another.
    """
    left = {t: list(counts[t].extendable) for t in create}
    total = {t: counts[t].total for t in create}
    extended = {t: counts[t].extended for t in create}
    chosen: list[str | None] = []
    for t in create:
        total[t] += 1
        if left[t] and extended[t] < int(preference * total[t] + 1e-9):
            extended[t] += 1
            chosen.append(left[t].pop(0))
        else:
            chosen.append(None)
    return tuple(chosen)


def _wanted_tasks(
    plan: StrategyPlan, ask: Propose, weights: Weights, in_flight: Mapping[str, int], counts: Mapping[str, Counts]
) -> list[str]:
    """Return the transformations that get a task beside those in flight, in rounds, the most urgent first.

    The strategy is asked again after every round, so what was given in the rounds before counts. Where the network is
    capped the shares are made anew, until nothing more fits: so a second call with these in flight returns nothing.
    """
    planned = dict(in_flight)
    tasks: list[str] = []
    while True:
        before, quota = len(tasks), _quota(plan, weights, counts)
        while ready := _next_tasks(plan, weights, quota, planned, counts):
            for transformation in ready:
                planned[transformation] += 1
            tasks += ready
            if not _has_room(plan, planned, counts):
                return tasks  # whatever the strategy would say now
            weights = ask(planned)
        if len(tasks) == before or quota is None:
            return tasks


def _next_tasks(
    plan: StrategyPlan,
    weights: Weights,
    quota: Mapping[str, int] | None,
    planned: Mapping[str, int],
    counts: Mapping[str, Counts],
) -> list[str]:
    """Return the transformations that get one more task now, the most urgent first."""
    targets = task_counts(plan, weights) if quota is None else quota
    ready = [
        transformation
        for transformation, count in counts.items()
        if weights.get(transformation)
        and not count.blocked
        and planned[transformation] < min(targets.get(transformation, 0), plan.max_tasks_per_transformation)
    ]
    ready.sort(key=lambda transformation: (-(weights[transformation] or 0.0), transformation))
    if plan.max_tasks_per_network is not None:
        ready = ready[: max(0, plan.max_tasks_per_network - sum(planned.values()))]
    return ready


def _has_room(plan: StrategyPlan, planned: Mapping[str, int], counts: Mapping[str, Counts]) -> bool:
    """Return whether the caps leave room for another task."""
    if plan.max_tasks_per_network is not None and sum(planned.values()) >= plan.max_tasks_per_network:
        return False
    return any(planned[t] < plan.max_tasks_per_transformation and not count.blocked for t, count in counts.items())


def _targets(plan: StrategyPlan, weights: Weights, counts: Mapping[str, Counts]) -> dict[str, int]:
    """Return how many tasks the weights are worth."""
    quota = _quota(plan, weights, counts)
    return task_counts(plan, weights) if quota is None else quota


def task_counts(plan: StrategyPlan, weights: Weights) -> dict[str, int]:
    """Return how many tasks each transformation is to have in flight.

    For a normalised weight w and m = max_tasks_per_transformation: None or 0 -> 0; linear int(1 + w m);
    exponential int((1 + m)**w); clamped to 0..m (alchemiscale's formulas).
    """
    m = plan.max_tasks_per_transformation
    counts = {}
    for transformation, weight in normalized(plan, weights).items():
        if not weight:
            counts[transformation] = 0
        elif plan.task_scaling == "linear":
            counts[transformation] = min(m, int(1 + weight * m + 1e-9))
        else:
            counts[transformation] = min(m, int((1 + m) ** weight + 1e-9))
    return counts


def normalized(plan: StrategyPlan, weights: Weights) -> dict[str, float | None]:
    """Return the weights divided by their maximum or their sum; all-zero weights stay zero.

    Raises
    ------
    ValueError
        A weight is negative or not finite.
    """
    _check(weights)
    given = [weight for weight in weights.values() if weight is not None]
    # fsum: the same on any order of the weights
    scale = max(given, default=0.0) if plan.normalization == "max" else math.fsum(given)
    return {t: weight if weight is None or scale == 0 else weight / scale for t, weight in weights.items()}


def _check(weights: Weights) -> None:
    if any(weight is not None and (not math.isfinite(weight) or weight < 0) for weight in weights.values()):
        raise ValueError("the strategy proposed a weight that is negative or not finite")


def _quota(plan: StrategyPlan, weights: Weights, counts: Mapping[str, Counts]) -> dict[str, int] | None:
    """Return the shares of a capped network; a transformation in error has none."""
    if plan.max_tasks_per_network is None:
        return None
    healthy = {t: weight for t, weight in weights.items() if t in counts and not counts[t].blocked}
    return largest_remainder(healthy, plan.max_tasks_per_network, plan.max_tasks_per_transformation)


def largest_remainder(weights: Weights, total: int, most: int) -> dict[str, int]:
    """Share `total` tasks in proportion to the weights, at most `most` each (Hamilton's method).

    What a transformation cannot take is shared among the others.
    """
    shares = dict.fromkeys(weights, 0)
    while left := total - sum(shares.values()):
        takers = {t: w for t, w in weights.items() if w and shares[t] < most}
        if not takers:
            break
        scale = math.fsum(takers.values())
        exact = {t: w / scale * left for t, w in takers.items()}
        for t, x in exact.items():
            shares[t] += min(int(x), most - shares[t])
        rest = sorted(takers, key=lambda t: (int(exact[t]) - exact[t], -takers[t], t))
        for t in rest[: left - sum(int(x) for x in exact.values())]:
            shares[t] += shares[t] < most
    return shares
