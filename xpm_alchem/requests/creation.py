"""What the journal says of a new task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.network.index import TransformationRecord
from xpm_alchem.strategies.changes import NewTask


def created(records: CampaignRecords, new: NewTask, reason: str, **more: Any) -> dict[str, Any]:
    """Return the event of a task's creation.

    Parameters
    ----------
    more
        Other keys of the event.
    """
    record = records.index.by_id[new.transformation]
    other = records.state().tasks.get(new.extends or "")
    extends = None if other is None else records.task_path(other)
    return {**created_event(record, new, reason, records.network_path, extends=extends), **more}


def created_event(
    record: TransformationRecord, new: NewTask, reason: str, network: Path, *, extends: Path | None = None
) -> dict[str, Any]:
    """Return the event of a task's creation.

    Parameters
    ----------
    record
        Its transformation.
    network
        The file that has it.
    extends
        Directory of the task that it goes on from.
    """
    from xpm_alchem.tasks import directory_in_workspace, make_task  # experimaestro takes a while to import

    task = make_task(record, new.repeat, network=network, extends=extends)
    return {
        "event": "created",
        "task": new.id,
        "transformation": new.transformation,
        "repeat": new.repeat,
        "extends": new.extends,
        "directory": directory_in_workspace(task),
        "reason": reason,
    }
