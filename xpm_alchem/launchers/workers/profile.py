"""A profile of the launcher whose attempts workers take from a pool."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from xpm_alchem.base import checks
from xpm_alchem.base.durations import duration
from xpm_alchem.base.errors import CampaignError
from xpm_alchem.base.near_miss import check_keys
from xpm_alchem.base.values import short
from xpm_alchem.launchers.container import Container
from xpm_alchem.launchers.platform import parse_platform
from xpm_alchem.launchers.price import Price
from xpm_alchem.launchers.variables import parse_variables
from xpm_alchem.launchers.workers.pool import DEFAULT_POOL, is_pool_name

_KEYS = ("kind", "pool", "slots", "cpus", "gpus", "platform", "container", "margin", "env", "price")


@attrs.frozen
class PoolProfile:
    """Settings of the launcher.

    Attributes
    ----------
    pool
        Whose workers are to take the tasks.
    slots
        Most tasks that are offered or at work at once.
    cpus, gpus
        Cores and GPUs (or the share of one) that an attempt is expected to get, for its cost alone.
    platform
        OpenMM's, which must work before an attempt begins; 'none': nothing is tried; None: what the slot has.
    container
        Where an attempt runs; None: on the worker's machine itself.
    margin
        Seconds before a worker's end at which an attempt is told to stop.
    env
        Environment variables of the attempts, beside those of the worker.
    price
        What an hour of an attempt costs; None: GPU hours, or core hours where it has no GPUs.
    """

    pool: str = DEFAULT_POOL
    slots: int = 200
    cpus: int = 1
    gpus: float = 0.0
    platform: str | None = None
    container: Container | None = None
    margin: float = 60.0
    env: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    price: Price | None = None

    @classmethod
    def parse(cls, given: Mapping[str, Any], where: str) -> PoolProfile:
        """Check a profile as it stands in settings.yaml or campaign.yaml.

        Raises
        ------
        CampaignError
            Says which key cannot be used, and what would do.
        """
        check_keys(given, _KEYS, where)
        known = {key: value for key, value in given.items() if value is not None}
        values: dict[str, Any] = {}
        if "pool" in known:
            values["pool"] = check_pool(known["pool"], f"{where}.pool")
        for key in ("slots", "cpus"):
            if key in known:
                values[key] = checks.whole(known[key], f"{where}.{key}", 1)
        if "gpus" in known:
            values["gpus"] = checks.number(known["gpus"], f"{where}.gpus", 0)
        if "platform" in known:
            values["platform"] = parse_platform(known["platform"], f"{where}.platform")
        if "container" in known:
            values["container"] = Container.parse(known["container"], f"{where}.container")
        if "margin" in known:
            values["margin"] = duration(known["margin"], f"{where}.margin")
        if "env" in known:
            values["env"] = parse_variables(known["env"], f"{where}.env")
        if "price" in known:
            values["price"] = Price.parse(known["price"], f"{where}.price")
            values["price"].check(values.get("gpus", 0), f"{where}.price")
        return cls(**values)

    @property
    def in_force(self) -> Price:
        """The price, also where none was said."""
        return self.price or Price.default(self.gpus)


def check_pool(value: Any, where: str) -> str:
    """Return the name of a pool.

    Raises
    ------
    CampaignError
        It cannot be one.
    """
    if not is_pool_name(value):
        raise CampaignError(
            f"{where}: {short(value)} is no name of a pool. Use letters, digits, '-', '_' and '.', 64 at most."
        )
    return str(value)
