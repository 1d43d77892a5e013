"""Making and running small campaigns for end-to-end tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import forked
import patience
import yaml
from dummy_protocol import dummy_network, times_left

from xpm_alchem import gufe_seam
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.execution.attempt_log import AttemptLog
from xpm_alchem.execution.attempts import Attempt
from xpm_alchem.execution.dag_run import TaskSpec, run
from xpm_alchem.execution.directory import TaskDirectory
from xpm_alchem.network.loading import load_network

_TRUST = ("dummy_protocol",)
HOLDS = ("wait", "insist", "hang")  # what holds a unit, in a script


class SmallCampaign:
    """A campaign of the scripted protocol in a directory of its own."""

    def __init__(
        self,
        path: Path,
        *,
        edges: list[tuple[int, int]],
        environments: tuple[str, ...] = ("vacuum",),
        script: dict[str, Any] | None = None,
        script_directory: Path | None = None,
        plan: dict[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        self.script = path / "script.json"
        if script is not None:
            self.script.write_text(json.dumps(script))
            settings["script"] = str(self.script)
        if script_directory is not None:  # a script for each task: misfortunes.py
            script_directory.mkdir()
            settings["script"] = str(script_directory)
        gufe_seam.save(dummy_network(edges, environments=environments, **settings), path / "network.json")
        self.plan: dict[str, Any] = {
            "name": "small",
            "network": "network.json",
            "workspace": "./workspace",
            "launcher": {"kind": "local", "slots": 2},
            "strategy": {"name": "uniform", "settings": {"repeats": 1}},
            "trusted_modules": ["dummy_protocol"],
            **(plan or {}),
        }
        self.write_plan()

    @classmethod
    def at(cls, path: Path) -> SmallCampaign:
        """Return a campaign that is there already."""
        campaign = cls.__new__(cls)
        campaign.path, campaign.script = path, path / "script.json"
        campaign.plan = yaml.safe_load((path / "campaign.yaml").read_text())
        return campaign

    def write_plan(self, **changes: Any) -> None:
        """Write campaign.yaml."""
        self.plan.update(changes)
        self.file.write_text(yaml.safe_dump(self.plan))

    @property
    def file(self) -> Path:
        """campaign.yaml."""
        return self.path / "campaign.yaml"

    @property
    def records(self) -> CampaignRecords:
        """The campaign's records."""
        return CampaignRecords.open(self._made)

    def command(self, *arguments: object) -> list[str]:
        """Return the command line of ``xpm-alchem ARGUMENTS``."""
        return [sys.executable, "-m", "xpm_alchem", *map(str, arguments)]

    def call(self, *arguments: object, seconds: float = 200) -> subprocess.CompletedProcess[str]:
        """Run ``xpm-alchem ARGUMENTS``."""
        return patience.run(self.command(*arguments), cwd=self.path, seconds=seconds)

    def run(self, *options: object, seconds: float = 200) -> subprocess.CompletedProcess[str]:
        """Run the campaign."""
        return self.call("run", self.file, *options, seconds=seconds)

    def start(self, *options: object) -> subprocess.Popen[str]:
        """Start a driver and return its process."""
        return self.begin(self.command("run", self.file, *options))

    def begin(self, command: Sequence[str]) -> subprocess.Popen[str]:
        """Start a command in the campaign's directory and return its process; what it prints is to be read."""
        return forked.Popen(
            command,
            cwd=self.path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ.copy(),
        )

    @property
    def is_made(self) -> bool:
        """Whether the campaign is in its workspace."""
        return (self._made / "index.json").exists()

    @property
    def _made(self) -> Path:
        workspace = str(self.plan["workspace"])
        where = workspace if workspace.startswith(("/", ".")) else "workspace"  # else an id of settings.yaml
        return self.path / where / "campaigns" / str(self.plan["name"])

    def at_work(self, *, units: int = 0) -> list[Attempt]:
        """Return the attempts that are at work and have finished units."""
        found = [attempts[-1] for attempts in self.attempts().values() if attempts] if self.is_made else []
        return [attempt for attempt in found if attempt.outcome is None and attempt.units_done >= units]

    def is_holding(self, tasks: int) -> bool:
        """Whether the units of so many tasks are held, or of as many as are to be held: see `held` and `deaf`."""
        script = json.loads(self.script.read_text()) if self.script.exists() else {}
        holds = {at: order["times"] for at, order in script.items() if order["do"] in HOLDS and "times" in order}
        return all(times - times_left(self.script, at) >= min(tasks, times) for at, times in holds.items())

    def wait_until_at_work(self, tasks: int = 1, *, units: int = 0, seconds: float = 90) -> list[Attempt]:
        """Wait until so many tasks are at work and have finished units; return their attempts.

        Where units are to be held a number of times, they are held then: whoever ends an attempt before it comes to
        its place would see the next one held.
        """

        def at_work() -> list[Attempt]:
            found = self.at_work(units=units)
            return found if len(found) >= tasks and self.is_holding(tasks) else []

        found: list[Attempt] = patience.wait_for(at_work, seconds=seconds, what=f"{tasks} attempt(s) at work")
        return found

    def json(self, command: str, *arguments: object) -> dict[str, Any]:
        """Return what ``xpm-alchem COMMAND --json`` prints."""
        done = self.call(command, self.file, *arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def attempts(self) -> dict[str, list[Attempt]]:
        """Return the attempts of every task."""
        records = self.records
        tasks = records.state().tasks.values()
        return {task.task: AttemptLog(TaskDirectory(records.task_path(task)).attempts).read() for task in tasks}

    def units_done(self) -> dict[str, Counter[str]]:
        """Return how often each unit of each task was finished."""
        return {
            task: Counter(unit["name"] for attempt in attempts for unit in attempt.units if unit.get("ok"))
            for task, attempts in self.attempts().items()
        }

    def estimates(self) -> dict[str, list[float]]:
        """Return the repeats of every transformation."""
        return {row["transformation"]: row["repeats"] for row in self.json("results")["transformations"]}


def held(*, at: str = "simulate 0 step 3", until: Path | None = None, times: int | None = None) -> dict[str, Any]:
    """Return a script whose units wait at a place: what a test does meanwhile is never too late.

    Parameters
    ----------
    at
        The place; before it a checkpoint was written.
    until
        They go on when this file is there; without it what waits can only be ended.
    times
        How many of them wait, all attempts together; None for all.
    """
    order = {"do": "wait", "file": str(until or "/nowhere/it ends by itself")}
    return {at: order if times is None else {**order, "times": times}}


def deaf(fifo: Path, *, at: str = "simulate 0", signals: Sequence[str] | None = None) -> dict[str, Any]:
    """Return a script whose first unit there hangs, deaf to every signal, or to some, until `wake` is called.

    Parameters
    ----------
    fifo
        Made here.
    """
    os.mkfifo(fifo)
    order = {"do": "hang", "fifo": str(fifo), "times": 1}
    return {at: order if signals is None else {**order, "signals": list(signals)}}


def wake(fifo: Path) -> None:
    """Let what hangs at a FIFO go on."""
    os.close(os.open(fifo, os.O_WRONLY))


def calm_estimates(
    path: Path, edges: list[tuple[int, int]], repeats: int, **settings: Any
) -> dict[str, list[float | None]]:
    """Return the estimates of every transformation by name when nothing happens: each repeat run in this process."""
    path.mkdir(parents=True)
    gufe_seam.save(dummy_network(edges, **settings), path / "network.json")
    network = load_network(path / "network.json", _TRUST)
    found = {}
    for record in network.index.transformations:
        transformation = network.transformation(record.id)
        found[record.name] = [
            run(
                path / f"{record.id}-{repeat}",
                TaskSpec(record.id, repeat, lambda made=transformation: made, trusted=_TRUST),
            ).estimate
            for repeat in range(1, repeats + 1)
        ]
    return found
