"""The environment variables by which programs see some devices and not others. Pure.

NVIDIA's CUDA heeds one. AMD's HIP counts within what ROCR has left, and takes CUDA's where it has none of its own;
Intel's selector counts within ZE's mask. SLURM sets those of all vendors unless its gres.conf says which are there.

References
----------
NVIDIA, CUDA C++ Programming Guide, "CUDA Environment Variables"; AMD, ROCm documentation, "GPU isolation techniques";
Intel, oneAPI Level Zero, "Environment Variables", and DPC++, "ONEAPI_DEVICE_SELECTOR".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from xpm_alchem.devices.device import AMD, INTEL, NVIDIA, Device

CUDA, HIP, ROCR = "CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"
ZE, SELECTOR, ORDINAL = "ZE_AFFINITY_MASK", "ONEAPI_DEVICE_SELECTOR", "GPU_DEVICE_ORDINAL"
BY_VENDOR = {NVIDIA: (CUDA,), AMD: (ROCR, HIP), INTEL: (ZE, SELECTOR)}
ALL = (CUDA, HIP, ROCR, ORDINAL, ZE, SELECTOR)


def limits(vendor: str, environment: Mapping[str, str]) -> tuple[str, ...] | None:
    """Return the names of the devices of a vendor that the variables leave, in order; None where they say nothing."""
    if vendor == AMD:
        outer = _listed(ROCR, environment)
        inner = _listed(HIP, environment)
        if inner is None:
            inner = _listed(CUDA, environment)
    elif vendor == INTEL:
        outer, inner = _listed(ZE, environment), _listed(SELECTOR, environment)
    else:
        outer, inner = _listed(CUDA, environment), None
    if outer is None or inner is None:
        return inner if outer is None else outer
    return tuple(outer[int(place)] for place in inner if place.isdigit() and int(place) < len(outer))


def is_set(environment: Mapping[str, str], *variables: str) -> bool:
    """Whether one of the variables names a device."""
    return any(_listed(variable, environment) for variable in variables)


def showing(devices: Sequence[Device], environment: Mapping[str, str]) -> dict[str, str]:
    """Return what to set so that a program sees some devices only, of those that an environment shows.

    Parameters
    ----------
    devices
        Of one vendor.
    environment
        The one in which they were found, which is handed on but for what is returned.
    """
    if not devices:
        return {}
    names = [device.name for device in devices]
    shown, counted = ",".join(names), ",".join(map(str, range(len(names))))
    outer, inner = {NVIDIA: (CUDA, None), AMD: (ROCR, HIP), INTEL: (ZE, SELECTOR)}[devices[0].vendor]
    values: dict[str, str] = {}
    is_inner = inner is not None and _is_there(inner, environment)
    if devices[0].vendor == AMD:
        is_inner = is_inner or _is_there(CUDA, environment)
    if inner is not None and is_inner and not _is_there(outer, environment):
        values[inner] = _as_written(inner, shown, environment)
    else:
        values[outer] = shown
        if inner == HIP or is_inner:
            values[str(inner)] = _as_written(str(inner), counted, environment)
    if devices[0].vendor == AMD:  # those that count as HIP does
        values |= {name: values[HIP] for name in (CUDA, ORDINAL) if _is_there(name, environment)}
    return {**_picked(devices, environment), **values}


def _picked(devices: Sequence[Device], environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of other vendors that say as much of as many devices: the same places of each."""
    before = limits(devices[0].vendor, environment) or ()
    places = [before.index(device.name) for device in devices if device.name in before]
    picked = {}
    for variable in ALL:
        listed = _listed(variable, environment) or ()
        if places and len(listed) == len(before):
            picked[variable] = _as_written(variable, ",".join(listed[place] for place in places), environment)
    return picked


def _is_there(variable: str, environment: Mapping[str, str]) -> bool:
    return _listed(variable, environment) is not None


def _listed(variable: str, environment: Mapping[str, str]) -> tuple[str, ...] | None:
    """Return what a variable lists, up to the first name that is none; None where it is not set."""
    value = environment.get(variable)
    if value is None:
        return None
    if variable == SELECTOR:
        backend, colon, value = value.partition(":")
        if not colon or backend.startswith("!") or not value.replace(",", "").replace(".", "").isdigit():
            return None  # 'level_zero:gpu', or several terms: no list
    names: dict[str, None] = {}
    for name in map(str.strip, value.split(",")):
        if name in ("", "-1", "NoDevFiles"):
            break
        names[name] = None
    return tuple(names)


def _as_written(variable: str, names: str, environment: Mapping[str, str]) -> str:
    if variable != SELECTOR:
        return names
    return f"{environment[SELECTOR].partition(':')[0]}:{names}"
