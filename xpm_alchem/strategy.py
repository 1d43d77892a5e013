"""The strategist: weights become counts, counts become changes. Pure: values in, values out.

After alchemiscale's strategist, without its faults: weights are normalised by their maximum unless asked otherwise,
tasks in flight count as results to come, and errored transformations cannot keep it awake.
"""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable, Mapping

import attrs

from xpm_alchem.plan import StrategyPlan

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
    """

    complete: int = 0
    waiting: int = 0
    running: int = 0
    error: int = 0

    @property
    def in_flight(self) -> int:
        """Results to come."""
        return self.waiting + self.running


@attrs.frozen
class Proposal:
    """What an iteration decided.

    Attributes
    ----------
    create
        Transformations by stable id in the order in which tasks are to be created, one entry a task.
    cancel
        How many waiting tasks of a transformation are to be cancelled (mode 'full' only).
    weights
        The first proposal's weights.
    """

    state: StrategyState
    create: tuple[str, ...] = ()
    cancel: Mapping[str, int] = attrs.field(factory=dict)
    weights: Weights = attrs.field(factory=dict)


def is_due(plan: StrategyPlan, state: StrategyState, results: int, now: float) -> bool:
    """Return whether an iteration is to be made: not disabled or in error, slept enough, and awake or woken up."""
    if plan.mode == "disabled" or state.status == ERROR:
        return False
    if state.last_iteration is not None and now - state.last_iteration < plan.sleep_interval:
        return False
    return state.status == AWAKE or results != state.last_iteration_result_count


def iterate(
    plan: StrategyPlan, state: StrategyState, counts: Mapping[str, Counts], propose: Propose, now: float
) -> Proposal:
    """Make one iteration.

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

    results = sum(count.complete for count in counts.values())
    planned = {transformation: count.in_flight for transformation, count in counts.items()}
    try:
        wanted = ask(dict.fromkeys(planned, 0)) if plan.mode == "full" else None
        first = weights = ask(planned)
        create: list[str] = []
        quota = _quota(plan, {t: w for t, w in weights.items() if t in counts and not counts[t].error})
        while ready := _next_tasks(plan, weights, quota, planned, counts):
            for transformation in ready:
                planned[transformation] += 1
            create += ready
            weights = ask(planned)
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
    cancel = {} if wanted is None else {t: c.waiting for t, c in counts.items() if c.waiting and not wanted.get(t)}
    idle = not create and all(not weight or counts[t].error for t, weight in first.items() if t in counts)
    return Proposal(
        state=StrategyState(
            status=DORMANT if idle else AWAKE,
            iterations=state.iterations + 1,
            last_iteration=now,
            last_iteration_result_count=results,
        ),
        create=tuple(create),
        cancel=cancel,
        weights=first,
    )


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
        and not count.error
        and planned[transformation] < min(targets.get(transformation, 0), plan.max_tasks_per_transformation)
    ]
    ready.sort(key=lambda transformation: (-(weights[transformation] or 0.0), transformation))
    if plan.max_tasks_per_network is not None:
        ready = ready[: max(0, plan.max_tasks_per_network - sum(planned.values()))]
    return ready


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


def _quota(plan: StrategyPlan, weights: Weights) -> dict[str, int] | None:
    if plan.max_tasks_per_network is None:
        return None
    return largest_remainder(weights, plan.max_tasks_per_network, plan.max_tasks_per_transformation)


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
