"""A workspace that is worked with through alchemiscale's client."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import forked
import patience
from dummy_protocol import dummy_network

from xpm_alchem.alchemiscale import AlchemiscaleClient, Scope, ScopedKey
from xpm_alchem.campaign.records import CampaignRecords, list_campaigns

SCOPE = Scope("my_org", "my_campaign", "my_project")
LOCAL = {"kind": "local", "slots": 2}


class ScopedWorkspace:
    """A workspace in a directory, and its client.

    Attributes
    ----------
    asc
        The client.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.script = path / "workspace", path / "script.json"
        self.asc = AlchemiscaleClient(self.path, launcher=LOCAL)

    def network(self, edges: list[tuple[int, int]], script: dict[str, Any] | None = None, **settings: Any) -> Any:
        """Return a gufe network of the scripted protocol."""
        if script is not None:
            self.script.write_text(json.dumps(script))
            settings["script"] = str(self.script)
        return dummy_network(edges, **settings)

    def create(self, edges: list[tuple[int, int]], scope: Scope = SCOPE, **options: Any) -> ScopedKey:
        """Create a network and return its key."""
        return self.asc.create_network(self.network(edges, **options), scope)

    def all_tasks(self, network: ScopedKey, count: int = 1) -> list[ScopedKey]:
        """Create tasks for every transformation of a network, and action them."""
        chosen = [one for one in self.asc.get_network_transformations(network) for _ in range(count)]
        tasks = self.asc.create_transformations_tasks(chosen)
        assert self.asc.action_tasks(tasks, network) == tasks
        return tasks

    @property
    def campaigns(self) -> list[CampaignRecords]:
        """The campaigns there are."""
        return list_campaigns(self.path)

    def run(self, code: int = 0, seconds: float = 200) -> None:
        """Have one driver compute what is actioned in all campaigns, until there is nothing to do."""
        done = patience.run(self._command(), cwd=self.path, seconds=seconds)
        assert done.returncode == code, done.stdout + done.stderr

    @contextmanager
    def driver(self) -> Iterator[None]:
        """Have one driver compute what is actioned in all campaigns, also what comes; it is ended at the end."""
        driver = forked.Popen(
            [*self._command(), "--stay"],
            cwd=self.path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ.copy(),
        )
        try:
            patience.wait_for(lambda: all(one.holder() is not None for one in self.campaigns), what="a driver")
            yield
        finally:
            stop = [sys.executable, "-m", "xpm_alchem", "stop", "--all", "--workspace", str(self.path)]
            patience.run(stop, cwd=self.path)
            patience.communicate(driver, 90)

    def wait_for_status(self, tasks: list[ScopedKey], status: str) -> None:
        """Wait until all tasks have a status."""
        patience.wait_for(lambda: {*self.asc.get_tasks_status(tasks)} == {status}, what=f"tasks {status}")

    def _command(self) -> list[str]:
        return [sys.executable, "-m", "xpm_alchem", "run", "--all", "--workspace", str(self.path), "--quiet"]
