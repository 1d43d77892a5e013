"""Where repeats go when a strategy wants no more and the campaign has no end (`until: never`). Pure.

One more repeat lowers the variance of a transformation's mean from s^2/n to s^2/(n + 1); the repeats that lower it most
for their cost come first. A strategy that knows better says so itself: see `strategies.base.Strategy.without_end`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from xpm_alchem.results.estimates import CountedResult

BATCH = 0.25  # repeats on their way at once, for each transformation
_PRIOR_DEGREES = 1.0  # how much the others' scatter counts where there are few repeats


def more_weights(results: Mapping[str, CountedResult], to_come: Mapping[str, int]) -> dict[str, float | None]:
    """Return weight 1 for the transformations that get one more repeat now, 0 for the others, None for blocked ones.

    Parameters
    ----------
    results
        By transformation, without those on their way.
    to_come
        How many are on their way.
    """
    free = {t: result for t, result in results.items() if not result.blocked}
    left = max(1, math.ceil(BATCH * len(free))) - sum(to_come.get(t, 0) for t in free)
    scores = _gains(free, to_come)
    chosen = sorted(free, key=lambda t: (-scores[t], t))[: max(0, left)]
    weights: dict[str, float | None] = dict.fromkeys(results, None)
    return weights | dict.fromkeys(free, 0.0) | dict.fromkeys(chosen, 1.0)


def _gains(results: Mapping[str, CountedResult], to_come: Mapping[str, int]) -> dict[str, float]:
    """Return by how much one more repeat lowers the variance of each mean, in (kcal/mol)^2 per cost."""
    known = {t: len(one.result.repeats) for t, one in results.items()}
    squares = {t: (known[t] - 1) * (one.result.sd or 0.0) ** 2 for t, one in results.items() if known[t] > 1}
    degrees = sum(known[t] - 1 for t in squares)
    total = math.fsum(squares.values())
    common = total / degrees if total > 0 else 1.0
    costs = [one.cost for one in results.values() if one.cost > 0]  # NaN is not
    usual = sum(costs) / len(costs) if costs else 1.0
    gains = {}
    for t, one in results.items():
        n = known[t] + to_come.get(t, 0)
        variance = (_PRIOR_DEGREES * common + squares.get(t, 0.0)) / (_PRIOR_DEGREES + max(0, known[t] - 1))
        drop = variance / (n * (n + 1)) if n else math.inf
        gains[t] = drop / (one.cost if one.cost > 0 else usual)
    return gains
