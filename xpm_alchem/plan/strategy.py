"""The strategy section of campaign.yaml: which strategy decides, and how its weights become tasks. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from xpm_alchem.base import checks
from xpm_alchem.base.durations import duration
from xpm_alchem.base.errors import CampaignError
from xpm_alchem.base.near_miss import check_keys

MODES = ("partial", "full", "disabled")
SCALINGS = ("linear", "exponential")
NORMALIZATIONS = ("max", "sum")


@attrs.frozen
class StrategyPlan:
    """Which strategy decides, and how its weights become tasks; alchemiscale's names and defaults unless said.

    Attributes
    ----------
    name
        'uniform', 'connectivity', 'radial-growth', 'a-optimal', or 'module:Class' of a stratocaster Strategy. None:
        there is no strategy, nothing is proposed; the mode is then 'disabled'.
    settings
        Of the strategy.
    mode
        'partial' (tasks are only added), 'full' (tasks nobody wants any more are cancelled), 'disabled'.
    task_scaling
        'exponential' int((1 + m)**w) or 'linear' int(1 + w m), for a weight w and m = max_tasks_per_transformation.
    normalization
        'max' divides the weights by the largest, so that the scalings see numbers up to 1; 'sum' is alchemiscale's.
    max_tasks_per_transformation, max_tasks_per_network
        How many tasks may be waiting or running at once.
    sleep_interval
        Least seconds between two iterations.
    extends_preference
        Share of a transformation's tasks that extend a complete one instead of being new repeats, as far as there is
        one to extend: 0 none, 1 all.
    patience
        Mode 'full': seconds for which a running task must have been unwanted before it is cancelled.
    """

    name: str | None = "uniform"
    settings: dict[str, Any] = attrs.field(factory=dict)
    mode: str = "partial"
    task_scaling: str = "exponential"
    normalization: str = "max"
    max_tasks_per_transformation: int = 3
    max_tasks_per_network: int | None = None
    sleep_interval: float = 0.0
    extends_preference: float = 0.0
    patience: float = 600.0

    @property
    def is_paused(self) -> bool:
        """Whether there is a strategy that is disabled; without one, tasks are created by hand."""
        return self.name is not None and self.mode == "disabled"

    @classmethod
    def parse(cls, value: Any, where: str) -> StrategyPlan:
        """Check the 'strategy' section; a text alone is its name.

        Raises
        ------
        CampaignError
            Says the key, and what would do.
        """
        given = {"name": value} if isinstance(value, str) else checks.mapping(value, where)
        check_keys(given, KEYS, where)
        plan = cls(**{key: _CHECKS[key](item, f"{where}.{key}") for key, item in given.items()})
        if plan.name is None and plan.mode != "disabled":
            raise CampaignError(f"{where}: there is no strategy (name: null), so mode must be 'disabled'. Give a name.")
        return plan


KEYS = tuple(field.name for field in attrs.fields(StrategyPlan))
_CHECKS: Mapping[str, Callable[[Any, str], Any]] = {
    "name": lambda value, where: None if value is None else checks.text(value, where),
    "settings": checks.mapping,
    "mode": lambda value, where: checks.one_of(value, where, MODES),
    "task_scaling": lambda value, where: checks.one_of(value, where, SCALINGS),
    "normalization": lambda value, where: checks.one_of(value, where, NORMALIZATIONS),
    "max_tasks_per_transformation": lambda value, where: checks.whole(value, where, 1, checks.MOST_REPEATS),
    "max_tasks_per_network": lambda value, where: None if value is None else checks.whole(value, where, 1),
    "sleep_interval": duration,
    "extends_preference": checks.share,
    "patience": duration,
}
