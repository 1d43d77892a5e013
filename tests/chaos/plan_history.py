"""What the plan in force was, and when: the file is watched while the campaign runs."""

from __future__ import annotations

import threading
from pathlib import Path

from xpm_alchem.base.errors import XpmAlchemError
from xpm_alchem.plan.campaign_yaml import Plan, read_plan

_SLACK = 5.0  # seconds between the writing of a plan and its coming into force, on a slow disk


class PlanHistory:
    """The plans of a campaign.

    Attributes
    ----------
    versions
        (since when, the plan), oldest first.
    """

    def __init__(self, path: Path) -> None:
        self._path = path / "workspace" / "campaigns" / "small" / "campaign.yaml"
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="plan history")
        self.versions: list[tuple[float, Plan]] = []

    def __enter__(self) -> PlanHistory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        seen = None
        while True:
            last = self._ended.is_set()
            try:
                stat = self._path.stat()
                if (stat.st_ino, stat.st_mtime_ns) != seen:
                    plan = read_plan(self._path)
                    seen = (stat.st_ino, stat.st_mtime_ns)
                    self.versions.append((stat.st_mtime, plan))
            except (OSError, XpmAlchemError):
                pass
            if last:
                return
            self._ended.wait(0.02)

    def at(self, when: float) -> list[Plan]:
        """Return the plans that may have been in force then, the latest first."""
        before = [plan for since, plan in self.versions if since <= when - _SLACK][-1:]
        return [*(plan for since, plan in reversed(self.versions) if when - _SLACK < since <= when + 0.5), *before]
