"""Repeats far from the others of their transformation, and edges that do not fit the rest of the network. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
_ON_A_CYCLE = 1e-9  # an edge that leaves less to the rest of its network lies on no cycle
_MUCH_LEFT = 1e-3


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
    by_count: dict[int, list[TransformationResult]] = {}
    for result in results.values():
        by_count.setdefault(len(result.repeats), []).append(result)
    found: dict[str, list[RepeatOutlier]] = {}
    for count, alike in by_count.items():
        if count < 2:
            continue
        deviations, z = _deletion_z(alike, scatter)
        for row in np.flatnonzero(np.abs(z).max(axis=1) > REPEAT_Z):
            found[alike[row].id] = _repeats_apart(alike[row], deviations[row].tolist(), z[row].tolist())
    return sorted((one for id in results for one in found.get(id, ())), key=lambda one: -abs(one.z))


def _repeats_apart(result: TransformationResult, deviations: list[float], z: list[float]) -> list[RepeatOutlier]:
    if len(z) == 2:
        return [RepeatOutlier(result.id, result.name, result.numbers, deviations[1], z[1])]
    return [
        RepeatOutlier(result.id, result.name, (number,), deviation, one)
        for number, deviation, one in zip(result.numbers, deviations, z, strict=True)
        if abs(one) > REPEAT_Z
    ]


def _deletion_z(results: Sequence[TransformationResult], scatter: Scatter) -> tuple[Floats, Floats]:
    """Return deviation and z of every repeat of transformations that have n each, shape (m, n)."""
    values = np.array([result.repeats for result in results])
    priors = [scatter.prior_from_others(result.id) for result in results]
    prior_degrees, scales = (np.array([getattr(one, of) for one in priors]) for of in ("degrees", "scale"))
    n = values.shape[1]
    deviations, z = np.empty_like(values), np.empty_like(values)
    for i in range(n):
        others = np.delete(values, i, axis=1)
        means = others.mean(axis=1)
        squares = np.sum((others - means[:, None]) ** 2, axis=1)
        degrees = prior_degrees + n - 2.0
        variances = (prior_degrees * scales + squares) / degrees
        deviations[:, i] = values[:, i] - means
        t = deviations[:, i] / np.sqrt(variances * (1.0 + 1.0 / (n - 1)))
        tails = np.maximum(stdtr(degrees, -np.abs(t)), 1e-300)
        z[:, i] = np.copysign(-ndtri(tails), deviations[:, i])
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


class _Rest:
    """Edges beside the rest of their network, from which they may be taken out one after another.

    Attributes
    ----------
    values, variances, weights
        Of the edges, shape (E,); the weight is 0 where one is not known.
    residuals, own
        Of the fit with all that are not taken out, kcal/mol; b^T C b, (kcal/mol)^2.
    """

    def __init__(self, topology: Topology, values: Floats, variances: Floats) -> None:
        known = np.isfinite(values) & np.isfinite(variances)
        self._topology = topology
        self.values = np.where(known, values, 0.0)
        self.variances = np.where(known, variances, 1.0)
        self.weights = np.where(known, 1.0 / self.variances, 0.0)
        self._fit()

    def _fit(self) -> None:
        self._covariance = Covariance(self._topology, self.weights)
        self._changes: list[tuple[Floats, float]] = []  # C is more by c u u^T for every u and c
        flow = self._topology.divergence(self.weights * self.values)
        self.residuals = self.values - self._topology.differences(self._covariance.apply(flow))
        self.own = self._covariance.own()

    @property
    def left(self) -> Floats:
        """1 - w h: what an edge leaves to the rest, shape (E,); 0 for one that lies on no cycle, or is not known."""
        left = 1.0 - self.weights * self.own
        return np.where((self.weights > 0) & (left > _ON_A_CYCLE), left, 0.0)

    def deviations_and_z(self) -> tuple[Floats, Floats]:
        """Return what `edge_residuals` returns."""
        left = self.left
        on_cycle = left > 0
        left = np.where(on_cycle, left, 1.0)
        deviations = np.where(on_cycle, self.residuals / left, np.nan)
        return deviations, np.where(on_cycle, self.residuals / np.sqrt(self.variances * left), np.nan)

    def take_out(self, edge: int) -> None:
        """Go on without an edge (Sherman and Morrison 1950); one on no cycle says nothing of the others."""
        left, weight = float(self.left[edge]), float(self.weights[edge])
        self.weights[edge] = 0.0
        if left == 0.0:
            return
        if left < _MUCH_LEFT:  # it carried nearly all: what is left of the digits is too few
            self._fit()
            return
        column = self._column(edge)
        along = self._topology.differences(column)
        self.residuals = self.residuals + weight / left * self.residuals[edge] * along
        self.own = self.own + weight / left * along**2
        self._changes.append((column, weight / left))

    def _column(self, edge: int) -> Floats:
        unit = np.zeros(len(self.weights))
        unit[edge] = 1.0
        ends = self._topology.divergence(unit)
        column = self._covariance.apply(ends)
        for other, factor in self._changes:
            column = column + other * (factor * float(other @ ends))
        return column


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
    return _Rest(topology, values, variances).deviations_and_z()


def edge_outliers(topology: Topology, values: Floats, variances: Floats) -> list[EdgeOutlier]:
    """Return the edges that do not fit, the worst first.

    The worst edge is taken out before the next one is looked for: one bad edge makes its neighbours look bad.
    """
    found: list[EdgeOutlier] = []
    rest = _Rest(topology, values, variances)
    while len(found) < _MOST_EDGES:
        deviations, z = rest.deviations_and_z()
        if not np.isfinite(z).any() or np.nanmax(np.abs(z)) <= EDGE_Z:
            break
        worst = int(np.nanargmax(np.abs(z)))
        alike = np.flatnonzero(np.isclose(np.abs(z), abs(z[worst]), rtol=1e-6, atol=0.0))
        order = (worst, *(int(edge) for edge in alike if edge != worst))
        found.append(EdgeOutlier(order, float(deviations[worst]), float(z[worst])))
        for edge in order:
            rest.take_out(edge)
    return found
