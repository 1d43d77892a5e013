"""Which numbers can be free energies. kcal/mol. Pure.

Protocols fail in numbers too: an estimate of 1e160 is what an exploded simulation leaves. Where estimates are read they
are asked for here, so that no strategy and no estimator ever sees one that is none.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeGuard

from xpm_alchem.base.values import short

LARGEST_ENERGY = 1e6
"""The potential energy of 100,000 molecules of water: no free energy that a simulation tells is as large."""
SMALLEST_ENERGY = 1e-12
"""Less is 0: far below what any force field resolves, and squares of it are lost to a float."""


class Believed(NamedTuple):
    """What is believed of what a protocol says of one repeat.

    Attributes
    ----------
    estimate, uncertainty
        None where there is none.
    left_out
        Why the repeat counts in nothing; '' if it does.
    """

    estimate: float | None
    uncertainty: float | None
    left_out: str = ""


def is_energy(value: Any) -> TypeGuard[float]:
    """Whether a value is a number that a free energy, or its error, can have."""
    number = _number(value)
    return number is not None and abs(number) <= LARGEST_ENERGY


def believed(estimate: Any, uncertainty: Any) -> Believed:
    """Return what is believed; of a repeat that is left out nothing is.

    An uncertainty that is no number, or negative, is no uncertainty; one without bounds says that the estimate is none.
    """
    error = _number(uncertainty)
    if error is not None and error > LARGEST_ENERGY:
        return Believed(None, None, _why("uncertainty", uncertainty))
    error = None if error is None or math.isnan(error) or error < 0 else _without_dust(error)
    if estimate is None:
        return Believed(None, error)
    value = _number(estimate)
    if value is None or not abs(value) <= LARGEST_ENERGY:
        return Believed(None, None, _why("estimate", estimate))
    return Believed(_without_dust(value), error)


def believed_pairs(pairs: Iterable[Sequence[Any]]) -> list[list[float]]:
    """Return estimate and error of those simulations that have an estimate; the error is 0.0 where there is none."""
    found = [believed(estimate, error) for estimate, error in pairs]
    return [[one.estimate, one.uncertainty or 0.0] for one in found if one.estimate is not None]


def _number(value: Any) -> float | None:
    """Return a float (an integer that no float holds is infinite), None for what is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _without_dust(value: float) -> float:
    return 0.0 if abs(value) < SMALLEST_ENERGY else value


def _why(what: str, value: Any) -> str:
    number = _number(value)
    if number is None:
        return f"left out: its {what} is {short(value)}, which is no energy"
    told = "not a number" if math.isnan(number) else f"{number:.3g} kcal/mol"
    return f"left out: its {what} is {told}, and no free energy is beyond {LARGEST_ENERGY:.0e} kcal/mol"
