"""Durations as people write them: '90s', '5 min', '2h', '02:00:00'. Pure."""

from __future__ import annotations

import re
from typing import Any

from xpm_alchem.base.errors import CampaignError
from xpm_alchem.base.values import number_or_none, short

_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*")
_LONGEST = 100 * 365.25 * 86400
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
        It is no duration, negative, or longer than 100 years.
    """
    seconds = number_or_none(_seconds(value) if isinstance(value, str) else value)
    if seconds is not None and seconds > _LONGEST:
        raise CampaignError(f"{where}: {short(value)} is too long; 100 years are the most there can be.")
    if seconds is None or seconds < 0:
        raise CampaignError(
            f"{where}: {short(value)} is no duration. Give seconds, or for example '90s', '5min', '2h', '02:00:00'."
        )
    return seconds


def _seconds(text: str) -> float | None:
    if (match := _DURATION.fullmatch(text.lower())) and match[2] in _UNITS:
        return float(match[1]) * _UNITS[match[2]]
    if match := re.fullmatch(r"(\d+):([0-5]?\d):([0-5]?\d)", text.strip()):
        return float(match[1]) * 3600 + float(match[2]) * 60 + float(match[3])
    return None
