"""What to do after an attempt: a pure function of a task's history."""

from __future__ import annotations

import re
from collections.abc import Sequence

import attrs

from xpm_alchem.execution.attempts import Attempt, Outcome
from xpm_alchem.plan.campaign_yaml import Plan
from xpm_alchem.plan.default_rules import RULES, Rule
from xpm_alchem.plan.restart_patterns import RestartPattern

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


PAUSES = (0.0, 10.0, 60.0, 300.0)  # seconds before the first, second ... try in a row that gets nowhere


@attrs.frozen
class RestartPolicy:
    """What is restarted, and how often.

    Attributes
    ----------
    max_retries
        Retries after the first attempt for what ends without an error.
    patterns
        The user's restart patterns.
    rules
        What holds where none of the user's patterns matches.
    """

    max_retries: int
    patterns: tuple[RestartPattern, ...] = ()
    rules: tuple[Rule, ...] = ()

    @classmethod
    def of(cls, plan: Plan, max_retries: int) -> RestartPolicy:
        """Return a plan's policy; `max_retries` is the workspace's, for a plan that says nothing of it."""
        return cls(
            max_retries if plan.max_retries is None else plan.max_retries,
            plan.restarts,
            tuple(rule for rule in RULES if rule.name in plan.default_restarts),
        )


@attrs.frozen
class Decision:
    """What to do with a task, and why.

    Attributes
    ----------
    what
        'resume' (submit it again), 'stop' (it stays in error), 'done', or 'wait' (its last attempt is at work).
    from_scratch
        Whether the next attempt sets aside what the task has computed.
    """

    what: str
    reason: str
    from_scratch: bool = False


def decide(attempts: Sequence[Attempt], policy: RestartPolicy, *, another_complete: bool = False) -> Decision:
    """Decide what follows a task's last attempt.

    Slices (time-outs with progress) are free. Otherwise the user's patterns are consulted: each that matches the
    failure is counted, and when any matching one is used up the task stays in error (alchemiscale's semantics). Where
    none matches, an error is up to the default rules, and what ended without an error counts towards `max_retries`;
    progress sets that count back.

    Parameters
    ----------
    attempts
        The task's history, oldest first.
    another_complete
        Whether another repeat of the same transformation is complete.
    """
    attempts = _since_reset(attempts)
    if not attempts:
        return Decision(RESUME, "no attempt yet")
    last = attempts[-1]
    if last.outcome is None:
        return Decision(WAIT, "its attempt is at work")
    if last.outcome is Outcome.COMPLETE:
        return Decision(DONE, "complete")
    if last.outcome is Outcome.TIMEOUT and last.progress:
        return Decision(RESUME, "a slice: it stopped at its time limit and had made progress; goes on, free")
    return (
        _by_patterns(attempts, policy.patterns)
        or (_by_rules(attempts, policy.rules, another_complete) if last.outcome is Outcome.ERROR else None)
        or _by_retries(attempts, policy.max_retries)
    )


def pause_after(attempts: Sequence[Attempt], pauses: Sequence[float] = PAUSES) -> float:
    """Return the seconds to wait before a task is tried again: more with each failure in a row without progress."""
    failures = 0
    for attempt in reversed(_since_reset(attempts)):
        failures += _failed(attempt)
        if attempt.progress or not _failed(attempt):
            break
    return pauses[min(failures, len(pauses)) - 1] if failures else 0.0


def words_of(attempt: Attempt) -> tuple[str, ...]:
    """Return what is searched, each by itself: tracebacks, outcome, the launcher's reason, the end of stderr."""
    return (attempt.traceback or "", f"outcome: {attempt.outcome}", attempt.reason, attempt.stderr)


def matches(pattern: str, attempt: Attempt) -> bool:
    """Return whether an attempt failed in a way that a restart pattern describes."""
    return _failed(attempt) and any(re.search(pattern, text) for text in words_of(attempt))


def rule_matches(rule: Rule, attempt: Attempt) -> bool:
    """Return whether an attempt ended in an error that a default rule describes: stderr only where nothing else is."""
    if attempt.outcome is not Outcome.ERROR or not _failed(attempt):
        return False
    return rule.expression.search(f"{attempt.traceback or attempt.stderr}\n{attempt.reason}") is not None


def _failed(attempt: Attempt) -> bool:
    """Whether an attempt failed: not complete, no slice, not stopped as ordered."""
    if attempt.outcome in (None, Outcome.COMPLETE) or attempt.decision == STOPPED:
        return False
    return not (attempt.outcome is Outcome.TIMEOUT and attempt.progress)


def _since_reset(attempts: Sequence[Attempt]) -> Sequence[Attempt]:
    """Leave out what was before a user set the task back to waiting."""
    for i in range(len(attempts) - 1, -1, -1):
        if attempts[i].decision == RETRY:
            return attempts[i + 1 :]
    return attempts


def _by_patterns(attempts: Sequence[Attempt], patterns: Sequence[RestartPattern]) -> Decision | None:
    matching = [pattern for pattern in patterns if matches(pattern.pattern, attempts[-1])]
    counts = []
    for pattern in matching:
        count = sum(matches(pattern.pattern, attempt) for attempt in attempts)
        if count > pattern.allowed:
            return Decision(STOP, f"the restart pattern {pattern.pattern!r} is used up ({pattern.allowed} restarts)")
        counts.append(f"{pattern.pattern!r} {count} of {pattern.allowed}")
    if not matching:
        return None
    fresh = any(pattern.from_scratch for pattern in matching)
    return Decision(RESUME, f"restart pattern {', '.join(counts)}{', from scratch' if fresh else ''}", fresh)


def _by_rules(attempts: Sequence[Attempt], rules: Sequence[Rule], another_complete: bool) -> Decision:
    rule = next((rule for rule in rules if rule_matches(rule, attempts[-1])), None)
    if rule is None:
        return Decision(STOP, "an error that no restart pattern matches")
    if rule.needs_success and not another_complete:
        return Decision(
            STOP,
            f"default rule '{rule.name}': taken to be reproducible, as no other repeat of the transformation has "
            "succeeded; it is tried again when one has",
        )
    count = sum(rule_matches(rule, attempt) for attempt in attempts)
    if count > rule.allowed:
        return Decision(STOP, f"the default rule '{rule.name}' is used up ({rule.allowed} restarts)")
    return Decision(RESUME, f"default rule '{rule.name}', {count} of {rule.allowed}: {rule.meaning}")


def _by_retries(attempts: Sequence[Attempt], max_retries: int) -> Decision:
    outcome = attempts[-1].outcome
    what = _COUNTED[outcome] if outcome is not None else ""
    used = _retries_used(attempts)
    if used > max_retries:
        return Decision(STOP, f"{what}, and {max_retries} retries (max_retries) without progress are used up")
    return Decision(RESUME, f"{what}: retry {used} of {max_retries}")


def _retries_used(attempts: Sequence[Attempt]) -> int:
    used = 0
    for attempt in attempts:
        if attempt.progress:
            used = 0
        if attempt.outcome in _COUNTED and _failed(attempt):
            used += 1
    return used
