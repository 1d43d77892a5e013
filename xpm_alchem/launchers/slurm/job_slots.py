"""The slots of a SLURM job on its node: the devices and cores that SLURM gave it, shared out to its tasks."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

import attrs

from xpm_alchem.base.errors import CampaignError
from xpm_alchem.devices.device import Device
from xpm_alchem.devices.found import find_devices
from xpm_alchem.devices.slots import Slot, slots_of
from xpm_alchem.devices.variables import ALL, is_set
from xpm_alchem.launchers.slurm.batch import Batch

_NODES_NUMBERS = ("SLURM_STEP_GPUS", "SLURM_JOB_GPUS")  # what the job's devices are called on the whole node


def job_slots(batch: Batch, environment: Mapping[str, str] | None = None) -> tuple[Slot, ...]:
    """Return the slots of this node's part of a job.

    Devices that do not divide by the tasks at once, as where a site gives others than were asked for, are seen by all
    tasks.

    Parameters
    ----------
    batch
        The job's.
    environment
        What SLURM has set; None: this process's.
    """
    environment = os.environ if environment is None else environment
    number = batch.side_by_side // batch.nodes
    devices, is_proved = _devices(environment)
    if batch.mps:  # within what the service sees indices count anew
        devices = tuple(attrs.evolve(device, name=device.uuid or device.name) for device in devices)
    cores = _own_cores(environment) if number > 1 else ()
    try:
        share = batch.tasks_per_gpu
        return slots_of(devices, number=number, tasks_per_gpu=share, cores=cores, where="this job", is_proved=is_proved)
    except CampaignError as error:
        sys.stderr.write(f"{error} All of them see all.\n")
        slots = slots_of((), number=number, cores=cores, is_proved=is_proved)
        return tuple(attrs.evolve(slot, devices=devices, devices_there=len(devices)) for slot in slots)


def _devices(environment: Mapping[str, str]) -> tuple[tuple[Device, ...], bool]:
    """Return the job's devices, and whether they are proved; where SLURM names none it has none, whatever is there."""
    if not is_set(environment, *ALL):
        return (), False
    found = find_devices(environment)
    devices = found.devices
    for variable in _NODES_NUMBERS:
        numbers = [number for number in environment.get(variable, "").split(",") if number]
        if len(numbers) == len(devices):
            devices = tuple(attrs.evolve(one, index=number) for one, number in zip(devices, numbers, strict=True))
            break
    return devices, found.is_proved


def _own_cores(environment: Mapping[str, str]) -> tuple[int, ...]:
    """Return the cores of the job, where SLURM confines it to some: else they are everybody's."""
    cores = tuple(sorted(os.sched_getaffinity(0)))
    return cores if environment.get("SLURM_CPUS_ON_NODE") == str(len(cores)) else ()
