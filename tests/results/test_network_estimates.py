"""Values of ligands from differences: what least squares must do whatever the network."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xpm_alchem.estimation.covariance import Topology
from xpm_alchem.estimation.node_values import Legs
from xpm_alchem.estimation.repeat_variances import VariancePrior
from xpm_alchem.results.network_estimates import LEAST_ERROR, estimate_values, steadied_values


def topology(nodes, ends):
    """Return edges from the first to the second of each pair."""
    tails, heads = (np.array([pair[i] for pair in ends], dtype=np.int64) for i in (0, 1))
    return Topology(nodes, heads, tails)


@st.composite
def networks(draw):
    """A connected network: nodes, ends, and errors of the edges."""
    nodes = draw(st.integers(2, 7))
    tree = [(draw(st.integers(0, n - 1)), n) for n in range(1, nodes)]
    others = [(a, b) for a in range(nodes) for b in range(a + 1, nodes) if (a, b) not in tree]
    more = draw(st.lists(st.sampled_from(others), unique=True, max_size=6)) if others else []
    ends = [pair[::-1] if draw(st.booleans()) else pair for pair in tree + more]
    errors = draw(st.lists(st.floats(0.05, 3.0), min_size=len(ends), max_size=len(ends)))
    return nodes, ends, np.array(errors)


EXAMPLES = settings(deadline=None, derandomize=True, max_examples=60)
VALUES = st.lists(st.floats(-10, 10), min_size=7, max_size=7).map(np.array)


@EXAMPLES
@given(networks(), VALUES)
def test_consistent_differences_give_back_the_values_they_were_made_of(network, truth):
    nodes, ends, errors = network
    made = topology(nodes, ends)
    truth = truth[:nodes]
    found = estimate_values(made, made.differences(truth), errors)
    assert found.values == pytest.approx(truth - truth.mean(), abs=1e-8)


@EXAMPLES
@given(networks(), VALUES, st.randoms(use_true_random=False))
def test_the_order_and_direction_of_edges_change_nothing(network, numbers, random):
    nodes, ends, errors = network
    values = np.resize(numbers, len(ends))
    found = estimate_values(topology(nodes, ends), values, errors)
    order = random.sample(range(len(ends)), len(ends))
    turned = [random.random() < 0.5 for _ in ends]
    other = topology(nodes, [ends[i][::-1] if turned[i] else ends[i] for i in order])
    signed = np.array([-values[i] if turned[i] else values[i] for i in order])
    again = estimate_values(other, signed, errors[order])
    assert again.values == pytest.approx(found.values, abs=1e-8)
    assert again.covariance == pytest.approx(found.covariance, abs=1e-8)


@EXAMPLES
@given(networks(), VALUES, st.floats(0.1, 10))
def test_errors_scale_with_the_errors_of_the_edges_and_values_do_not(network, numbers, factor):
    nodes, ends, errors = network
    values = np.resize(numbers, len(ends))
    found = estimate_values(topology(nodes, ends), values, errors)
    scaled = estimate_values(topology(nodes, ends), values, errors * factor)
    assert scaled.values == pytest.approx(found.values, abs=1e-7)
    assert scaled.errors == pytest.approx(found.errors * factor, rel=1e-6)


@EXAMPLES
@given(networks(), VALUES, st.data())
def test_a_reference_shifts_all_values_and_keeps_differences_with_their_errors(network, numbers, data):
    nodes, ends, errors = network
    found = estimate_values(topology(nodes, ends), np.resize(numbers, len(ends)), errors)
    reference = data.draw(st.integers(0, nodes - 1))
    shifted = found.relative_to(reference)
    assert shifted.values[reference] == 0 and shifted.errors[reference] == pytest.approx(0, abs=1e-7)
    assert np.ptp(shifted.values - found.values) == pytest.approx(0, abs=1e-9)
    c = found.covariance
    expected = np.sqrt(np.maximum(np.diagonal(c) + c[reference, reference] - 2 * c[:, reference], 0))
    assert shifted.errors == pytest.approx(expected, abs=1e-7)


def test_the_estimate_is_the_pseudo_inverse_of_the_weighted_laplacian():
    ends, errors, values = [(0, 1), (1, 2), (0, 2)], np.array([0.5, 1.0, 2.0]), np.array([1.0, 2.0, 4.0])
    laplacian, flow = np.zeros((3, 3)), np.zeros(3)
    for (a, b), error, value in zip(ends, errors, values, strict=True):
        b_e = np.eye(3)[b] - np.eye(3)[a]
        laplacian += np.outer(b_e, b_e) / error**2
        flow += b_e * value / error**2
    found = estimate_values(topology(3, ends), values, errors)
    assert found.covariance == pytest.approx(np.linalg.pinv(laplacian), abs=1e-12)
    assert found.values == pytest.approx(np.linalg.pinv(laplacian) @ flow, abs=1e-12)


def test_edges_without_a_value_or_an_error_are_left_out_and_ligands_they_alone_reach_have_none():
    made = topology(4, [(0, 1), (1, 2), (2, 3)])
    found = estimate_values(made, np.array([1.0, np.nan, 5.0]), np.array([0.1, 0.1, np.nan]))
    assert found.parts.tolist() == [0, 0, -1, -1]
    assert found.values[:2] == pytest.approx([-0.5, 0.5]) and np.isnan(found.values[2:]).all()
    assert np.isnan(found.errors[2:]).all()


def test_parts_are_numbered_by_size_and_a_reference_says_nothing_of_another_part():
    made = topology(5, [(0, 1), (2, 3), (3, 4)])
    found = estimate_values(made, np.array([1.0, 1.0, 1.0]), np.full(3, 0.1))
    assert found.parts.tolist() == [1, 1, 0, 0, 0]
    relative = found.relative_to(2)
    assert np.isnan(relative.values[:2]).all() and relative.values[2:] == pytest.approx([0, 1, 2])
    assert relative.parts.tolist() == [-1, -1, 0, 0, 0]


def test_repeats_that_happen_to_be_equal_are_no_certainty():
    found = estimate_values(topology(2, [(0, 1)]), np.array([1.0]), np.array([0.0]))
    assert found.values == pytest.approx([-0.5, 0.5]) and found.errors == pytest.approx([LEAST_ERROR / 2] * 2)


def legs(counts, means, squares):
    prior = VariancePrior(np.full(len(counts), 3.0), np.full(len(counts), 0.04))
    numbers = (np.array(x, dtype=float) for x in (counts, means, squares))
    return Legs(np.arange(len(counts)) // 2, *numbers, prior)


def test_one_repeat_of_both_legs_is_enough_for_a_steadied_value():
    made = topology(3, [(0, 1), (1, 2)])
    found, fit = steadied_values(made, legs([1, 1, 1, 0], [3.0, -1.0, 5.0, 0.0], [0.0] * 4))
    assert found.values[:2] == pytest.approx([-1.0, 1.0]) and np.isnan(found.values[2])
    assert found.errors[0] == pytest.approx(fit.standard_errors[0]) and found.errors[0] > 0.1


def test_steadied_errors_are_those_of_the_fit():
    made = topology(3, [(0, 1), (1, 2), (2, 0)])
    found, fit = steadied_values(made, legs([3] * 6, [1.0, 0.1, 2.0, 0.0, -3.0, 0.2], [0.1] * 6))
    assert found.errors == pytest.approx(fit.standard_errors) and found.values == pytest.approx(fit.values)
