"""What an hour of an attempt costs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import attrs

from xpm_alchem.base import checks
from xpm_alchem.base.errors import CampaignError
from xpm_alchem.base.near_miss import check_keys
from xpm_alchem.base.values import short

_PARTS = ("core_hour", "gpu_hour", "job_hour")
_EXAMPLE = "{core_hour: 0.02, gpu_hour: 1.5, unit: EUR}"


@attrs.frozen
class Price:
    """A launcher profile's price.

    Attributes
    ----------
    core_hour, gpu_hour, job_hour
        Of an hour of each core, of each GPU, and of the job itself.
    unit
        What they are counted in.
    """

    core_hour: float = 0.0
    gpu_hour: float = 0.0
    job_hour: float = 0.0
    unit: str = "units"

    @classmethod
    def default(cls, gpus: float) -> Price:
        """Return the price of who has said nothing: GPU hours where there are GPUs, else core hours."""
        return cls(gpu_hour=1.0, unit="gpu-h") if gpus else cls(core_hour=1.0, unit="core-h")

    @classmethod
    def parse(cls, value: Any, where: str) -> Price:
        """Check a profile's 'price'.

        Raises
        ------
        CampaignError
            Says what cannot be used.
        """
        if not isinstance(value, Mapping):
            raise CampaignError(f"{where}: {short(value)} is no price. Give for example {_EXAMPLE}.")
        check_keys(value, (*_PARTS, "unit"), where)
        parts = {key: checks.number(value.get(key, 0), f"{where}.{key}", 0) for key in _PARTS}
        if not any(key in value for key in _PARTS):
            raise CampaignError(f"{where}: says no price. Give for example {_EXAMPLE}.")
        unit = value.get("unit", "units")
        if not isinstance(unit, str) or not re.fullmatch(r"[^\s\d./+,-][^\n/]{0,29}", unit.strip()):
            raise CampaignError(f"{where}.unit: {short(unit)} is no name of a unit, such as EUR or gpu-h.")
        return cls(**parts, unit=unit.strip())

    def check(self, gpus: float, where: str) -> None:
        """Raise CampaignError if only GPUs have a price, and a job has none: everything would seem to be free."""
        if self.gpu_hour and not (self.core_hour or self.job_hour or gpus):
            raise CampaignError(
                f"{where}: prices GPU hours only, and the profile has no 'gpus': attempts would cost nothing. Give "
                "'gpus', or a price by core_hour or job_hour."
            )

    def per_hour(self, *, cores: float, gpus: float) -> float:
        """Return what an hour of a job with so many cores and GPUs costs."""
        return self.core_hour * cores + self.gpu_hour * gpus + self.job_hour

    def __str__(self) -> str:
        parts = [f"{getattr(self, key):g} {self.unit} a {key.replace('_', ' ')}" for key in _PARTS]
        return " and ".join(part for part, key in zip(parts, _PARTS, strict=True) if getattr(self, key)) or "free"


def count_gpus(gpus: str | None, gres: str | None) -> int:
    """Return how many GPUs sbatch's ``--gpus`` ('2', 'a100:2') or ``--gres`` ('gpu:a100:2') asks for.

    A share of a GPU (``--gres=shard:4``) counts as none.
    """
    if gpus is not None:
        return sum(_number(part) for part in gpus.split(","))
    generic = [part for part in (gres or "").split(",") if part.split(":")[0].strip() == "gpu"]
    return sum(_number(part.partition(":")[2]) for part in generic)


def _number(text: str) -> int:
    last = text.partition("(")[0].rpartition(":")[2].strip()
    return int(last) if last.isdigit() else 1
