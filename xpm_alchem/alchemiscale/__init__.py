"""``from xpm_alchem.alchemiscale import AlchemiscaleClient, Scope, ScopedKey``: its client, over workspaces of ours."""

from __future__ import annotations

from xpm_alchem.alchemiscale.client import AlchemiscaleClient
from xpm_alchem.alchemiscale.enums import (
    NetworkStateEnum,
    ResultFormat,
    StrategyModeEnum,
    StrategyStatusEnum,
    StrategyTaskScalingEnum,
    TaskStatusEnum,
)
from xpm_alchem.alchemiscale.errors import (
    AlchemiscaleBaseClientError,
    AlchemiscaleClientError,
    AlchemiscaleConnectionError,
    InvalidGufeKeyError,
    InvalidScopeError,
)
from xpm_alchem.alchemiscale.scope import Scope
from xpm_alchem.alchemiscale.scoped_key import ScopedKey
from xpm_alchem.alchemiscale.strategies import StrategyState

__all__ = [
    "AlchemiscaleBaseClientError",
    "AlchemiscaleClient",
    "AlchemiscaleClientError",
    "AlchemiscaleConnectionError",
    "InvalidGufeKeyError",
    "InvalidScopeError",
    "NetworkStateEnum",
    "ResultFormat",
    "Scope",
    "ScopedKey",
    "StrategyModeEnum",
    "StrategyState",
    "StrategyStatusEnum",
    "StrategyTaskScalingEnum",
    "TaskStatusEnum",
]
