"""Several campaigns in one workspace, and the driver of all."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from campaigns import SmallCampaign, held

from xpm_alchem.client import Campaign


class SmallWorkspace:
    """Small campaigns in one workspace; their attempts are other campaigns' too unless their networks differ.

    Parameters
    ----------
    path
        A directory of the test's own.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.root = path, path / "workspace"
        self.made: dict[str, SmallCampaign] = {}

    def add(self, name: str, *, repeats: int = 1, gate: Path | None = None, **given: Any) -> SmallCampaign:
        """Make a campaign and take it into the workspace.

        Parameters
        ----------
        gate
            A file for which each task waits.
        """
        number = len(self.made)
        plan = {
            "name": name,
            "workspace": str(self.root),
            "strategy": {"name": "uniform", "settings": {"repeats": repeats}},
            **given.pop("plan", {}),
        }
        edges = given.pop("edges", [(2 * number, 2 * number + 1)])  # ligands of its own
        if gate is not None:
            given["script"] = held(until=gate)
        campaign = SmallCampaign(self.path / name, edges=edges, plan=plan, **given)
        Campaign.create(campaign.file)
        self.made[name] = campaign
        return campaign

    def opened(self, name: str) -> Campaign:
        """Return a campaign as a user's program has it."""
        return Campaign.open(self.root / "campaigns" / name)

    def tasks(self, name: str, status: str) -> int:
        """Return how many tasks of a campaign have a status."""
        return int(self.opened(name).status()["tasks"][status])

    def call(self, *arguments: object, code: int | None = 0) -> str:
        """Run a command of the workspace; return what it printed."""
        done = next(iter(self.made.values())).call(*arguments, "--workspace", self.root)
        assert code is None or done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    def start(self, *options: object) -> subprocess.Popen[str]:
        """Start the driver of all."""
        any_of_them = next(iter(self.made.values()))
        return any_of_them.begin(any_of_them.command("run", "--all", *options, "--workspace", self.root))

    def shown(self) -> dict[str, Any]:
        """Return the rows of `list` by name."""
        return {row["campaign"]: row for row in json.loads(self.call("list", "--json", "--all"))["campaigns"]}
