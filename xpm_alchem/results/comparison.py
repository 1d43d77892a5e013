"""Calculated against measured values: statistics with bootstrap intervals. Pure; the same numbers every time.

RMSE, MUE, R2, Pearson's r and Kendall's tau are those of cinnabar (cinnabar.stats): R2 is the square of Pearson's r,
and relative values are compared after the mean of both sides was subtracted. The intervals are percentiles of 1,000
resamples of the ligands with replacement (Efron 1979, doi:10.1214/aos/1176344552); values are not shaken by their own
errors, as cinnabar's newer versions do not either unless they are told to.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import attrs
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_RESAMPLES = 1000
_CONFIDENCE = 0.95
_SEED = 20240


@attrs.frozen
class Statistic:
    """A statistic and the ends of its 95 % interval; None where it is not defined."""

    value: float | None
    low: float | None = None
    high: float | None = None


@attrs.frozen(eq=False)
class Comparison:
    """Calculated values compared with measured ones.

    Attributes
    ----------
    count
        How many of them.
    shift
        What was added to the calculated values, kcal/mol.
    statistics
        By name: 'rmse' and 'mue' in kcal/mol; 'r2', 'pearson_r' and 'kendall_tau' have no unit.
    """

    count: int
    shift: float
    statistics: dict[str, Statistic]


def compare(calculated: Floats, measured: Floats, *, centred: bool, names: tuple[str, ...] = ()) -> Comparison | None:
    """Compare values, kcal/mol, shape (n,); those that are NaN on either side are left out.

    Parameters
    ----------
    centred
        Whether the values are relative, so that only differences between them mean anything: the mean of each side is
        subtracted, in every resample too.
    names
        Of the statistics; all without.

    Returns
    -------
    Comparison or None
        None where fewer than two values can be compared.
    """
    both = np.isfinite(calculated) & np.isfinite(measured)
    x, y = measured[both], calculated[both]
    if len(x) < 2:
        return None
    picked = np.random.default_rng(_SEED).integers(0, len(x), size=(_RESAMPLES, len(x)))
    found = {}
    for name in names or tuple(_STATISTICS):
        of = _STATISTICS[name]
        resampled = np.array([of(*_prepared(x[chosen], y[chosen], centred)) for chosen in picked])
        resampled = resampled[np.isfinite(resampled)]
        value = of(*_prepared(x, y, centred))
        if not math.isfinite(value) or not len(resampled):
            found[name] = Statistic(None)
            continue
        tail = (1.0 - _CONFIDENCE) / 2.0
        low, high = np.quantile(resampled, [tail, 1.0 - tail])
        found[name] = Statistic(float(value), float(low), float(high))
    return Comparison(len(x), float(x.mean() - y.mean()) if centred else 0.0, found)


def _prepared(x: Floats, y: Floats, centred: bool) -> tuple[Floats, Floats]:
    return (x - x.mean(), y - y.mean()) if centred else (x, y)


def _rmse(x: Floats, y: Floats) -> float:
    return float(np.sqrt(np.mean((y - x) ** 2)))


def _mue(x: Floats, y: Floats) -> float:
    return float(np.mean(np.abs(y - x)))


def _pearson(x: Floats, y: Floats) -> float:
    dx, dy = x - x.mean(), y - y.mean()
    scale = math.sqrt(float(np.sum(dx**2)) * float(np.sum(dy**2)))
    return float(np.sum(dx * dy)) / scale if scale > 1e-12 else math.nan


def _r2(x: Floats, y: Floats) -> float:
    return _pearson(x, y) ** 2


def _kendall(x: Floats, y: Floats) -> float:
    """Return Kendall's tau-b (Kendall 1945, doi:10.1093/biomet/33.3.239)."""
    first, second = np.triu_indices(len(x), k=1)
    signs_x, signs_y = np.sign(x[first] - x[second]), np.sign(y[first] - y[second])
    scale = math.sqrt(float(np.sum(signs_x**2)) * float(np.sum(signs_y**2)))
    return float(np.sum(signs_x * signs_y)) / scale if scale > 0 else math.nan


_STATISTICS: dict[str, Callable[[Floats, Floats], float]] = {
    "rmse": _rmse,
    "mue": _mue,
    "r2": _r2,
    "pearson_r": _pearson,
    "kendall_tau": _kendall,
}
