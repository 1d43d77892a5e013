"""Amounts of money or machine time as people write them: '2000 gpu-h', '10 EUR/h'. Pure."""

from __future__ import annotations

import math
import re
from typing import Any

import attrs

from xpm_alchem.base.errors import CampaignError
from xpm_alchem.base.values import number_or_none, short

_NUMBER = r"(\d+(?:\.\d*)?(?:[eE][-+]?\d+)?|\.\d+)"
_AMOUNT = re.compile(rf"\s*{_NUMBER}\s*([^\s\d.,/+-][^/]*?)?\s*")
_PER_HOUR = re.compile(r"\s*(.*?)\s*(?:/|\bper\b)\s*(?:h|hr|hour)\s*", re.IGNORECASE)
_HOURS = re.compile(r"(?:hours|hour|hrs|hr|h)$")

_MOST = 1e12
ROUNDING = 1e-9
"""By what fraction two sums of the same costs may differ: the order of adding is not the same everywhere."""


@attrs.frozen
class Amount:
    """A number of some unit; None: whatever unit the launcher counts in."""

    value: float
    unit: str | None = None

    @classmethod
    def parse(cls, value: Any, where: str) -> Amount:
        """Return an amount from a number, or a text such as '2000 gpu-h'.

        Raises
        ------
        CampaignError
            It is neither, negative, or beyond all that is spent.
        """
        number = number_or_none(value)
        if number is not None and 0 <= number <= _MOST:
            return cls(number)
        match = _AMOUNT.fullmatch(value) if isinstance(value, str) else None
        if (number is not None and number > _MOST) or (match is not None and _MOST < float(match[1]) < math.inf):
            raise CampaignError(f"{where}: {short(value)} is too much; {_MOST:g} is the most there can be.")
        if match is None or not math.isfinite(float(match[1])):
            raise CampaignError(
                f"{where}: {short(value)} is no amount. Give for example 200, '200 gpu-h' or '200 EUR'."
            )
        return cls(float(match[1]), match[2] or None)

    @classmethod
    def parse_rate(cls, value: Any, where: str) -> Amount:
        """Return the amount for an hour from a text such as '10/h' or '10 EUR/h'.

        Raises
        ------
        CampaignError
            It is none.
        """
        match = _PER_HOUR.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise CampaignError(f"{where}: {short(value)} is no rate. Give an amount for an hour, for example '10/h'.")
        try:
            return cls.parse(match[1], where)
        except CampaignError:
            raise CampaignError(f"{where}: {short(value)} is no rate. Give for example '10/h' or '10 EUR/h'.") from None


def same_unit(one: str, other: str) -> bool:
    """Return whether two spellings mean the same unit: 'GPU hours', 'gpu_h' and 'gpu-h' do."""
    return _normal(one) == _normal(other)


def _normal(unit: str) -> str:
    return _HOURS.sub("h", re.sub(r"[\s_·-]+", "", unit.casefold()))


def amount_text(value: float, unit: str = "") -> str:
    """Return an amount for people: three digits that matter, more of large ones."""
    number = f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{number} {unit}".rstrip()
