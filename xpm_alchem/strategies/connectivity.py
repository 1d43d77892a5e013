"""Transformations between well-connected chemical systems first, as stratocaster's ConnectivityStrategy weighs them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import attrs
from attrs import validators

from xpm_alchem.base.checks import MOST_REPEATS
from xpm_alchem.strategies.base import Strategy, n_results


@attrs.frozen
class ConnectivityStrategySettings:
    """Settings of `ConnectivityStrategy`, named and with defaults as stratocaster's."""

    decay_rate: float = attrs.field(
        default=0.5,
        validator=[validators.gt(0), validators.lt(1)],
        metadata={"description": "factor by which every result lowers the weight"},
    )
    cutoff: float | None = attrs.field(
        default=None,
        validator=validators.optional(validators.gt(0)),
        metadata={"description": "weights below it become None"},
    )
    max_runs: int | None = attrs.field(
        default=None,
        validator=validators.optional([validators.instance_of(int), validators.ge(1), validators.le(MOST_REPEATS)]),
        metadata={"description": "results after which a transformation gets no more"},
    )

    def __attrs_post_init__(self) -> None:
        if self.cutoff is None and self.max_runs is None:
            raise ValueError("at least one of 'max_runs' and 'cutoff' must be set")


class ConnectivityStrategy(Strategy[ConnectivityStrategySettings]):
    """Weight = decay_rate**n x (degree of A + degree of B) / 2, for n results.

    Where stratocaster's is well defined the weights are the same. Parallel transformations between the same two
    systems each get a weight, and a NonTransformation counts once for the degree of its system.
    """

    @classmethod
    def default_settings(cls) -> ConnectivityStrategySettings:
        """At most three results."""
        return ConnectivityStrategySettings(max_runs=3)

    def _propose(self, alchemical_network: Any, protocol_results: Mapping[str, Any]) -> dict[str, float | None]:
        settings = self.settings
        ends = {str(t.key): (str(t.stateA.key), str(t.stateB.key)) for t in alchemical_network.edges}
        degree = Counter(system for pair in ends.values() for system in set(pair))
        weights: dict[str, float | None] = {}
        for key in sorted(ends):
            n = n_results(protocol_results, key)
            weight = settings.decay_rate**n * sum(degree[system] for system in ends[key]) / 2
            enough = settings.max_runs is not None and n >= settings.max_runs
            low = settings.cutoff is not None and weight < settings.cutoff
            weights[key] = None if enough or low else weight
        return weights
