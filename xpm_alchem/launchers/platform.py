"""A profile's `platform`: OpenMM's, which must work on a node before an attempt begins."""

from __future__ import annotations

from typing import Any

from xpm_alchem.base import checks
from xpm_alchem.devices.slots import NO_PLATFORM

_PLATFORMS = ("CUDA", "HIP", "OpenCL", "CPU", "Reference", NO_PLATFORM)


def parse_platform(value: Any, where: str) -> str:
    """Check a profile's 'platform', however it is capitalised.

    Raises
    ------
    CampaignError
        OpenMM has no such platform.
    """
    by_name = {name.lower(): name for name in _PLATFORMS}
    if isinstance(value, str):
        value = by_name.get(value.strip().lower(), value)
    return checks.one_of(value, where, _PLATFORMS)
