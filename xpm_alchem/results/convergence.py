"""How results settle as repeats come in. Pure. Energies in kcal/mol."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import attrs

from xpm_alchem.network.index import Index
from xpm_alchem.results.estimates import TransformationResult, first_repeats
from xpm_alchem.results.network_estimates import NetworkEstimate


@attrs.frozen
class RunningMean:
    """The mean of the first repeats, and its standard error; None with fewer than two."""

    repeats: int
    mean: float
    standard_error: float | None


def running_means(values: Sequence[float]) -> list[RunningMean]:
    """Return the mean over repeats 1 .. n for every n (Welford 1962, doi:10.1080/00401706.1962.10490022)."""
    found, mean, squares = [], 0.0, 0.0
    for n, value in enumerate(values, start=1):
        change = value - mean
        mean += change / n
        squares += change * (value - mean)
        error = None if n < 2 else math.sqrt(max(squares, 0.0) / (n - 1) / n)
        found.append(RunningMean(n, mean, error))
    return found


def numbers_of_repeats(most: int) -> list[int]:
    """Return how many repeats are looked at: 1 to 10, then half as many more each time, and the most there are."""
    numbers, n = [], 1
    while n < most:
        numbers.append(n)
        n = n + 1 if n < 10 else n * 3 // 2
    return [*numbers, most] if most else []


def running_estimates(
    index: Index,
    results: Mapping[str, TransformationResult],
    estimate: Callable[[Mapping[str, TransformationResult]], NetworkEstimate],
) -> dict[int, NetworkEstimate]:
    """Return the ligands' values with the first n repeats of every transformation, by n.

    A transformation that has fewer counts with all it has.
    """
    most = max((len(result.repeats) for result in results.values()), default=0)
    return {n: estimate(first_repeats(index, results, n)) for n in numbers_of_repeats(most)}
