"""Attempts as processes of this machine: a fixed number at once, each with its own session and time limit."""

from __future__ import annotations

import os
import shlex
import uuid
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from experimaestro.connectors import Process, ProcessBuilder
from experimaestro.launchers.direct import DirectLauncher

from xpm_alchem.base.errors import CampaignError
from xpm_alchem.base.files import exists, names_in
from xpm_alchem.base.passing import passes
from xpm_alchem.devices.machine import MachineSlots
from xpm_alchem.devices.slots import THREADS, Slot
from xpm_alchem.execution.attempts import Attempt, Outcome
from xpm_alchem.execution.demand import Demand
from xpm_alchem.execution.directory import TaskDirectory
from xpm_alchem.execution.fence import give_orders
from xpm_alchem.execution.life_signs import FileClock, files_of
from xpm_alchem.execution.place import is_copy
from xpm_alchem.execution.processes import HOST, kill_session
from xpm_alchem.launchers.base import AttemptLauncher, Ending
from xpm_alchem.launchers.connector import this_machine
from xpm_alchem.launchers.container import (
    check_runtime,
    describe,
    settle_code,
    shown_words,
)
from xpm_alchem.launchers.local_attempt import (
    LOCAL,
    LocalAttempt,
    LocalAttemptBuilder,
    descriptors,
    running_script,
    spec_of,
    was_prepared,
)
from xpm_alchem.launchers.local_limits import HANGS_SECONDS, limit_this_process, name_this_launch
from xpm_alchem.launchers.local_profile import LocalProfile, usable_cores
from xpm_alchem.launchers.price import Price

__all__ = ["LocalAttempt", "LocalLauncher", "LocalProfile", "limit_this_process", "name_this_launch"]  # of 0.1's names
_LIMITS = "xpm_alchem.launchers.local_limits"
_SILENT_SECONDS = 3600.0  # without a sign of life from another machine: it is off, or was cut off


class LocalLauncher(AttemptLauncher, DirectLauncher):  # type: ignore[misc]
    """Runs attempts on this machine."""

    def __init__(self, profile: LocalProfile | None = None, name: str = "local", connector: Any = None) -> None:
        super().__init__(connector or this_machine())
        self.profile = profile or LocalProfile()
        self.name = name
        self._clock: FileClock | None = None
        self._scope = ""
        self._avoided: frozenset[str] = frozenset()
        self._machine = self._machine_slots()
        if self._machine is None or self.profile.threads:  # else a slot says it
            for variable in THREADS:
                self.setenv(variable, str(self.threads))
        for variable, value in self.profile.env.items():
            self.setenv(variable, value)

    def _machine_slots(self) -> MachineSlots | None:
        """Return the slots of this machine where attempts are given devices."""
        p = self.profile
        if p.gpus is None:
            return None
        environment = {**os.environ, **p.env}
        return MachineSlots(
            p.gpus,
            number=p.slots or None,
            tasks_per_gpu=p.tasks_per_gpu,
            cores=() if p.threads else usable_cores(),
            where=f"launcher {self.name}",
            environment=environment,
        )

    @property
    def slots_of(self) -> str:
        """This machine, whatever the profile."""
        return HOST

    @property
    def slots(self) -> int:  # type: ignore[override]
        """Attempts at once; where the GPUs are not here to be counted, as many as the profile names."""
        p = self.profile
        if p.slots or self._machine is None:
            return p.slots or max(1, len(usable_cores()) // self.threads)
        if p.gpus is not None and p.gpus.count is not None:
            return p.gpus.count * p.tasks_per_gpu
        try:
            return len(self._machine.slots)
        except CampaignError:  # `check` says it
            return 1

    @property
    def threads(self) -> int:
        """Threads of an attempt."""
        if self.profile.threads or self._machine is None:
            return self.profile.threads or 1
        return max(1, len(usable_cores()) // self.slots)

    @property
    def cost_per_hour(self) -> float:
        """The price of a slot's threads and GPUs."""
        return self._price.per_hour(cores=self.threads, gpus=self._gpus_each)

    @property
    def _gpus_each(self) -> float:
        """How many GPUs an attempt has: less than one where some share it."""
        p = self.profile
        if p.gpus is None:
            return 0.0
        if not p.slots:
            return 1 / p.tasks_per_gpu
        return (p.gpus.count or self._found_devices()) / p.slots

    def _found_devices(self) -> int:
        assert self._machine is not None
        return len(self._machine.found.devices) or self.profile.slots

    @property
    def cost_unit(self) -> str:
        """What costs are counted in."""
        return self._price.unit

    @property
    def longest(self) -> float | None:
        """Seconds after which an attempt is killed."""
        return None if self.profile.time_limit is None else self.profile.time_limit + self.profile.grace

    @property
    def _price(self) -> Price:
        return self.profile.price or Price.default(0 if self.profile.gpus is None else 1)

    def check(self) -> str:
        """Look whether the GPUs are here, and return which ('' without any).

        Raises
        ------
        CampaignError
            They are not, or cannot be shared out so; or the container's runtime is not.
        """
        check_runtime(self.profile.container, f"launcher {self.name}")
        if self._machine is None:
            return ""
        devices = dict.fromkeys(device for slot in self._machine.slots for device in slot.devices)
        return f"attempts are given {', '.join(map(str, devices))}"

    def open(self, workspace: Path, campaign: str) -> None:
        """Begin to be used by a driver."""
        descriptors.make_room(self.slots)
        self._clock = FileClock(workspace / "campaigns" / campaign / "clock")
        self._scope = str(workspace.resolve())

    def processbuilder(self) -> ProcessBuilder:
        """Return what starts a process in a session of its own."""
        return LocalAttemptBuilder(self._machine, self.profile.platform, self.profile.container)

    def environment_of_all(self) -> dict[str, str]:
        """Return the environment of a process that is to look at all GPUs of the profile, whoever uses them.

        Raises
        ------
        CampaignError
            They are not here.
        """
        environment = {**os.environ, **self.environ}
        slots = () if self._machine is None else self._machine.slots
        devices = tuple(dict.fromkeys(device for slot in slots for device in slot.devices))
        threads = slots[0].threads if slots else None
        is_proved = self._machine is not None and self._machine.found.is_proved
        whole = Slot(0, devices, threads=threads, devices_there=len(devices), is_proved=is_proved)
        return {**environment, **whole.variables(environment, self.profile.platform)}

    def launcher_info_code(self) -> str:
        """Return the lines of an attempt's script that set its limits."""
        settle = settle_code(self.profile.container)
        if self.profile.time_limit is None:
            return (
                settle + "    from xpm_alchem.launchers.local_limits import name_this_launch\n    name_this_launch()\n"
            )
        p = self.profile
        return settle + (
            "    from xpm_alchem.launchers.local_limits import limit_this_process\n"
            f"    limit_this_process({p.time_limit!r}, margin={p.margin!r}, grace={p.grace!r})\n"
        )

    def avoid(self, devices: Mapping[str, Collection[str]]) -> None:
        """Give those of this machine to no attempt while there are others."""
        self._avoided = frozenset(devices.get(HOST, ()))

    def reserve(self, directory: Path, demand: Demand, priority: int) -> bool:
        """Take a slot whose GPUs nobody uses, here or in another campaign; return False while there is none."""
        if self._machine is None:
            return True
        tried = {device for machine, device in demand.avoid_devices if machine == HOST}
        return self._machine.take(directory, self._scope, self._avoided | tried)

    def is_full(self) -> bool:
        """Return whether every slot's GPUs are in use."""
        return self._machine is not None and self._machine.is_full(self._scope)

    def has_made(self, launch: str | None) -> bool:
        """Return whether a launch is of this machine's processes."""
        return (launch or "").startswith(LOCAL)

    def prepare(self, directory: Path) -> None:
        """Make a task ready; a process of an earlier launch that begins now finds that it may not work on it."""
        give_orders(directory, launch=f"{LOCAL}{uuid.uuid4().hex[:10]}", stop=None)

    def has_launched(self, directory: Path) -> bool:
        """Return whether there is a pid file (an earlier one was removed), or a process that has none yet."""
        return any(name.endswith(".pid") for name in names_in(directory)) or self._process(directory) is not None

    def is_running(self, directory: Path, attempt: Attempt | None) -> bool | None:
        """Return whether the attempt's process is alive; None if it belongs to another machine and may be."""
        if attempt is None:
            return self._process(directory) is not None
        if attempt.process.is_here:
            return attempt.process.is_alive()
        return False if self._is_silent(directory) else None

    def _is_silent(self, directory: Path) -> bool:
        """Whether an attempt on another machine that gave signs of life gives none any more."""
        if self._clock is None or not exists(TaskDirectory(directory).alive):
            return False
        return self._clock.quiet(files_of(directory)) > _SILENT_SECONDS

    def ending(self, directory: Path, attempt: Attempt | None) -> Ending:
        """Kill what the attempt left behind; it was killed itself, or it would have said how it ended."""
        if attempt is None:
            return Ending(Outcome.LOST, "ended before it began, without a word")
        if not attempt.process.is_here:
            hours = _SILENT_SECONDS / 3600
            reason = f"no sign of life from {attempt.process.host} for {hours:g} h; it was fenced off"
            return Ending(Outcome.LOST, reason, is_certain=False)
        killed = kill_session(attempt.process)
        left = f"; {killed} process(es) it had left behind were killed" if killed else ""
        if attempt.is_overdue:
            return Ending(Outcome.TIMEOUT, f"killed at its time limit{left}")
        return Ending(Outcome.LOST, f"its process on {attempt.process.host} ended without a word (killed?){left}")

    def end_overdue(self, attempt: Attempt) -> bool:
        """Kill an attempt that outlives its time limit: one that hangs, or is stopped, cannot do so itself."""
        if attempt.limit is None or not attempt.process.is_here:
            return False
        if attempt.age() < attempt.limit + self.profile.grace + HANGS_SECONDS or not attempt.process.is_alive():
            return False
        return kill_session(attempt.process) > 0

    def process_spec(self, directory: Path, attempt: Attempt | None) -> dict[str, Any] | None:
        """Return pid, start and host; None where no process runs."""
        if attempt is None:
            found = self._process(directory)
            return None if found is None else dict(found.tospec())
        return LocalAttempt(attempt.process, directory=directory).tospec()

    def forget(self, directory: Path, *, again: bool) -> None:
        """Give back the slot of an attempt that was not started after all."""
        if self._machine is not None:
            self._machine.release(directory)

    def withdraw(self, directory: Path) -> None:
        """Kill the process that the pid file names, with all its children."""
        if (process := self._process(directory)) is not None:
            process.kill()

    def _process(self, directory: Path) -> Process | None:
        """Return the live process that the pid file names; without one, the one that runs a script of the task.

        A driver that is killed after it has started a process may not have come to write the file.
        """
        try:
            spec = spec_of(directory)
            return None if is_copy(directory, spec) else Process.fromDefinition(self.connector, spec)
        except StopIteration:
            return running_script(directory) if was_prepared(directory) else None
        except OSError as error:
            if passes(error):
                raise
            return None
        except Exception:  # whatever experimaestro raises for a file that is damaged
            return None

    def describe(self) -> str:
        """Return slots, threads and limit."""
        limit = "no time limit" if self.profile.time_limit is None else f"{self.profile.time_limit:g} s each"
        price = f", {self.profile.price}" if self.profile.price else ""
        shared = f", {self.profile.tasks_per_gpu} tasks on one" if self.profile.tasks_per_gpu > 1 else ""
        inside = describe(self.profile.container)
        gpus = "" if self.profile.gpus is None else f", GPUs: {self.profile.gpus}{shared}"
        return f"on {HOST}: {self.slots} at once, {self.threads} thread(s) each{gpus}, {limit}{inside}{price}"

    def script(self, workspace: Path) -> str:
        """Return the command of a task."""
        command = ["python", "-P", f"{workspace}/jobs/xpm_alchem.run/TASK/run.py"]
        return shlex.join(shown_words(self.profile.container, command, workspace))

    def __str__(self) -> str:
        return f"LocalLauncher({self.name})"
