"""The attempts at work on a node: a process in each slot at most. What a worker and a SLURM job have in common."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import attrs

from xpm_alchem.devices.claims import Claim, claim_free
from xpm_alchem.devices.slots import Slot
from xpm_alchem.execution.processes import ProcessIdentity, kill_session
from xpm_alchem.launchers.attempt_process import failed_on_its_node, kill_left_behind, start_attempt
from xpm_alchem.launchers.container import Container

_AGAIN_SECONDS = 5.0  # between two warnings of one that has not ended
Task = TypeVar("Task", bound=Hashable)


@attrs.define(eq=False)
class Child(Generic[Task]):
    """An attempt at work.

    Attributes
    ----------
    task
        Which task's.
    launch
        As which launch it was started.
    container
        Where it runs; None: here.
    margin
        Seconds before the end of its time at which it stops.
    leader
        The leader of its session, where it has one of its own, which ends with it.
    """

    task: Task
    script: Path
    slot: Slot
    process: subprocess.Popen[bytes]
    launch: str
    container: Container | None = None
    margin: float = 0.0
    leader: ProcessIdentity | None = None

    def kill(self) -> None:
        """End it at once, with what it has started."""
        if self.leader is not None:
            kill_session(self.leader)
        else:
            self.process.kill()


class Crew(Generic[Task]):
    """Starts attempts in slots, tells them to stop, ends them.

    Parameters
    ----------
    slots
        Its places.
    scope
        Within which devices without an identity have their names, for `claims.claim`; None: a scheduler has given the
        devices to this process alone, and none is claimed.
    """

    def __init__(self, slots: Sequence[Slot], scope: str | None = None) -> None:
        self.slots, self._scope = tuple(slots), scope
        self.children: list[Child[Task]] = []
        self._unusable: set[int] = set()  # slots in which no other task shall be tried
        self._warned = float("-inf")

    @property
    def is_full(self) -> bool:
        """Whether no slot is free."""
        return len(self._taken()) == len(self.slots)

    @property
    def is_unusable(self) -> bool:
        """Whether tasks have failed for the node's fault in every slot."""
        return len(self._unusable) == len(self.slots)

    def place(self, avoided: Collection[str] = ()) -> tuple[Slot, Claim] | None:
        """Return a free slot, and the claim on its devices; None if there is none.

        Parameters
        ----------
        avoided
            Devices that are taken only if all are among them.
        """
        return claim_free(self.slots, self._scope, avoided=avoided, taken=self._taken())

    def _taken(self) -> set[int]:
        return self._unusable | {child.slot.number for child in self.children}

    def start(
        self,
        task: Task,
        script: Path,
        slot: Slot,
        *,
        launch: str,
        held: Claim | None = None,
        platform: str | None = None,
        container: Container | None = None,
        variables: Mapping[str, str],
        margin: float = 0.0,
        has_session: bool = False,
    ) -> None:
        """Start an attempt in a slot; see `start_attempt`, and `Child`.

        Raises
        ------
        OSError
            It could not be started.
        """
        process = start_attempt(
            script,
            slot,
            platform=platform,
            container=container,
            variables=variables,
            held=held,
            has_session=has_session,
        )
        leader = ProcessIdentity.of(process.pid) if has_session else None
        self.children.append(Child(task, script, slot, process, launch, container, margin, leader))

    def ended(self) -> Iterator[tuple[Child[Task], int]]:
        """Yield the attempts that have ended, and their exit codes; what they left behind is ended too."""
        for child in list(self.children):
            if (code := child.process.poll()) is not None:
                if child.leader is not None:
                    kill_session(child.leader)
                kill_left_behind(child.script, child.launch, child.container)
                self.children.remove(child)
                if code and failed_on_its_node(child.script):
                    self._unusable.add(child.slot.number)
                yield child, code

    def signal(self, number: int) -> None:
        """Send a signal to all."""
        for child in self.children:
            child.process.send_signal(number)

    def warn(self, left: float = 0.0) -> None:
        """Tell those whose margin is longer than what is left to stop at their checkpoints.

        One that does not listen yet is told again.
        """
        if time.monotonic() - self._warned > _AGAIN_SECONDS:
            for child in self.children:
                if left <= child.margin:
                    self._warned = time.monotonic()
                    child.process.send_signal(signal.SIGUSR1)

    def kill(self, only: Task | None = None) -> bool:
        """End attempts at once, with what they have started: all, or that of one task; return whether there was any."""
        doomed = [child for child in self.children if only in (None, child.task)]
        for child in doomed:
            child.kill()
        return bool(doomed)
