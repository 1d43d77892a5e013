"""The attempts of a worker: a process in each of its slots at most."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import attrs

from xpm_alchem.devices.claims import Claim, claim
from xpm_alchem.devices.slots import Slot
from xpm_alchem.execution.processes import ProcessIdentity, kill_session
from xpm_alchem.launchers.attempt_process import failed_on_its_node, start_attempt
from xpm_alchem.launchers.workers.limits import VARIABLE
from xpm_alchem.launchers.workers.pool import Offer

_AGAIN_SECONDS = 5.0  # between two warnings of one that has not ended


@attrs.define(eq=False)
class Child:
    """An attempt at work.

    Attributes
    ----------
    task
        Its name in the pool.
    """

    task: str
    offer: Offer
    slot: Slot
    process: subprocess.Popen[bytes]
    identity: ProcessIdentity


class Crew:
    """Starts attempts in slots, warns them, ends them.

    Parameters
    ----------
    slots
        Its places.
    scope
        Within which devices without an identity have their names; see `claims.claim`.
    """

    def __init__(self, slots: Sequence[Slot], scope: str) -> None:
        self.slots, self._scope = tuple(slots), scope
        self.children: list[Child] = []
        self._unusable: set[int] = set()  # slots in which no other task shall be tried
        self._warned = float("-inf")

    def place(self, avoided: Collection[str] = ()) -> tuple[Slot, Claim] | None:
        """Return a free slot, and the claim on its devices; None if there is none.

        Parameters
        ----------
        avoided
            Devices that are taken only if all are among them.
        """
        taken = self._unusable | {child.slot.number for child in self.children}
        good = [slot for slot in self.slots if not any(device.id in avoided for device in slot.devices)]
        for slot in good or self.slots:
            if slot.number not in taken and (held := claim(slot, self._scope)) is not None:
                return slot, held
        return None

    def start(self, task: str, offer: Offer, slot: Slot, held: Claim, facts: dict[str, object]) -> None:
        """Start an attempt in a slot.

        Raises
        ------
        OSError
            It could not be started.
        """
        told = {"launch": offer.launch, "margin": offer.margin, **facts}
        process = start_attempt(
            Path(offer.script),
            slot,
            platform=offer.platform,
            variables={**offer.env, VARIABLE: json.dumps(told)},
            held=held,
            has_session=True,
        )
        self.children.append(Child(task, offer, slot, process, ProcessIdentity.of(process.pid)))

    def ended(self) -> Iterator[tuple[Child, int]]:
        """Yield the attempts that have ended, and their exit codes; what they left behind is ended too."""
        for child in list(self.children):
            if (code := child.process.poll()) is not None:
                kill_session(child.identity)
                self.children.remove(child)
                if code and failed_on_its_node(Path(child.offer.script)):
                    self._unusable.add(child.slot.number)
                yield child, code

    @property
    def is_unusable(self) -> bool:
        """Whether tasks have failed for the node's fault in every slot."""
        return len(self._unusable) == len(self.slots)

    def warn(self) -> None:
        """Tell all to stop at their checkpoints; one that does not listen yet is told again."""
        if time.monotonic() - self._warned > _AGAIN_SECONDS:
            self._warned = time.monotonic()
            for child in self.children:
                child.process.send_signal(signal.SIGUSR1)

    def kill(self, only: str | None = None) -> None:
        """End attempts at once, with what they have started: all, or that of one task."""
        for child in self.children:
            if only in (None, child.task):
                kill_session(child.identity)
