"""What every launcher of ours offers beside experimaestro's Launcher."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import attrs
from experimaestro.launchers import Launcher
from experimaestro.scriptbuilder import PythonScriptBuilder
from experimaestro.taskglobals import LauncherInformation

from xpm_alchem.base.permissions import make_file, private
from xpm_alchem.execution.attempts import Attempt, Launched, Outcome
from xpm_alchem.execution.deadline import Deadline
from xpm_alchem.execution.demand import Demand
from xpm_alchem.execution.fence import give_orders


@attrs.frozen
class Ending:
    """How an attempt ended that could not say so itself.

    Attributes
    ----------
    outcome
        None if no attempt was made at all.
    reason
        In words.
    launched
        How it was started, where that is known.
    is_certain
        Whether its processes are surely gone; otherwise it must be fenced off.
    """

    outcome: Outcome | None
    reason: str
    launched: Launched | None = None
    is_certain: bool = True


_COLLECT_NOTHING = "import gc\n\ngc.disable()  # of what is imported nothing is garbage; `execute` enables it again\n\n"


class ScriptBuilder(PythonScriptBuilder):  # type: ignore[misc]
    """Writes an attempt's script; it holds the variables of settings.yaml, which may be secret."""

    def write(self, job: Any) -> Path:
        """Write the script of a job."""
        script = job.jobpath / f"{job.name}.py"
        script.unlink(missing_ok=True)
        make_file(script, private(job.workspace.path))
        permissions = script.stat().st_mode
        super().write(job)
        script.chmod(permissions)  # experimaestro lets everybody execute it
        script.write_text(f"{_COLLECT_NOTHING}{script.read_text()}")
        return Path(script)


@attrs.frozen
class Waiting:
    """An attempt that was handed to a queue and has not begun.

    Attributes
    ----------
    place
        The queue, in words.
    job
        The queue's name for it, None while there is none.
    since
        Since when, seconds since the epoch.
    reason, words
        Why it waits: the queue's own word, '' for none, and what that means.
    is_lasting
        Whether that never passes by itself.
    """

    place: str
    job: str | None
    since: float
    reason: str
    words: str
    is_lasting: bool = False


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

    @property
    def slots_of(self) -> str:
        """Whose slots it gives: launchers of several campaigns that say the same give the same ones."""
        return f"{type(self).__name__} {self.name}"

    def scriptbuilder(self) -> ScriptBuilder:
        """Return what writes an attempt's script."""
        return ScriptBuilder()

    @property
    def cost_per_hour(self) -> float:
        """What an hour of an attempt costs, in `cost_unit`."""
        return 1.0

    @property
    def cost_unit(self) -> str:
        """What costs are counted in."""
        return "job-h"

    @property
    def longest(self) -> float | None:
        """Seconds after which an attempt is surely over; None if it has no limit."""
        return None

    def open(self, workspace: Path, campaign: str) -> None:
        """Begin to be used by a driver."""

    def close(self) -> None:
        """End being used; attempts go on."""

    def check(self) -> str:
        """Return whether attempts can be started, in a sentence, '' if that goes without saying.

        Raises
        ------
        CampaignError
            None could be started at all.
        """
        return ""

    def of(self, directory: Path) -> AttemptLauncher:
        """Return the launcher that a task has its place with, or that has its attempt."""
        return self

    def has_made(self, launch: str | None) -> bool:
        """Return whether a launch, as a task's orders name it, is of this kind of launcher."""
        return False

    def for_task(self, demand: Demand) -> AttemptLauncher:
        """Return a launcher for a task whose history demands more than the profile gives."""
        return self

    def avoid(self, devices: Mapping[str, Collection[str]]) -> None:
        """Take note of devices on which tasks fail: of each machine, by `Device.id`."""

    def reserve(self, directory: Path, demand: Demand, priority: int) -> bool:
        """Keep a place for an attempt that is about to be submitted; return False if there is none for it now."""
        return True

    def is_full(self) -> bool:
        """Return whether there is no place for any attempt now."""
        return False

    def prepare(self, directory: Path) -> None:
        """Make a task ready for a new attempt: from now on no earlier one may work on it."""
        give_orders(directory, launch=None, stop=None)

    @abstractmethod
    def has_launched(self, directory: Path) -> bool:
        """Return whether an attempt of a task was started, or may have been, since it was prepared."""

    def end_overdue(self, attempt: Attempt) -> bool:
        """End an attempt that outlives its time limit, if nobody else does; return whether it was ended now."""
        return False

    @abstractmethod
    def is_running(self, directory: Path, attempt: Attempt | None) -> bool | None:
        """Return whether an attempt is at work or will be, or None if that cannot be known (yet).

        Parameters
        ----------
        directory
            The task's.
        attempt
            None for one that has not begun to work.
        """

    def is_to_be_asked(self, directory: Path) -> bool:
        """Return whether `is_running` could say more than None now, at no cost."""
        return True

    def ended(self) -> Collection[Path]:
        """Return the tasks whose attempts are known to have ended, at no cost, whatever experimaestro waits for."""
        return ()

    @abstractmethod
    def ending(self, directory: Path, attempt: Attempt | None) -> Ending:
        """Return how an attempt ended that is no longer at work and left no word. Ends what it left behind."""

    def cause(self, directory: Path, attempt: Attempt) -> Ending | None:
        """Return why an attempt was told to end, by its own word 'cancelled'; None if that is not known yet."""
        return Ending(Outcome.CANCELLED, attempt.reason)

    @abstractmethod
    def process_spec(self, directory: Path, attempt: Attempt | None) -> dict[str, Any] | None:
        """Return what experimaestro's pid file holds for a running attempt; None for one that has ended just now."""

    def forget(self, directory: Path, *, again: bool) -> None:
        """Take note that the end of a task's attempt was dealt with, and whether there may be another one."""

    def withdraw(self, directory: Path) -> None:
        """End an attempt that has not begun to work, or that does not heed its orders."""

    def ends_alone(self, directory: Path) -> bool:
        """Return whether `withdraw` would end the attempt of no other task."""
        return True

    def is_settled(self) -> bool:
        """Return whether every attempt that was submitted has been started or handed on."""
        return True

    def waiting(self) -> dict[Path, Waiting]:
        """Return the attempts that wait in a queue, by their tasks' directories, as far as is known at no cost."""
        return {}

    def news(self) -> list[str]:
        """Return what a user should know and was not told yet."""
        return []

    @abstractmethod
    def describe(self) -> str:
        """Return where and within which limits attempts run, in a few words."""

    @abstractmethod
    def script(self, workspace: Path) -> str:
        """Return what would be run for a task, for a dry run."""


class AttemptLimits(LauncherInformation):  # type: ignore[misc]
    """What an attempt knows of its limits; set in its process by the launcher's `launcher_info_code`."""

    margin: float = 10.0
    launched = Launched()

    def deadline(self) -> Deadline:
        """Return the limits as `execution.dag_run.run` wants them."""
        return Deadline(self.remaining_time, self.margin)
