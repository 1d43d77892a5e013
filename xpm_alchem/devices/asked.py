"""Which devices of a machine a profile asks for: all, so many, or some by name. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from xpm_alchem.base import checks
from xpm_alchem.base.errors import CampaignError
from xpm_alchem.base.values import short
from xpm_alchem.devices.device import NVIDIA, Device
from xpm_alchem.devices.found import Found, named

_GOOD = "'all', a number of GPUs, or a list such as [0, 2] or [MIG-...]"
_MOST = 1024


@attrs.frozen
class Asked:
    """What `gpus` says.

    Attributes
    ----------
    count
        How many; None: all there are.
    names
        Which, where it names them.
    """

    count: int | None = None
    names: tuple[str, ...] = ()

    def chosen(self, found: Found, where: str) -> tuple[Device, ...]:
        """Return the devices that are asked for.

        Raises
        ------
        CampaignError
            They are not all here.
        """
        have = ", ".join(str(device) for device in found.devices) or "none"
        limited = ", of what variables such as CUDA_VISIBLE_DEVICES leave" if found.is_limited else ""
        seen = f"found {have}{limited}{f' ({found.trouble})' if found.trouble else ''}"
        if self.names:
            return tuple(self._chosen(name, found, f"{where}: {seen}") for name in self.names)
        if not found.devices or (self.count or 0) > len(found.devices):
            wanted = "all GPUs" if self.count is None else f"{self.count} GPU{'' if self.count == 1 else 's'}"
            raise CampaignError(
                f"{where}: asks for {wanted}; {seen}. Look at what nvidia-smi or rocm-smi says here, name them "
                "(gpus: [0, 1]), or take 'gpus' out."
            )
        return found.devices[: self.count]

    def _chosen(self, name: str, found: Found, seen: str) -> Device:
        vendor = found.devices[0].vendor if found.devices else NVIDIA
        device = named(name, vendor, found.devices)
        for here in found.devices:
            if here.id == device.id:
                return here  # by the name that programs know
        if found.devices or found.is_limited:
            raise CampaignError(f"{seen}, and not {name}.")
        return device

    def __str__(self) -> str:
        return ", ".join(self.names) if self.names else "all" if self.count is None else str(self.count)


def asked_of(value: Any, where: str) -> Asked:
    """Check a profile's 'gpus'.

    Raises
    ------
    CampaignError
        Says what would do.
    """
    if isinstance(value, str) and value.strip().lower() == "all":
        return Asked()
    if isinstance(value, str) and value.strip().isdigit():
        value = int(value)
    if type(value) in (int, float):
        number = checks.number(value, where, 0)
        value = int(number) if number == int(number) else value
    if type(value) is int and 0 <= value <= _MOST:
        return Asked(count=value)
    if isinstance(value, Sequence) and not isinstance(value, str) and value and all(map(_is_name, value)):
        names = tuple(str(name).strip() for name in value)
        if len(set(names)) < len(names):
            raise CampaignError(f"{where}: {short(value)} names a GPU twice; for several tasks on one: tasks_per_gpu.")
        return Asked(len(names), names)
    raise CampaignError(f"{where}: {short(value)} is no choice of GPUs. Give {_GOOD}.")


def _is_name(value: Any) -> bool:
    if isinstance(value, str):
        return bool(value.strip()) and not any(sign in value for sign in ", \t\n\"'\\")
    return type(value) is int and 0 <= value < _MOST
