"""Who uses a device of this machine: a claim that ends with the processes that hold it, whatever they die of.

A claim is a name in Linux's abstract socket namespace: one process can bind it, those it starts can be given it, and
the kernel frees it with the last of them. No file is left, no clock is asked, and a new driver finds what an old one's
attempts hold.
"""

from __future__ import annotations

import errno
import hashlib
import socket
from collections.abc import Collection, Sequence

from xpm_alchem.devices.device import Device
from xpm_alchem.devices.slots import Slot


class Claim:
    """What holds the devices of a slot, until it is closed here and in every process that it was handed on to.

    Parameters
    ----------
    held
        A bound socket for each device.
    """

    def __init__(self, held: Sequence[socket.socket] = ()) -> None:
        self._held = tuple(held)

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What a process must inherit to hold the devices."""
        return tuple(one.fileno() for one in self._held)

    def close(self) -> None:
        """Hold them no more in this process."""
        for one in self._held:
            one.close()


def claim(slot: Slot, scope: str) -> Claim | None:
    """Return a claim on a slot's devices; None while another process, of any campaign or user, holds one of them.

    Parameters
    ----------
    scope
        Within which the names of devices without an identity mean something: a workspace.
    """
    held: list[socket.socket] = []
    for device in slot.devices:
        if (one := _bound(device, slot.share, scope)) is None:
            Claim(held).close()
            return None
        held.append(one)
    return Claim(held)


def claim_free(
    slots: Sequence[Slot], scope: str | None, *, avoided: Collection[str] = (), taken: Collection[int] = ()
) -> tuple[Slot, Claim] | None:
    """Return the first slot whose devices nobody uses, and a claim on them; None if there is none.

    Parameters
    ----------
    scope
        See `claim`; None: a scheduler has given the devices to this process alone, and none is claimed.
    avoided
        Identities of devices that are taken only if all are among them.
    taken
        Numbers of slots that are not free whoever uses their devices.
    """
    good = [slot for slot in slots if not any(device.id in avoided for device in slot.devices)]
    for slot in good or slots:
        if slot.number not in taken:
            held = Claim() if scope is None else claim(slot, scope)
            if held is not None:
                return slot, held
    return None


def _bound(device: Device, share: int, scope: str) -> socket.socket | None:
    name = device.uuid or f"{scope}\n{device.name}"
    key = hashlib.sha256(f"{name}\n{share}".encode()).hexdigest()[:32]
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        bound.bind(f"\0xpm-alchem-device-{key}")
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            return None
        raise
    return bound
