"""Repeats where they make the ligands' values most precise for what they cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np
from attrs import validators
from numpy.typing import NDArray

from xpm_alchem.base.checks import MOST_REPEATS
from xpm_alchem.base.energies import LARGEST_ENERGY
from xpm_alchem.estimation.node_values import Legs
from xpm_alchem.strategies.base import Strategy
from xpm_alchem.strategies.legs import NetworkLegs, network_legs
from xpm_alchem.strategies.netbfe import prior_spread
from xpm_alchem.strategies.observations import Observation, Observer
from xpm_alchem.strategies.repeat_plan import AllocationState, RepeatPlan, repeats_of

Floats = NDArray[np.float64]


_DEFAULT_TARGET: float | None = 0.2
_DEFAULT_MOST: int | None = 30


def _between(least: float, most: float) -> Any:
    """Return the validator of a number that can be reckoned with."""
    sign = validators.gt(0) if least > 0 else validators.ge(0)  # it says best what most people get wrong
    return validators.and_(sign, validators.ge(least), validators.le(most))


_REPEATS: Any = validators.and_(validators.instance_of(int), validators.ge(2), validators.le(MOST_REPEATS))


@attrs.frozen
class AOptimalStrategySettings:
    """Settings of `AOptimalStrategy`."""

    target_standard_error: float | None = attrs.field(
        default=_DEFAULT_TARGET,
        validator=validators.optional(_between(1e-6, LARGEST_ENERGY)),
        metadata={"description": "of every ligand's value in kcal/mol, relative to the mean; None for no such end"},
    )
    least_gain: float | None = attrs.field(
        default=None,
        validator=validators.optional(_between(1e-30, 1e30)),
        metadata={"description": "stop when the best repeat lowers the mean variance by less, (kcal/mol)^2 per cost"},
    )
    pilot: int = attrs.field(
        default=3,
        validator=_REPEATS,
        metadata={"description": "repeats that every transformation gets before its scatter is believed"},
    )
    max_runs: int | None = attrs.field(
        default=_DEFAULT_MOST,
        validator=validators.optional(_REPEATS),
        metadata={"description": "most repeats of one transformation"},
    )
    batch: float = attrs.field(
        default=0.25,
        validator=[validators.gt(0), validators.le(10)],
        metadata={
            "description": "repeats planned ahead of the results, as a fraction of the number of transformations"
        },
    )
    tau: float | None = attrs.field(
        default=None,
        validator=validators.optional(_between(0.0, LARGEST_ENERGY)),
        metadata={"description": "error of an edge that repeats do not remove, kcal/mol; None: from cycle closures"},
    )
    costs: Mapping[str, float] = attrs.field(
        factory=dict,
        validator=validators.deep_mapping(validators.instance_of(str), _between(1e-9, 1e12)),
        metadata={"description": "cost of a repeat by environment (vacuum, solvent, complex) where none is measured"},
    )

    def __attrs_post_init__(self) -> None:
        if self.target_standard_error is None and self.least_gain is None and self.max_runs is None:
            raise ValueError("set 'target_standard_error', 'least_gain' or 'max_runs', or it never ends")


@attrs.frozen
class _WithoutEnd(AOptimalStrategySettings):
    """Settings of a strategy that is never satisfied."""

    def __attrs_post_init__(self) -> None:
        """Allow what the user is not allowed."""


class AOptimalStrategy(Strategy[AOptimalStrategySettings]):
    """Minimises the sum of the variances of the ligands' values per cost: A-optimal design, one repeat after another.

    After a pilot, each repeat goes to the leg where the expected drop of ``tr C`` per cost is largest (C: see
    covariance.py); under a target, of the part of it that belongs to values that are not precise enough yet. The
    expectation is over what the leg's variance may be, given few repeats of its own, all other
    legs and the protocol's own uncertainty, and over what the next repeat may say of it. A weight is the number of
    repeats that a transformation should get now, beyond those that are on their way; None: no more.

    The answer depends on the results that are known, and not on the order of anything.
    """

    def __init__(self, settings: AOptimalStrategySettings) -> None:
        super().__init__(settings)
        self._legs: tuple[Any, NetworkLegs, Floats] | None = None
        self._plan: tuple[NetworkLegs, RepeatPlan] | None = None
        self._observer = Observer()

    @classmethod
    def default_settings(cls) -> AOptimalStrategySettings:
        """Until every value has a standard error of 0.2 kcal/mol."""
        return AOptimalStrategySettings()

    def without_end(self) -> AOptimalStrategy:
        """Return one without target, least gain and most repeats: it goes on where the gain per cost is best."""
        ends = {"target_standard_error": None, "least_gain": None, "max_runs": None}
        return type(self)(_WithoutEnd(**{**attrs.asdict(self.settings), **ends}))

    def _propose(self, alchemical_network: Any, protocol_results: Mapping[str, Any]) -> dict[str, float | None]:
        legs, known = self._observed(alchemical_network, protocol_results)
        plan = self._planned(known)
        counted = {key: one.counted + _to_come(protocol_results.get(key)) for key, one in known.items()}
        weights = {key: plan.weight(leg, counted[key]) for leg, key in enumerate(legs.keys)}
        for key in legs.apart:  # nothing to be learned about differences: the pilot's number, as a user expects
            missing = self.settings.pilot - counted[key]
            weights[key] = float(missing) if missing > 0 else None
        return weights

    def plan(self, alchemical_network: Any, protocol_results: Mapping[str, Any]) -> RepeatPlan:
        """Return how many repeats every leg should have, and why."""
        return self._planned(self._observed(alchemical_network, protocol_results)[1])

    def _observed(self, network: Any, results: Mapping[str, Any]) -> tuple[NetworkLegs, dict[str, Observation]]:
        if self._legs is None or self._legs[0] is not network:
            legs = network_legs(network)
            by_key = {str(t.key): t for t in network.edges}
            self._legs = (network, legs, np.array([prior_spread(by_key[key]) for key in legs.keys]))
        legs = self._legs[1]
        return legs, {key: self._observer.known(key, results.get(key)) for key in (*legs.keys, *legs.apart)}

    def _planned(self, seen: Mapping[str, Observation]) -> RepeatPlan:
        """Return the plan, made anew only if something new is known: what is on its way does not matter."""
        assert self._legs is not None
        _, legs, spreads = self._legs
        known = [seen[key] for key in legs.keys]
        if self._plan is None or self._plan[0] is not legs or self._plan[1].known != known:
            repeats = self.repeats(legs, spreads, known)
            self._plan = (legs, RepeatPlan(legs, spreads, known, repeats, self.settings, self.scores))
        return self._plan[1]

    def repeats(self, legs: NetworkLegs, spreads: Floats, known: Sequence[Observation]) -> Legs:
        """Return the repeats of every leg as numbers."""
        return repeats_of(legs, spreads, known)

    def scores(self, state: AllocationState) -> Floats:
        """Return how good one more repeat of each leg is, shape (M,): the drop of ``tr C`` for its cost."""
        return state.expected_drop() / state.costs

    def explain(self, alchemical_network: Any, protocol_results: Mapping[str, Any]) -> dict[str, str]:
        """Return for every transformation by gufe key why its weight is what it is."""
        plan = self.plan(alchemical_network, protocol_results)
        said = {key: plan.reason(leg) for leg, key in enumerate(plan.legs.keys)}
        return said | dict.fromkeys(plan.legs.apart, "a NonTransformation: it gets the pilot's number of repeats")

    def remarks(self, alchemical_network: Any, protocol_results: Mapping[str, Any]) -> list[str]:
        """Return what is to be said of the whole network: precision reached, and what repeats cannot reach."""
        return self.plan(alchemical_network, protocol_results).remarks()


def _to_come(result: Any) -> int:
    return int(getattr(result, "to_come", 0))
