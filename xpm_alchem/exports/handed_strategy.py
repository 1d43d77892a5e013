"""The strategy of a plan as alchemiscale's client takes it, and what of it alchemiscale cannot be told. Pure."""

from __future__ import annotations

import math
from typing import Any

import attrs

from xpm_alchem.plan.strategy import StrategyPlan

_CLASSES = {
    "connectivity": "stratocaster.strategies:ConnectivityStrategy",
    "radial-growth": "stratocaster.strategies:RadialGrowthStrategy",
}
_DEFAULTS = StrategyPlan()


@attrs.frozen
class HandedStrategy:
    """What can be handed over.

    Attributes
    ----------
    asked
        Class, settings, and the arguments of `set_network_strategy`; None where no class of stratocaster is meant.
    left_out
        A sentence for each thing that cannot.
    """

    asked: dict[str, Any] | None
    left_out: tuple[str, ...]

    @classmethod
    def of(cls, plan: StrategyPlan, settings: dict[str, Any]) -> HandedStrategy:
        """Translate a plan's; `settings`: the strategy's."""
        if plan.name is None:
            return cls(None, ())
        if plan.name == "uniform":
            return cls(
                None,
                ("strategy 'uniform': stratocaster has none such; the repeats that are missing are created as tasks",),
            )
        given = plan.name if ":" in plan.name else _CLASSES.get(plan.name)
        if given is None:
            sentence = (
                f"strategy '{plan.name}': stratocaster has none such. What waits or runs now is handed over as tasks; "
                "no more are asked for there (set another strategy here or there, or come back with the results)"
            )
            return cls(None, (sentence,))
        arguments = {
            "max_tasks_per_transformation": plan.max_tasks_per_transformation,
            "task_scaling": plan.task_scaling,
            "mode": plan.mode,
        }
        if plan.sleep_interval > 0:  # else alchemiscale's own: it takes no 0
            arguments["sleep_interval"] = math.ceil(plan.sleep_interval)
        return cls({"class": given, "settings": settings, "arguments": arguments}, tuple(_left_out(plan)))


def _left_out(plan: StrategyPlan) -> list[str]:
    said = []
    if plan.normalization != "sum":
        said.append(
            f"strategy.normalization '{plan.normalization}': alchemiscale divides the weights by their sum; in a large "
            "network nearly every transformation gets one task at a time"
        )
    for name in ("max_tasks_per_network", "extends_preference", "patience"):
        if (value := getattr(plan, name)) != getattr(_DEFAULTS, name):
            said.append(f"strategy.{name} {value}: alchemiscale has none such")
    package = plan.name.partition(":")[0].partition(".")[0] if plan.name and ":" in plan.name else "stratocaster"
    if package != "stratocaster":
        said.append(f"the code of the strategy: the package '{package}' must be installed on the server")
    return said
