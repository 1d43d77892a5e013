"""How much repeats scatter: variances of few repeats, steadied by those of the whole network. Pure.

A variance of three repeats is off by a factor of two as often as not. The variances of one network are alike, though,
and the protocol's own uncertainty (MBAR's) tells beforehand which transformations scatter more. So every variance is
taken to be drawn from a scaled inverse chi-square distribution whose scale may depend on a covariate, its parameters
are estimated from all transformations (empirical Bayes), and each gets its posterior.

Sources: Smyth 2004, doi:10.2202/1544-6115.1027 (limma: moments of log variances); Sartor et al. 2006,
doi:10.1186/1471-2105-7-538 (a prior scale that depends on a covariate).
"""

from __future__ import annotations

import attrs
import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, polygamma

Floats = NDArray[np.float64]

_USUAL_WORTH = 10.0  # how many transformations the usual degrees of freedom are worth
_LEAST_DEGREES, _MOST_DEGREES = 1.0, 20.0
_SLOPE_WORTH = 5.0  # how many the usual slope is worth
_LEAST_VARIANCE = 1e-5  # (kcal/mol)^2; equal repeats are no certainty
_FIRST_VARIANCE = 0.05  # (kcal/mol)^2, before any transformation has two repeats: the benchmark's median
_DEGREES_GRID = np.exp(np.linspace(np.log(0.4), np.log(400.0), 4000))
_TRIGAMMA_GRID = polygamma(1, _DEGREES_GRID / 2)


@attrs.frozen
class Usual:
    """What is usual for a covariate, before the data at hand.

    Attributes
    ----------
    degrees
        Degrees of freedom of the prior.
    slope
        Of the log of the variance on the covariate.
    """

    degrees: float
    slope: float


# the first two: medians over 35 public networks (OpenFE's industry benchmark of 2024)
NO_COVARIATE = Usual(degrees=2.0, slope=0.0)
PROTOCOL_VARIANCE = Usual(degrees=3.0, slope=0.9)  # covariate: log of what the protocol says of a repeat's variance
GUESSED_VARIANCE = Usual(degrees=2.0, slope=0.5)  # covariate: log of a guess from the molecules


@attrs.frozen(eq=False)
class Variances:
    """Posterior of the variances s^2 of single repeats: ``sums / chi2(degrees)``.

    Attributes
    ----------
    degrees
        Degrees of freedom, shape (n,).
    sums
        Sums of squares, (kcal/mol)^2, shape (n,).
    """

    degrees: Floats
    sums: Floats

    @property
    def plug_in(self) -> Floats:
        """One over the mean of 1 / s^2: what weights are made of, (kcal/mol)^2."""
        return self.sums / self.degrees

    @property
    def mean(self) -> Floats:
        """The posterior mean of s^2, larger the fewer repeats there are, (kcal/mol)^2."""
        return self.sums / np.maximum(self.degrees - 2.0, 0.5)


@attrs.frozen(eq=False)
class VariancePrior:
    """What is known of a variance before its own repeats.

    Attributes
    ----------
    degrees
        How many degrees of freedom that knowledge is worth, for every transformation, shape (n,).
    scales
        The variance to be expected, (kcal/mol)^2, shape (n,).
    """

    degrees: Floats
    scales: Floats

    def posterior(self, counts: Floats, squares: Floats, extra: Floats | float = 0.0) -> Variances:
        """Return the variances after `counts` repeats whose squared deviations from their mean sum up to `squares`.

        Parameters
        ----------
        extra
            Squared deviations of the mean itself from what the rest of the network says, summed over repeats; then
            that mean costs no degree of freedom.
        """
        lost = 1.0 if isinstance(extra, float) else 0.0
        degrees = self.degrees + np.maximum(counts - lost, 0.0)
        return Variances(degrees, self.degrees * self.scales + squares + extra)


def fit_prior(
    counts: Floats, squares: Floats, covariate: Floats | None = None, usual: Usual = PROTOCOL_VARIANCE
) -> VariancePrior:
    """Estimate the prior from all transformations that belong together (the same kind of leg).

    Parameters
    ----------
    counts
        Repeats, shape (n,). Those with fewer than two add nothing to the fit.
    squares
        Sums of squared deviations from the mean, (kcal/mol)^2, shape (n,).
    covariate
        Log of something that is about proportional to the variance, shape (n,); NaN where it is not known.
    usual
        What the fit is drawn to; without a covariate `NO_COVARIATE`.
    """
    usual = NO_COVARIATE if covariate is None else usual
    n = len(counts)
    usable = counts > 1
    x = np.zeros(n) if covariate is None else np.where(np.isfinite(covariate), covariate, np.nan)
    known = np.isfinite(x)
    x = np.where(known, x, np.mean(x[known]) if known.any() else 0.0)
    if not usable.any():
        centre = x - x.mean() if n else x
        return VariancePrior(np.full(n, usual.degrees), _FIRST_VARIANCE * np.exp(usual.slope * centre))
    half = (counts[usable] - 1.0) / 2.0
    y = np.log(np.maximum(squares[usable] / (2.0 * half), _LEAST_VARIANCE)) - digamma(half) + np.log(half)
    noise = polygamma(1, half)
    degrees = usual.degrees
    for _ in range(2):
        between = float(polygamma(1, degrees / 2))
        weights = 1.0 / (noise + between)
        x_mean, y_mean = (float(np.average(values, weights=weights)) for values in (x[usable], y))
        dx = x[usable] - x_mean
        worth = _SLOPE_WORTH / (float(polygamma(1, 1.0)) + between)
        slope = (float(np.sum(weights * dx * (y - y_mean))) + worth * usual.slope) / (
            float(np.sum(weights * dx * dx)) + worth
        )
        slope = min(max(slope, 0.0), 1.5)
        residual = y - y_mean - slope * dx
        degrees = _degrees(residual, noise, usual.degrees)
    correction = float(digamma(degrees / 2)) - np.log(degrees / 2)
    scales = np.exp(y_mean + slope * (x - x_mean) + correction)
    return VariancePrior(np.full(n, degrees), np.maximum(scales, _LEAST_VARIANCE))


def _degrees(residual: Floats, noise: Floats, usual: float) -> float:
    """Return the prior's degrees of freedom by the excess of scatter over that of chi-square, drawn to the usual."""
    n = len(residual)
    excess = max(float(np.sum(residual**2 - noise)) / max(n - 2, 1), 0.0)
    excess = (n * excess + _USUAL_WORTH * float(polygamma(1, usual / 2))) / (n + _USUAL_WORTH)
    found = float(np.interp(excess, _TRIGAMMA_GRID[::-1], _DEGREES_GRID[::-1]))
    return min(max(found, _LEAST_DEGREES), _MOST_DEGREES)
