"""The same number of repeats for every transformation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
from attrs import validators

from xpm_alchem.base.checks import MOST_REPEATS
from xpm_alchem.strategies.base import Strategy, n_results


@attrs.frozen
class UniformStrategySettings:
    """Settings of `UniformStrategy`."""

    repeats: int = attrs.field(
        default=3,
        validator=[validators.instance_of(int), validators.ge(1), validators.le(MOST_REPEATS)],
        metadata={"description": "results every transformation gets"},
    )


class UniformStrategy(Strategy[UniformStrategySettings]):
    """Weight 1 until a transformation has its repeats."""

    @classmethod
    def default_settings(cls) -> UniformStrategySettings:
        """Three repeats, as OpenFE users run them."""
        return UniformStrategySettings()

    @property
    def most_results(self) -> int:
        """Its repeats."""
        return self.settings.repeats

    def _propose(self, alchemical_network: Any, protocol_results: Mapping[str, Any]) -> dict[str, float | None]:
        repeats = self.settings.repeats
        keys = sorted(str(transformation.key) for transformation in alchemical_network.edges)
        return {key: 1.0 if n_results(protocol_results, key) < repeats else None for key in keys}
