"""Results that a workspace has already: a task's directory follows from its transformation and repeat alone.

What another campaign of the workspace has computed counts in this one at once, without an attempt and without a slot.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Container, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from xpm_alchem.base.errors import FormatError
from xpm_alchem.base.files import exists
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.task_state import REQUEST, TaskStatus
from xpm_alchem.execution.attempt_log import AttemptLog
from xpm_alchem.execution.attempts import Attempt
from xpm_alchem.execution.directory import TaskDirectory, TaskSummary
from xpm_alchem.execution.fence import current
from xpm_alchem.network.index import Index, TransformationRecord
from xpm_alchem.requests.creation import created_event
from xpm_alchem.strategies.changes import NewTask

TAKEN_OVER = "there already: another campaign of the workspace has computed it"
_IN_VAIN = 3  # repeats in a row without a directory, after which there are no more
Event = dict[str, Any]


def completion(task: str, files: TaskDirectory, attempts: list[Attempt]) -> Event | None:
    """Return what the journal is to say of a complete task; None if its summary does not say that it is complete.

    Raises
    ------
    FormatError
        The summary was written by a newer version.
    """
    try:
        summary = TaskSummary.of(current(files.path))
    except (FileNotFoundError, FormatError) as error:
        if isinstance(error, FormatError) and error.newer:
            raise
        return None
    if summary.status != "complete":
        return None
    return {
        "event": "status",
        "task": task,
        "status": str(TaskStatus.COMPLETE),
        "reason": summary.message or "",
        "estimate": summary.estimate,
        "uncertainty": summary.uncertainty,
        **({"left_out": summary.left_out} if summary.left_out else {}),
        "seconds": summary.seconds,
        "attempts": summary.attempts,
        **told_of_end(attempts[-1]),
    }


def told_of_end(attempt: Attempt | None) -> Event:
    """Return what the journal keeps of an attempt's end: where it ran tells of machines that fail."""
    if attempt is None:
        return {}
    facts = {"machine": attempt.machine, "outcome": str(attempt.outcome), "progress": attempt.progress}
    facts |= {"node": attempt.node} if attempt.node else {}
    devices = [device.id for device in attempt.devices]
    return facts | ({"devices": devices, "devices_there": attempt.devices_there} if devices else {})


def take_over(records: CampaignRecords) -> int:
    """Count what the workspace has of transformations without a task; return how many results. The lock is held.

    A line of the journal is all of a transformation or nothing: who is killed meanwhile leaves the rest to the next.
    """
    count = 0
    begun = {task.transformation for task in records.state().everything.values()}
    for events in results_there(records.index, records.network_path, records.workspace, begun):
        records.write({"event": REQUEST, REQUEST: "take over", "changes": events})
        count += len(events) // 2
    return count


def results_there(index: Index, network: Path, workspace: Path, begun: Container[str]) -> Iterator[list[Event]]:
    """Yield, for each transformation of which the workspace has results, the events of their tasks.

    Parameters
    ----------
    network
        The network's file.
    begun
        Stable ids of those that are not looked at: they have tasks.
    """
    if not exists(workspace / "jobs"):
        return
    names = cache(_names_in)  # one look at a directory, instead of one for each repeat there may be
    for record in index.transformations:
        if record.id not in begun and (events := list(_results_of(record, network, workspace, names))):
            yield events


def _names_in(directory: Path) -> frozenset[str]:
    try:
        return frozenset(entry.name for entry in os.scandir(directory))
    except FileNotFoundError:
        return frozenset()


def _results_of(
    record: TransformationRecord, network: Path, workspace: Path, names: Callable[[Path], frozenset[str]]
) -> Iterator[Event]:
    in_vain = 0
    for repeat in itertools.count(1):
        created = created_event(record, NewTask(record.id, repeat), TAKEN_OVER, network)
        files = TaskDirectory(workspace / str(created["directory"]))
        if files.path.name not in names(files.path.parent):
            in_vain += 1
            if in_vain == _IN_VAIN:
                return
            continue
        in_vain = 0
        try:
            attempts = AttemptLog(files.attempts).read()
            complete = completion(created["task"], files, attempts) if attempts else None
        except (OSError, FormatError):
            continue  # what is wrong with it is told when the strategy wants it
        if complete is not None:
            yield created
            yield complete
