"""How much single repeats of every transformation scatter, given those of all others. Pure.

The variances of repeat_variances.py for each kind of leg (the same protocol in the same environment), with what the
protocol itself says of its repeats as covariate.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import attrs
import numpy as np
from numpy.typing import NDArray

from xpm_alchem.estimation.repeat_variances import PROTOCOL_VARIANCE, VariancePrior, fit_prior
from xpm_alchem.results.estimates import TransformationResult

Floats = NDArray[np.float64]

_FEW = 100  # among more transformations of a kind, one says little about the prior of all


@attrs.frozen
class Prior:
    """What is known of the variance of a transformation's repeats but from these: degrees of freedom, (kcal/mol)^2."""

    degrees: float
    scale: float


@attrs.frozen(eq=False)
class _Kind:
    """The transformations of one kind."""

    ids: tuple[str, ...]
    counts: Floats
    squares: Floats
    covariate: Floats | None
    prior: VariancePrior

    def without(self, position: int) -> VariancePrior:
        counts, squares = self.counts.copy(), self.squares.copy()
        counts[position] = squares[position] = 0.0
        return fit_prior(counts, squares, self.covariate, PROTOCOL_VARIANCE)


class Scatter:
    """The priors of the variances of all transformations.

    Parameters
    ----------
    results
        By stable id.
    """

    def __init__(self, results: Mapping[str, TransformationResult]) -> None:
        groups: dict[tuple[str, str], list[TransformationResult]] = {}
        for result in results.values():
            groups.setdefault((result.protocol, result.environment), []).append(result)
        self._place: dict[str, tuple[_Kind, int]] = {}
        for group in groups.values():
            kind = _kind(group)
            self._place |= {stable_id: (kind, position) for position, stable_id in enumerate(kind.ids)}

    def prior(self, transformation: str) -> Prior:
        """Return the prior, fitted to all transformations of its kind."""
        kind, position = self._place[transformation]
        return Prior(float(kind.prior.degrees[position]), float(kind.prior.scales[position]))

    def prior_from_others(self, transformation: str) -> Prior:
        """Return the prior, fitted to the other transformations of its kind."""
        kind, position = self._place[transformation]
        if len(kind.ids) > _FEW:
            return self.prior(transformation)
        prior = kind.without(position)
        return Prior(float(prior.degrees[position]), float(prior.scales[position]))


def _kind(group: list[TransformationResult]) -> _Kind:
    counts = np.array([len(result.repeats) for result in group], dtype=float)
    squares = np.array([squares_of(result) for result in group])
    given = np.array([_given_variance(result) for result in group])
    covariate = np.log(given) if np.isfinite(given).any() else None
    prior = fit_prior(counts, squares, covariate, PROTOCOL_VARIANCE)
    return _Kind(tuple(result.id for result in group), counts, squares, covariate, prior)


def squares_of(result: TransformationResult) -> float:
    """Return the sum of the squared deviations of the repeats from their mean, (kcal/mol)^2."""
    return 0.0 if result.sd is None else result.sd**2 * (len(result.repeats) - 1)


def _given_variance(result: TransformationResult) -> float:
    """Return the mean of the squares of the protocol's own uncertainties; NaN where it gives none (0.0 is none)."""
    given = [uncertainty**2 for uncertainty in result.uncertainties if uncertainty and math.isfinite(uncertainty)]
    return math.fsum(given) / len(given) if given else math.nan
