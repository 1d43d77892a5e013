"""A workspace that is worked with through alchemiscale's client."""

from __future__ import annotations

import json
import os
import subprocess
import sys
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

    def run(self, seconds: float = 200) -> list[int]:
        """Run every campaign until it has nothing to do; return what each driver's process returned."""
        return [patience.run(self._command(one), cwd=self.path, seconds=seconds).returncode for one in self.campaigns]

    def start(self, campaign: CampaignRecords) -> subprocess.Popen[str]:
        """Start the driver of a campaign, and return its process once it drives."""
        driver = forked.Popen(
            self._command(campaign),
            cwd=self.path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ.copy(),
        )
        patience.wait_for(lambda: campaign.holder() is not None, what="a driver")
        return driver

    def _command(self, campaign: CampaignRecords) -> list[str]:
        return [sys.executable, "-m", "xpm_alchem", "run", str(campaign.path / "campaign.yaml")]
