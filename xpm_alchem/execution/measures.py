"""What an attempt measures: how long units take, what it uses, and the versions it runs with."""

from __future__ import annotations

import resource
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version

from xpm_alchem import __version__
from xpm_alchem.execution.attempts import Attempt

_PACKAGES = ("gufe", "openfe", "openmm", "feflow")


class Durations:
    """How long units of a kind took here. A kind that has resumed from a checkpoint fits into any time left."""

    def __init__(self, attempts: Iterable[Attempt]) -> None:
        self._seconds: dict[str, float] = {}
        self._resumes: set[str] = set()
        for attempt in attempts:
            for unit in attempt.units:
                if "seconds" in unit and "kind" in unit:
                    self.add(unit["kind"], unit["seconds"], resumed=bool(unit.get("resumed")), ok=bool(unit.get("ok")))

    def add(self, kind: str, seconds: float, *, resumed: bool, ok: bool) -> None:
        """Note that a unit of a kind took `seconds`; `resumed`: it began with an inherited checkpoint."""
        if ok and resumed:
            self._resumes.add(kind)
        if ok and not resumed:
            self._seconds[kind] = max(seconds, self._seconds.get(kind, 0.0))

    def of(self, kind: str) -> float | None:
        """Return the seconds to expect, or None."""
        return None if kind in self._resumes else self._seconds.get(kind)


class Usage:
    """CPU seconds (with children) since it was made, and peak memory in bytes."""

    def __init__(self) -> None:
        self._before = self._cpu()

    def measure(self) -> tuple[float, int]:
        """Return CPU seconds and peak memory in bytes."""
        peaks = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return self._cpu() - self._before, max(peaks) * 1024

    @staticmethod
    def _cpu() -> float:
        used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return sum(usage.ru_utime + usage.ru_stime for usage in used)


def versions() -> Mapping[str, str]:
    """Return the versions of the packages on which a checkpoint may depend."""
    found = {"xpm-alchem": __version__}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
