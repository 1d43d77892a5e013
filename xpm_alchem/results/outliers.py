"""Repeats far from the others of their transformation, and edges that do not fit the rest of the network. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping

import attrs
import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtr

from xpm_alchem.estimation.covariance import Covariance, Topology
from xpm_alchem.results.estimates import TransformationResult
from xpm_alchem.results.scatter import Scatter

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

REPEAT_Z = 3.5
EDGE_Z = 3.0
_MOST_EDGES = 20  # named, and taken out one after another


@attrs.frozen
class RepeatOutlier:
    """A repeat far from the others.

    Attributes
    ----------
    transformation, name
        Stable id and name.
    repeats
        Its number; of only two repeats both: none can be told to be the wrong one.
    deviation
        From the mean of the others, kcal/mol.
    z
        How many standard deviations of a normal distribution that is worth.
    """

    transformation: str
    name: str
    repeats: tuple[int, ...]
    deviation: float
    z: float

    @property
    def sentence(self) -> str:
        """What is to be said to a user."""
        if len(self.repeats) == 2:
            first, second = self.repeats
            return (
                f"{self.name}: its two repeats {first} and {second} are {abs(self.deviation):.2f} kcal/mol apart "
                f"(z = {abs(self.z):.1f}); a third would tell which to believe"
            )
        side = "above" if self.deviation > 0 else "below"
        return (
            f"{self.name}: repeat {self.repeats[0]} lies {abs(self.deviation):.2f} kcal/mol {side} the mean of the "
            f"others (z = {self.z:.1f})"
        )


def repeat_outliers(results: Mapping[str, TransformationResult], scatter: Scatter) -> list[RepeatOutlier]:
    """Return the repeats that are too far from the others of their transformation, the worst first.

    Each repeat is compared with the mean of the n - 1 others: t = (x - mean) / sqrt(s^2 (1 + 1 / (n - 1))), where s^2
    is the variance of the others steadied by that of all other transformations of the kind (Smyth 2004,
    doi:10.2202/1544-6115.1027). t has d0 + n - 2 degrees of freedom; z is the normal deviate as rare as t. Three
    repeats are enough for that, where a median absolute deviation of three says nothing.
    """
    found: list[RepeatOutlier] = []
    for result in results.values():
        if len(result.repeats) < 2:
            continue
        deviations, z = _deletion_z(result, scatter)
        worst = int(np.argmax(np.abs(z)))
        if abs(z[worst]) <= REPEAT_Z:
            continue
        if len(z) == 2:
            found.append(RepeatOutlier(result.id, result.name, result.numbers, deviations[1], z[1]))
            continue
        found += [
            RepeatOutlier(result.id, result.name, (result.numbers[i],), deviations[i], z[i])
            for i in np.flatnonzero(np.abs(z) > REPEAT_Z)
        ]
    return sorted(found, key=lambda one: -abs(one.z))


def _deletion_z(result: TransformationResult, scatter: Scatter) -> tuple[list[float], list[float]]:
    values = np.array(result.repeats)
    prior = scatter.prior_from_others(result.id)
    deviations, z = [], []
    for i in range(len(values)):
        others = np.delete(values, i)
        squares = float(np.sum((others - others.mean()) ** 2))
        degrees = prior.degrees + len(others) - 1
        variance = (prior.degrees * prior.scale + squares) / degrees
        deviation = float(values[i] - others.mean())
        t = deviation / math.sqrt(variance * (1.0 + 1.0 / len(others)))
        tail = max(float(stdtr(degrees, -abs(t))), 1e-300)
        deviations.append(deviation)
        z.append(math.copysign(-float(ndtri(tail)), deviation))
    return deviations, z


@attrs.frozen
class EdgeOutlier:
    """An edge that does not fit the rest of the network.

    Attributes
    ----------
    edges
        Its number; several, if they lie on the same cycles and it cannot be told which is wrong.
    deviation
        Of the first from what the rest of the network says, kcal/mol.
    """

    edges: tuple[int, ...]
    deviation: float
    z: float

    def sentence(self, names: tuple[str, ...]) -> str:
        """Return what is to be said to a user; `names` are those of all edges."""
        off = f"{abs(self.deviation):.2f} kcal/mol off what the rest of the network says (z = {abs(self.z):.1f})"
        if len(self.edges) == 1:
            return f"{names[self.edges[0]]} is {off}"
        some = ", ".join(names[edge] for edge in self.edges)
        return f"one of these edges is {off}; which cannot be told, they lie on the same cycle: {some}"


def edge_residuals(topology: Topology, values: Floats, variances: Floats) -> tuple[Floats, Floats]:
    """Return how far each edge is from what the rest of the network says, and that over its standard deviation.

    Deletion residuals of weighted least squares (Cook and Weisberg 1982, Residuals and Influence in Regression): with
    w = 1 / variance and h = b^T C b, the deviation is r / (1 - w h) and its variance h / (1 - w h) + variance.

    Parameters
    ----------
    values, variances
        Of the edges, kcal/mol and (kcal/mol)^2, shape (E,); NaN where unknown.

    Returns
    -------
    deviations, z
        Shape (E,), the first in kcal/mol; NaN for an edge that lies on no cycle, or has no value.
    """
    known = np.isfinite(values) & np.isfinite(variances)
    weights = np.where(known, 1.0 / np.where(known, variances, 1.0), 0.0)
    covariance = Covariance(topology, weights)
    measured = np.where(known, values, 0.0)
    residuals = measured - topology.differences(covariance.apply(topology.divergence(weights * measured)))
    left = 1.0 - weights * covariance.own()
    on_cycle = known & (left > 1e-9)
    left = np.where(on_cycle, left, 1.0)
    deviations = np.where(on_cycle, residuals / left, np.nan)
    return deviations, np.where(on_cycle, residuals / np.sqrt(np.where(known, variances, 1.0) * left), np.nan)


def edge_outliers(topology: Topology, values: Floats, variances: Floats) -> list[EdgeOutlier]:
    """Return the edges that do not fit, the worst first.

    The worst edge is taken out before the next one is looked for: one bad edge makes its neighbours look bad.
    """
    found: list[EdgeOutlier] = []
    values = values.copy()
    while len(found) < _MOST_EDGES:
        deviations, z = edge_residuals(topology, values, variances)
        if not np.isfinite(z).any() or np.nanmax(np.abs(z)) <= EDGE_Z:
            break
        worst = int(np.nanargmax(np.abs(z)))
        alike = np.flatnonzero(np.isclose(np.abs(z), abs(z[worst]), rtol=1e-6, atol=0.0))
        order = (worst, *(int(edge) for edge in alike if edge != worst))
        found.append(EdgeOutlier(order, float(deviations[worst]), float(z[worst])))
        values[list(order)] = np.nan
    return found
