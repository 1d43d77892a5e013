"""One attempt at a task: a process, how it ended, and what was decided. They are noted and read by attempt_log.py."""

from __future__ import annotations

import time
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import attrs

from xpm_alchem.devices.device import Device
from xpm_alchem.devices.slots import Given
from xpm_alchem.execution.processes import ProcessIdentity

ALL_UNITS = "all units"  # instead of a unit's name, where an attempt begins from scratch


class Outcome(StrEnum):
    """How an attempt ended."""

    COMPLETE = "complete"
    TIMEOUT = "timeout"
    PREEMPTED = "preempted"
    NODE_FAILURE = "node failure"
    OUT_OF_MEMORY = "out of memory"
    CANCELLED = "cancelled"
    ERROR = "error"
    LOST = "lost"


@attrs.frozen
class Attempt:
    """One process that worked on a task. Times are seconds since the epoch.

    Attributes
    ----------
    number
        1, 2, ...
    outcome
        None while it is at work (or was killed without a word, until somebody notices).
    progress
        Whether it finished a unit or moved a checkpoint on; what later attempts showed of that is heeded.
    decision, decision_reason
        What the driver decided after it.
    launched_as, node
        The launcher's name for it and for the machine it ran on, where the launcher has one.
    elsewhere
        Whether it worked in another directory, of which this one is a copy: whether it is alive does not matter here.
    stop_seconds
        How long it took to stop after it was told to; None if it did not say how it ended.
    stderr
        The end of what it wrote to stderr, if it failed.
    kept_seconds
        From its start to the last finished unit or written checkpoint; None where nobody noted it.
    cost_per_hour, cost_unit
        Its price, as the driver gave it; None for one that no driver started.
    told
        How it was to end and why, noted just before it was interrupted: 'timeout' or 'cancelled', and the reason.
    began_on_disk
        When it began by the clock of the file system.
    at_work, reached
        The key of the unit that was at work when it ended, and the step of its last checkpoint where that is known.
    devices, devices_there
        What it was given to compute on, and of how many.
    checkpoint_seconds
        The seconds between two of that unit's checkpoints, where they were learned.
    """

    number: int
    process: ProcessIdentity
    start: float
    end: float | None = None
    outcome: Outcome | None = None
    reason: str = ""
    traceback: str | None = None
    units_done: int = 0
    progress: bool = False
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory_bytes: int = 0
    limit: float | None = None
    launched_as: str | None = None
    node: str | None = None
    elsewhere: bool = False
    stop_seconds: float | None = None
    stderr: str = ""
    versions: Mapping[str, str] = attrs.field(factory=dict)
    units: tuple[Mapping[str, Any], ...] = ()
    decision: str | None = None
    decision_reason: str | None = None
    kept_seconds: float | None = None
    cost_per_hour: float | None = None
    cost_unit: str | None = None
    told: tuple[Outcome, str] | None = None
    began_on_disk: float = 0.0
    at_work: str | None = None
    reached: int | None = None
    checkpoint_seconds: float | None = None
    devices: tuple[Device, ...] = ()
    devices_there: int = 0

    @property
    def cost(self) -> float:
        """What it cost, in `cost_unit`: nothing before it has ended, or without a price."""
        return self.cost_of(self.seconds)

    def cost_of(self, seconds: float) -> float:
        """Return what so many seconds of it cost, in `cost_unit`."""
        return seconds * (self.cost_per_hour or 0.0) / 3600

    @property
    def began(self) -> bool:
        """Whether its process said that it began; see `AttemptLog.never_began`."""
        return self.process.pid != 0

    @property
    def seconds_in_units(self) -> float:
        """The seconds until it had finished its last unit, by its own clock; 0 if it finished none."""
        return max([0.0, *(float(unit.get("time") or 0.0) - self.start for unit in self.units if unit.get("ok"))])

    @property
    def machine(self) -> str:
        """Where it ran: the launcher's name of the node, or the host's own."""
        return self.node or self.process.host

    @property
    def is_overdue(self) -> bool:
        """Whether its time limit is over by now."""
        return self.limit is not None and self.age() >= self.limit

    def age(self) -> float:
        """Return how long ago it began (seconds): where it can be asked, by a clock that nobody sets."""
        age = self.process.age()
        return time.time() - self.start if age is None else age - max(0.0, self.start - self.process.start)


@attrs.frozen
class Launched:
    """How an attempt was started, for the journal and the fence.

    Attributes
    ----------
    job
        The launcher's name for it, e.g. a SLURM job id.
    launch
        Its launch as the task's orders name it; see fence.py.
    node
        The node it runs on, as the launcher names it.
    given
        Its devices, and what must work on them.
    """

    job: str | None = None
    launch: str | None = None
    node: str | None = None
    given: Given = attrs.field(factory=Given)


@attrs.frozen
class Priced:
    """What an hour of an attempt costs, if that is known, and in which unit."""

    cost_per_hour: float | None = None
    cost_unit: str | None = None


def within(seconds: float, most: float) -> float:
    """Return a time (seconds) that is neither negative nor more than `most`."""
    return min(max(seconds, 0.0), most)
