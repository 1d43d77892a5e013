"""Looking at a campaign with the doctor, and at what that changed on the disk."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from campaigns import SmallCampaign

from xpm_alchem.client import Campaign
from xpm_alchem.execution.directory import TaskDirectory

HOURS_AGO = time.time() - 3 * 3600


class Patient:
    """A campaign that is examined.

    Attributes
    ----------
    files
        Of its first task.
    """

    def __init__(self, campaign: SmallCampaign) -> None:
        self.campaign, self.records = campaign, campaign.records
        self.path, self.workspace = self.records.path, self.records.workspace
        self.files = TaskDirectory(self.directories()[0])

    def directories(self) -> list[Path]:
        """Return the directories of its tasks."""
        return [self.records.task_path(task) for task in self.campaign.records.state().tasks.values()]

    def examine(self, **options: Any) -> dict[str, Any]:
        """Return the doctor's view."""
        return Campaign.doctor(self.path, **options)

    def tree(self) -> dict[str, bytes | None]:
        """Return the content of every file of the workspace by its path, None for a directory."""
        paths = self.workspace.rglob("*")
        return {str(p.relative_to(self.workspace)): None if p.is_dir() else p.read_bytes() for p in paths}

    def journal(self) -> list[dict[str, Any]]:
        """Return the records of tasks.jsonl."""
        return [json.loads(line) for line in (self.path / "tasks.jsonl").read_text().splitlines()]

    def write_journal(self, records: list[dict[str, Any]]) -> None:
        """Write tasks.jsonl."""
        (self.path / "tasks.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))

    def unit_results(self) -> list[Path]:
        """Return the results of the units of its first task."""
        return sorted(self.files.results.glob("*.json"))


def wrong(view: dict[str, Any], area: str = "campaign") -> dict[str, str]:
    """Return the verdicts of the checks that are not ok."""
    return {c["check"]: c["verdict"] for c in view["checks"] if c["area"] == area and c["verdict"] != "ok"}


def told(view: dict[str, Any], check: str) -> str:
    """Return all that was said by a check."""
    return "\n".join(_words(view, check))


def _words(view: dict[str, Any], check: str) -> Iterator[str]:
    for row in view["checks"]:
        if row["check"] == check:
            yield from (row["found"], row["mend"] or "", *row["places"])


def truncate(path: Path) -> None:
    """Cut a file in half."""
    os.truncate(path, path.stat().st_size // 2)


def change(path: Path, **values: Any) -> None:
    """Change values of a JSON file; it stays as old as it is."""
    status = path.stat()
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def make_old(path: Path) -> Path:
    """Let a file have been written hours ago."""
    os.utime(path, (HOURS_AGO, HOURS_AGO))
    return path


def append(path: Path, *records: dict[str, Any]) -> None:
    """Append lines to a journal."""
    with open(path, "a") as out:
        out.writelines(json.dumps(record) + "\n" for record in records)
