"""The budget section of campaign.yaml: what a campaign may cost. Pure."""

from __future__ import annotations

import datetime
from typing import Any

import attrs

from xpm_alchem.base import checks
from xpm_alchem.base.errors import CampaignError
from xpm_alchem.base.near_miss import check_keys
from xpm_alchem.base.values import short
from xpm_alchem.plan.amounts import Amount, amount_text, same_unit

NEVER = "never"
FINISH, STOP = "finish", "stop"
_HOUR = 3600.0
_MOST_GRACE = 1e9


@attrs.frozen
class Budget:
    """What a campaign may cost. Amounts are in `unit`; None: no such limit.

    Attributes
    ----------
    total
        What all attempts together may cost.
    rate
        What any 60 minutes may cost.
    per_result
        What a result of one transformation may cost on average, after a grace period.
    grace
        How many times `per_result` a transformation may cost before it is judged.
    until
        An ISO date (to its end) or time after which nothing is started, in the driver's time zone unless it has one;
        'never': the campaign goes on improving its results when its strategy is satisfied.
    on_exhausted
        When the total or the time is used up: 'finish' what runs, or 'stop' it at its next checkpoint.
    unit
        As the user wrote it; None: the launcher's.
    """

    total: float | None = None
    rate: float | None = None
    per_result: float | None = None
    grace: float = 2.0
    until: str | None = None
    on_exhausted: str = FINISH
    unit: str | None = None

    @classmethod
    def parse(cls, value: Any, where: str) -> Budget:
        """Check the 'budget' section.

        Raises
        ------
        CampaignError
            Says the key, and what would do.
        """
        if value is None:
            return cls()
        section = checks.mapping(value, where, "of keys to values, such as {total: 200}")
        check_keys(section, KEYS, where)
        given = {key: item for key, item in section.items() if item is not None}
        found: dict[str, Any] = {}
        units: dict[str, str] = {}
        for key in ("total", "rate", "per_result"):
            if key in given:
                parse = Amount.parse_rate if key == "rate" else Amount.parse
                amount = parse(given[key], f"{where}.{key}")
                if key != "total" and not amount.value:
                    raise CampaignError(f"{where}.{key}: {short(given[key])} must be more than nothing.")
                found[key] = amount.value
                if amount.unit is not None:
                    units[key] = amount.unit
        first = next(iter(units.values()), None)
        for key, unit in units.items():
            if not same_unit(unit, str(first)):
                raise CampaignError(f"{where}: '{first}' and '{unit}' ({key}) are two units; a budget has one.")
        if "grace" in given:
            found["grace"] = checks.number(given["grace"], f"{where}.grace", 1, below=_MOST_GRACE)
        if "until" in given:
            found["until"] = _until(given["until"], f"{where}.until")
        if "on_exhausted" in given:
            found["on_exhausted"] = checks.one_of(given["on_exhausted"], f"{where}.on_exhausted", (FINISH, STOP))
        return cls(**found, unit=first)

    @property
    def is_endless(self) -> bool:
        """Whether the campaign is to go on when its strategy is satisfied."""
        return self.until == NEVER

    @property
    def ends_at(self) -> float | None:
        """Seconds since the epoch after which nothing is started; None without such an end."""
        return None if self.until is None or self.is_endless else _moment(self.until)

    def check(self, cost_per_hour: float, unit: str, longest: float | None) -> None:
        """Check that a launcher's attempts can be counted in this budget, and that one could run.

        Parameters
        ----------
        cost_per_hour, unit
            The price of an attempt of this launcher.
        longest
            Seconds after which it is surely over, or None.

        Raises
        ------
        CampaignError
            They cannot.
        """
        if self.unit is not None and not same_unit(self.unit, unit):
            raise CampaignError(
                f"budget: it is in '{self.unit}', and the launcher counts in '{unit}'. Give amounts in '{unit}', or "
                "its profile a 'price' with this unit."
            )
        hour = cost_per_hour * min(1.0, (longest or _HOUR) / _HOUR)
        if self.rate is not None and hour > self.rate:
            raise CampaignError(
                f"budget.rate: {amount_text(self.rate, unit)} an hour is less than one attempt can cost in an hour "
                f"({amount_text(hour, unit)}): nothing could ever start. "
                "Raise it, or let attempts have a smaller share."
            )


KEYS = tuple(field.name for field in attrs.fields(Budget) if field.name != "unit")


def _until(value: Any, where: str) -> str:
    if isinstance(value, datetime.datetime):  # YAML makes one of what looks like one
        text = value.isoformat(sep=" ")
    elif isinstance(value, datetime.date):
        text = value.isoformat()
    else:
        text = value.strip() if isinstance(value, str) else ""
    try:
        if text != NEVER:
            _moment(text)
    except (ValueError, OverflowError, OSError):
        raise CampaignError(
            f"{where}: {short(value)} is no date. Give 2026-12-24 (to its end), '2026-12-24 18:00', or never."
        ) from None
    return text


def _moment(text: str) -> float:
    """Return seconds since the epoch of an ISO time, or of the end of an ISO date."""
    try:
        date = datetime.date.fromisoformat(text)
    except ValueError:
        return datetime.datetime.fromisoformat(text).timestamp()
    return datetime.datetime.combine(date + datetime.timedelta(days=1), datetime.time.min).timestamp()
