"""The history of a task: every attempt, how it ended, and what was decided."""

from __future__ import annotations

import time
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import attrs

from xpm_alchem.files import Journal
from xpm_alchem.processes import HOST, ProcessIdentity

ATTEMPTS = "xpm-alchem attempts"


class Outcome(StrEnum):
    """How an attempt ended."""

    COMPLETE = "complete"
    TIMEOUT = "timeout"
    PREEMPTED = "preempted"
    NODE_FAILURE = "node failure"
    OUT_OF_MEMORY = "out of memory"
    CANCELLED = "cancelled"
    ERROR = "error"
    LOST = "lost"


_OUTCOMES = tuple(Outcome)


@attrs.frozen
class Attempt:
    """One process that worked on a task. Times are seconds since the epoch.

    Attributes
    ----------
    number
        1, 2, ...
    outcome
        None while it is at work (or was killed without a word, until somebody notices).
    progress
        Whether it finished a unit or moved a checkpoint on.
    decision, decision_reason
        What the driver decided after it.
    launched_as, node
        The launcher's name for it and for the machine it ran on, where the launcher has one.
    stop_seconds
        How long it took to stop after it was told to; None if it did not say how it ended.
    stderr
        The end of what it wrote to stderr, if it failed.
    """

    number: int
    process: ProcessIdentity
    start: float
    end: float | None = None
    outcome: Outcome | None = None
    reason: str = ""
    traceback: str | None = None
    units_done: int = 0
    progress: bool = False
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory_bytes: int = 0
    limit: float | None = None
    launched_as: str | None = None
    node: str | None = None
    stop_seconds: float | None = None
    stderr: str = ""
    versions: Mapping[str, str] = attrs.field(factory=dict)
    units: tuple[Mapping[str, Any], ...] = ()
    decision: str | None = None
    decision_reason: str | None = None

    @property
    def machine(self) -> str:
        """Where it ran: the launcher's name of the node, or the host's own."""
        return self.node or self.process.host

    @property
    def is_overdue(self) -> bool:
        """Whether its time limit is over by now."""
        return self.limit is not None and time.time() >= self.start + self.limit


@attrs.frozen
class Launched:
    """How an attempt was started, for the journal and the fence.

    Attributes
    ----------
    job
        The launcher's name for it, e.g. a SLURM job id.
    launch
        Its launch as the task's orders name it; see fence.py.
    node
        The node it runs on, as the launcher names it.
    """

    job: str | None = None
    launch: str | None = None
    node: str | None = None


class AttemptLog:
    """attempts.jsonl of one task: events 'start', 'unit', 'end' and 'decision', each with the attempt's number."""

    def __init__(self, path: Path) -> None:
        self._journal = Journal(path, ATTEMPTS)

    def read(self) -> list[Attempt]:
        """Return the attempts in order.

        Raises
        ------
        FormatError
            The journal was written by a newer version.
        """
        attempts: dict[int, Attempt] = {}
        for record in self._journal.read()[0]:
            number = record.get("attempt")
            if not isinstance(number, int):
                continue
            if record.get("event") == "start":
                attempts[number] = _started(record)
            elif number in attempts:
                attempts[number] = _with(attempts[number], record)
        return [attempts[number] for number in sorted(attempts)]

    def start(self, *, limit: float | None, launched: Launched | None = None, versions: Mapping[str, str]) -> Attempt:
        """Note that this process begins to work; `limit` is its time left in seconds."""
        earlier = self.read()
        number = earlier[-1].number + 1 if earlier else 1
        me = ProcessIdentity.of()
        record = {
            "event": "start",
            "attempt": number,
            "time": time.time(),
            "host": me.host,
            "pid": me.pid,
            "pid_start": me.start,
            "limit": limit,
            "launched_as": launched and launched.job,
            "node": launched and launched.node,
            "versions": dict(versions),
        }
        self._journal.append(record)
        return _started(record)

    def unit(self, attempt: Attempt, **facts: Any) -> None:
        """Note what happened to a unit."""
        self._journal.append({"event": "unit", "attempt": attempt.number, "time": time.time(), **facts})

    def end(self, attempt: Attempt, outcome: Outcome, **facts: Any) -> None:
        """Note how the attempt ended."""
        now = time.time()
        given = {"seconds": now - attempt.start, **facts}
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
        """Note an attempt whose process ended before it could say that it began; `since` is when it was submitted."""
        self._journal.path.parent.mkdir(parents=True, exist_ok=True)
        earlier = self.read()
        number = earlier[-1].number + 1 if earlier else 1
        start = {"event": "start", "attempt": number, "time": since, "host": HOST, "pid": 0, "pid_start": since}
        start |= {"launched_as": launched and launched.job, "node": launched and launched.node}
        self._journal.append(start)
        attempt = _started(start)
        self.end(attempt, outcome, reason=reason, traceback=traceback, progress=False)
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


def _started(record: Mapping[str, Any]) -> Attempt:
    return Attempt(
        number=record["attempt"],
        process=ProcessIdentity(
            str(record.get("host")), int(record.get("pid") or 0), float(record.get("pid_start") or 0)
        ),
        start=float(record.get("time") or 0),
        limit=record.get("limit"),
        launched_as=record.get("launched_as"),
        node=record.get("node"),
        versions=record.get("versions") or {},
    )


def _with(attempt: Attempt, record: Mapping[str, Any]) -> Attempt:
    match record.get("event"):
        case "unit":
            done = attempt.units_done + bool(record.get("ok"))
            return attrs.evolve(attempt, units=(*attempt.units, record), units_done=done)
        case "end" if attempt.outcome is None and record.get("outcome") in _OUTCOMES:
            return attrs.evolve(
                attempt,
                end=record.get("time"),
                outcome=Outcome(record["outcome"]),
                reason=record.get("reason", ""),
                traceback=record.get("traceback"),
                progress=bool(record.get("progress")),
                seconds=float(record.get("seconds") or 0),
                cpu_seconds=float(record.get("cpu_seconds") or 0),
                peak_memory_bytes=int(record.get("peak_memory_bytes") or 0),
                stop_seconds=record.get("stop_seconds"),
            )
        case "verdict" if record.get("outcome") in _OUTCOMES:
            return attrs.evolve(attempt, outcome=Outcome(record["outcome"]), reason=record.get("reason", ""))
        case "stderr":
            return attrs.evolve(attempt, stderr=str(record.get("text", "")))
        case "decision":
            return attrs.evolve(attempt, decision=record.get("decision"), decision_reason=record.get("reason"))
    return attempt
