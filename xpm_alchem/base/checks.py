"""Checks that the sections of our YAML files share. Each returns the value, or says in one sentence what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xpm_alchem.base.errors import CampaignError
from xpm_alchem.base.values import number_or_none, short

MOST_REPEATS = 10**6  # of one transformation: their numbers have no more digits
_MOST = 10**9  # of anything that is counted
_LARGE = 1e12  # for anything that is measured


def whole(value: Any, where: str, least: int, most: int = _MOST) -> int:
    """Return a whole number from `least` to `most`; raise CampaignError for anything else."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise CampaignError(f"{where}: {short(value)} is not a whole number of at least {least}.")
    if value > most:
        raise CampaignError(f"{where}: {short(value)} is too many; {most} is the most there can be.")
    return value


def number(value: Any, where: str, least: int, below: float = _LARGE) -> float:
    """Return a number of at least `least`, and less than `below`; raise CampaignError for anything else."""
    found = number_or_none(value)
    if found is None or found < least:
        raise CampaignError(f"{where}: {short(value)} is not a number of at least {least}.")
    if found >= below:
        raise CampaignError(f"{where}: {short(value)} is too much; it must be below {below:g}.")
    return found


def share(value: Any, where: str) -> float:
    """Return a number from 0 to 1; raise CampaignError for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise CampaignError(f"{where}: {short(value)} is not a number from 0 to 1.")
    return float(value)


def one_of(value: Any, where: str, known: tuple[str, ...]) -> str:
    """Return one of the known words; raise CampaignError for anything else."""
    if value not in known:
        raise CampaignError(f"{where}: {short(value)} is not one of {', '.join(known)}.")
    return str(value)


def text(value: Any, where: str) -> str:
    """Return a text without the blanks around it; raise CampaignError for anything else, and for an empty one."""
    if not isinstance(value, str) or not value.strip():
        raise CampaignError(f"{where}: {short(value)} is not a text.")
    return value.strip()


def mapping(value: Any, where: str, what: str = "of keys to values") -> dict[Any, Any]:
    """Return a mapping (`what`: from what to what, or an example); raise CampaignError for anything else."""
    if not isinstance(value, Mapping):
        raise CampaignError(f"{where}: {short(value)} is not a mapping {what}.")
    return dict(value)


def items(value: Any, where: str) -> list[Any]:
    """Return a list, an empty one for nothing; raise CampaignError for anything else."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise CampaignError(f"{where}: {short(value)} is not a list.")
    return value
