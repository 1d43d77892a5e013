"""alchemiscale's enumerations; wherever one is expected, its value as a text does as well."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from xpm_alchem.alchemiscale.errors import AlchemiscaleClientError


class NetworkStateEnum(StrEnum):
    """State of an AlchemicalNetwork."""

    active = "active"
    inactive = "inactive"
    invalid = "invalid"
    deleted = "deleted"


class TaskStatusEnum(StrEnum):
    """Status of a Task."""

    waiting = "waiting"
    running = "running"
    complete = "complete"
    error = "error"
    invalid = "invalid"
    deleted = "deleted"


class StrategyModeEnum(StrEnum):
    """How much a Strategy may do."""

    full = "full"
    partial = "partial"
    disabled = "disabled"


class StrategyStatusEnum(StrEnum):
    """How a Strategy is."""

    awake = "awake"
    dormant = "dormant"
    error = "error"


class StrategyTaskScalingEnum(StrEnum):
    """How weights become numbers of Tasks."""

    linear = "linear"
    exponential = "exponential"


class ResultFormat(StrEnum):
    """Format of results.

    Attributes
    ----------
    PROTOCOL_RESULT
        One ProtocolResult of all successful ProtocolDAGResults.
    PROTOCOL_RESULTS
        A list of ProtocolResults, one for each successful ProtocolDAGResult.
    PROTOCOL_DAG_RESULTS
        The list of the ProtocolDAGResults themselves.
    """

    PROTOCOL_RESULT = "ProtocolResult"
    PROTOCOL_RESULTS = "ProtocolResults"
    PROTOCOL_DAG_RESULTS = "ProtocolDAGResults"


def value_of(given: object, members: Iterable[StrEnum], what: str) -> str:
    """Return the value of a member that was given as itself, as its value, or as the member of another enumeration.

    Raises
    ------
    AlchemiscaleClientError
        There is no such member: names those there are.
    """
    value = getattr(given, "value", given)
    known = [str(member) for member in members]
    if value not in known:
        raise AlchemiscaleClientError(f"{what} {value!r}: give one of {', '.join(known)}.")
    return str(value)
