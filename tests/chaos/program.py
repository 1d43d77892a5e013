"""One run of the chaos program: the storm, the calm after it, the check of everything."""

from __future__ import annotations

import itertools
import random
import signal
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

import misfortunes
from campaigns import SmallCampaign, calm_estimates
from patience import Patience, scaled, whole_minutes
from slurm_cluster import SlurmCluster, whole_seconds
from storm import SlurmStorm, Storm
from workers import Workers

from tests.chaos.attempts_model import AttemptsModel
from tests.chaos.drivers import Commands, Drivers
from tests.chaos.journal_model import JournalModel
from tests.chaos.plan_history import PlanHistory
from tests.chaos.report import Report
from tests.chaos.user import User
from tests.chaos.wholeness import Wholeness
from tests.chaos.workers import WorkersStorm
from xpm_alchem.base.errors import XpmAlchemError

REPEATS = 4
SLURMD_TIMEOUT = whole_seconds(10)
WEIGHTS = {"driver": 3.0, "driver term": 1.0, "task": 4.0, "task term": 1.5, "group": 1.0}
SLURM_WEIGHTS = {**WEIGHTS, "scancel": 3.0, "slurmd": 1.5, "node": 1.0, "slurmctld": 1.0, "slurmdbd": 1.0}
WORKERS_WEIGHTS = {
    **WEIGHTS,
    "worker": 2.0,
    "worker tree": 2.0,
    "worker term": 1.0,
    "worker usr1": 1.0,
    "worker frozen": 1.0,
    "worker tree frozen": 1.0,
}
LAUNCHERS: dict[str, dict[str, Any]] = {
    "local": {"kind": "local", "slots": 3, "time_limit": scaled(30.0), "margin": scaled(4.0), "grace": scaled(2.0)},
    "slurm": {"kind": "slurm", "time": f"{whole_minutes()}min", "margin": "15s", "slots": 8},
    "workers": {"kind": "workers", "slots": 8, "margin": scaled(4.0)},
}
ROUNDS = 40  # most drivers in calm weather


class Chaos:
    """One run, in a directory of its own.

    Parameters
    ----------
    tasks
        Results that there are to be in the end, a multiple of `REPEATS`; beside them one transformation is beyond hope.
    minutes, longest
        Of storm, at most; and most seconds between two of its faults.
    patience
        Seconds without any change, in calm weather, that count as hung.
    faults
        The storm is over after so many.
    is_short
        Whether to leave out what takes long: hanging tasks, and nodes that fail.
    """

    def __init__(
        self,
        place: Path,
        *,
        launcher: str,
        minutes: float,
        seed: int,
        tasks: int,
        longest: float,
        patience: float = 300.0,
        faults: int = 10**6,
        is_short: bool = False,
    ) -> None:
        self._place, self._minutes, self._longest, self._patience = place, minutes, longest, patience
        self._most_faults, self._is_short, self._has_workers = faults, is_short, launcher == "workers"
        self._rng = random.Random(seed)
        edges = list(itertools.islice(itertools.combinations(range(60), 2), tasks // REPEATS + 1))
        self._edges, self._hopeless = edges, edges[-1]
        self.campaign = SmallCampaign(
            place / "storm",
            edges=edges,
            plan={
                "launcher": self._launcher(launcher),
                "strategy": {"name": "uniform", "settings": {"repeats": 2}, "patience": 3, "mode": "partial"},
                "max_retries": 4,
                "restarts": [
                    {"pattern": misfortunes.KNOWN, "allowed": 3},
                    {"pattern": misfortunes.POISON, "allowed": 2, "from_scratch": True},
                ],
            },
            n_steps=misfortunes.STEPS,
            step_seconds=0.3,
            script_directory=place / "storm" / "scripts",
        )
        weights = {kind: weight for kind, weight in misfortunes.WEIGHTS.items() if kind != "hang" or not is_short}
        repeats = 3 * REPEATS  # there may be more tasks than results that are wanted
        misfortunes.write(self.scripts, edges, repeats, self._rng, weights, hopeless=self._hopeless)
        self.cluster: SlurmCluster | None = None
        self.report = Report()

    def _launcher(self, name: str) -> dict[str, Any]:
        packing = {"tasks_per_job": 3, "side_by_side": 2} if name == "slurm" and self._rng.random() < 0.3 else {}
        return {**LAUNCHERS[name], **packing}

    @property
    def scripts(self) -> Path:
        """The directory of the misfortunes."""
        return self.campaign.path / "scripts"

    # ------------------------------------------------------------------------------------------------------- running
    def run(self, cluster: SlurmCluster | None) -> Report:
        """Run the campaign through the storm to its end, and check everything."""
        self.cluster = cluster
        drivers = Drivers(self.campaign, self._place, random.Random(self._rng.random()))
        commands = Commands(self.campaign, self._place, random.Random(self._rng.random()))
        user = User(self.campaign, commands, drivers, random.Random(self._rng.random()), repeats=REPEATS)
        storm = self._storm()
        began = time.time()
        try:
            with PlanHistory(self.campaign.path) as history:
                with user:
                    self._weather(storm, drivers)
                    storm.mend()
                    while not user.goes():  # a `stop` waits until SLURM answers
                        storm.mend(time.time())
                        time.sleep(0.1)
                print(f"the storm is over after {time.time() - began:.0f} s: {self.counts()}", flush=True)
                calm = time.time()
                self._finish(storm, drivers, user)
        finally:
            (self._place / "events.txt").write_text("\n".join(storm.events) + "\n")
            if drivers.current is not None and drivers.is_at_work():
                drivers.current.send_signal(signal.SIGKILL)
                drivers.current.wait(60)
            storm.end()
        self.report.facts["seconds"] = f"{calm - began:.0f} of storm, {time.time() - calm:.0f} until the end"
        self.report.facts["drivers"] = f"{drivers.started}, exit codes {dict(drivers.codes)}"
        self.report.facts["the user's commands"] = commands.counts
        self.report.facts["refused as too late"] = commands.refused
        self.report.faults = self._faults(storm)
        self.report.wrong += [*drivers.wrong, *commands.wrong, *user.wrong]
        try:
            self._check(history)
        except Exception:  # what is damaged cannot be read: told with all that is wrong
            self.report.wrong.append(f"the check itself failed:\n{traceback.format_exc()}")
        return self.report

    def _faults(self, storm: Storm) -> Counter[str]:
        faults = Counter({f"storm: {kind}": number for kind, number in storm.hits.items()})
        faults.update(f"script: {each['kind']}" for _, each in misfortunes.happened(self.scripts))
        return faults

    def _storm(self) -> Storm:
        rng = random.Random(self._rng.random())
        options: dict[str, Any] = {"longest": self._longest, "first": 5.0}
        if self._has_workers:
            workers = Workers(self.campaign.path / "workspace", self._place / "workers.log")
            frozen = (1.0, 10.0) if self._is_short else (1.0, 40.0)
            return WorkersStorm(workers, self.campaign.path, rng, WORKERS_WEIGHTS, frozen=frozen, **options)
        if self.cluster is None:
            return Storm(self.campaign.path, rng, WEIGHTS, **options)
        options |= {"slurmd_timeout": SLURMD_TIMEOUT, "down": (2.0, 5.0) if self._is_short else (3.0, 20.0)}
        weights = {kind: weight for kind, weight in SLURM_WEIGHTS.items() if kind != "node" or not self._is_short}
        return SlurmStorm(self.cluster, self.campaign.path, rng, weights, **options)

    def _weather(self, storm: Storm, drivers: Drivers) -> None:
        while not self.is_made():  # importing everything may take long on a busy machine
            drivers.step()
            time.sleep(0.1)
        until = time.time() + 60 * self._minutes
        told = time.time()
        while time.time() < until and self._faults(storm).total() < self._most_faults:
            drivers.step()
            storm.step(drivers.target() if storm.is_due() else None)
            if time.time() - told > 30:
                told = time.time()
                print(f"  {time.strftime('%H:%M:%S')} {self.counts()} {dict(storm.hits)}", flush=True)
            time.sleep(0.1)

    def _finish(self, storm: Storm, drivers: Drivers, user: User) -> None:
        """Ask for all, and let the campaign come to its end; note it as hung if nothing changes for long."""
        drivers.held.set()
        user.ask_for_all()
        for number in range(1, ROUNDS + 1):
            user.mend()
            drivers.step()  # notes how it ended
            if not drivers.is_at_work():
                drivers.start()
            if not self._wait(storm, drivers):
                self.report.wrong.append(f"hung: nothing changed for {self._patience:.0f} s at {self.counts()}")
                return
            drivers.step()
            if drivers.last_code() in (0, 1) and self._is_all():
                self.report.facts["drivers in calm weather"] = number
                return
        self.report.wrong.append(f"not finished after {ROUNDS} drivers in calm weather: {self.counts()}")

    def _is_all(self) -> bool:
        """Whether only what is beyond hope is in error, and nothing waits for its user."""
        records = self.campaign.records
        hopeless = {record.id for record in records.index.transformations if self._is_hopeless(record.name)}
        tasks = [task for task in records.state().tasks.values() if task.transformation not in hopeless]
        return all(task.status == "complete" or task.spare or not task.exists for task in tasks)

    def _is_hopeless(self, name: str) -> bool:
        a, b = self._hopeless
        return name == f"ligand_{a}_ligand_{b}_vacuum"

    def _wait(self, storm: Storm, drivers: Drivers) -> bool:
        """Wait for the driver's end; return False if nothing changed for too long."""
        seen, hung = self._position(), Patience(self._patience)
        while drivers.is_at_work():
            storm.mend(time.time())
            if (now := self._position()) != seen:
                seen, hung = now, Patience(self._patience)
            elif hung.is_over():
                assert drivers.current is not None
                drivers.current.send_signal(signal.SIGTERM)
                drivers.current.wait(60)
                return False
            time.sleep(0.2)
        return True

    def _position(self) -> int:
        path = self.campaign.path / "workspace" / "campaigns" / "small" / "tasks.jsonl"
        return path.stat().st_size if path.exists() else 0

    def is_made(self) -> bool:
        """Whether the campaign is in its workspace."""
        return (self.campaign.path / "workspace" / "campaigns" / "small" / "index.json").exists()

    def counts(self) -> dict[str, int]:
        """Return the number of tasks by status."""
        try:
            return dict(Counter(str(task.status) for task in self.campaign.records.state().tasks.values()))
        except XpmAlchemError:
            return {}

    # ------------------------------------------------------------------------------------------------------ checking
    def _check(self, history: PlanHistory) -> None:
        records = self.campaign.records
        journal = JournalModel(records.path / "tasks.jsonl", history)
        journal.check_end({r.id: self._is_hopeless(r.name) for r in records.index.transformations}, REPEATS)
        attempts = AttemptsModel(history, journal)
        by_id = {record.id: record.name for record in records.index.transformations}
        for task in records.state().tasks.values():
            a, b = by_id[task.transformation].removesuffix("_vacuum").removeprefix("ligand_").split("_ligand_")
            script = misfortunes.script_of(self.scripts, f"vacuum_ligand_{a}", f"vacuum_ligand_{b}", task.repeat)
            attempts.check(task.task, records.task_path(task), script)
        whole = Wholeness(self.campaign, cluster=self.cluster)
        most = max((task.repeat for task in records.state().tasks.values()), default=0)
        whole.check(calm_estimates(self._place / "calm", self._edges, most, n_steps=misfortunes.STEPS))
        self.report.facts |= {
            "tasks": Counter(task.status for task in journal.tasks.values()),
            "attempts": attempts.outcomes,
            "decisions": attempts.decisions,
            "attempts never decided on": attempts.undecided,
            "the journal's events": journal.events,
            "plans in force": len(history.versions),
            "files": whole.found,
            "tracebacks in driver.log": self._tracebacks(),
        }
        self.report.wrong += [*journal.wrong, *attempts.wrong, *whole.wrong]

    def _tracebacks(self) -> int:
        log = self.campaign.records.path / "driver.log"
        return log.read_text(errors="replace").count("Traceback") if log.exists() else 0
