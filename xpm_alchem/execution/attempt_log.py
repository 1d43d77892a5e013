"""attempts.jsonl of a task: how attempts are noted, and read."""

from __future__ import annotations

import bisect
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs

from xpm_alchem.base.journal import Journal
from xpm_alchem.base.kept_readings import KeptReadings
from xpm_alchem.base.values import count, is_count, number, number_or_none, text, text_or_none
from xpm_alchem.devices.device import Device
from xpm_alchem.execution.attempts import Attempt, Launched, Outcome, Priced
from xpm_alchem.execution.hindsight import with_hindsight
from xpm_alchem.execution.place import is_copy, place_of
from xpm_alchem.execution.processes import HOST, ProcessIdentity

ATTEMPTS = "xpm-alchem attempts"
_OUTCOMES = tuple(Outcome)


class AttemptLog:
    """attempts.jsonl of one task: events 'start', 'unit', 'told', 'end', 'decision', each with the attempt's number."""

    def __init__(self, path: Path) -> None:
        self._journal = Journal(path, ATTEMPTS)

    def read(self) -> list[Attempt]:
        """Return the attempts in order.

        Raises
        ------
        FormatError
            The journal was written by a newer version.
        """
        return list(_HISTORIES.of(self._journal).attempts)

    def start(
        self,
        *,
        limit: float | None,
        launched: Launched | None = None,
        versions: Mapping[str, str],
        priced: Priced | None = None,
        disk_ahead: float = 0.0,
    ) -> Attempt:
        """Note that this process begins to work.

        Parameters
        ----------
        limit
            Its time left in seconds.
        disk_ahead
            How far the file system's clock is ahead of this machine's (seconds).
        """
        earlier = self.read()
        number = earlier[-1].number + 1 if earlier else 1
        me, now = ProcessIdentity.of(), time.time()
        record = {
            "event": "start",
            "attempt": number,
            "time": now,
            **me.to_record("pid_start"),
            **place_of(self._journal.path.parent),
            "began_on_disk": now + disk_ahead,
            "limit": limit,
            "launched_as": launched and launched.job,
            "node": launched and launched.node,
            **_devices_of(launched),
            "versions": dict(versions),
            **attrs.asdict(priced or Priced()),
        }
        self._journal.append(record)
        return Attempt(**_started(record, self._journal.path.parent))

    def unit(self, attempt: Attempt, **facts: Any) -> None:
        """Note what happened to a unit."""
        self._journal.append({"event": "unit", "attempt": attempt.number, "time": time.time(), **facts})

    def told(self, attempt: Attempt, outcome: Outcome, reason: str) -> None:
        """Note that the attempt is about to be interrupted: should its process die of that, this is how it ended."""
        self._journal.append(
            {"event": "told", "attempt": attempt.number, "time": time.time(), "outcome": str(outcome), "reason": reason}
        )

    def end(self, attempt: Attempt, outcome: Outcome, **facts: Any) -> None:
        """Note how the attempt ended."""
        now = time.time()
        given = {"seconds": max(0.0, now - attempt.start), **facts}
        self._journal.append({"event": "end", "attempt": attempt.number, "time": now, "outcome": str(outcome), **given})

    def correct(self, attempt: Attempt, outcome: Outcome, reason: str) -> None:
        """Note that an attempt that was told to end did so for a reason that only its launcher knows."""
        self._journal.append(
            {
                "event": "verdict",
                "attempt": attempt.number,
                "time": time.time(),
                "outcome": str(outcome),
                "reason": reason,
            }
        )

    def never_began(
        self,
        outcome: Outcome,
        reason: str,
        traceback: str | None,
        since: float,
        launched: Launched | None = None,
    ) -> Attempt:
        """Note an attempt whose process ended before it could say that it began: it took no time and cost nothing.

        `since` is when it was submitted.
        """
        self._journal.path.parent.mkdir(parents=True, exist_ok=True)
        earlier = self.read()
        number = earlier[-1].number + 1 if earlier else 1
        start = {"event": "start", "attempt": number, "time": since, "host": HOST, "pid": 0, "pid_start": since}
        start |= {"launched_as": launched and launched.job, "node": launched and launched.node, **_devices_of(launched)}
        self._journal.append(start)
        attempt = Attempt(**_started(start, self._journal.path.parent))
        self.end(attempt, outcome, reason=reason, traceback=traceback, progress=False, seconds=0.0, kept_seconds=0.0)
        return attempt

    def imported(self, file: str, sha256: str) -> None:
        """Note that there was no attempt: the result is that of an earlier run, from a file."""
        self._journal.append({"event": "imported", "time": time.time(), "file": file, "sha256": sha256})

    def stderr(self, attempt: Attempt, text: str) -> None:
        """Note the end of what a failed attempt wrote to stderr: its file is the next attempt's."""
        self._journal.append({"event": "stderr", "attempt": attempt.number, "time": time.time(), "text": text})

    def decide(self, attempt: Attempt, decision: str, reason: str) -> None:
        """Note what was decided after the attempt, and why."""
        self._journal.append(
            {
                "event": "decision",
                "attempt": attempt.number,
                "time": time.time(),
                "decision": decision,
                "reason": reason,
            }
        )


class _History:
    """What attempts.jsonl tells, as far as it was read.

    Attributes
    ----------
    attempts
        In order, with hindsight.
    """

    def __init__(self, path: Path) -> None:
        self._directory = path.parent
        self._noted: dict[int, Attempt] = {}  # without hindsight
        self.attempts: list[Attempt] = []

    def take(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Take in what comes next. There may be very many attempts: each that is told of is made anew once."""
        drafts: dict[int, dict[str, Any]] = {}
        for record in records:
            number = record.get("attempt")
            if not is_count(number):
                continue
            if record.get("event") == "start":
                drafts[number] = {**_started(record, self._directory), "units": []}
                continue
            if number not in drafts:
                if number not in self._noted:
                    continue
                drafts[number] = _draft_of(self._noted[number])
            if record.get("event") == "unit":
                drafts[number]["units"].append(_unit(record))
            else:
                drafts[number] |= _said(drafts[number], record)
        if not drafts:
            return
        for number, draft in drafts.items():
            units = tuple(draft.pop("units"))
            done = sum(bool(unit.get("ok")) for unit in units)
            self._noted[number] = Attempt(**{**draft, "units": units, "units_done": done})
        self._look_back(min(drafts))

    def _look_back(self, first: int) -> None:
        """Give hindsight to the attempts from number `first` on, and to those before that look at them."""
        order = sorted(self._noted)
        start = bisect.bisect_left(order, first)
        while start > 0:
            start -= 1
            if self._noted[order[start]].began:
                break  # what was before it looks no further than at it
        self.attempts[start:] = with_hindsight([self._noted[number] for number in order[start:]])


_HISTORIES = KeptReadings(_History)


def _draft_of(attempt: Attempt) -> dict[str, Any]:
    return {**{name: getattr(attempt, name) for name in _FIELDS}, "units": list(attempt.units)}


_FIELDS = tuple(field.name for field in attrs.fields(Attempt))


def _started(record: Mapping[str, Any], directory: Path) -> dict[str, Any]:
    versions = record.get("versions")
    return {
        "number": record["attempt"],
        "process": ProcessIdentity.from_record(record, "pid_start"),
        "start": number(record.get("time")),
        "limit": number_or_none(record.get("limit")),
        "launched_as": text_or_none(record.get("launched_as")),
        "node": text_or_none(record.get("node")),
        "elsewhere": is_copy(directory, record),
        "devices": _devices_in(record.get("devices")),
        "devices_there": count(record.get("devices_there")),
        "versions": {text(k): text(v) for k, v in versions.items()} if isinstance(versions, dict) else {},
        "cost_per_hour": number_or_none(record.get("cost_per_hour")),
        "cost_unit": text_or_none(record.get("cost_unit")),
        "began_on_disk": number(record.get("began_on_disk"), number(record.get("time"))),
    }


def _devices_of(launched: Launched | None) -> dict[str, Any]:
    if launched is None or not launched.given.devices:
        return {}
    given = launched.given
    return {"devices": [device.to_record() for device in given.devices], "devices_there": given.devices_there}


def _devices_in(listed: Any) -> tuple[Device, ...]:
    return tuple(map(Device.from_record, listed)) if isinstance(listed, list) else ()


def _said(attempt: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an event changes of an attempt."""
    match record.get("event"):
        case "end" if attempt.get("outcome") is None and record.get("outcome") in _OUTCOMES:
            return {
                "end": number(record.get("time"), attempt["start"]),
                "outcome": Outcome(record["outcome"]),
                "reason": text(record.get("reason")),
                "traceback": text_or_none(record.get("traceback")),
                "progress": bool(record.get("progress")),
                "seconds": max(0.0, number(record.get("seconds"))),  # negative: by a clock that was set back
                "cpu_seconds": number(record.get("cpu_seconds")),
                "peak_memory_bytes": count(record.get("peak_memory_bytes")),
                "stop_seconds": _not_negative(record.get("stop_seconds")),
                "kept_seconds": _not_negative(record.get("kept_seconds")),
                "at_work": text_or_none(record.get("at_work")),
                "reached": count(record["reached"]) if "reached" in record else None,
                "checkpoint_seconds": _not_negative(record.get("checkpoint_seconds")),
            }
        case "told" if record.get("outcome") in _OUTCOMES:
            return {"told": (Outcome(record["outcome"]), text(record.get("reason")))}
        case "verdict" if record.get("outcome") in _OUTCOMES:
            return {"outcome": Outcome(record["outcome"]), "reason": text(record.get("reason"))}
        case "stderr":
            return {"stderr": text(record.get("text"))}
        case "decision":
            decision, reason = text_or_none(record.get("decision")), text_or_none(record.get("reason"))
            return {"decision": decision, "decision_reason": reason}
    return {}


def _not_negative(value: Any) -> float | None:
    """Return a duration; None where it is unknown, as a negative one is: by a clock that was set back."""
    found = number_or_none(value)
    return found if found is not None and found >= 0 else None


def _unit(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an event says of a unit: times and durations are numbers, what is not a flag a text."""
    numbers = {key: number(record[key]) for key in ("time", "seconds", "at", "written") if key in record}
    flags = {key: bool(record[key]) for key in ("ok", "resumed", "fresh") if key in record}
    texts = {key: text(value) for key, value in record.items() if isinstance(value, str)}
    return {**texts, **numbers, **flags}
