"""After the end: every file whole, every number that of a calm run, nothing left at work or locked."""

from __future__ import annotations

import json
import math
import re
import time
from collections import Counter
from pathlib import Path
from typing import Any

import filelock
from campaigns import SmallCampaign
from patience import Patience
from slurm_cluster import SlurmCluster
from storm import campaign_processes
from workers import in_pool

from xpm_alchem import gufe_seam
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.task_state import TaskStatus
from xpm_alchem.execution.directory import TaskDirectory, TaskSummary
from xpm_alchem.execution.fence import current
from xpm_alchem.execution.processes import session_members

_TEMPORARY = re.compile(r"\.(\d+)\.[0-9a-f]{8}\.tmp$")
_ALIVE = ("PENDING", "RUNNING", "COMPLETING", "SUSPENDED")
_PATIENCE = 90.0  # seconds that SLURM may take to clear up


class Wholeness:
    """Looks at a campaign that has come to its end.

    Attributes
    ----------
    found
        How many files, torn lines and temporary files of killed writers there are.
    """

    def __init__(self, campaign: SmallCampaign, *, cluster: SlurmCluster | None) -> None:
        self._campaign, self._cluster = campaign, cluster
        self.wrong: list[str] = []
        self.found: Counter[str] = Counter()

    def check(self, calm: dict[str, list[float | None]]) -> None:
        """Check everything; `calm` are the estimates of a calm run by name."""
        self._check_left()
        self._check_pool()
        self._check_locks()
        self._check_files()
        self._check_results(calm)

    # ------------------------------------------------------------------------------------------------ what is left
    def _check_left(self) -> None:
        patience = Patience(_PATIENCE)
        while True:
            jobs = [] if self._cluster is None else [job for job in self._cluster.jobs() if job["state"] in _ALIVE]
            processes = campaign_processes(self._campaign.path)
            if not jobs and not processes:
                break
            if patience.is_over():
                said = [f"{process.pid}: {' '.join(process.cmdline())}" for process in processes]
                self.wrong.append(f"left behind: jobs {jobs}, processes {said}")
                break
            time.sleep(1.0)
        sessions = {attempt.process.pid for task in self._campaign.attempts().values() for attempt in task}
        if self._cluster is None and (left := [p for pid in sessions if pid for p in session_members(pid)]):
            self.wrong.append(f"left behind by attempts: {left}")

    def _check_pool(self) -> None:
        """Check that nothing is left in a pool when `doctor` has cleared up: no worker lives."""
        workspace = self._campaign.path / "workspace"
        if (workspace / "pools").is_dir():
            self.found["left in the pool for `doctor`"] = len(in_pool(workspace))
            done = self._campaign.call("doctor", self._campaign.file, "--fix")
            if left := in_pool(workspace):
                self.wrong.append(f"left in the pool after `doctor --fix`: {left}\n{done.stdout[-3000:]}")

    def _check_locks(self) -> None:
        records = self._campaign.records
        if records.holder() is not None or (records.path / "holder.json").exists():
            self.wrong.append("the campaign still has a holder")
        locks = [records.path / "lock"]
        locks += [TaskDirectory(records.task_path(task)).lock for task in records.state().tasks.values()]
        for path in locks:
            try:
                with filelock.FileLock(path).acquire(timeout=0):
                    pass
            except filelock.Timeout:
                self.wrong.append(f"{path} is still locked")

    # ------------------------------------------------------------------------------------------------------- files
    def _check_files(self) -> None:
        records = self._campaign.records
        places = [records.path, *(records.task_path(task) for task in records.state().tasks.values())]
        if (records.workspace / "slurm").is_dir():
            places.append(records.workspace / "slurm")
        for place in places:
            for path in place.rglob("*"):
                if path.is_file() and not _is_foreign(path.relative_to(place)):
                    self._check_file(path)

    def _check_file(self, path: Path) -> None:
        if temporary := _TEMPORARY.search(path.name):
            self.found["temporary files of killed writers"] += 1
            if Path(f"/proc/{temporary[1]}").exists():
                self.wrong.append(f"{path}: its writer is alive")
        elif path.suffix == ".json" and "set-aside" not in path.name:
            self.found["JSON files"] += 1
            try:
                json.loads(path.read_bytes())
            except ValueError as error:
                self.wrong.append(f"{path}: {error}")
        elif path.suffix == ".jsonl":
            self.found["journals"] += 1
            self._check_journal(path)

    def _check_journal(self, path: Path) -> None:
        lines = path.read_text(errors="replace").split("\n")
        if lines.pop():
            self.found["torn lines"] += 1
        for line in filter(None, lines):
            try:
                json.loads(line)
            except ValueError:
                self.found["torn lines"] += 1
                if not line.startswith("{") or line.endswith("}"):
                    self.wrong.append(f"{path}: not the beginning of a record: {line[:300]}")

    # ----------------------------------------------------------------------------------------------------- results
    def _check_results(self, calm: dict[str, list[float | None]]) -> None:
        records = self._campaign.records
        rows = {row["transformation"]: row for row in self._campaign.json("results")["transformations"]}
        if set(rows) != set(calm):
            self.wrong.append(f"`results` has other transformations: {set(rows) ^ set(calm)}")
        names = {record.id: record.name for record in records.index.transformations}
        repeats: dict[str, dict[int, float | None]] = {name: {} for name in rows}
        for task in records.state().tasks.values():
            if task.status is TaskStatus.COMPLETE:
                repeats[names[task.transformation]][task.repeat] = self._estimate(records, task.task)
        for name, row in rows.items():
            found = [value for _, value in sorted(repeats[name].items())]
            expected = [calm[name][repeat - 1] for repeat in sorted(repeats[name])]
            self.found["estimates"] += len(found)
            if found != expected or row["repeats"] != expected:
                self.wrong.append(f"{name}: summaries {found}, `results` {row['repeats']}, calm run {expected}")
            mean = math.fsum(x or 0.0 for x in expected) / len(expected) if expected else None
            if row["estimate"] != mean:
                self.wrong.append(f"{name}: `results` says {row['estimate']}, the mean is {mean}")

    def _estimate(self, records: CampaignRecords, name: str) -> float | None:
        """Return the estimate that a complete task's summary gives; its result must say the same."""
        files = TaskDirectory(records.task_path(records.state().tasks[name]))
        summary = TaskSummary.of(current(files.path))
        if summary.status != "complete":
            self.wrong.append(f"{name} is complete, and its summary says {summary.status}")
        result = gufe_seam.load(files.result, lambda module: None)
        (said,) = _outputs(result)
        if said != summary.estimate:
            self.wrong.append(f"{name}: its summary says {summary.estimate}, its result {said}")
        return summary.estimate


def _outputs(result: Any) -> list[float]:
    return [each.outputs["dg"] for each in result.protocol_unit_results if each.name == "analyse" and each.ok()]


def _is_foreign(path: Path) -> bool:
    """Whether a file is experimaestro's or the protocol's own, or was set aside."""
    own = (".experimaestro", "shared", "scratch", "stdout", "stderr", "cache")
    return any(part in own or "set-aside" in part for part in path.parts) or path.name == "params.json"
