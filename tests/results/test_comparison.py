"""Calculated against measured: definitions, centring, intervals that are the same every time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xpm_alchem.results.comparison import compare

X = np.array([-9.0, -8.5, -10.2, -7.7, -9.9])
Y = np.array([0.2, 0.1, -1.5, 1.4, -0.2])


def test_the_definitions():
    found = compare(Y, X, centred=True).statistics
    x, y = X - X.mean(), Y - Y.mean()
    assert found["rmse"].value == pytest.approx(np.sqrt(np.mean((x - y) ** 2)))
    assert found["mue"].value == pytest.approx(np.mean(np.abs(x - y)))
    r = np.corrcoef(x, y)[0, 1]
    assert (found["pearson_r"].value, found["r2"].value) == (pytest.approx(r), pytest.approx(r**2))
    # of the ten pairs one is the other way round
    assert found["kendall_tau"].value == pytest.approx(0.8)


def test_ties_count_as_in_tau_b():
    found = compare(np.array([1.0, 1.0, 2.0]), np.array([1.0, 2.0, 3.0]), centred=True)
    assert found.statistics["kendall_tau"].value == pytest.approx(2 / np.sqrt(2 * 3))


def test_the_shift_puts_calculated_values_on_the_measured_scale():
    found = compare(Y, X, centred=True)
    assert np.mean(Y + found.shift) == pytest.approx(np.mean(X)) and found.count == 5


def test_differences_are_not_centred():
    found = compare(X + 1.0, X, centred=False, names=("rmse", "mue"))
    assert set(found.statistics) == {"rmse", "mue"} and found.shift == 0.0
    assert found.statistics["rmse"].value == found.statistics["mue"].value == pytest.approx(1.0)


@settings(deadline=None, derandomize=True, max_examples=10)
@given(st.floats(-100, 100))
def test_a_common_shift_changes_nothing(shift):
    found, shifted = compare(Y, X, centred=True), compare(Y + shift, X, centred=True)
    for name, one in found.statistics.items():
        assert shifted.statistics[name].value == pytest.approx(one.value, abs=1e-9), name


def test_intervals_hold_the_value_and_are_the_same_every_time():
    found, again = compare(Y, X, centred=True), compare(Y, X, centred=True)
    assert found.statistics == again.statistics
    assert all(one.low <= one.value <= one.high for one in found.statistics.values())


def test_what_is_not_there_on_either_side_is_left_out():
    calculated, measured = np.append(Y, [5.0, np.nan]), np.append(X, [np.nan, 3.0])
    assert compare(calculated, measured, centred=True).statistics == compare(Y, X, centred=True).statistics


def test_fewer_than_two_values_cannot_be_compared():
    assert compare(np.array([1.0, np.nan]), np.array([1.0, 2.0]), centred=True) is None


def test_a_correlation_with_values_that_are_all_equal_is_not_defined():
    found = compare(np.ones(4), np.arange(4.0), centred=True).statistics
    assert found["r2"].value is None and found["kendall_tau"].low is None and found["rmse"].value > 0
