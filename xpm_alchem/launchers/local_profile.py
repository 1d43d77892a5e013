"""A profile of the local launcher: what it may say, checked key by key."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import attrs

from xpm_alchem.base import checks
from xpm_alchem.base.durations import duration
from xpm_alchem.base.errors import CampaignError
from xpm_alchem.base.near_miss import check_keys
from xpm_alchem.base.values import short
from xpm_alchem.devices.asked import Asked, asked_of
from xpm_alchem.devices.slots import devices_each
from xpm_alchem.launchers.container import Container
from xpm_alchem.launchers.platform import parse_platform
from xpm_alchem.launchers.price import Price
from xpm_alchem.launchers.variables import parse_variables

_NUMBERS, _TIMES = ("slots", "threads", "tasks_per_gpu"), ("time_limit", "margin", "grace")
_KEYS = ("kind", *_NUMBERS, "gpus", "platform", "container", *_TIMES, "env", "price")


_LEAST_SHARE = 0.01  # of a GPU; nobody has meant less


def usable_cores() -> tuple[int, ...]:
    """Return the cores that this process may use, in order."""
    return tuple(sorted(os.sched_getaffinity(0)))


@attrs.frozen
class LocalProfile:
    """Settings of the local launcher.

    Attributes
    ----------
    slots
        Attempts at once (0: one for each GPU, or for its share; without GPUs the cores this process may use, divided by
        `threads`).
    threads
        Threads of one attempt (0: its share of the cores where it has GPUs, else 1).
    gpus
        The GPUs of this machine that attempts are given; None: none is looked at.
    tasks_per_gpu
        How many attempts share one.
    platform
        OpenMM's, which must work before an attempt begins; 'none': nothing is tried; None: what the slot has.
    container
        Where an attempt runs; None: on this machine itself.
    time_limit
        Seconds an attempt may run, None for no limit. One that does not stop by itself is killed `grace` seconds later.
    margin
        Seconds before the limit at which an attempt is asked to stop.
    grace
        Seconds from the limit to the kill.
    env
        Environment variables beside those of the driver, which are handed on whole.
    price
        What an hour of an attempt costs; None: GPU hours, or core hours where it has no GPUs.
    """

    slots: int = 0
    threads: int = 0
    gpus: Asked | None = None
    tasks_per_gpu: int = 1
    platform: str | None = None
    container: Container | None = None
    time_limit: float | None = None
    margin: float = 10.0
    grace: float = 5.0
    env: dict[str, str] = attrs.field(factory=dict, repr=False)
    price: Price | None = None

    @classmethod
    def parse(cls, given: Mapping[str, Any], where: str) -> LocalProfile:
        """Check a profile as it stands in settings.yaml or campaign.yaml.

        Raises
        ------
        CampaignError
            Says which key cannot be used, and what would do.
        """
        check_keys(given, _KEYS, where)
        values: dict[str, Any] = {}
        for key in _NUMBERS:
            if given.get(key) is not None:
                values[key] = checks.whole(given[key], f"{where}.{key}", 1)
        if given.get("gpus") is not None:
            values |= _gpus(given["gpus"], values, where)
        elif "tasks_per_gpu" in values:
            raise CampaignError(f"{where}.tasks_per_gpu: needs 'gpus', the GPUs that tasks share.")
        if given.get("platform") is not None:
            values["platform"] = parse_platform(given["platform"], f"{where}.platform")
        if given.get("container") is not None:
            values["container"] = Container.parse(given["container"], f"{where}.container")
        for key in _TIMES:
            if given.get(key) is not None:
                values[key] = duration(given[key], f"{where}.{key}")
        if given.get("env") is not None:
            values["env"] = parse_variables(given["env"], f"{where}.env")
        if given.get("price") is not None:
            values["price"] = Price.parse(given["price"], f"{where}.price")
            values["price"].check(values.get("gpus") is not None, f"{where}.price")
        profile = cls(**values)
        profile._check(where)
        return profile

    def _check(self, where: str) -> None:
        if self.time_limit is not None and self.time_limit <= self.margin:
            raise CampaignError(
                f"{where}: time_limit ({self.time_limit:g} s) must be longer than margin ({self.margin:g} s)."
            )
        if self.gpus is not None and self.gpus.count is not None and self.slots:
            devices_each(self.gpus.count, self.slots, self.tasks_per_gpu, where)


def _gpus(value: Any, values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return what 'gpus' asks for; a share of one, as version 0.1 had it for the cost, lets tasks share one."""
    if isinstance(value, float) and 0 < value < 1:
        tasks = round(1 / max(value, _LEAST_SHARE))
        if abs(tasks * value - 1) > 0.01 or values.get("tasks_per_gpu", tasks) != tasks:
            raise CampaignError(
                f"{where}.gpus: {short(value)} is no number of GPUs of this machine. To let tasks share GPUs, give for "
                "example 'gpus: 1' and 'tasks_per_gpu: 3'."
            )
        return {"gpus": Asked(count=max(1, -(-values.get("slots", 0) // tasks))), "tasks_per_gpu": tasks}
    asked = asked_of(value, f"{where}.gpus")
    return {} if asked.count == 0 else {"gpus": asked}
