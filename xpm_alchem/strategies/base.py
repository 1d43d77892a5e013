"""The interface of a strategy, which is stratocaster's; our own strategies need neither stratocaster nor pydantic."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import attrs

SettingsT = TypeVar("SettingsT")


@attrs.frozen
class StrategyResult:
    """Proposed weights.

    Attributes
    ----------
    weights
        By gufe key of the transformation: None where no more results are wanted, else a number >= 0.
    """

    weights: Mapping[str, float | None]

    def resolve(self) -> dict[str, float | None]:
        """Return the weights divided by their sum, as stratocaster does; all-zero weights stay zero."""
        total = sum(weight for weight in self.weights.values() if weight is not None)
        return {key: weight if weight is None or total == 0 else weight / total for key, weight in self.weights.items()}


class Strategy(ABC, Generic[SettingsT]):
    """Proposes how urgent each transformation of a network is.

    Parameters
    ----------
    settings
        An instance of the strategy's settings class.
    """

    def __init__(self, settings: SettingsT) -> None:
        self.settings = settings

    @classmethod
    @abstractmethod
    def default_settings(cls) -> SettingsT:
        """Return the recommended settings."""

    def propose(self, alchemical_network: Any, protocol_results: Mapping[str, Any]) -> StrategyResult:
        """Return a weight for every transformation.

        Parameters
        ----------
        alchemical_network
            A gufe AlchemicalNetwork.
        protocol_results
            By gufe key of the transformation: its ProtocolResult, or None where there is none yet. Of a result,
            `n_protocol_dag_results`, `get_estimate` and `get_uncertainty` may be asked for.
        """
        return StrategyResult(self._propose(alchemical_network, protocol_results))

    @property
    def most_results(self) -> int | None:
        """Results after which a transformation gets no more, or None where the settings name no such number."""
        most: int | None = getattr(self.settings, "max_runs", None)
        return most

    def without_end(self) -> Strategy[SettingsT] | None:
        """Return the same strategy that is never satisfied, or None where another rule is to go on instead."""
        return None

    @abstractmethod
    def _propose(self, alchemical_network: Any, protocol_results: Mapping[str, Any]) -> dict[str, float | None]:
        """Return the weights by gufe key."""


def n_results(protocol_results: Mapping[str, Any], key: str) -> int:
    """Return how many results a transformation has."""
    result = protocol_results.get(key)
    return 0 if result is None else int(result.n_protocol_dag_results)
