"""Real molecular dynamics on SLURM in slices far shorter than a task: the same numbers, bit by bit."""

from __future__ import annotations

import importlib.util
import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

import patience
import pytest
import yaml
from places import HYDRATION
from slurm_cluster import SlurmCluster

from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.execution.attempt_log import AttemptLog
from xpm_alchem.execution.attempts import Attempt, Outcome
from xpm_alchem.execution.directory import TaskDirectory
from xpm_alchem.execution.progress import newest_checkpoint
from xpm_alchem.gufe_seam import AlchemicalNetwork, ChemicalSystem, SolventComponent, Transformation, save
from xpm_alchem.protocols.gb_hydration import GBHydrationProtocol, GBHydrationSettings

pytestmark = [pytest.mark.slurm, pytest.mark.long]

SLICES = 5
MINUTE = 60.0


class Slicing(threading.Thread):
    """Cuts tasks into slices: once an attempt has made progress, its job's limit is set to the minute that it is in.

    What a slice is worth is then no matter of how busy the machine is. SLURM would warn the job by itself, but looks at
    limits only now and then; its warning is sent here at once.

    Parameters
    ----------
    records
        Where the campaign will be.
    slices
        How many of each task's attempts are ended so.
    """

    def __init__(self, cluster: SlurmCluster, records: Path, slices: int) -> None:
        super().__init__(name="slicing")
        self._cluster, self._records, self._slices = cluster, records, slices
        self._over = threading.Event()
        self._lowered: set[str] = set()

    def __enter__(self) -> Slicing:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()

    def run(self) -> None:
        while not self._over.wait(0.2):
            if not (self._records / "index.json").exists():
                continue
            records = CampaignRecords.open(self._records)
            for task in records.state().tasks.values():
                files = TaskDirectory(records.task_path(task))
                attempts = AttemptLog(files.attempts).read()
                if attempts and len(attempts) <= self._slices and self._has_progress(attempts[-1], files):
                    self._end(attempts[-1])

    def _has_progress(self, attempt: Attempt, files: TaskDirectory) -> bool:
        is_new = attempt.outcome is None and attempt.launched_as not in self._lowered
        return is_new and newest_checkpoint(files) > attempt.start

    def _end(self, attempt: Attempt) -> None:
        job = str(attempt.launched_as)
        self._lowered.add(job)
        minutes = int((time.time() - attempt.start) // MINUTE) + 1
        self._cluster.call("scontrol", "update", f"jobid={job}", f"TimeLimit={minutes}", check=False)
        self._cluster.call("scancel", "--batch", "--signal=USR1", job, check=False)


def both_legs_of_one_mutation() -> Any:
    """Return a part of the hydration network, with so much sampling that a leg has many checkpoints."""
    from openff.units import unit

    spec = importlib.util.spec_from_file_location("build_network", HYDRATION / "build_network.py")
    assert spec is not None and spec.loader is not None
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    molecules = build.read_molecules()
    water = SolventComponent(neutralize=False, ion_concentration=0.0 * unit.molar)
    edges = []
    for leg, around, production in (("vacuum", {}, 300.0), ("solvent", {"solvent": water}, 130.0)):
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
        done = patience.run(command, cwd=path, seconds=1000)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    call("run", "--quiet", "campaign.yaml")
    records = CampaignRecords.open(path / "workspace" / "campaigns" / "hydration")
    return records, json.loads(call("results", "campaign.yaml", "--json"))


def test_slices_shorter_than_a_task_change_no_bit_of_its_result(start_cluster, tmp_path: Path) -> None:
    cluster = start_cluster()
    # the margin: an attempt ends when less than that is left, as is so once its limit is the minute that it is in
    launcher = {"kind": "slurm", "time": "60min", "margin": "3min"}
    with Slicing(cluster, tmp_path / "slurm" / "workspace" / "campaigns" / "hydration", SLICES):
        records, sliced = run(tmp_path / "slurm", launcher)
    for task in records.state().tasks.values():
        attempts = AttemptLog(TaskDirectory(records.task_path(task)).attempts).read()
        outcomes = [attempt.outcome for attempt in attempts]
        assert len(attempts) > SLICES and outcomes == [Outcome.TIMEOUT] * (len(attempts) - 1) + [Outcome.COMPLETE]
        units = [unit["name"] for attempt in attempts for unit in attempt.units if unit.get("ok")]
        assert len(units) == len(set(units)) == 8
    _, whole = run(tmp_path / "local", {"kind": "local", "slots": 2})
    for key in ("transformations", "edges"):
        assert [row["estimate"] for row in sliced[key]] == [row["estimate"] for row in whole[key]]
