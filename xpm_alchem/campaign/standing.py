"""How a network stands among those of its workspace: its state and weight, as alchemiscale has them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import attrs

from xpm_alchem.base.errors import InputError
from xpm_alchem.base.near_miss import unknown_key

DEFAULT_WEIGHT = 0.5


class NetworkState(StrEnum):
    """alchemiscale's states of a network."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    INVALID = "invalid"
    DELETED = "deleted"


@attrs.frozen
class Standing:
    """What a network gets of its workspace.

    Attributes
    ----------
    state
        Of an active network tasks are started; of any other what runs goes on, and nothing new begins.
    weight
        Its part of slots and submissions beside other networks', 0 to 1; 0 pauses it.
    """

    state: NetworkState = NetworkState.ACTIVE
    weight: float = DEFAULT_WEIGHT

    @property
    def starts(self) -> bool:
        """Whether anything new may begin."""
        return self.state is NetworkState.ACTIVE and self.weight > 0

    @property
    def sentence(self) -> str:
        """Why nothing new begins; '' if it may."""
        if self.state is not NetworkState.ACTIVE:
            return f"the network is {self.state}: nothing new is started"
        return "" if self.weight > 0 else "the network's weight is 0: it is paused, and nothing new is started"

    def changed(self, change: Mapping[str, Any]) -> Standing:
        """Return it with the `state` and `weight` that a change names; what makes no sense is passed over."""
        state, weight = change.get("state"), change.get("weight")
        return Standing(
            NetworkState(state) if isinstance(state, str) and state in tuple(NetworkState) else self.state,
            float(weight) if is_weight(weight) and weight is not None else self.weight,
        )


def is_weight(value: object) -> bool:
    """Return whether a value is a weight: a number from 0 to 1."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def check_state(state: str) -> NetworkState:
    """Return the state of that name.

    Raises
    ------
    InputError
        There is none.
    """
    if state not in tuple(NetworkState):
        raise InputError(unknown_key(state, [str(one) for one in NetworkState], "state", what="there is no"))
    return NetworkState(state)


def check_weight(weight: float) -> float:
    """Return a weight.

    Raises
    ------
    InputError
        It is none.
    """
    if not is_weight(weight):
        raise InputError(f"weight {weight!r}: give a number from 0 (paused) to 1; {DEFAULT_WEIGHT} is the default.")
    return float(weight)
