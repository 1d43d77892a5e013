"""What a check found, and performing checks so that one that breaks does not keep the others from being made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from typing import Any

import attrs

from xpm_alchem.base.errors import XpmAlchemError

ENVIRONMENT, CAMPAIGN, NODE = "environment", "campaign", "node"


class Verdict(StrEnum):
    """How bad it is: a warning may bring trouble or mends itself, a fault needs somebody."""

    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"


# A step that mends something and cannot lose anything. It looks again before it acts, and returns a sentence of what it
# did, or None if nothing was to be done any more.
Repair = Callable[[], str | None]


@attrs.frozen
class Finding:
    """What a check found.

    Attributes
    ----------
    verdict, found, mend
        How bad it is, what it is, and how to mend it ('' where there is nothing to mend), in sentences.
    places
        The files or tasks it is about.
    repairs
        What `--fix` would do.
    area, check
        'environment', 'campaign' or 'node', and the check's name; set by `perform`.
    """

    verdict: Verdict
    found: str
    mend: str = ""
    places: tuple[str, ...] = ()
    repairs: tuple[Repair, ...] = ()
    area: str = ""
    check: str = ""

    def view(self) -> dict[str, Any]:
        """Return it as plain data; see docs/json.md."""
        return {
            "area": self.area,
            "check": self.check,
            "verdict": str(self.verdict),
            "found": _printable(self.found),
            "mend": _printable(self.mend) or None,
            "can_fix": bool(self.repairs),
            "places": [_printable(place) for place in self.places],
        }


def _printable(text: str) -> str:
    """Return a text that can be printed anywhere: names of files need not be UTF-8."""
    return text.encode(errors="backslashreplace").decode()


Check = Callable[[], Iterable[Finding]]


def ok(found: str) -> Finding:
    """Return a finding that all is well."""
    return Finding(Verdict.OK, found)


def warning(found: str, mend: str = "", **more: Any) -> Finding:
    """Return a finding of something that may bring trouble."""
    return Finding(Verdict.WARNING, found, mend, **more)


def fault(found: str, mend: str = "", **more: Any) -> Finding:
    """Return a finding of something that somebody must mend."""
    return Finding(Verdict.FAULT, found, mend, **more)


def perform(area: str, checks: Iterable[tuple[str, Check]]) -> Iterator[Finding]:
    """Yield what checks find, each by its name; a check that raises is itself a fault."""
    for name, check in checks:
        try:
            findings = list(check())
        except XpmAlchemError as error:
            findings = [fault(str(error))]
        except Exception as error:
            findings = [broken(error)]
        for finding in findings:
            yield attrs.evolve(finding, area=area, check=name)


def broken(error: Exception) -> Finding:
    """Return the fault that a check itself raised an exception."""
    said = " ".join(str(error).split())
    return fault(
        f"this check could not be made: {type(error).__name__}: {said}",
        "the other checks were made; if the message does not tell what to do, please report it",
    )
