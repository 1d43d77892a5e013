"""Values of the ligands from measured differences between them, by maximum likelihood, with their covariance. Pure.

Two estimates are offered. `estimate_values` takes the errors of the differences as given, as cinnabar and with it
`openfe gather` do (Xu 2019, doi:10.1021/acs.jcim.9b00528): there the error of an edge is the standard deviation between
its repeats, which is not the error of their mean. `steadied_values` uses node_values.py: variances steadied by those of
the whole network, divided by the number of repeats, and an error of the edges' own that no repeat removes.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
import numpy as np
from numpy.typing import NDArray

from xpm_alchem.estimation.covariance import Covariance, Topology, comparable
from xpm_alchem.estimation.node_values import Legs, NodeValues, fit_nodes

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LEAST_ERROR = 1e-3  # kcal/mol; repeats that happen to be equal are no certainty


@attrs.frozen(eq=False)
class NetworkEstimate:
    """Values of K ligands, kcal/mol.

    Attributes
    ----------
    values
        Relative to the mean of the connected part (or to a reference), shape (K,); NaN for a ligand that no edge with
        a result reaches, and for one in another part than the reference.
    variances
        The diagonal of the covariance, (kcal/mol)^2, shape (K,).
    with_others
        Gives the covariance times vectors, shape (K, m): a large network's is never formed.
    parts
        Number of the connected part, shape (K,); the largest is 0. Values of different parts cannot be compared. -1:
        the ligand has no value.
    """

    values: Floats
    variances: Floats
    with_others: Callable[[Floats], Floats]
    parts: Ints

    @property
    def covariance(self) -> Floats:
        """The whole covariance, (kcal/mol)^2, shape (K, K); made each time it is asked for."""
        return self.with_others(np.eye(len(self.values)))

    @property
    def errors(self) -> Floats:
        """Their standard errors, kcal/mol, shape (K,)."""
        return np.where(self.parts < 0, np.nan, np.sqrt(np.maximum(self.variances, 0.0)))

    def relative_to(self, ligand: int) -> NetworkEstimate:
        """Return the values relative to one of the ligands, whose own is 0 without error."""
        same = (self.parts == self.parts[ligand]) & (self.parts >= 0)
        unit = np.zeros((len(same), 1))
        unit[ligand] = 1.0
        with_it = self.with_others(unit)[:, 0]

        def with_others(vectors: Floats) -> Floats:
            inside = vectors * same[:, None]
            inside[ligand] -= inside.sum(axis=0)
            found = self.with_others(inside)
            return np.asarray((found - found[ligand]) * same[:, None])

        return NetworkEstimate(
            np.where(same, self.values - self.values[ligand], np.nan),
            np.where(same, self.variances - 2.0 * with_it + with_it[ligand], 0.0),
            with_others,
            np.where(same, 0, -1),
        )


def estimate_values(topology: Topology, values: Floats, errors: Floats) -> NetworkEstimate:
    """Estimate the ligands' values with weights 1 / error^2, as cinnabar does.

    Parameters
    ----------
    values, errors
        Of the edges, kcal/mol, shape (E,). An edge for which either is NaN is left out; an error below `LEAST_ERROR`
        counts as that.
    """
    known = np.isfinite(values) & np.isfinite(errors)
    weights = comparable(np.where(known, 1.0 / np.maximum(np.where(known, errors, 1.0), LEAST_ERROR) ** 2, 0.0))
    covariance = Covariance(topology, weights)
    estimated = covariance.apply(topology.divergence(weights * np.where(known, values, 0.0)))
    return _estimate(estimated, covariance.variances(), covariance.apply, covariance.parts)


def steadied_values(topology: Topology, legs: Legs) -> tuple[NetworkEstimate, NodeValues]:
    """Estimate the ligands' values by `node_values.fit_nodes`; one repeat of both legs is enough for an edge."""
    fit = fit_nodes(topology, legs)
    scatter = topology.laplacian(fit.weights**2 * fit.expected)

    def with_others(vectors: Floats) -> Floats:
        return fit.covariance.apply(scatter @ fit.covariance.apply(vectors))

    return _estimate(fit.values, fit.standard_errors**2, with_others, fit.covariance.parts), fit


def _estimate(
    values: Floats, variances: Floats, with_others: Callable[[Floats], Floats], parts: Ints
) -> NetworkEstimate:
    sizes = np.bincount(parts, minlength=1)
    rank = np.empty(len(sizes), dtype=np.int64)
    rank[np.argsort(-sizes, kind="stable")] = np.arange(len(sizes))
    reached = sizes[parts] > 1
    return NetworkEstimate(
        np.where(reached, values, np.nan), variances, with_others, np.where(reached, rank[parts], -1)
    )
