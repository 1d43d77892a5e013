"""Making and running small campaigns for end-to-end tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import forked
import yaml
from dummy_protocol import dummy_network

from xpm_alchem import gufe_seam
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.execution.attempts import Attempt, AttemptLog
from xpm_alchem.execution.dag_run import TaskSpec, run
from xpm_alchem.execution.directory import TaskDirectory
from xpm_alchem.network.loading import load_network

_TRUST = ("dummy_protocol",)


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
        return CampaignRecords.open(self.path / "workspace" / "campaigns" / self.plan["name"])

    def command(self, *arguments: object) -> list[str]:
        """Return the command line of ``xpm-alchem ARGUMENTS``."""
        return [sys.executable, "-m", "xpm_alchem", *map(str, arguments)]

    def call(self, *arguments: object, timeout: float = 200) -> subprocess.CompletedProcess[str]:
        """Run ``xpm-alchem ARGUMENTS``."""
        return forked.run(self.command(*arguments), cwd=self.path, timeout=timeout)

    def run(self, *options: object, timeout: float = 200) -> subprocess.CompletedProcess[str]:
        """Run the campaign."""
        return self.call("run", self.file, *options, timeout=timeout)

    def start(self, *options: object) -> subprocess.Popen[str]:
        """Start a driver and return its process."""
        return forked.Popen(
            self.command("run", self.file, *options),
            cwd=self.path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ.copy(),
        )

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


def wait_for(condition: Callable[[], Any], *, seconds: float = 60, what: str = "it") -> Any:
    """Return the condition's value as soon as it is true."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError(f"{what} did not happen within {seconds} s")
