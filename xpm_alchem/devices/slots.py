"""Slots: what one attempt gets of a machine, its devices and its share of the cores."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress

import attrs

from xpm_alchem.base.errors import CampaignError
from xpm_alchem.base.values import count, text_or_none
from xpm_alchem.devices.device import PLATFORMS, Device
from xpm_alchem.devices.variables import showing

SLOT = "XPM_ALCHEM_SLOT"  # the variable that tells an attempt what it was given
NO_PLATFORM = "none"  # as a profile names it: nothing is tried
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENMM_CPU_THREADS")


@attrs.frozen
class Slot:
    """A place for one attempt at a time.

    Attributes
    ----------
    number
        From 0.
    devices
        Those that its attempts see.
    share
        Which of those that share the devices it is, from 0.
    cores
        Those of the machine that its attempts may use; empty: all.
    threads
        How many threads they are to start; None: that is said elsewhere.
    devices_there
        How many devices all slots have together.
    is_proved
        Whether more than a variable says that they are here; see `found.Found`.
    """

    number: int
    devices: tuple[Device, ...] = ()
    share: int = 0
    cores: tuple[int, ...] = ()
    threads: int | None = None
    devices_there: int = 0
    is_proved: bool = False

    def variables(self, environment: Mapping[str, str], platform: str | None = None) -> dict[str, str]:
        """Return what is to be set in the environment of an attempt.

        Parameters
        ----------
        environment
            The one in which the devices were found.
        platform
            What must work there, as the profile names it; None: what the devices are for.
        """
        devices = [device.to_record() for device in self.devices]
        told = {
            "devices": devices,
            "devices_there": self.devices_there,
            "is_proved": self.is_proved,
            "platform": platform,
        }
        values = {**showing(self.devices, environment), SLOT: json.dumps(told)}
        return values | (dict.fromkeys(THREADS, str(self.threads)) if self.threads else {})

    def bind(self, pid: int) -> None:
        """Let a process that has just been started, and what it will start, use the slot's cores only."""
        if self.cores:
            with suppress(OSError):  # it has ended, or a container forbids it: the numbers of threads are set anyway
                os.sched_setaffinity(pid, self.cores)


def slots_of(
    devices: Sequence[Device],
    *,
    number: int | None,
    tasks_per_gpu: int = 1,
    cores: Sequence[int],
    where: str = "",
    is_proved: bool = False,
) -> tuple[Slot, ...]:
    """Return the slots of a machine: each device with its cores, shared by so many.

    Parameters
    ----------
    devices
        All that may be used; none: the slots have none.
    number
        How many slots; None: one for each task that may share a device.
    tasks_per_gpu
        How many slots share a device.
    cores
        Those to be shared out, in order; what is left over is nobody's, and too few are everybody's. Empty: the cores
        and the number of threads are said elsewhere.
    where
        Who asks, for messages.
    is_proved
        See `Slot`.

    Raises
    ------
    CampaignError
        The devices do not divide by the slots.
    """
    number = len(devices) * tasks_per_gpu if number is None else number
    each = devices_each(len(devices), number, tasks_per_gpu, where) if devices else 0
    per_slot = len(cores) // number if number else 0
    slots = []
    for place in range(number):
        first = place // tasks_per_gpu * each
        slots.append(
            Slot(
                place,
                devices=tuple(devices[first : first + each]),
                share=place % tasks_per_gpu,
                cores=tuple(cores[place * per_slot : (place + 1) * per_slot]),
                threads=max(1, per_slot) if cores else None,
                devices_there=len(devices),
                is_proved=is_proved,
            )
        )
    return tuple(slots)


def devices_each(devices: int, slots: int, tasks_per_gpu: int, where: str) -> int:
    """Return how many devices each of some slots has.

    Raises
    ------
    CampaignError
        They do not divide: says what would.
    """
    said = f"{where}: {_count(devices, 'GPU')} for {_count(slots, 'task')} at once"
    if tasks_per_gpu > 1:
        if slots != devices * tasks_per_gpu:
            raise CampaignError(f"{said}, and tasks_per_gpu: {tasks_per_gpu}: that is for {devices * tasks_per_gpu}.")
        return 1
    if devices and slots and devices % slots == 0:
        return devices // slots
    if devices and slots % devices == 0:
        raise CampaignError(
            f"{said}: none would have one of its own. Let {slots // devices} share one (tasks_per_gpu: "
            f"{slots // devices}), or ask for {_count(slots, 'GPU')}."
        )
    raise CampaignError(f"{said}: they do not divide. Give as many of both, or a multiple of GPUs.")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


@attrs.frozen
class Given:
    """What an attempt was given, as its environment tells: its devices, of how many, and what must work there.

    Attributes
    ----------
    is_proved
        Whether more than a variable says that the devices are here.
    """

    devices: tuple[Device, ...] = ()
    devices_there: int = 0
    platform: str | None = None
    is_proved: bool = False

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Given:
        """Return what `Slot.variables` has told; nothing where nothing was told."""
        try:
            told = json.loads(environment.get(SLOT) or "{}")
            devices = tuple(map(Device.from_record, told.get("devices", ())))
        except (ValueError, AttributeError, TypeError):
            return cls()
        there, is_proved = count(told.get("devices_there")), told.get("is_proved") is True
        return cls(devices, there, text_or_none(told.get("platform")), is_proved)

    def platforms(self, usual: str | None = None) -> tuple[str, ...]:
        """Return OpenMM's platforms of which the first that OpenMM has must work; none where nothing is to be tried.

        Parameters
        ----------
        usual
            What the user wants of OpenMM anyway; it counts where the profile says nothing.
        """
        if self.platform is not None:
            return () if self.platform == NO_PLATFORM else (self.platform,)
        if not self.devices or not self.is_proved:
            return ()
        return (usual,) if usual else PLATFORMS.get(self.devices[0].vendor, ())
