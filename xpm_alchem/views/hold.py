"""What keeps a task from being at work although an attempt of it was submitted, or is to be: for every view."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs

from xpm_alchem.base.errors import FormatError
from xpm_alchem.base.files import read_bytes
from xpm_alchem.campaign.queue_record import QueueNote
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.task_state import TaskState, TaskStatus
from xpm_alchem.execution.attempt_log import AttemptLog
from xpm_alchem.execution.attempts import Attempt
from xpm_alchem.execution.directory import TaskDirectory
from xpm_alchem.execution.fence import Orders
from xpm_alchem.execution.processes import ProcessIdentity
from xpm_alchem.views.looks import ANEW, ATTEMPTS, Looks

QUEUED, GONE, PAUSED = "queued", "gone", "paused"
_GOES_ON = "`run` goes on"


@attrs.frozen
class Hold:
    """Why a task is not at work.

    Attributes
    ----------
    kind
        'queued': its job waits in a queue; 'gone': its process is, and nobody drives; 'paused': it is tried later.
    sentence
        All of it, in words.
    since, until
        Seconds since the epoch, where that is known.
    job, reason, words, is_lasting
        Of the queue; see `QueueNote`.
    """

    kind: str
    sentence: str
    since: float | None = None
    until: float | None = None
    job: str | None = None
    reason: str = ""
    words: str = ""
    is_lasting: bool = False

    def view(self) -> dict[str, Any]:
        """Return it as plain data."""
        return attrs.asdict(self)


Holds = Mapping[str, Hold]


def holds_now(records: CampaignRecords, tasks: Iterable[TaskState], looks: Looks = ANEW) -> dict[str, Hold]:
    """Return what holds tasks up, by task id; asks no queue, and changes nothing.

    Parameters
    ----------
    tasks
        As `tasks_now` returns them.
    """
    found: dict[str, Hold] = {}
    notes, is_driven, now = records.queue(), records.holder() is not None, time.time()
    for task in tasks:
        hold = None
        if task.status is TaskStatus.RUNNING:
            hold = _of_submitted(records, task, notes.get(task.task), looks, is_driven=is_driven)
        elif task.status is TaskStatus.WAITING and task.actioned and (until := task.waits_until(now)) is not None:
            why = task.reason or "its last attempts got nowhere"
            hold = Hold(PAUSED, f"waits until {moment(until)}: {why}", since=task.changed, until=until)
        if hold is not None:
            found[task.task] = hold
    return found


def shown_status(task: TaskState, holds: Holds) -> TaskStatus:
    """Return the status that a view shows: what is not at work does not run."""
    return TaskStatus.WAITING if task.task in holds else task.status


def moment(seconds: float) -> str:
    """Return a local time in words, with the day unless it is today's."""
    then, today = time.localtime(seconds), time.localtime()
    return time.strftime("%H:%M" if then[:3] == today[:3] else "%Y-%m-%d %H:%M", then)


def sentences(holds: Holds, *, is_lasting: bool | None = None) -> list[str]:
    """Return a sentence for each kind of what holds tasks up, with their number, what needs the user first.

    Parameters
    ----------
    is_lasting
        Only what never passes by itself, or only the rest; None: all.
    """
    groups: dict[tuple[bool, str, str], list[Hold]] = {}
    for hold in holds.values():
        if is_lasting in (None, hold.is_lasting):
            groups.setdefault((not hold.is_lasting, hold.kind, hold.reason or hold.words), []).append(hold)
    return [_of_several(group) for _, group in sorted(groups.items())]


def _of_several(group: list[Hold]) -> str:
    first = min(group, key=lambda hold: hold.until or hold.since or 0.0)
    if first.kind == PAUSED:
        return f"{len(group)} task(s) wait until {moment(first.until or 0.0)} or later, as attempts were lost"
    rest = first.sentence.partition(" ")[2] if first.sentence.startswith("waits ") else f"not at work: {first.sentence}"
    return f"{len(group)} task(s) {'wait ' if first.kind == QUEUED else ''}{rest}"


def _of_submitted(
    records: CampaignRecords, task: TaskState, note: QueueNote | None, looks: Looks, *, is_driven: bool
) -> Hold | None:
    is_noted = note is not None and note.submitted == task.submitted
    if is_driven and not is_noted:
        return None
    directory = records.task_path(task)
    with suppress(OSError, FormatError):
        attempts = looks.at(task, ATTEMPTS, AttemptLog(TaskDirectory(directory).attempts).read)
        last = attempts[-1] if len(attempts) > task.attempts_before else None
        told = ""
        if not is_driven:
            told = looks.at(task, "end", lambda: _said_of_end(records, directory, last, is_noted=is_noted))
        if told:
            return Hold(GONE, f"{told}, and nobody drives; {_GOES_ON}", since=None if last is None else last.end)
        if is_noted and last is None and note is not None:
            return _queued(note, is_driven=is_driven)
    return None


def _queued(note: QueueNote, *, is_driven: bool) -> Hold:
    reason = f"{note.reason}: {note.words}" if note.reason else note.words
    lasting = "; that never passes by itself" if note.is_lasting else ""
    seen = "" if is_driven else f" (as the driver saw it last, at {moment(note.seen)})"
    return Hold(
        QUEUED,
        f"waits in {note.place} since {moment(note.since)}: {reason}{lasting}{seen}",
        since=note.since,
        job=note.job,
        reason=note.reason,
        words=note.words,
        is_lasting=note.is_lasting,
    )


def _said_of_end(records: CampaignRecords, directory: Path, last: Attempt | None, *, is_noted: bool) -> str:
    """Return what is known of the end of an attempt that nobody has dealt with; '' if it may be at work."""
    from xpm_alchem.launchers.slurm.batch import Batch, parse_launch  # the records of jobs; imports nothing of SLURM's

    if last is not None and last.outcome is not None:
        return f"its attempt has ended ({last.outcome})"
    if last is not None and last.process.is_here:
        return "" if last.process.is_alive() else "its process is gone"
    launch = parse_launch(records.workspace / "slurm", Orders.read(directory).launch or "")
    if launch is not None:
        batch = Batch.read(launch[0])
        return "" if batch is None or batch.ended(launch[1]) is None else "its process is gone"
    if last is None and not is_noted:
        noted = _noted_process(directory)
        return "" if noted is not None and (not noted.is_here or noted.is_alive()) else "its process is gone"
    return ""


def _noted_process(directory: Path) -> ProcessIdentity | None:
    """Return the process that experimaestro's pid file names, None if there is none."""
    for path in directory.glob("*.pid"):
        with suppress(OSError, FormatError, ValueError, RecursionError):
            content = json.loads(read_bytes(path))
            return ProcessIdentity.from_record(content) if isinstance(content, dict) else None
    return None
