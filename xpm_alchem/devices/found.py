"""Which devices this machine has, and which of them may be used.

What CUDA_VISIBLE_DEVICES and its sisters limit already (by the user, a scheduler, a container) is the whole there is.
Identities and models are what the vendor's tool tells, where there is one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import attrs

from xpm_alchem.devices.device import AMD, INTEL, NVIDIA, Device
from xpm_alchem.devices.tools import ask_amd, ask_nvidia
from xpm_alchem.devices.variables import BY_VENDOR, is_set, limits

_DRIVERS = {NVIDIA: ("/proc/driver/nvidia/version", "/dev/nvidiactl"), AMD: ("/dev/kfd",)}
_ORDER = "CUDA_DEVICE_ORDER"


@attrs.frozen
class Found:
    """What was found.

    Attributes
    ----------
    devices
        Those that may be used, of one vendor, in the vendor's order.
    is_limited
        Whether variables have limited them.
    is_proved
        Whether anything but a variable says that this machine has, or should have, devices.
    trouble
        What the vendor's tool complained of, '' for nothing.
    """

    devices: tuple[Device, ...] = ()
    is_limited: bool = False
    is_proved: bool = False
    trouble: str = ""


def find_devices(environment: Mapping[str, str] | None = None) -> Found:
    """Return the devices of this machine that an environment (default: this process's) leaves to be used."""
    environment = os.environ if environment is None else environment
    for vendor, ask in ((NVIDIA, ask_nvidia), (AMD, ask_amd)):
        installed, trouble = ask()
        if installed or trouble or any(map(os.path.exists, _DRIVERS[vendor])):
            return _left(vendor, installed, environment, is_proved=True, trouble=trouble)
    for vendor in (NVIDIA, AMD, INTEL):
        if is_set(environment, *BY_VENDOR[vendor]):
            return _left(vendor, (), environment)
    return Found()


def _left(
    vendor: str,
    installed: Sequence[Device],
    environment: Mapping[str, str],
    *,
    is_proved: bool = False,
    trouble: str = "",
) -> Found:
    names = limits(vendor, environment)
    if names is None:
        return Found(tuple(installed), False, is_proved, trouble)
    in_order = len({device.model for device in installed}) < 2 or environment.get(_ORDER) == "PCI_BUS_ID"
    devices = tuple(named(name, vendor, installed, in_order=in_order) for name in names)
    return Found(devices, True, is_proved, trouble)


def named(name: str, vendor: str, installed: Sequence[Device], *, in_order: bool = True) -> Device:
    """Return the device that a variable or a user names, with what is known of it.

    Parameters
    ----------
    name
        An index, an identity, or the beginning of one as CUDA takes it.
    in_order
        Whether an index counts as the vendor's tool does; CUDA counts the fastest first where nothing else is asked.
    """
    for device in installed:
        is_it = device.index == name and in_order if name.isdigit() else device.uuid.startswith(name)
        if is_it:
            return attrs.evolve(device, name=name)
    return Device(name, vendor, name if name.isdigit() else "", "" if name.isdigit() else name)
