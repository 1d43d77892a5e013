"""Real molecular dynamics on SLURM in slices far shorter than a task: the same numbers, bit by bit."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from places import HYDRATION

from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.execution.attempts import AttemptLog, Outcome
from xpm_alchem.execution.directory import TaskDirectory
from xpm_alchem.gufe_seam import AlchemicalNetwork, ChemicalSystem, SolventComponent, Transformation, save
from xpm_alchem.protocols.gb_hydration import GBHydrationProtocol, GBHydrationSettings

pytestmark = [pytest.mark.slurm, pytest.mark.long]

SLICES = 5


def both_legs_of_one_mutation() -> Any:
    """Return a part of the hydration network with so much sampling that a leg takes more than a minute."""
    from openff.units import unit

    spec = importlib.util.spec_from_file_location("build_network", HYDRATION / "build_network.py")
    assert spec is not None and spec.loader is not None
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    molecules = build.read_molecules()
    water = SolventComponent(neutralize=False, ion_concentration=0.0 * unit.molar)
    edges = []
    for leg, around, production in (("vacuum", {}, 900.0), ("solvent", {"solvent": water}, 380.0)):
        first, second = (
            ChemicalSystem({"ligand": molecules[name], **around}, name=f"{name}_{leg}")
            for name in ("benzene", "toluene")
        )
        settings = GBHydrationSettings(n_windows=6, production_ps=production, equilibration_ps=5.0, segment_ps=5.0)
        protocol = GBHydrationProtocol(settings)
        edges.append(Transformation(first, second, protocol, name=f"benzene_toluene_{leg}"))
    return AlchemicalNetwork(edges=edges, name="hydration")


def run(path: Path, launcher: dict[str, Any]) -> tuple[CampaignRecords, dict[str, Any]]:
    """Run the network in a directory of its own; return the records and the results."""
    path.mkdir()
    save(both_legs_of_one_mutation(), path / "network.json")
    plan = {
        "name": "hydration",
        "network": "network.json",
        "workspace": "./workspace",
        "launcher": launcher,
        "strategy": {"name": "uniform", "settings": {"repeats": 1}},
        "max_retries": 1,
    }
    (path / "campaign.yaml").write_text(yaml.safe_dump(plan))

    def call(*arguments: str) -> str:
        command = [sys.executable, "-m", "xpm_alchem", *arguments]
        done = subprocess.run(command, cwd=path, capture_output=True, text=True, timeout=1500)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    call("run", "--quiet", "campaign.yaml")
    records = CampaignRecords.open(path / "workspace" / "campaigns" / "hydration")
    return records, json.loads(call("results", "campaign.yaml", "--json"))


def test_slices_shorter_than_a_task_change_no_bit_of_its_result(start_cluster, tmp_path: Path) -> None:
    start_cluster()
    records, sliced = run(tmp_path / "slurm", {"kind": "slurm", "time": "1min", "margin": "45s"})
    for task in records.state().tasks.values():
        attempts = AttemptLog(TaskDirectory(records.task_path(task)).attempts).read()
        outcomes = [attempt.outcome for attempt in attempts]
        assert len(attempts) >= SLICES and outcomes == [Outcome.TIMEOUT] * (len(attempts) - 1) + [Outcome.COMPLETE]
        units = [unit["name"] for attempt in attempts for unit in attempt.units if unit.get("ok")]
        assert len(units) == len(set(units)) == 8
    _, whole = run(tmp_path / "local", {"kind": "local", "slots": 2})
    for key in ("transformations", "edges"):
        assert [row["estimate"] for row in sliced[key]] == [row["estimate"] for row in whole[key]]
