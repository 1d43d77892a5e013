"""Node values (one for every ligand) of a network of measured differences, with what is not known of them. Pure.

Model: every repeat of leg l of edge e is Normal(true leg value, s_l^2); an edge is the signed sum of its legs plus an
error of its own, Normal(0, tau^2), that no repeat removes (force field, mapping, sampling that never comes). Weights
are 1 / (tau^2 + sum_l s_l^2 / n_l). The s_l^2 have the posterior of repeat_variances.py, to which the disagreement of
an edge with the rest of the network is added by expectation maximisation (a Student t likelihood, iteratively
reweighted: Lange, Little and Taylor 1989, doi:10.1080/01621459.1989.10478852).

The standard errors count that the s_l^2 are known from few repeats: they use the posterior mean of s_l^2, not the
smaller value that makes the weights.
"""

from __future__ import annotations

from functools import lru_cache

import attrs
import numpy as np
from numpy.typing import NDArray

from xpm_alchem.estimation.covariance import Covariance, Topology, comparable
from xpm_alchem.estimation.repeat_variances import VariancePrior, Variances

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

USUAL_TAU = 0.17  # kcal/mol, from the cycle closures of 35 public networks
_TAU_WORTH = 10.0  # how many independent cycles that knowledge is worth
_MOST_TAU = 3.0
_ITERATIONS = 5


@attrs.frozen(eq=False)
class Legs:
    """The repeats of every leg.

    Attributes
    ----------
    edges
        Which edge each leg belongs to, shape (M,).
    counts
        Repeats, shape (M,).
    means
        Their mean times the leg's sign in its edge, kcal/mol, shape (M,); anything where the count is 0.
    squares
        Sums of squared deviations from the mean, (kcal/mol)^2, shape (M,).
    prior
        Of the variances.
    """

    edges: Ints
    counts: Floats
    means: Floats
    squares: Floats
    prior: VariancePrior

    def edge_sums(self, values: Floats, edges: int) -> Floats:
        """Return the sum over legs for each edge."""
        return np.asarray(np.bincount(self.edges, weights=values, minlength=edges))


@attrs.frozen(eq=False)
class NodeValues:
    """The fit.

    Attributes
    ----------
    values
        Relative to the mean of the connected part, kcal/mol, shape (K,).
    variances
        Of single repeats of every leg.
    tau
        The edges' own error that was used, kcal/mol.
    weights
        Of the edges, (kcal/mol)^-2, shape (E,); 0 where a leg has no result.
    covariance
        For these weights.
    expected
        The variance of each edge that is to be expected, (kcal/mol)^2, shape (E,).
    """

    values: Floats
    variances: Variances
    tau: float
    weights: Floats
    covariance: Covariance
    expected: Floats

    @property
    def standard_errors(self) -> Floats:
        """Of the values, kcal/mol, shape (K,); reckoned anew each time."""
        return np.asarray(np.sqrt(self.covariance.spread(self.weights**2 * self.expected)))


def edge_weights(topology: Topology, legs: Legs, counts: Floats, per_repeat: Floats, tau: float) -> Floats:
    """Return 1 / (tau^2 + sum s_l^2 / n_l) for each edge, 0 where a leg has no result."""
    edges = len(topology.heads)
    variance = legs.edge_sums(per_repeat / np.maximum(counts, 1.0), edges)
    complete = legs.edge_sums((counts == 0).astype(float), edges) == 0
    weights = np.where(complete, 1.0 / (tau**2 + np.maximum(variance, 1e-9)), 0.0)
    return comparable(weights)


def fit_nodes(topology: Topology, legs: Legs, tau: float | None = None, *, iterations: int = _ITERATIONS) -> NodeValues:
    """Estimate node values.

    Parameters
    ----------
    tau
        The edges' own error in kcal/mol; None to estimate it from the closures of cycles.
    iterations
        Most rounds of expectation maximisation; 0 takes the variances of the repeats alone.
    """
    edges = len(topology.heads)
    means = legs.edge_sums(np.where(legs.counts > 0, legs.means, 0.0), edges)
    variances = legs.prior.posterior(legs.counts, legs.squares)
    if tau is None:
        tau = estimate_tau(topology, legs, means, variances)
    covariance, values, weights = _solve(topology, legs, means, variances, tau)
    own = covariance.own()
    for _ in range(iterations):
        variances = _with_disagreement(topology, legs, means, values, variances, tau, own)
        before = weights
        covariance, values, weights = _solve(topology, legs, means, variances, tau)
        if np.allclose(weights, before, rtol=0.01):
            break
    expected = tau**2 + legs.edge_sums(variances.mean / np.maximum(legs.counts, 1.0), edges)
    return NodeValues(values, variances, tau, weights, covariance, expected)


def _solve(
    topology: Topology, legs: Legs, means: Floats, variances: Variances, tau: float
) -> tuple[Covariance, Floats, Floats]:
    weights = edge_weights(topology, legs, legs.counts, variances.plug_in, tau)
    covariance = Covariance(topology, weights)
    return covariance, covariance.apply(topology.divergence(weights * means)), weights


def _with_disagreement(
    topology: Topology, legs: Legs, means: Floats, values: Floats, variances: Variances, tau: float, own: Floats
) -> Variances:
    """Return the variances given how far each edge is from the rest of the network."""
    edges = len(means)
    of_mean = variances.plug_in / np.maximum(legs.counts, 1.0)
    share = of_mean / (tau**2 + legs.edge_sums(of_mean, edges))[legs.edges]
    apart = ((means - topology.differences(values)) ** 2 + own)[legs.edges]
    squared = share**2 * apart + of_mean * (1.0 - share)
    extra = np.where(legs.counts > 0, legs.counts * squared, 0.0)
    return legs.prior.posterior(legs.counts, legs.squares, extra)


def estimate_tau(topology: Topology, legs: Legs, means: Floats, variances: Variances) -> float:
    """Return the edges' own error (kcal/mol) for which cycle closures have the size that is to be expected.

    Paule and Mandel's method (1982, doi:10.6028/jres.087.022): the weighted sum of squared residuals equals the number
    of independent cycles. It is drawn to `USUAL_TAU` as if that came from ten cycles.
    """
    weights = edge_weights(topology, legs, legs.counts, variances.mean, 0.0)
    cycles = int(np.count_nonzero(weights)) - topology.nodes + int(topology.parts(weights).max(initial=-1)) + 1
    if cycles <= 0:
        return USUAL_TAU

    def excess(tau: float) -> float:
        weights = edge_weights(topology, legs, legs.counts, variances.mean, tau)
        values = Covariance(topology, weights).apply(topology.divergence(weights * means))
        return float(np.sum(weights * (means - topology.differences(values)) ** 2)) - cycles

    low, high = 0.0, _MOST_TAU
    if excess(low) <= 0:
        high = 0.0
    else:
        for _ in range(12):
            middle = (low + high) / 2
            low, high = (middle, high) if excess(middle) > 0 else (low, middle)
    return float(np.sqrt((cycles * high**2 + _TAU_WORTH * USUAL_TAU**2) / (cycles + _TAU_WORTH)))


def floor_errors(topology: Topology, usable: NDArray[np.bool_], tau: float) -> Floats:
    """Return the standard errors (kcal/mol, shape (K,)) that no number of repeats goes below: those of tau alone."""
    if tau == 0:
        return np.zeros(topology.nodes)
    return tau * _floor_of_unit_errors(topology, usable.tobytes())


@lru_cache(maxsize=4)
def _floor_of_unit_errors(topology: Topology, usable: bytes) -> Floats:
    weights = np.frombuffer(usable, dtype=bool).astype(float)
    return np.asarray(np.sqrt(np.maximum(Covariance(topology, weights).variances(), 0.0)))
