"""Variances of few repeats: the prior that is fitted, and what becomes of them."""

from __future__ import annotations

import numpy as np
import pytest

from xpm_alchem.estimation.repeat_variances import VariancePrior, fit_prior


def drawn(n: int, degrees: float, scale: float, slope: float, repeats: int, seed: int = 1):
    """Return counts, sums of squares, the covariate and the true variances of n transformations."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    true = degrees * scale * np.exp(slope * x) / rng.chisquare(degrees, n)
    return np.full(n, float(repeats)), true * rng.chisquare(repeats - 1, n), x, true


@pytest.mark.parametrize(("degrees", "slope"), [(2.0, 0.0), (2.0, 1.0), (6.0, 0.9)])
def test_the_prior_that_made_the_data_is_found(degrees, slope):
    counts, squares, x, _ = drawn(4000, degrees, 0.05, slope, 3)
    prior = fit_prior(counts, squares, x)
    assert prior.degrees[0] == pytest.approx(degrees, rel=0.2)
    fitted = np.polyfit(x, np.log(prior.scales), 1)
    assert fitted[0] == pytest.approx(slope, abs=0.1) and np.exp(fitted[1]) == pytest.approx(0.05, rel=0.15)


def test_the_posterior_is_nearer_the_truth_than_the_variance_of_the_repeats():
    counts, squares, x, true = drawn(500, 2.5, 0.05, 0.9, 3)
    error = {
        "raw": np.log(squares / 2 / true),
        "without a covariate": np.log(fit_prior(counts, squares).posterior(counts, squares).plug_in / true),
        "with it": np.log(fit_prior(counts, squares, x).posterior(counts, squares).plug_in / true),
    }
    size = {name: float(np.mean(values**2)) for name, values in error.items()}
    assert size["with it"] < 0.9 * size["without a covariate"] and size["without a covariate"] < 0.5 * size["raw"]


def test_a_covariate_that_says_nothing_does_little_harm():
    counts, squares, _, true = drawn(60, 2.5, 0.05, 0.0, 3)
    noise = np.random.default_rng(5).normal(size=60)
    plain, noisy = (
        np.mean(np.log(fit_prior(counts, squares, x).posterior(counts, squares).plug_in / true) ** 2)
        for x in (None, noise)
    )
    assert noisy < 1.15 * plain


def test_the_posterior_mean_is_that_of_the_truth():
    counts, squares, x, true = drawn(20000, 6.0, 0.05, 0.5, 4)
    assert np.mean(fit_prior(counts, squares, x).posterior(counts, squares).mean) == pytest.approx(
        np.mean(true), rel=0.05
    )


def test_repeats_that_are_equal_and_transformations_without_repeats_are_no_trouble():
    counts, squares = np.array([3.0, 3.0, 0.0, 1.0]), np.array([0.0, 0.2, 0.0, 0.0])
    prior = fit_prior(counts, squares, np.array([np.nan, 0.3, np.nan, 0.1]))
    posterior = prior.posterior(counts, squares)
    assert np.all(np.isfinite(posterior.plug_in)) and np.all(posterior.plug_in > 0)
    nothing = fit_prior(np.zeros(2), np.zeros(2))
    assert np.all(nothing.scales == nothing.scales[0]) and nothing.scales[0] > 0
    assert fit_prior(np.zeros(0), np.zeros(0)).scales.shape == (0,)


def test_what_the_rest_of_the_network_says_costs_no_degree_of_freedom():
    prior = VariancePrior(np.array([2.0]), np.array([0.1]))
    alone = prior.posterior(np.array([3.0]), np.array([0.4]))
    assert (
        alone.degrees[0] == 4.0 and alone.plug_in[0] == pytest.approx(0.6 / 4) and alone.mean[0] == pytest.approx(0.3)
    )
    told = prior.posterior(np.array([3.0]), np.array([0.4]), np.array([0.9]))
    assert told.degrees[0] == 5.0 and told.plug_in[0] == pytest.approx(1.5 / 5)
