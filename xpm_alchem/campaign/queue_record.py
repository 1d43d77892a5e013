"""queue.json of a campaign: which tasks wait in a launcher's queue and why, as the driver has seen it last."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from xpm_alchem.base.errors import FormatError
from xpm_alchem.base.files import read_record, write_record
from xpm_alchem.base.values import number, text, text_or_none

QUEUE, QUEUE_VERSION = "xpm-alchem queue", 1


@attrs.frozen
class QueueNote:
    """A task's attempt that was handed to a queue and had not begun. Times are seconds since the epoch.

    Attributes
    ----------
    submitted
        The submission of the task that it is about.
    place
        The queue, in words.
    job
        The queue's name for it, where there is one.
    since, seen
        Since when it waits, and when the driver noted this.
    reason, words
        The queue's own word for why it waits, and what that means.
    is_lasting
        Whether that never passes by itself.
    """

    submitted: float
    place: str
    job: str | None
    since: float
    seen: float
    reason: str
    words: str
    is_lasting: bool


def read_queue(path: Path) -> dict[str, QueueNote]:
    """Return the notes by task id; none where there is no file, or one that cannot be read: it is made again."""
    try:
        tasks = read_record(path, QUEUE, QUEUE_VERSION).get("tasks")
    except (OSError, FormatError):
        return {}
    sound = tasks.items() if isinstance(tasks, Mapping) else ()
    return {task: _note(note) for task, note in sound if isinstance(note, Mapping) and note.get("since")}


def _note(note: Mapping[str, Any]) -> QueueNote:
    return QueueNote(
        submitted=number(note.get("submitted")),
        place=text(note.get("place")),
        job=text_or_none(note.get("job")),
        since=number(note.get("since")),
        seen=number(note.get("seen")),
        reason=text(note.get("reason")),
        words=text(note.get("words")),
        is_lasting=note.get("is_lasting") is True,
    )


def write_queue(path: Path, notes: Mapping[str, QueueNote]) -> None:
    """Write the notes, whole or not at all; without any the file goes."""
    if notes:
        content = {task: attrs.asdict(note) for task, note in notes.items()}
        write_record(path, QUEUE, QUEUE_VERSION, {"tasks": content})
    else:
        path.unlink(missing_ok=True)
