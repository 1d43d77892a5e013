"""SLURM's commands lie at random: every task is run once all the same. tests/slurm/lying.py does it for long."""

from __future__ import annotations

import os

import pytest
from lying_site import lying_site
from ordinary_user import users_python
from places import NO_SKIPS

pytestmark = pytest.mark.slurm


@pytest.mark.parametrize(("seed", "accounting"), [(1, True), (2, False)])
def test_a_site_that_lies_costs_time_and_nothing_else(need_slurm, seed: int, accounting: bool) -> None:
    need_slurm(accounting=accounting)
    if users_python() is None:
        message = "needs root, setpriv, and a Python that an ordinary user may run"
        pytest.fail(message) if NO_SKIPS and os.getuid() == 0 else pytest.skip(message)
    assert lying_site(tasks=20, seconds=40, seed=seed, accounting=accounting) == []
