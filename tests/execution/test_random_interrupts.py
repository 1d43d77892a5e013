"""Real simulations are interrupted at random moments; `random_interrupts.py` does it as often as you like."""

from __future__ import annotations

import pytest
from random_interrupts import interrupt_often


@pytest.mark.slow
def test_a_simulation_is_interrupted_at_random_moments(tmp_path):
    pytest.importorskip("openmm")
    course = interrupt_often(tmp_path, 12)
    assert course.faults == []
    assert course.started_over == 0
    assert course.interrupted == 12 and course.complete > 0
