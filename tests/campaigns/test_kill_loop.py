"""Thirty kills at random times change nothing but the time it takes."""

from __future__ import annotations

from pathlib import Path

import pytest
from campaigns import SmallCampaign
from doctored import wrong
from kill_loop import finished_units, kill_loop
from left_processes import processes_of

EDGES = [(0, 1), (1, 2)]
PLAN = {"strategy": {"name": "uniform", "settings": {"repeats": 2}}, "max_retries": 100}


@pytest.mark.long
def test_thirty_kills_change_no_result_and_run_no_finished_unit_twice(tmp_path: Path) -> None:
    calm = SmallCampaign(tmp_path / "calm", edges=EDGES, plan=PLAN, n_steps=24, n_simulations=2)
    assert calm.run().returncode == 0
    # 4 tasks x 48 steps x 0.5 s in 2 slots take 48 s if nothing is killed, and 30 kills stop them most of that time
    stormy = SmallCampaign(tmp_path / "stormy", edges=EDGES, plan=PLAN, n_steps=24, n_simulations=2, step_seconds=0.5)
    hits = kill_loop(stormy.file, kills=30, seed=7, longest=3.0)
    assert hits.total() >= 30
    assert min(hits["driver"], hits["task"]) > 5
    assert stormy.estimates() == calm.estimates()  # bit-identical: the seeds are in dag.json
    assert all(set(counter.values()) == {1} for counter in finished_units(stormy.file).values())
    status = stormy.json("status")
    assert status["tasks"]["complete"] == 2 * len(EDGES)
    assert sum(status["tasks"].values()) == 2 * len(EDGES)
    assert wrong(stormy.json("doctor")) == {}
    assert not processes_of(tmp_path)
