"""Attempts by the workers of a pool: the launcher, and an attempt as experimaestro sees it."""

from __future__ import annotations

import asyncio
import copy
import threading
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from experimaestro.connectors import Process, ProcessBuilder, ProcessState

from xpm_alchem.execution.attempts import Attempt, Launched, Outcome
from xpm_alchem.execution.demand import Demand
from xpm_alchem.execution.fence import give_orders
from xpm_alchem.execution.life_signs import files_of
from xpm_alchem.execution.processes import ended_with
from xpm_alchem.launchers.base import AttemptLauncher, Ending, Waiting
from xpm_alchem.launchers.connector import this_machine
from xpm_alchem.launchers.container import describe, settle_code
from xpm_alchem.launchers.workers.leftovers import clear_ends
from xpm_alchem.launchers.workers.members import ALIVE_SECONDS
from xpm_alchem.launchers.workers.pool import Offer, Place, Pool, launch_of, new_task, parse_launch
from xpm_alchem.launchers.workers.profile import PoolProfile
from xpm_alchem.launchers.workers.queue import Entry, PoolQueue

_NOT_LAUNCHED = "not launched yet"
_queues: dict[tuple[Path, str, str], PoolQueue] = {}  # of this process, by workspace, pool and campaign
_queues_lock = threading.Lock()


def _queue(workspace: Path, pool: str, campaign: str) -> PoolQueue:
    with _queues_lock:
        if (workspace, pool, campaign) not in _queues:
            _queues[workspace, pool, campaign] = PoolQueue(Pool(workspace, pool), campaign)
        return _queues[workspace, pool, campaign]


class WorkersLauncher(AttemptLauncher):
    """Offers tasks to the workers of a pool (``xpm-alchem work``), wherever they are."""

    def __init__(self, profile: PoolProfile | None = None, name: str = "workers", connector: Any = None) -> None:
        super().__init__(connector or this_machine())
        self.profile = profile or PoolProfile()
        self.name = name
        self.slots = self.profile.slots
        self._workspace: Path | None = None
        self._campaign = ""
        self._avoided: dict[str, tuple[str, ...]] = {}
        self._avoided_nodes: tuple[str, ...] = ()
        self._priorities: dict[Path, int] = {}

    # ------------------------------------------------------------------------------------ experimaestro's interface
    def processbuilder(self) -> ProcessBuilder:
        """Return what offers a task's script."""
        return OfferBuilder(self)

    def launcher_info_code(self) -> str:
        """Return the lines of an attempt's script that tell it of its worker."""
        settle = settle_code(self.profile.container)
        return (
            settle
            + "    from xpm_alchem.launchers.workers.limits import limit_this_attempt\n    limit_this_attempt()\n"
        )

    # --------------------------------------------------------------------------------------------------- the driver's
    @property
    def cost_per_hour(self) -> float:
        """The price of the cores and GPUs that the profile expects."""
        return self.profile.in_force.per_hour(cores=self.profile.cpus, gpus=self.profile.gpus)

    @property
    def cost_unit(self) -> str:
        """What costs are counted in."""
        return self.profile.in_force.unit

    def open(self, workspace: Path, campaign: str) -> None:
        """Begin to offer tasks of a campaign."""
        self._workspace, self._campaign = workspace, campaign
        with _queues_lock:
            if (before := _queues.pop((workspace, self.profile.pool, campaign), None)) is not None:
                before.close()
        self.queue.pool.make()

    def close(self) -> None:
        """Stop looking; workers go on."""
        with _queues_lock:
            whose = (self._workspace, self.profile.pool, self._campaign) if self._workspace else None
            queue = None if whose is None else _queues.pop(whose, None)
        if queue is not None:
            queue.close()
            clear_ends(queue.pool, self._campaign)

    @property
    def queue(self) -> PoolQueue:
        """The driver's tasks in the pool."""
        if self._workspace is None:
            raise RuntimeError("the launcher is not open")
        return _queue(self._workspace, self.profile.pool, self._campaign)

    def avoid(self, devices: Mapping[str, Collection[str]]) -> None:
        """Tell workers, with what is offered from now on."""
        self._avoided = {machine: tuple(sorted(names)) for machine, names in devices.items()}

    def reserve(self, directory: Path, demand: Demand, priority: int) -> bool:
        """Remember how urgent a task is; workers have the places."""
        self._priorities[directory] = priority
        return True

    def for_task(self, demand: Demand) -> WorkersLauncher:
        """Return a launcher whose offers avoid what a task's history tells to avoid."""
        if not demand.avoid and not demand.avoid_devices:
            return self
        launcher = copy.copy(self)
        launcher._avoided = dict(self._avoided)
        for machine, device in demand.avoid_devices:
            launcher._avoided[machine] = (*launcher._avoided.get(machine, ()), device)
        launcher._avoided_nodes = demand.avoid
        return launcher

    def has_made(self, launch: str | None) -> bool:
        """Return whether a launch is of this pool."""
        found = parse_launch(launch)
        return found is not None and found[0] == self.profile.pool

    def prepare(self, directory: Path) -> None:
        """Make a task ready; an attempt of an earlier launch that begins now finds that it may not work on it."""
        give_orders(directory, launch=_NOT_LAUNCHED, stop=None)

    def offer(self, script: Path) -> None:
        """Offer a task: first its orders name the launch, then workers may take it."""
        task = new_task(self._priorities.pop(script.parent, 0))
        launch = launch_of(self.profile.pool, task)
        give_orders(script.parent, launch=launch, stop=None)
        offer = Offer(
            script=str(script),
            launch=launch,
            campaign=self._campaign,
            margin=self.profile.margin,
            platform=self.profile.platform,
            container=self.profile.container,
            env=self.profile.env,
            avoid={**self._avoided, **dict.fromkeys(self._avoided_nodes, ())},
        )
        self.queue.pool.offer(offer, task)
        self.queue.add(task, script.parent)

    def has_launched(self, directory: Path) -> bool:
        """Return whether the task's orders name a launch that the pool knows."""
        entry = self.queue.find(directory)
        return entry is not None and not entry.lost and (entry.ended or not self.queue.is_nowhere(entry))

    def is_running(self, directory: Path, attempt: Attempt | None) -> bool | None:
        """Return whether a task waits for a worker, or a worker has it."""
        entry = self.queue.find(directory)
        if entry is None:  # of another launcher, before it was changed, or its pool is gone
            if attempt is not None and attempt.process.is_here:
                return attempt.process.is_alive()
            is_alive = attempt is not None and self.queue.members.clock.quiet(files_of(directory)) < 6 * ALIVE_SECONDS
            return None if is_alive else False
        if entry.ended:
            return False
        if attempt is not None and attempt.process.is_here and attempt.process.is_alive():
            return True
        return None if entry.place is None else True

    def ended(self) -> Collection[Path]:
        """Return the tasks of which the end was seen."""
        return self.queue.ended()

    def ending(self, directory: Path, attempt: Attempt | None) -> Ending:
        """Return what its worker has noted, or what became of its worker."""
        entry = self.queue.find(directory)
        if entry is None:
            return Ending(Outcome.LOST, "its launch is unknown", is_certain=False)
        launched = _launched(entry)
        code = entry.place.code if entry.place is not None else None
        if attempt is None:
            if entry.lost and entry.is_proved:
                return Ending(None, entry.lost, launched)
            if code == 0:
                return Ending(None, "no attempt was made: it had been given to others", launched)
        elif attempt.is_overdue:
            return Ending(Outcome.TIMEOUT, "killed at its time limit", launched, entry.is_proved)
        if code is not None:
            said = f"its process {ended_with(code)} {'before it began' if attempt is None else 'without a word'}"
            return Ending(Outcome.LOST, said, launched)
        return Ending(Outcome.LOST, entry.lost or "its end is unknown", launched, bool(entry.lost) and entry.is_proved)

    def process_spec(self, directory: Path, attempt: Attempt | None) -> dict[str, Any]:
        """Return workspace, pool and the task's directory: its orders name the launch."""
        return _spec(self.queue, directory)

    def forget(self, directory: Path, *, again: bool) -> None:
        """Take note that the end of a task's attempt was dealt with; it must not be found again."""
        self.queue.forget(directory)
        if again:
            give_orders(directory, launch=_NOT_LAUNCHED)

    def withdraw(self, directory: Path) -> None:
        """Take a task back, or have its worker end it."""
        self.queue.withdraw(directory)

    def is_settled(self) -> bool:
        """Return whether every task that was submitted is offered."""
        return self.queue.is_settled()

    def waiting(self) -> dict[Path, Waiting]:
        """Return what waits for a worker."""
        return self.queue.waiting()

    def describe(self) -> str:
        """Return whose workers are to take the tasks."""
        price = f", {self.profile.price}" if self.profile.price else ""
        inside = describe(self.profile.container)
        return f"workers of pool {self.profile.pool}; at most {self.slots} tasks offered or at work{price}{inside}"

    def script(self, workspace: Path) -> str:
        """Return the command that starts a worker."""
        pool = "" if self.profile.pool == "main" else f" --pool {self.profile.pool}"
        return f"xpm-alchem work --workspace {workspace}{pool}"

    def __str__(self) -> str:
        return f"WorkersLauncher({self.name})"


def _launched(entry: Entry) -> Launched:
    worker = entry.place.worker if entry.place is not None else ""
    return Launched(worker or None)


class OfferBuilder(ProcessBuilder):  # type: ignore[misc]
    """Offers a task's script to workers."""

    def __init__(self, launcher: WorkersLauncher) -> None:
        super().__init__()
        self._launcher = launcher

    def start(self, task_mode: bool = False) -> OfferedAttempt:
        """Offer it."""
        script = Path(self.command[-1]).absolute()
        self._launcher.offer(script)
        return OfferedAttempt(self._launcher.queue, script.parent)


def _spec(queue: PoolQueue, directory: Path) -> dict[str, Any]:
    pool = queue.pool
    return {
        "type": "xpm-alchem-workers",
        "workspace": str(pool.workspace),
        "pool": pool.name,
        "campaign": queue.campaign,
        "directory": str(directory),
    }


class OfferedAttempt(Process):  # type: ignore[misc]
    """An attempt in the hands of a pool, offered by this driver or by an earlier one."""

    host_dependent = False

    def __init__(self, queue: PoolQueue, directory: Path) -> None:
        self._queue, self._directory = queue, directory
        self._entry = queue.find(directory)

    @staticmethod
    def fromspec(connector: Any, spec: dict[str, Any]) -> OfferedAttempt | None:
        """Return the attempt a pid file names, unless it is known to have ended."""
        queue = _queue(Path(spec["workspace"]), spec["pool"], spec.get("campaign", ""))
        attempt = OfferedAttempt(queue, Path(spec["directory"]))
        return None if attempt._has_ended() else attempt

    def tospec(self) -> dict[str, Any]:
        """Return what a pid file holds."""
        return _spec(self._queue, self._directory)

    def _has_ended(self) -> bool:
        entry = self._entry
        return entry is None or entry.ended or not self._queue.holds(entry)

    async def aio_state(self, timeout: float | None = None) -> ProcessState:
        """Return whether it waits or runs, as far as is known."""
        if self._entry is None or self._has_ended():
            return ProcessState.FINISHED
        return ProcessState.SCHEDULED if self._entry.place in (None, Place()) else ProcessState.RUNNING

    async def aio_wait(self) -> int | None:  # type: ignore[override]
        """Wait for its end; how it ended is read from the disk."""
        if self._entry is not None:
            end = self._queue.waiters.add(self._entry)
            self._queue.start()
            await end
        return None

    def wait(self) -> int | None:  # type: ignore[override]
        """Wait for its end."""
        return asyncio.run(self.aio_wait())

    def kill(self) -> None:
        """Take it back, or have its worker end it."""
        self._queue.withdraw(self._directory)

    def __repr__(self) -> str:
        worker = None if self._entry is None else _launched(self._entry).job
        return f"OfferedAttempt({worker or 'waits'})"
