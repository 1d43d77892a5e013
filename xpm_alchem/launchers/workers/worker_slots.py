"""The slots of a worker: the devices and cores of the machine, or of the job that it is in."""

from __future__ import annotations

import os
from collections.abc import Mapping

import attrs

from xpm_alchem.base.errors import CampaignError
from xpm_alchem.devices.asked import Asked
from xpm_alchem.devices.found import find_devices
from xpm_alchem.devices.slots import Slot, slots_of
from xpm_alchem.launchers.workers.scheduler_jobs import cores_of_job


def worker_slots(
    *,
    slots: int | None = None,
    gpus: Asked | None = None,
    tasks_per_gpu: int | None = None,
    environment: Mapping[str, str] | None = None,
) -> tuple[Slot, ...]:
    """Return the slots of this process.

    Parameters
    ----------
    slots
        How many; None: one for each device, or for its share; one without devices.
    gpus
        Which devices; None: all that are found.
    tasks_per_gpu
        How many slots share a device; None: as many as `slots` makes of them, else one.
    environment
        In which devices, and the cores of a scheduler's job, are looked for; None: this process's.

    Raises
    ------
    CampaignError
        The devices are not here, or do not divide by the slots.
    """
    environment = os.environ if environment is None else environment
    found = find_devices(environment)
    devices = found.devices
    if gpus is not None:
        devices = gpus.chosen(found, "--gpus") if gpus.count != 0 else ()
    if tasks_per_gpu is None:
        shares = bool(devices) and slots is not None and slots > len(devices) and slots % len(devices) == 0
        tasks_per_gpu = (slots or 1) // len(devices) if shares else 1
    elif not devices:
        raise CampaignError("--tasks-per-gpu: no GPU was found that tasks could share.")
    number = slots if slots is not None or devices else 1
    cores = tuple(sorted(os.sched_getaffinity(0)))
    of_job = cores_of_job(environment)
    is_bound = of_job is None or of_job >= len(cores)
    made = slots_of(
        devices,
        number=number,
        tasks_per_gpu=tasks_per_gpu,
        cores=cores if is_bound else (),  # of a node that is shared with other jobs nobody says which are ours
        where="work",
        is_proved=found.is_proved,
    )
    if of_job is None or is_bound:
        return made
    return tuple(attrs.evolve(slot, threads=max(1, of_job // len(made))) for slot in made)
