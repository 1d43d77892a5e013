"""What the journal says of a new task."""

from __future__ import annotations

from typing import Any

from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.strategies.changes import NewTask


def created(records: CampaignRecords, new: NewTask, reason: str, **more: Any) -> dict[str, Any]:
    """Return the event of a task's creation.

    Parameters
    ----------
    more
        Other keys of the event.
    """
    from xpm_alchem.tasks import directory_in_workspace, make_task  # experimaestro takes a while to import

    record = records.index.by_id[new.transformation]
    other = records.state().tasks.get(new.extends or "")
    extends = None if other is None else records.task_path(other)
    task = make_task(record, new.repeat, network=records.network_path, extends=extends)
    return {
        "event": "created",
        "task": new.id,
        "transformation": new.transformation,
        "repeat": new.repeat,
        "extends": new.extends,
        "directory": directory_in_workspace(task),
        "reason": reason,
        **more,
    }
