"""How results settle: running means with their errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xpm_alchem.results.convergence import RunningMean, numbers_of_repeats, running_means


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.lists(st.floats(-100, 100), max_size=12))
def test_each_is_the_mean_and_standard_error_of_the_first_n(values):
    found = running_means(values)
    assert [one.repeats for one in found] == list(range(1, len(values) + 1))
    for one in found:
        first = np.array(values[: one.repeats])
        assert one.mean == pytest.approx(first.mean(), abs=1e-9)
        if one.repeats > 1:
            assert one.standard_error == pytest.approx(first.std(ddof=1) / np.sqrt(len(first)), abs=1e-6)


def test_one_repeat_has_no_error():
    assert running_means([1.5]) == [RunningMean(1, 1.5, None)]


@pytest.mark.parametrize(("most", "numbers"), [(0, []), (1, [1]), (3, [1, 2, 3]), (20, [*range(1, 11), 15, 20])])
def test_few_repeats_are_looked_at_one_by_one_and_many_in_steps(most, numbers):
    assert numbers_of_repeats(most) == numbers
