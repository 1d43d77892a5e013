"""What every launcher of ours offers beside experimaestro's Launcher."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any

import attrs
from experimaestro.launchers import Launcher
from experimaestro.taskglobals import LauncherInformation

from xpm_alchem.attempts import Attempt, Outcome
from xpm_alchem.interrupts import Deadline


@attrs.frozen
class Ending:
    """How an attempt ended that could not say so itself."""

    outcome: Outcome
    reason: str


class AttemptLauncher(Launcher):
    """A launcher whose attempts have a time limit, an outcome, and no orphans.

    Attributes
    ----------
    name
        The profile's name.
    slots
        How many attempts it runs at once; the driver submits no more.
    """

    name: str
    slots: int

    @abstractmethod
    def is_running(self, attempt: Attempt) -> bool | None:
        """Return whether an attempt is at work, or None if that cannot be known from here."""

    @abstractmethod
    def ending(self, attempt: Attempt) -> Ending:
        """Return how an attempt ended that is no longer at work and left no word. Ends what it left behind."""

    @abstractmethod
    def process_spec(self, attempt: Attempt) -> dict[str, Any]:
        """Return what experimaestro's pid file holds for a running attempt."""

    @abstractmethod
    def describe(self) -> str:
        """Return where and within which limits attempts run, in a few words."""

    @abstractmethod
    def script(self, directory: Path) -> str:
        """Return what would be run for a task in `directory`, for a dry run."""


class AttemptLimits(LauncherInformation):  # type: ignore[misc]
    """What an attempt knows of its limits; set in its process by the launcher's `launcher_info_code`."""

    margin: float = 10.0

    def deadline(self) -> Deadline:
        """Return the limits as `execution.run` wants them."""
        return Deadline(self.remaining_time, self.margin)
