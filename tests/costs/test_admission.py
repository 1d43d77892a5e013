"""Sums of the same costs differ in their last digit: what is reached but for that is reached."""

from __future__ import annotations

import pytest

from xpm_alchem.campaign.spending import InFlight
from xpm_alchem.campaign.task_state import CampaignState
from xpm_alchem.costs.admission import Admission, Commitment, Word
from xpm_alchem.costs.closing import closed_transformations
from xpm_alchem.plan.budget import Budget

SPENT = 5.999999999999998  # 18 times 1/3, added one by one


@pytest.mark.parametrize(("spent", "word"), [(SPENT, Word.EXHAUSTED), (5.999, Word.OK), (6.0, Word.EXHAUSTED)])
def test_a_total_that_is_used_up_but_for_rounding_is_used_up(spent, word):
    admission = Admission(Budget(total=6.0), now=0.0, unit="EUR", spent=spent)
    assert admission.general().word is word
    assert admission.verdict(Commitment(InFlight(4.0, 0.0, None, 300.0, "EUR"))).word is word


@pytest.mark.parametrize(("cost", "closed"), [(0.7, False), (0.7001, True)])
def test_results_that_cost_per_result_but_for_rounding_do_not_close_their_transformation(cost, closed):
    """Six complete repeats at 0.7 of 0.7 each: the sum is more than six times 0.7, in its last digit."""
    state = CampaignState()
    for repeat in range(6):
        task = f"t-{repeat}"
        spent = [{"attempt": 1, "start": 0.0, "seconds": 90.0, "cost": cost, "unit": "EUR"}]
        for event in (
            {"event": "created", "transformation": "t", "repeat": repeat, "directory": f"jobs/{repeat}"},
            {"event": "submitted", "attempts": 0, "cost_per_hour": 4.0, "cost_unit": "EUR", "longest": None},
            {"event": "status", "status": "complete", "spent": spent},
        ):
            state.apply({"time": 0.0, "task": task, **event})
    groups = {"t": list(state.tasks.values())}
    assert bool(closed_transformations(Budget(per_result=0.7), state.ledger, groups, "EUR")) is closed
