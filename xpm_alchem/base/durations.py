"""Durations as people write them: '90s', '5 min', '2h', '02:00:00'. Pure."""

from __future__ import annotations

import math
import re
from typing import Any

from xpm_alchem.base.errors import CampaignError
from xpm_alchem.base.values import short

_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*")
_UNITS = {
    "": 1,
    "s": 1,
    "sec": 1,
    "m": 60,
    "min": 60,
    "h": 3600,
    "hour": 3600,
    "hours": 3600,
    "d": 86400,
    "days": 86400,
}


def duration(value: Any, where: str) -> float:
    """Return seconds from a number, or from '90s', '5 min', '2h', '1d', 'HH:MM:SS'.

    Raises
    ------
    CampaignError
        It is no duration, or negative.
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0:
        return float(value)
    if isinstance(value, str):
        if (match := _DURATION.fullmatch(value.lower())) and match[2] in _UNITS:
            return float(match[1]) * _UNITS[match[2]]
        if match := re.fullmatch(r"(\d+):([0-5]?\d):([0-5]?\d)", value.strip()):
            return float(int(match[1]) * 3600 + int(match[2]) * 60 + int(match[3]))
    raise CampaignError(
        f"{where}: {short(value)} is no duration. Give seconds, or for example '90s', '5min', '2h', '02:00:00'."
    )
