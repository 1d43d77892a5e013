"""A driver that is killed in the middle of an iteration: the next one proposes exactly the same."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from dummy_protocol import dummy_network
from patience import run
from places import SUPPORT

from xpm_alchem import gufe_seam
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.network.loading import load_network
from xpm_alchem.plan.campaign_yaml import parse_plan

PLANS = {
    "capped and extending": "{name: connectivity, settings: {max_runs: 4}, max_tasks_per_network: 7, "
    "extends_preference: 0.5, max_tasks_per_transformation: 5}",
    "full": "{name: uniform, settings: {repeats: 2}, mode: full}",
}


@pytest.mark.parametrize("plan", PLANS)
def test_fifty_drivers_killed_in_an_iteration_leave_the_next_one_the_same_to_do(tmp_path: Path, plan: str) -> None:
    text = f"name: c\nnetwork: network.json\ntrusted_modules: [dummy_protocol]\nstrategy: {PLANS[plan]}\n"
    gufe_seam.save(dummy_network([(0, 1), (1, 2), (2, 3), (0, 3)]), tmp_path / "network.json")
    read = parse_plan(text, tmp_path / "campaign.yaml")
    network = load_network(read.network, read.trusted_modules)
    records = CampaignRecords.create(tmp_path / "workspace", read, text, network)
    ids = [record.id for record in network.index.transformations]
    done = [(ids[0], 1, "complete"), (ids[0], 2, "complete"), (ids[1], 1, "error"), (ids[2], 1, "waiting")]
    done += [(ids[3], repeat, "waiting") for repeat in (1, 2, 3)]
    with records.lock():
        for transformation, repeat, status in done:
            task = f"{transformation}-{repeat}"
            created = {"event": "created", "transformation": transformation, "repeat": repeat, "directory": "jobs/x"}
            records.write({**created, "task": task})
            if status != "waiting":
                records.write({"event": "status", "task": task, "status": status, "estimate": 1.0, "seconds": 1.0})
    program = SUPPORT / "killed_iteration.py"
    ended = run([sys.executable, program, records.path, "50"], cwd=tmp_path, seconds=300)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    said = json.loads(ended.stdout.splitlines()[-1])
    assert sum(said["points"].values()) == 50
    assert len(said["points"]) == 8
    assert said["tasks"] > len(done)
