"""Node values from repeats: values, standard errors, and what is estimated on the way."""

from __future__ import annotations

import numpy as np
import pytest

from xpm_alchem.estimation.covariance import Topology
from xpm_alchem.estimation.node_values import USUAL_TAU, Legs, fit_nodes, floor_errors
from xpm_alchem.estimation.repeat_variances import VariancePrior, fit_prior


def ring(nodes: int, chords: int, rng) -> Topology:
    pairs = [(i, (i + 1) % nodes) for i in range(nodes)]
    pairs += [tuple(rng.choice(nodes, 2, replace=False)) for _ in range(chords)]
    heads, tails = np.array(pairs).T
    return Topology(nodes, heads, tails)


def measured(topology: Topology, truth: np.ndarray, spread: np.ndarray, repeats: np.ndarray, tau: float, rng) -> Legs:
    """Return simulated repeats of every edge, each of one leg."""
    edges = len(topology.heads)
    bias = tau * rng.normal(size=edges)
    values = [
        truth[h] - truth[t] + b + s * rng.normal(size=n)
        for h, t, b, s, n in zip(topology.heads, topology.tails, bias, spread, repeats, strict=True)
    ]
    counts = repeats.astype(float)
    squares = np.array([float(np.sum((v - v.mean()) ** 2)) for v in values])
    means = np.array([v.mean() for v in values])
    return Legs(np.arange(edges), counts, means, squares, fit_prior(counts, squares))


def test_two_edges_in_a_row():
    topology = Topology(3, np.array([1, 2]), np.array([0, 1]))
    known = VariancePrior(np.full(2, 1e9), np.array([0.3, 0.6]))
    legs = Legs(np.arange(2), np.array([3.0, 6.0]), np.array([1.0, 4.0]), np.zeros(2), known)
    fit = fit_nodes(topology, legs, tau=0.0)
    assert fit.values == pytest.approx([-2.0, -1.0, 3.0])  # 0, 1, 5 around their mean
    # both edges have the variance 0.1: value 0 is (-2 x first - second) / 3
    assert fit.standard_errors == pytest.approx(np.sqrt([0.5 / 9, 0.2 / 9, 0.5 / 9]))
    with_tau = fit_nodes(topology, legs, tau=0.3)
    assert with_tau.standard_errors == pytest.approx(fit.standard_errors * np.sqrt(0.19 / 0.1))


def test_two_legs_make_an_edge():
    topology = Topology(2, np.array([1]), np.array([0]))
    known = VariancePrior(np.full(2, 1e9), np.array([0.4, 0.1]))
    legs = Legs(np.zeros(2, dtype=int), np.array([4.0, 2.0]), np.array([5.0, -3.0]), np.zeros(2), known)
    fit = fit_nodes(topology, legs, tau=0.0)
    assert fit.values == pytest.approx([-1.0, 1.0])
    assert fit.standard_errors == pytest.approx([np.sqrt(0.15) / 2] * 2)
    one_missing = Legs(legs.edges, np.array([4.0, 0.0]), legs.means, legs.squares, known)
    assert fit_nodes(topology, one_missing, tau=0.0).weights.tolist() == [0.0]


def test_standard_errors_are_as_large_as_the_errors():
    rng = np.random.default_rng(3)
    ratios = []
    for _ in range(150):
        topology = ring(14, 8, rng)
        truth = rng.normal(size=14)
        spread = np.sqrt(2.5 * 0.05 / rng.chisquare(2.5, 22))
        fit = fit_nodes(topology, measured(topology, truth, spread, rng.integers(3, 7, 22), 0.0, rng), tau=0.0)
        ratios.append((np.mean(fit.standard_errors**2), np.mean((fit.values - (truth - truth.mean())) ** 2)))
    predicted, actual = np.mean(ratios, axis=0)
    assert 0.85 < predicted / actual < 1.15


def test_an_edge_that_disagrees_with_the_rest_is_believed_less():
    topology = Topology(3, np.array([1, 2, 2]), np.array([0, 1, 0]))
    squares = np.full(3, 0.05)
    prior = VariancePrior(np.full(3, 2.0), np.full(3, 0.03))
    agree = fit_nodes(topology, Legs(np.arange(3), np.full(3, 3.0), np.array([1.0, 1.0, 2.0]), squares, prior), 0.0)
    apart = fit_nodes(topology, Legs(np.arange(3), np.full(3, 3.0), np.array([1.0, 1.0, 5.0]), squares, prior), 0.0)
    assert np.all(apart.variances.plug_in > agree.variances.plug_in)
    assert np.all(apart.standard_errors > 2 * agree.standard_errors)


@pytest.mark.parametrize("tau", [0.0, 0.5])
def test_tau_comes_from_the_closures_of_cycles(tau):
    rng = np.random.default_rng(4)
    topology = ring(60, 120, rng)
    legs = measured(topology, rng.normal(size=60), np.full(180, 0.1), np.full(180, 4), tau, rng)
    found = fit_nodes(topology, legs).tau
    assert found == pytest.approx(tau, abs=0.06)


def test_without_cycles_tau_is_the_usual_one():
    topology = Topology(3, np.array([1, 2]), np.array([0, 1]))
    legs = Legs(
        np.arange(2),
        np.full(2, 3.0),
        np.array([1.0, 2.0]),
        np.full(2, 0.1),
        VariancePrior(np.full(2, 2.0), np.full(2, 0.05)),
    )
    assert fit_nodes(topology, legs).tau == USUAL_TAU


def test_the_floor_is_what_many_repeats_come_to():
    rng = np.random.default_rng(6)
    topology = ring(8, 3, rng)
    many = Legs(
        np.arange(11), np.full(11, 1e7), np.zeros(11), np.zeros(11), VariancePrior(np.full(11, 1e9), np.ones(11))
    )
    floor = floor_errors(topology, np.full(11, True), 0.2)
    assert fit_nodes(topology, many, tau=0.2).standard_errors == pytest.approx(floor, rel=1e-3)
    assert floor_errors(topology, np.full(11, True), 0.0).tolist() == [0.0] * 8
