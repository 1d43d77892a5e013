"""Campaigns whose attempts note which devices they see, and hold them: two that have the same one at once are found."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any


def using(used: Path, tasks_per_gpu: int = 1, **script: Any) -> dict[str, Any]:
    """Return a script whose first unit notes its devices in a directory, and holds them until its process ends."""
    used.mkdir(parents=True, exist_ok=True)
    return {"setup": {"do": "use devices", "directory": str(used), "tasks_per_gpu": tasks_per_gpu}, **script}


def seen(used: Path) -> list[dict[str, Any]]:
    """Return what the attempts have noted."""
    file = used / "seen.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def devices_seen(used: Path) -> Counter[tuple[str, str]]:
    """Return how many attempts saw which devices of which node, if none had to share one that was not to be shared."""
    found = seen(used)
    assert not [one for one in found if "too_many" in one]
    return Counter((one["node"], one["devices"]) for one in found)
