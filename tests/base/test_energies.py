"""What is believed of numbers that should be free energies."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from xpm_alchem.base.energies import LARGEST_ENERGY, SMALLEST_ENERGY, believed, believed_pairs, is_energy

ANYTHING = st.one_of(st.floats(), st.integers(), st.none(), st.booleans(), st.text(max_size=3), st.complex_numbers())
NONE = [1e7, -1e200, 1e308, math.inf, -math.inf, math.nan, 10**400, -(10**400), 1 + 2j, "1.0", True, [1.0]]


@given(ANYTHING, ANYTHING)
@example(-(10**400), 5e-324)
@example(1e-320, -0.0)
def test_what_is_believed_can_be_reckoned_with(estimate: Any, uncertainty: Any) -> None:
    found = believed(estimate, uncertainty)
    for value in (found.estimate, found.uncertainty):
        assert value is None or value == 0 or SMALLEST_ENERGY <= abs(value) <= LARGEST_ENERGY
    assert found.uncertainty is None or found.uncertainty >= 0
    assert not found.left_out or found == (None, None, found.left_out)
    assert found.left_out or estimate is None or found.estimate is not None


@pytest.mark.parametrize("number", NONE)
def test_an_estimate_that_is_none_leaves_the_repeat_out(number: Any) -> None:
    assert believed(number, 0.1).left_out.startswith("left out: its estimate is ")
    assert not is_energy(number)


def test_an_uncertainty_without_bounds_does_too() -> None:
    assert believed(1.0, 1e160).left_out == (
        "left out: its uncertainty is 1e+160 kcal/mol, and no free energy is beyond 1e+06 kcal/mol"
    )
    assert believed(1.0, math.inf).left_out


@pytest.mark.parametrize("number", [None, math.nan, -0.1, -1e300, "x", 2j])
def test_an_uncertainty_that_is_none_is_none(number: Any) -> None:
    assert believed(-3.25, number) == (-3.25, None, "")


def test_plain_numbers_are_what_they_are() -> None:
    assert believed(-12, 0.0) == (-12.0, 0.0, "")
    assert believed(LARGEST_ENERGY, 1e-300) == (LARGEST_ENERGY, 0.0, "")
    assert believed_pairs([(1, 0.5), (math.nan, 1), (2.0, -1), (1e99, 0)]) == [[1.0, 0.5], [2.0, 0.0]]
