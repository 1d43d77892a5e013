"""The complete tasks of a campaign, and what fails when their results are read for other programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from xpm_alchem.base.errors import InputError, XpmAlchemError
from xpm_alchem.base.values import printable
from xpm_alchem.campaign.task_state import TaskState, TaskStatus

_LONGEST = 200  # characters of what others raise

Groups = Mapping[str, list[TaskState]]


def complete_tasks(tasks: Groups, transformation: str) -> list[TaskState]:
    """Return those of a transformation that have an estimate, by the number of the repeat."""
    found = [task for task in tasks.get(transformation, ()) if task.status is TaskStatus.COMPLETE]
    return sorted((task for task in found if task.estimate is not None), key=lambda task: task.repeat)


@contextmanager
def no_half(what: str, path: Path) -> Iterator[None]:
    """Make one sentence of whatever gufe and a protocol raise while a result is read, gathered and written.

    Raises
    ------
    InputError
        Instead of it.
    """
    try:
        yield
    except (XpmAlchemError, OSError):
        raise
    except Exception as error:
        said = printable(" ".join(f"{type(error).__name__}: {error}".split()))[:_LONGEST]
        raise InputError(
            f"{path}: cannot be exported as {what} with the packages that are installed here ({said}). Nothing was "
            "written; the formats csv and json need none of them."
        ) from error
