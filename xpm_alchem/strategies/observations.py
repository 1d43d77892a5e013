"""What a strategy can learn from a ProtocolResult about the repeats of a transformation."""

from __future__ import annotations

import math
from typing import Any

import attrs

from xpm_alchem.base.energies import Believed, believed, believed_pairs
from xpm_alchem.results.estimates import CountedResult


@attrs.frozen
class Observation:
    """The repeats of one transformation. Energies in kcal/mol.

    Attributes
    ----------
    known
        Repeats whose results are there.
    to_come
        Repeats that are on their way.
    mean
        Of the known ones; NaN without any.
    squares
        Sum of their squared deviations from the mean.
    given_variance
        Mean of the squares of the protocol's own uncertainties (MBAR's); NaN where it gives none. 0.0, which openfe
        says of a single repeat, is no certainty and counts as none.
    cost
        Of one more repeat, in any unit; NaN while unknown.
    blocked
        Whether no more repeats will come: a task is in error.
    silent
        Results from which the protocol gets no estimate.
    """

    known: int = 0
    to_come: int = 0
    mean: float = math.nan
    squares: float = 0.0
    given_variance: float = math.nan
    cost: float = math.nan
    blocked: bool = False
    silent: int = 0

    @property
    def counted(self) -> int:
        """Repeats that are there or on their way."""
        return self.known + self.to_come + self.silent

    def without_those_to_come(self) -> Observation:
        """Return what is known, whatever is on its way."""
        return self if self.to_come == 0 else attrs.evolve(self, to_come=0)


class Observer:
    """Reads the results of a network again and again, and what has not changed only once.

    That can be told of a `CountedResult`; any other is read each time.
    """

    def __init__(self) -> None:
        self._kept: dict[str, tuple[object, Observation]] = {}

    def known(self, key: str, result: Any) -> Observation:
        """Return what is known of a transformation by gufe key, whatever is on its way: the same object if it can."""
        if not isinstance(result, CountedResult):
            return observe(result).without_those_to_come()
        made_of = (result.result, result.n_protocol_dag_results - result.to_come, result.cost, result.blocked)
        kept = self._kept.get(key)
        same = kept is not None and kept[0] == made_of
        known = kept[1] if kept is not None and same else observe(result).without_those_to_come()
        self._kept[key] = (made_of, known)  # these very objects: they are compared in no time when they come again
        return known


def observe(result: Any) -> Observation:
    """Read a ProtocolResult: of the project (with its single repeats), of openfe (too), or any that has an estimate."""
    if result is None:
        return Observation()
    to_come = int(getattr(result, "to_come", 0))
    known = int(result.n_protocol_dag_results) - to_come
    cost, blocked = float(getattr(result, "cost", math.nan)), bool(getattr(result, "blocked", False))
    cost = cost if cost > 0 else math.nan  # unknown
    if known <= 0:
        return Observation(to_come=to_come, cost=cost, blocked=blocked)
    if (repeats := _repeats(result)) is not None:
        values, uncertainties = repeats
        mean = math.fsum(values) / len(values)
        given = [uncertainty**2 for uncertainty in uncertainties if uncertainty > 0]
        squares = math.fsum([(value - mean) ** 2 for value in values])
        given_variance = math.fsum(given) / len(given) if given else math.nan
        silent = known - len(values)
        return Observation(len(values), to_come, mean, squares, given_variance, cost, blocked, silent)
    try:
        found = believed(_number(result.get_estimate()), _number(result.get_uncertainty()))
    except Exception:  # whatever a protocol raises
        found = Believed(None, None)
    if found.estimate is None:
        return Observation(to_come=to_come, cost=cost, blocked=blocked, silent=known)
    squares = (known - 1) * (found.uncertainty or 0.0) ** 2
    return Observation(known, to_come, found.estimate, squares, math.nan, cost, blocked)


def _repeats(result: Any) -> tuple[list[float], list[float]] | None:
    """Return estimate and uncertainty of every repeat where the result tells them apart."""
    individual = getattr(result, "get_individual_estimates", None)
    if individual is None:
        return None
    try:
        kept = believed_pairs((_number(value), _number(uncertainty)) for value, uncertainty in individual())
    except (TypeError, ValueError, OverflowError):  # some protocols return one list for each part of a cycle
        return None
    return ([value for value, _ in kept], [uncertainty for _, uncertainty in kept]) if kept else None


def _number(value: Any) -> float:
    """Return kcal/mol of a number or a quantity; NaN where there is none."""
    if isinstance(value, float):
        return value
    if value is None:
        return math.nan
    from xpm_alchem.gufe_seam import in_kcal_per_mol  # gufe takes its time

    return in_kcal_per_mol(value)
