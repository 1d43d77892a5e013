"""What has failed, grouped by what was raised: tasks that are in error, and failures that were restarted."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from itertools import islice

import attrs

from xpm_alchem.base.errors import FormatError
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.task_state import TaskState, TaskStatus
from xpm_alchem.execution.attempt_log import AttemptLog
from xpm_alchem.execution.attempts import Attempt, Outcome
from xpm_alchem.execution.directory import TaskDirectory
from xpm_alchem.failures.failure_lines import LineShape, failure_line, looks_passing
from xpm_alchem.failures.restarts import matches
from xpm_alchem.network.index import TransformationRecord
from xpm_alchem.views.commands import Address
from xpm_alchem.views.overview import View, task_name

_FAILURES = (Outcome.ERROR, Outcome.LOST, Outcome.OUT_OF_MEMORY, Outcome.NODE_FAILURE)
_FAILED = re.compile(rb'"outcome": "(?:' + "|".join(_FAILURES).encode() + rb')"')  # as attempts.jsonl is written
_BY_POLICY = re.compile("default rule|is used up")  # a decision that knew the failure: no pattern is to overrule it
_COMPLETE_LOOKED_AT = 100  # to find out where tasks succeed
_COMMANDS = 10  # tasks that get a command each
_RESTARTS = 2  # that are suggested


@attrs.frozen
class Failure:
    """One attempt that failed, or a task in error whose history cannot be read.

    Attributes
    ----------
    line
        What was raised, verbatim.
    attempt
        None if nothing is known of any.
    """

    task: TaskState
    outcome: str
    line: str
    shape: LineShape
    when: float
    attempt: Attempt | None = None

    @property
    def host(self) -> str | None:
        """Where it was."""
        return None if self.attempt is None else self.attempt.machine

    @property
    def decision_reason(self) -> str:
        """Why it was not restarted, or was."""
        return (self.attempt and self.attempt.decision_reason) or ""

    @property
    def kind(self) -> tuple[str, LineShape]:
        """What equal failures have in common."""
        return self.outcome, self.shape


def failures_view(records: CampaignRecords, address: Address | None = None) -> View:
    """Return what has failed, the kinds of failure with most tasks first.

    Only tasks in error and those with more than one attempt are opened. `address` is the campaign's in the suggested
    commands.
    """
    address = address or Address.of(records)
    tasks = records.state().tasks.values()
    in_error = {task.task: _failures_of(records, task) for task in tasks if task.status is TaskStatus.ERROR}
    last = {failed[-1].task.task: failed[-1] for failed in in_error.values()}
    everything = [failure for failed in in_error.values() for failure in failed]
    earlier = [f for task in tasks if _may_have_failed(task) for f in _failures_of(records, task, quick=True)]
    survived = {failure.kind for failure in earlier if failure.task.status is TaskStatus.COMPLETE}
    groups, by_kind = [], _grouped(everything)
    for kind, lasts in _grouped(last.values()).items():
        ids = {failure.task.task for failure in lasts}
        alike = [failure for failure in by_kind[kind] if failure.task.task in ids]
        groups.append(_standing_group(records, lasts, alike, survived=kind in survived))
    for group in groups:
        group |= _commands(group, address, is_all=len(groups) == 1)
    return {
        "campaign": records.name,
        "in_error": len(in_error),
        "failures": sorted(groups, key=lambda group: (-len(group["tasks"]), -(group["last"] or 0))),
        "restarted": sorted(
            (_restarted_group(records, failed) for failed in _grouped(earlier).values()),
            key=lambda group: (-group["attempts"], -(group["last"] or 0)),
        ),
    }


# ----------------------------------------------------------------------------------------------- reading failures
def _may_have_failed(task: TaskState) -> bool:
    """Whether a task that is not in error may have an attempt behind it that failed, by what the journal says."""
    again = task.attempts > 1 or task.attempts_before > 0 or (task.status is TaskStatus.WAITING and task.submitted > 0)
    return task.exists and task.status is not TaskStatus.ERROR and again


def _failures_of(records: CampaignRecords, task: TaskState, *, quick: bool = False) -> list[Failure]:
    """Return the failed attempts of a task, oldest first; of one in error the last is why.

    `quick`: a history without failures is recognised by its bytes alone.
    """
    path = TaskDirectory(records.task_path(task)).attempts
    try:
        attempts = [] if quick and not _FAILED.search(path.read_bytes()) else AttemptLog(path).read()
    except (OSError, FormatError):
        attempts = []
    record = records.index.by_id.get(task.transformation)
    failed = [_failure(task, record, attempt) for attempt in attempts if attempt.outcome in _FAILURES]
    if task.status is not TaskStatus.ERROR:
        return failed
    if attempts and attempts[-1].outcome not in (*_FAILURES, None):  # a time-out, say, without progress
        return [*failed, _failure(task, record, attempts[-1])]
    return failed or [_unknown(task)]


def _failure(task: TaskState, record: TransformationRecord | None, attempt: Attempt) -> Failure:
    line = failure_line(attempt.traceback or attempt.reason)
    return Failure(
        task=task,
        outcome=str(attempt.outcome),
        line=line.strip(),
        shape=LineShape.of(line, _names(record, attempt.machine)),
        when=attempt.end or attempt.start,
        attempt=attempt,
    )


def _unknown(task: TaskState) -> Failure:
    """Return what the journal alone says of a task whose history is not there."""
    return Failure(task, "unknown", task.reason, LineShape.of(task.reason), task.changed)


def _names(record: TransformationRecord | None, host: str) -> list[str]:
    if record is None:
        return [host]
    ends = (record.system_a, record.system_b, record.ligand_a, record.ligand_b)
    return [name for name in (record.name, record.id, *ends, host) if name]


def _grouped(failures: Iterable[Failure]) -> dict[tuple[str, LineShape], list[Failure]]:
    groups: dict[tuple[str, LineShape], list[Failure]] = {}
    for failure in failures:
        groups.setdefault(failure.kind, []).append(failure)
    return groups


# --------------------------------------------------------------------------------------------------------- groups
def _group(records: CampaignRecords, lasts: list[Failure], alike: list[Failure]) -> View:
    """Return what is said of any group: of its tasks' `lasts`, and of all attempts that failed `alike`."""
    tasks = {failure.task.task: failure.task for failure in lasts}
    names = {record.id: record.name for record in records.index.transformations}
    times = [failure.when for failure in alike]
    return {
        "line": lasts[0].shape.text,
        "example": max(alike, key=lambda failure: failure.when).line,
        "outcome": lasts[0].outcome,
        "tasks": [task_name(records, task) for task in tasks.values()],
        "attempts": sum(failure.attempt is not None for failure in alike),
        "transformations": list({names.get(t.transformation, t.transformation): None for t in tasks.values()}),
        "hosts": dict(Counter(failure.host for failure in alike if failure.host is not None).most_common()),
        "first": min(times),
        "last": max(times),
    }


def _standing_group(records: CampaignRecords, lasts: list[Failure], alike: list[Failure], *, survived: bool) -> View:
    """Return the group of tasks in error; `survived`: other tasks failed so and are complete by now."""
    group = _group(records, lasts, alike)
    pattern = _pattern(lasts) if lasts[0].outcome == Outcome.ERROR else None
    once_each = len(alike) == len(lasts)
    decided = any(_BY_POLICY.search(failure.decision_reason) for failure in lasts)
    return group | {
        "reasons": dict(Counter(failure.decision_reason for failure in lasts if failure.decision_reason).most_common()),
        "only_host": _only_host(records, group["hosts"]) if len(lasts) > 1 else None,
        "pattern": pattern,
        "passing": pattern is not None and once_each and not decided and (survived or looks_passing(lasts[0].line)),
    }


def _restarted_group(records: CampaignRecords, failures: list[Failure]) -> View:
    statuses = {failure.task.task: str(failure.task.status) for failure in failures}
    return _group(records, failures, failures) | {"now": dict(Counter(statuses.values()).most_common())}


def _pattern(failures: list[Failure]) -> str | None:
    """Return a restart pattern that matches all of them, None if there is none."""
    shape = failures[0].shape
    for pattern in (shape.pattern, shape.loose_pattern):
        if all(failure.attempt is not None and matches(pattern, failure.attempt) for failure in failures):
            return pattern
    return None


def _commands(group: View, address: Address, *, is_all: bool) -> View:
    """Return the commands that deal with a group, and for how many of its tasks there would have to be another one."""
    names = group["tasks"]
    if group["passing"]:
        return {
            "commands": [address.command("restarts add", group["pattern"], options=["--allowed", str(_RESTARTS)])],
            "tasks_left": 0,
        }
    look = [address.command("why", names[0])]
    if group["outcome"] == Outcome.NODE_FAILURE:
        look.append(address.command("doctor --node"))
    if is_all and len(names) > 1:
        return {"commands": [*look, address.command("retry", options=["--all"])], "tasks_left": 0}
    retries = [address.command("retry", name) for name in names[:_COMMANDS]]
    return {"commands": [*look, *retries], "tasks_left": len(names) - len(retries)}


# ---------------------------------------------------------------------------------------------------------- hosts
def _only_host(records: CampaignRecords, hosts: dict[str, int]) -> View | None:
    """Return what is known of the host on which all failures were, if there is only one and others succeed elsewhere.

    A number of complete tasks is looked at, not all.
    """
    if len(hosts) != 1:
        return None
    (host,) = hosts
    complete = (task for task in records.state().tasks.values() if task.status is TaskStatus.COMPLETE)
    where = Counter(found for task in islice(complete, _COMPLETE_LOOKED_AT) if (found := _succeeded_on(records, task)))
    there = where.pop(host, 0)
    if not where:
        return None
    return {"host": host, "succeeded_there": there, "succeeded_elsewhere": where.total()}


def _succeeded_on(records: CampaignRecords, task: TaskState) -> str | None:
    try:
        attempts = AttemptLog(TaskDirectory(records.task_path(task)).attempts).read()
    except (OSError, FormatError):
        return None
    return next((a.machine for a in reversed(attempts) if a.outcome is Outcome.COMPLETE), None)
