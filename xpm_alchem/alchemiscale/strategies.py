"""The strategy of a network, as an object that goes in and comes out again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import attrs

from xpm_alchem.alchemiscale.enums import (
    StrategyModeEnum,
    StrategyStatusEnum,
    StrategyTaskScalingEnum,
    value_of,
)
from xpm_alchem.alchemiscale.foundation import Foundation, translated
from xpm_alchem.alchemiscale.scoped_key import ScopedKey
from xpm_alchem.plan.campaign_yaml import Plan
from xpm_alchem.requests import inbox


@attrs.define
class StrategyState:
    """How a network's strategy is.

    Attributes
    ----------
    sleep_interval
        Least seconds between two iterations.
    last_iteration
        When it was (UTC), None before the first.
    exception
        Type and message of what it raised.
    """

    mode: StrategyModeEnum
    status: StrategyStatusEnum
    iterations: int
    sleep_interval: int
    last_iteration: datetime | None
    last_iteration_result_count: int | None
    max_tasks_per_transformation: int
    max_tasks_per_network: int | None
    task_scaling: StrategyTaskScalingEnum
    exception: tuple[str, str] | None = None
    traceback: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        last = self.last_iteration
        return {**attrs.asdict(self), "last_iteration": None if last is None else last.isoformat()}

    @classmethod
    def from_dict(cls, d: Mapping[str, Any]) -> StrategyState:
        """Return the state of which `to_dict` was made."""
        last, exception = d["last_iteration"], d["exception"]
        enums = {"mode": StrategyModeEnum, "status": StrategyStatusEnum, "task_scaling": StrategyTaskScalingEnum}
        given = {**d, **{key: enum(d[key]) for key, enum in enums.items()}}
        given["last_iteration"] = datetime.fromisoformat(last) if isinstance(last, str) else last
        return cls(**{**given, "exception": None if exception is None else tuple(exception)})


class StrategyMethods(Foundation):
    """Strategies.

    Raises
    ------
    AlchemiscaleClientError
        By each method: there is no such network.
    """

    def set_network_strategy(
        self,
        network: ScopedKey,
        strategy: Any,
        max_tasks_per_transformation: int = 3,
        task_scaling: str = "exponential",
        mode: str = "partial",
        sleep_interval: int = 3600,
    ) -> ScopedKey | None:
        """Put a strategy in force for a network, awake; None drops the one there is.

        Parameters
        ----------
        strategy
            An instance of a stratocaster Strategy, or of one of ours.
        max_tasks_per_transformation
            Tasks of a transformation that may be waiting or running at once.
        task_scaling
            'linear' or 'exponential'.
        mode
            'full' (tasks that are not wanted any more are cancelled), 'partial' or 'disabled'.
        sleep_interval
            Least seconds between two iterations.

        Returns
        -------
        ScopedKey or None
            The strategy's; None if it was dropped.

        Raises
        ------
        AlchemiscaleClientError
            It is no strategy, or another argument cannot be used; nothing is changed then.
        """
        from xpm_alchem.strategies.given import strategy_section

        with translated():
            found = self._network(network)
            changes: dict[str, Any] = {"name": None}
            if strategy is not None:
                changes = {
                    "settings": {},
                    **strategy_section({"name": strategy}),
                    "mode": value_of(mode, StrategyModeEnum, "mode"),
                    "task_scaling": value_of(task_scaling, StrategyTaskScalingEnum, "task_scaling"),
                    "max_tasks_per_transformation": max_tasks_per_transformation,
                    "sleep_interval": sleep_interval,
                }
            self._settle(found.records, inbox.set_strategy(found.records, changes))
            return None if strategy is None else _strategy_key(strategy, found.key)

    def get_network_strategy(self, network: ScopedKey) -> Any:
        """Return a network's strategy, None without one; stratocaster's own class where that is installed."""
        with translated():
            return _made(self._network(network).records.plan())

    def get_network_strategy_state(self, network: ScopedKey) -> StrategyState | None:
        """Return how a network's strategy is, None without one."""
        with translated():
            campaign = self._network(network).campaign
            if campaign.get_network_strategy() is None:
                return None
            given = campaign.get_network_strategy_state()
        known = {field.name: given[field.name] for field in attrs.fields(StrategyState)}
        last, raised = given["last_iteration"], given["exception"]
        kind, _, message = str(raised or "").partition(": ")
        return StrategyState(
            **{
                **known,
                "mode": StrategyModeEnum(given["mode"]),
                "status": StrategyStatusEnum(given["status"]),
                "task_scaling": StrategyTaskScalingEnum(given["task_scaling"]),
                "last_iteration": None if last is None else datetime.fromtimestamp(last, UTC),
                "sleep_interval": int(given["sleep_interval"]),
                "exception": None if raised is None else (kind, message),
            }
        )

    def get_network_strategy_status(self, network: ScopedKey) -> str | None:
        """Return 'awake', 'dormant' or 'error', None without a strategy."""
        state = self.get_network_strategy_state(network)
        return None if state is None else str(state.status)

    def set_network_strategy_awake(self, network: ScopedKey) -> ScopedKey | None:
        """Let a network's strategy be performed again, also after an error; return the network's key.

        None is returned where there is no strategy, or it is disabled.
        """
        with translated():
            found = self._network(network)
            plan = found.records.plan().strategy
            if plan.name is None or plan.mode == "disabled":
                return None
            self._settle(found.records, inbox.awake(found.records))
            return found.key


def _made(plan: Plan) -> Any:
    """Return the strategy of a plan: as stratocaster's, where ours of that name weighs as one of those."""
    from xpm_alchem.strategies.choose import make_strategy, planned_strategy
    from xpm_alchem.strategies.given import STRATOCASTER

    ours = planned_strategy(plan)
    for cls, name in STRATOCASTER.items():
        if plan.strategy.name == name:
            try:
                made = make_strategy(f"stratocaster.strategies:{cls}", plan.strategy.settings)
            except ImportError:
                return ours
            return made
    return ours


def _strategy_key(strategy: Any, network: ScopedKey) -> ScopedKey:
    """Return the key of a strategy; one of ours, which is no gufe object, is told apart by its settings."""
    from xpm_alchem.strategies.choose import settings_fields

    key = getattr(strategy, "key", None)
    if key is None:
        settings = json.dumps(settings_fields(strategy.settings), sort_keys=True, default=str)
        key = f"{type(strategy).__name__}-{hashlib.sha256(settings.encode()).hexdigest()[:32]}"
    return ScopedKey.of(key, network.scope)
