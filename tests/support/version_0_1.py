"""Version 0.1.0 as it was, taken from the repository's history: what it leaves in the middle must go on."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import tomllib
from pathlib import Path

import pytest
from campaigns import SmallCampaign
from patience import communicate, wait_for
from places import NO_SKIPS, ROOT, python_path

COMMIT = "70ca482e9975bf80152cb2e475639ac4dd52d0ed"
MEANWHILE = {"complete": 2, "error": 1, "running": 2, "waiting": 2}  # where 0.1.0 is stopped


class Installed:
    """An environment in which 0.1.0 is installed, and is upgraded in place.

    Parameters
    ----------
    path
        A directory of its own, which `python_path` puts first.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._package = path, path / "installed" / "xpm_alchem"
        history = ["git", "-C", str(ROOT), "archive", COMMIT, "xpm_alchem", "pyproject.toml"]
        done = subprocess.run(history, capture_output=True)
        if done.returncode:
            message = "version 0.1.0 is not in this repository's history (a clone that is shallow, or no clone)"
            pytest.fail(message) if NO_SKIPS else pytest.skip(message)
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
            archive.extractall(path / "0.1.0", filter="data")
        self._package.parent.mkdir()
        self._package.symlink_to(path / "0.1.0" / "xpm_alchem")
        self._describe(path / "0.1.0")

    @property
    def python_path(self) -> str:
        """What PYTHONPATH must be for its programs."""
        return python_path(self._package.parent)

    def upgrade(self) -> None:
        """Put the present version in the place of 0.1.0; what runs goes on with what it has imported."""
        new = self.path / "new"
        new.symlink_to(ROOT / "xpm_alchem")
        os.replace(new, self._package)
        self._describe(ROOT)

    def _describe(self, project: Path) -> None:
        """Write what an installation says of itself: experimaestro loads all the entry points that it finds there."""
        told = tomllib.loads((project / "pyproject.toml").read_text())["project"]
        described = self._package.parent / "xpm_alchem-0.dist-info"  # one of the environment's own is not looked at
        described.mkdir(exist_ok=True)
        (described / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {told['name']}\nVersion: 0\n")
        lines = []
        for group, entries in told["entry-points"].items():
            lines += [f"[{group}]", *(f"{name} = {value}" for name, value in entries.items())]
        (described / "entry_points.txt").write_text("\n".join(lines) + "\n")


def leave_in_the_middle(campaign: SmallCampaign, gate: Path) -> None:
    """Have 0.1.0 make every kind of task there is, then kill its driver: see `MEANWHILE`.

    Parameters
    ----------
    campaign
        Of three transformations, one repeat each, two at once.
    gate
        The tasks that run wait until there is such a file.
    """
    assert "version 0.1.0" in campaign.call("--version").stdout
    campaign.script.write_text('{"analyse": {"do": "raise", "times": 1}}')
    assert campaign.run().returncode == 1  # two complete, one in error
    campaign.script.write_text(f'{{"simulate 0": {{"do": "wait", "file": "{gate}"}}}}')
    campaign.write_plan(strategy={"name": "uniform", "settings": {"repeats": 3}})
    driver = campaign.start()
    try:
        wait_for(lambda: _are_at_the_gate(campaign), seconds=200, what="two tasks at the gate, two waiting")
    finally:
        driver.kill()
        driver.communicate()


def _are_at_the_gate(campaign: SmallCampaign) -> bool:
    tasks = campaign.json("status")["tasks"]
    last = [attempts[-1] for attempts in campaign.attempts().values() if attempts]
    working = sum(attempt.outcome is None and attempt.units_done == 1 for attempt in last)
    return working == MEANWHILE["running"] and tasks["complete"] == 2 and sum(tasks.values()) == 7


def everything_goes_on(campaign: SmallCampaign, gate: Path) -> None:
    """Run what 0.1.0 left with the present version; nothing may be run twice, and what failed can be tried again."""
    assert "version 0.1.0" not in campaign.call("--version").stdout
    before = {task: [one.start for one in attempts] for task, attempts in campaign.attempts().items()}
    driver = campaign.start()
    wait_for(lambda: campaign.json("status")["driver"], seconds=200, what="a driver of the present version")
    gate.touch()
    out, _ = communicate(driver, 400)
    assert driver.returncode == 1, out  # one is in error
    assert campaign.json("status")["tasks"] | {"complete": 6, "error": 1} == campaign.json("status")["tasks"]
    attempts = campaign.attempts()
    assert {task: [one.start for one in attempts[task]][: len(ids)] for task, ids in before.items()} == before
    assert [len(found) for found in attempts.values()] == [1] * 7, attempts
    retried = campaign.call("retry", campaign.file, "--all")
    assert retried.returncode == 0, retried.stderr
    assert campaign.run().returncode == 0
    done = campaign.units_done()
    assert len(done) >= 7 and all(set(units.values()) == {1} for units in done.values()), done
