"""Attempts as SLURM jobs: the launcher, and an attempt as experimaestro sees it."""

from __future__ import annotations

import asyncio
import copy
import shlex
import tempfile
import threading
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import attrs
from experimaestro.connectors import Process, ProcessBuilder, ProcessState

from xpm_alchem.base.errors import CampaignError
from xpm_alchem.base.files import exists
from xpm_alchem.base.interpreter import python
from xpm_alchem.execution.attempts import Attempt, Launched, Outcome
from xpm_alchem.execution.demand import Demand
from xpm_alchem.execution.fence import give_orders
from xpm_alchem.execution.life_signs import FileClock, files_of
from xpm_alchem.launchers.base import AttemptLauncher, Ending, Waiting
from xpm_alchem.launchers.connector import this_machine
from xpm_alchem.launchers.container import settle_code, shown_words
from xpm_alchem.launchers.slurm.absence import is_sign_of_life
from xpm_alchem.launchers.slurm.avoided import AvoidedDevices
from xpm_alchem.launchers.slurm.batch import parse_launch
from xpm_alchem.launchers.slurm.commands import Slurm, SlurmError, Trouble
from xpm_alchem.launchers.slurm.entry import Entry, outcome_of
from xpm_alchem.launchers.slurm.profile import SlurmProfile
from xpm_alchem.launchers.slurm.queue import SlurmQueue, remove_old
from xpm_alchem.plan.secrets import shown_variables

_VERDICT_SECONDS = 30.0
_NOT_LAUNCHED = "not launched yet"
_WAITING_AGAIN = ("PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT", "CONFIGURING")
_queues: dict[Path, SlurmQueue] = {}
_queues_lock = threading.Lock()


def _queue(root: Path) -> SlurmQueue:
    """Return this process's queue of a workspace: the driver's, or one for a monitor that only looks."""
    with _queues_lock:
        if root not in _queues:
            _queues[root] = SlurmQueue(root, Slurm())
        return _queues[root]


class SlurmLauncher(AttemptLauncher):
    """Runs attempts as jobs of the cluster that sbatch on PATH submits to."""

    def __init__(self, profile: SlurmProfile | None = None, name: str = "slurm", connector: Any = None) -> None:
        super().__init__(connector or this_machine())
        self.profile = profile or SlurmProfile()
        self.name = name
        self.slots = self.profile.slots
        self._root: Path | None = None
        self.campaign = ""
        self._nodes_avoided: tuple[str, ...] = ()

    # ------------------------------------------------------------------------------------ experimaestro's interface
    def processbuilder(self) -> ProcessBuilder:
        """Return what hands a task's script to SLURM."""
        return SlurmAttemptBuilder(self)

    def launcher_info_code(self) -> str:
        """Return the lines of an attempt's script that tell it of its job."""
        settle = settle_code(self.profile.container)
        return settle + "    from xpm_alchem.launchers.slurm.limits import limit_this_job\n    limit_this_job()\n"

    # --------------------------------------------------------------------------------------------------- the driver's
    @property
    def cost_per_hour(self) -> float:
        """The profile's."""
        return self.profile.cost_per_hour

    @property
    def cost_unit(self) -> str:
        """The profile's."""
        return self.profile.cost_unit

    @property
    def longest(self) -> float | None:
        """The profile's."""
        return self.profile.longest

    def open(self, workspace: Path, campaign: str) -> None:
        """Begin to submit and poll for a campaign; those that are driven by one process share one queue."""
        self._root = workspace / "slurm"
        self._root.mkdir(parents=True, exist_ok=True)
        remove_old(self._root)
        self._avoided = AvoidedDevices(self._root, campaign)
        self.campaign = campaign
        self.queue.join(campaign)

    def close(self) -> None:
        """Stop polling for the campaign; jobs go on."""
        with _queues_lock:
            queue = _queues.get(self._root) if self._root else None
            if queue is None or not queue.leave(self.campaign):
                return
            del _queues[queue.root]
        queue.close()

    @property
    def root(self) -> Path:
        """The directory of the batches."""
        if self._root is None:
            raise RuntimeError("the launcher is not open")
        return self._root

    @property
    def queue(self) -> SlurmQueue:
        """The driver's dealings with SLURM."""
        return _queue(self.root)

    def check(self) -> str:
        """Ask SLURM whether it would accept a job of this profile, and return what it says.

        Raises
        ------
        CampaignError
            SLURM is not here, or it refuses the profile: in its own words.
        """
        if not Slurm.is_installed():
            raise CampaignError(
                f"launcher {self.name}: sbatch, squeue and scancel are not on PATH. Run this on a login node of the "
                "cluster (or load its SLURM module), or choose another launcher with --launcher."
            )
        with tempfile.TemporaryDirectory() as directory:
            script = Path(directory) / "script.sh"
            script.write_text(self.profile.script(name="xpm-alchem-check", directory=Path(directory), jobs=None))
            try:
                Slurm().check(script)
            except SlurmError as error:
                if error.trouble in (Trouble.REFUSED, Trouble.NO_NODE) and not self._may_pass(error):
                    raise CampaignError(f"launcher {self.name}: SLURM would refuse its jobs: {error}") from None
                return f"SLURM could not be asked whether it would accept such a job ({error})"
        return "SLURM would accept such a job"

    def _may_pass(self, error: SlurmError) -> bool:
        """Whether a refusal may be for the moment: while all nodes are down --test-only refuses what sbatch accepts."""
        return error.trouble is Trouble.NO_NODE and not Slurm().has_nodes_up(self.profile.partition)

    def avoid(self, devices: Mapping[str, Collection[str]]) -> None:
        """Tell the jobs; what chooses no device itself is kept from the whole node."""
        if self.profile.has_choice:
            self._avoided.tell(devices)
        else:
            self._nodes_avoided = tuple(sorted(devices))

    def for_task(self, demand: Demand) -> SlurmLauncher:
        """Return a launcher whose profile has grown as a task's history demands."""
        nodes = tuple(sorted({*demand.avoid, *self._nodes_avoided}))
        grown = self.profile.grown(attrs.evolve(demand, avoid=nodes))
        if grown == self.profile:
            return self
        launcher = copy.copy(self)
        launcher.profile = grown
        return launcher

    def has_made(self, launch: str | None) -> bool:
        """Return whether a launch is of a batch of this workspace."""
        found = parse_launch(self.root, launch or "")
        return found is not None and exists(found[0])

    def prepare(self, directory: Path) -> None:
        """Make a task ready; a job of an earlier launch that starts now finds that it may not work on it."""
        give_orders(directory, launch=_NOT_LAUNCHED, stop=None)

    def has_launched(self, directory: Path) -> bool:
        """Return whether the task's orders name a batch."""
        entry = self.queue.find(directory)
        return entry is not None and not entry.lost

    def is_running(self, directory: Path, attempt: Attempt | None) -> bool | None:
        """Return whether the task's job waits or runs; None before SLURM has said so."""
        if attempt is not None and attempt.launched_as is None:  # of the local launcher, before it was changed
            return attempt.process.is_alive() if attempt.process.is_here else None
        entry = self.queue.find(directory)
        if entry is None:  # a batch that is gone, or cannot be seen now
            is_alive = attempt is not None and is_sign_of_life(
                FileClock(self.root / "clock").quiet(files_of(directory))
            )
            return None if is_alive else False
        if entry.ended:
            alone = entry.batch is not None and entry.batch.tasks_per_job == 1
            killed = alone and entry.code is not None and entry.code < 0
            if entry.is_undecided and killed and time.time() - entry.seen < _VERDICT_SECONDS:
                self.queue.ask(entry)  # killed by a signal: was it for its memory, its time, its node?
                return None
            return False
        if entry.batch is None:
            return True
        return None if entry.state is None else entry.state.is_alive

    def is_to_be_asked(self, directory: Path) -> bool:
        """Return whether SLURM has said anything of the task's job."""
        return self.queue.is_known(directory)

    def ended(self) -> Collection[Path]:
        """Return the tasks of which the queue's thread has seen the end."""
        return self.queue.ended()

    def ending(self, directory: Path, attempt: Attempt | None) -> Ending:
        """Return what SLURM says of the job."""
        entry = self.queue.find(directory)
        if entry is None:
            return Ending(Outcome.LOST, "its SLURM job is unknown", is_certain=False)
        launched, batch = _launched(entry), entry.batch
        taken_on = batch is not None and (batch.tasks_per_job == 1 or batch.claimed_by(entry.number) is not None)
        if attempt is None and (entry.lost or not taken_on):
            return Ending(None, "no SLURM job took it on")
        outcome, reason, certain = outcome_of(entry, begun=attempt is not None)
        if entry.is_undecided and attempt is not None and attempt.is_overdue:
            outcome, reason = Outcome.TIMEOUT, "its SLURM job is gone; its time limit is over"
        return Ending(outcome, reason, launched, certain)

    def cause(self, directory: Path, attempt: Attempt) -> Ending | None:
        """Return why SLURM told an attempt to end: preempted, cancelled, requeued; None while SLURM has not said."""
        entry = self.queue.find(directory)
        if entry is None:
            return super().cause(directory, attempt)
        if entry.is_undecided:
            if entry.state is not None and entry.is_answered and entry.state.state in _WAITING_AGAIN:
                self.queue.cancel(directory)
                return Ending(Outcome.CANCELLED, f"{attempt.reason}: its SLURM job was requeued from outside")
            self.queue.ask(entry)
            return None
        outcome, reason, _ = outcome_of(entry, begun=True)
        return super().cause(directory, attempt) if outcome is Outcome.LOST else Ending(outcome, reason)

    def process_spec(self, directory: Path, attempt: Attempt | None) -> dict[str, Any]:
        """Return the task's directory: its orders name the launch."""
        return _spec(self.root, directory)

    def forget(self, directory: Path, *, again: bool) -> None:
        """Take note that the end of a task's job was dealt with; it must not be found again."""
        if again:
            give_orders(directory, launch=_NOT_LAUNCHED)  # first: the queue would take up what the orders name
        self.queue.forget(directory)

    def withdraw(self, directory: Path) -> None:
        """Cancel the task's job."""
        self.queue.cancel(directory)

    def ends_alone(self, directory: Path) -> bool:
        """Return whether no other task shares the job."""
        entry = self.queue.find(directory)
        batch = None if entry is None else entry.batch
        return entry is None or batch is None or batch.tasks_per_job == 1 or batch.claimed_by(entry.number) is None

    def is_settled(self) -> bool:
        """Return whether sbatch has been run for every task."""
        return self.queue.is_settled()

    def waiting(self) -> dict[Path, Waiting]:
        """Return what waits in SLURM's queue, or to be put there."""
        return self.queue.waiting()

    def news(self) -> list[str]:
        """Return what SLURM complained of."""
        return self.queue.news()

    def describe(self) -> str:
        """Return what a job asks for."""
        return self.profile.describe()

    def script(self, workspace: Path) -> str:
        """Return the batch script, without values of variables whose names tell of secrets."""
        shown = tuple(shown_variables(dict(self.profile.env)).items())
        profile = attrs.evolve(self.profile, env=shown)
        text = profile.script(name="CAMPAIGN-BATCH", directory=workspace / "slurm" / "BATCH", jobs=2)
        if profile.container is None:
            return text
        attempt = python(workspace / "jobs" / "xpm_alchem.run" / "TASK" / "run.py")
        return f"{text}# each task in it: {shlex.join(shown_words(profile.container, attempt, workspace))}\n"

    def __str__(self) -> str:
        return f"SlurmLauncher({self.name})"


def _launched(entry: Entry) -> Launched:
    if entry.batch is None:
        return Launched()
    jobs = entry.batch.jobs_for(entry.number) or []
    node = entry.state.node if entry.state is not None else ""
    return Launched(jobs[0] if len(jobs) == 1 else None, entry.batch.launch(entry.number), node or None)


class SlurmAttemptBuilder(ProcessBuilder):  # type: ignore[misc]
    """Hands a task's script to the queue, which submits it with others."""

    def __init__(self, launcher: SlurmLauncher) -> None:
        super().__init__()
        self._launcher = launcher

    def start(self, task_mode: bool = False) -> SlurmAttempt:
        """Return at once; the queue's thread runs sbatch."""
        script = Path(self.command[-1]).absolute()
        self._launcher.queue.submit(script, self._launcher.profile, self._launcher.campaign)
        return SlurmAttempt(self._launcher.queue, self._launcher.root, script.parent)


def _spec(root: Path, directory: Path) -> dict[str, Any]:
    return {"type": "xpm-alchem-slurm", "root": str(root), "directory": str(directory)}


class SlurmAttempt(Process):  # type: ignore[misc]
    """An attempt in SLURM's hands, launched by this driver or by an earlier one."""

    host_dependent = False

    def __init__(self, queue: SlurmQueue, root: Path, directory: Path) -> None:
        self._queue, self._root, self._directory = queue, root, directory
        self._entry = queue.find(directory)

    @staticmethod
    def fromspec(connector: Any, spec: dict[str, Any]) -> SlurmAttempt | None:
        """Return the attempt a pid file names, unless it is known to have ended."""
        root, directory = Path(spec["root"]), Path(spec["directory"])
        attempt = SlurmAttempt(_queue(root), root, directory)
        return None if attempt._has_ended() else attempt

    def tospec(self) -> dict[str, Any]:
        """Return what a pid file holds."""
        return _spec(self._root, self._directory)

    def _has_ended(self) -> bool:
        return self._entry is None or self._queue.is_over(self._entry)

    async def aio_state(self, timeout: float | None = None) -> ProcessState:
        """Return whether it waits or runs, as far as is known."""
        if self._has_ended():
            return ProcessState.FINISHED
        state = self._entry.state if self._entry is not None else None
        return ProcessState.RUNNING if state is not None and state.state == "RUNNING" else ProcessState.SCHEDULED

    async def aio_wait(self) -> int | None:  # type: ignore[override]
        """Wait for its end; how it ended is read from the disk."""
        if self._entry is not None:
            await self._queue.end_of(self._entry)
        return None

    def wait(self) -> int | None:  # type: ignore[override]
        """Wait for its end."""
        return asyncio.run(self.aio_wait())

    def kill(self) -> None:
        """Cancel its job."""
        self._queue.cancel(self._directory)

    def __repr__(self) -> str:
        job = _launched(self._entry).job if self._entry is not None else None
        return f"SlurmAttempt({job or 'not submitted yet'})"
