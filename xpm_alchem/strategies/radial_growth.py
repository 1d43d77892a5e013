"""Transformations near the centre of the network first, as stratocaster's RadialGrowthStrategy weighs them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Mapping
from functools import reduce
from operator import or_
from typing import Any

import attrs
import networkx as nx
from attrs import validators

from xpm_alchem.base.checks import MOST_REPEATS
from xpm_alchem.strategies.base import Strategy, n_results

# Factors grow towards the centre of a network. Only in one of hundreds of tiers is this reached; sums stay finite.
_LARGEST_FACTOR = 1e100


@attrs.frozen
class RadialGrowthStrategySettings:
    """Settings of `RadialGrowthStrategy`, named and with defaults as stratocaster's."""

    max_runs: int = attrs.field(
        default=3,
        validator=[validators.instance_of(int), validators.ge(1), validators.le(MOST_REPEATS)],
        metadata={"description": "results after which a transformation gets no more"},
    )
    candidacy_max_distance: int = attrs.field(
        default=1,
        validator=[validators.instance_of(int), validators.ge(1)],
        metadata={"description": "how many tiers beyond the lowest complete one transformations may have a weight"},
    )
    decay_repeat_rate: float = attrs.field(
        default=0.5,
        validator=[validators.gt(0), validators.lt(1)],
        metadata={"description": "factor by which every result lowers the weight"},
    )
    decay_distance_rate: float = attrs.field(
        default=0.5,
        validator=[validators.gt(0), validators.lt(1)],
        metadata={"description": "factor by which every tier further out lowers the weight"},
    )


class RadialGrowthStrategy(Strategy[RadialGrowthStrategySettings]):
    """Weight = decay_repeat_rate**n x decay_distance_rate**(d - 1), for n results at the distance d.

    The *tier* of a chemical system is its eccentricity (the largest number of transformations on a shortest way from
    it) in its connected part of the network, that of a transformation is the outer one of its two systems. The
    distance of a transformation is its tier less the lowest complete tier: the innermost tier that a transformation
    without results touches. Transformations of the outermost tier have no say in that; when only they, or none, are
    without results, the outermost tier is taken for complete. At the distance 0 the factor is 1, as at 1; beyond
    `candidacy_max_distance` it is 0; further in than the lowest complete tier, where distances are negative, it grows.

    These are stratocaster's weights where those do not depend on the order of the network's edges, and elsewhere those
    that it gives for one of the orders: a minimum is taken here, so that no order matters and there are no ties to
    break. Parallel transformations between the same two systems each get a weight. A NonTransformation has the tier of
    its system and is no way to anywhere.
    """

    @classmethod
    def default_settings(cls) -> RadialGrowthStrategySettings:
        """At most three results, and one tier beyond the complete ones."""
        return RadialGrowthStrategySettings()

    def __init__(self, settings: RadialGrowthStrategySettings) -> None:
        super().__init__(settings)
        self._asked: tuple[Any, list[_Part]] = (None, [])  # the network last asked about; it is asked about often

    def _propose(self, alchemical_network: Any, protocol_results: Mapping[str, Any]) -> dict[str, float | None]:
        if self._asked[0] is not alchemical_network:
            self._asked = (alchemical_network, _parts(alchemical_network))
        weights: dict[str, float | None] = {}
        for part in self._asked[1]:
            count = {key: n_results(protocol_results, key) for key in part.outer}
            lacking = (key for key, n in count.items() if n == 0 and part.outer[key] < part.outermost)
            complete = min((part.inner[key] for key in lacking), default=part.outermost)
            for key, tier in part.outer.items():
                weights[key] = self._weight(count[key], tier - complete)
        return {key: weights[key] for key in sorted(weights)}

    def _weight(self, count: int, distance: int) -> float | None:
        settings = self.settings
        if count >= settings.max_runs:
            return None
        if distance > settings.candidacy_max_distance:
            return 0.0
        tiers = 0 if distance == 0 else distance - 1
        if tiers * math.log(settings.decay_distance_rate) > math.log(_LARGEST_FACTOR):
            factor = _LARGEST_FACTOR
        else:
            factor = settings.decay_distance_rate**tiers
        return settings.decay_repeat_rate**count * factor


@attrs.frozen
class _Part:
    """A connected part of a network.

    Attributes
    ----------
    inner, outer
        Tiers of the two systems of each transformation, by its key.
    outermost
        The largest tier.
    """

    inner: dict[str, int]
    outer: dict[str, int]
    outermost: int


def _parts(network: Any) -> list[_Part]:
    """Return the connected parts of a network that have transformations."""
    ends = {str(t.key): (str(t.stateA.key), str(t.stateB.key)) for t in network.edges}
    graph: nx.Graph[str] = nx.Graph(list(ends.values()))
    number: dict[str, int] = {}
    tiers: dict[str, int] = {}
    for n, systems in enumerate(nx.connected_components(graph)):
        number.update(dict.fromkeys(systems, n))
        tiers.update(_eccentricities({system: list(graph.adj[system]) for system in systems}))
    keys: dict[int, list[str]] = defaultdict(list)
    for key, (system, _) in ends.items():
        keys[number[system]].append(key)
    parts = []
    for part in keys.values():
        inner = {key: min(tiers[system] for system in ends[key]) for key in part}
        outer = {key: max(tiers[system] for system in ends[key]) for key in part}
        parts.append(_Part(inner, outer, max(outer.values())))
    return parts


def _eccentricities(neighbours: Mapping[str, Collection[str]]) -> dict[str, int]:
    """Return the eccentricity of every node of a connected graph.

    All searches are made at once: the nodes that each one has reached are the bits of an integer. For 5,000 nodes
    that takes a few milliseconds a step, and there are as many steps as the diameter has edges.
    """
    reached = {node: 1 << bit for bit, node in enumerate(neighbours)}
    everything = (1 << len(neighbours)) - 1
    found: dict[str, int] = {}
    step = 0
    while True:
        found.update({node: step for node, bits in reached.items() if bits == everything and node not in found})
        if len(found) == len(neighbours):
            return found
        step += 1
        reached = {
            node: bits if bits == everything else reduce(or_, (reached[other] for other in neighbours[node]), bits)
            for node, bits in reached.items()
        }
