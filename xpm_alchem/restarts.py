"""What to do after an attempt: a pure function of a task's history."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import attrs

from xpm_alchem.attempts import Attempt, Outcome
from xpm_alchem.plan import RestartPattern

RESUME, STOP, DONE, WAIT = "resume", "stop", "done", "wait"
STOPPED = "stopped"  # as ordered: no fault of the task's
RETRY = "retry"  # as the user asked: counts start again after it
_COUNTED = {
    Outcome.TIMEOUT: "a time-out without progress",
    Outcome.LOST: "a lost attempt",
    Outcome.NODE_FAILURE: "a node failure",
    Outcome.PREEMPTED: "a preemption",
    Outcome.OUT_OF_MEMORY: "running out of memory",
    Outcome.CANCELLED: "being cancelled",
}


@attrs.frozen
class Decision:
    """What to do with a task, and why.

    Attributes
    ----------
    what
        'resume' (submit it again), 'stop' (it stays in error), 'done', or 'wait' (its last attempt is at work).
    """

    what: str
    reason: str


def decide(attempts: Sequence[Attempt], *, max_retries: int, patterns: Iterable[RestartPattern] = ()) -> Decision:
    """Decide what follows a task's last attempt.

    Slices (time-outs with progress) are free. What ends otherwise without an error counts towards `max_retries`;
    progress sets that count back. An error consults the patterns: each that matches is counted, and when any
    matching one is used up the task stays in error (alchemiscale's semantics).

    Parameters
    ----------
    attempts
        The task's history, oldest first.
    max_retries
        Retries after the first attempt.
    patterns
        The user's restart patterns.
    """
    attempts = _since_reset(attempts)
    if not attempts:
        return Decision(RESUME, "no attempt yet")
    last = attempts[-1]
    if last.outcome is None:
        return Decision(WAIT, "its attempt is at work")
    if last.outcome is Outcome.COMPLETE:
        return Decision(DONE, "complete")
    if last.outcome is Outcome.ERROR:
        return _after_error(attempts, patterns)
    if last.outcome is Outcome.TIMEOUT and last.progress:
        return Decision(RESUME, "a slice: it stopped at its time limit and had made progress; goes on, free")
    used = _retries_used(attempts)
    what = _COUNTED[last.outcome]
    if used > max_retries:
        return Decision(STOP, f"{what}, and {max_retries} retries (max_retries) without progress are used up")
    return Decision(RESUME, f"{what}: retry {used} of {max_retries}")


def _since_reset(attempts: Sequence[Attempt]) -> Sequence[Attempt]:
    """Leave out what was before a user set the task back to waiting."""
    for i in range(len(attempts) - 1, -1, -1):
        if attempts[i].decision == RETRY:
            return attempts[i + 1 :]
    return attempts


def _retries_used(attempts: Sequence[Attempt]) -> int:
    used = 0
    for attempt in attempts:
        if attempt.progress:
            used = 0
        if attempt.decision == STOPPED:
            continue
        if attempt.outcome in _COUNTED and not (attempt.outcome is Outcome.TIMEOUT and attempt.progress):
            used += 1
    return used


def _after_error(attempts: Sequence[Attempt], patterns: Iterable[RestartPattern]) -> Decision:
    text = _traceback(attempts[-1])
    matching = [pattern for pattern in patterns if re.search(pattern.pattern, text)]
    if not matching:
        return Decision(STOP, "an error that no restart pattern matches")
    counts = []
    for pattern in matching:
        count = sum(a.outcome is Outcome.ERROR and bool(re.search(pattern.pattern, _traceback(a))) for a in attempts)
        if count > pattern.allowed:
            return Decision(STOP, f"the restart pattern {pattern.pattern!r} is used up ({pattern.allowed} restarts)")
        counts.append(f"{pattern.pattern!r} {count} of {pattern.allowed}")
    return Decision(RESUME, f"restart pattern {', '.join(counts)}")


def _traceback(attempt: Attempt) -> str:
    return attempt.traceback or attempt.reason
