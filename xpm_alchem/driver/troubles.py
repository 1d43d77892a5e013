"""Tasks whose files cannot be read or written: each of them waits, is told of once, and is looked at again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import attrs

from xpm_alchem.base.errors import FormatError, RecordsError
from xpm_alchem.base.passing import passes
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.task_state import TaskState
from xpm_alchem.driver.log import note

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0  # seconds
_FORGOTTEN = 600.0  # seconds without trouble, after which a pause begins small again


@attrs.define
class _Trouble:
    sentence: str
    pause: float = 0.0
    until: float = 0.0


class Troubles:
    """What is wrong with the files of single tasks.

    Parameters
    ----------
    tell
        Called with a sentence and its task.
    """

    def __init__(self, records: CampaignRecords, tell: Callable[[str, TaskState], None]) -> None:
        self._records, self._tell = records, tell
        self._found: dict[str, _Trouble] = {}

    def wait(self, task: TaskState) -> bool:
        """Whether a task is not to be looked at yet."""
        found = self._found.get(task.task)
        return found is not None and time.monotonic() < found.until

    def is_known(self, task: TaskState) -> bool:
        """Whether a task is in trouble that was told, and not yet over."""
        found = self._found.get(task.task)
        return found is not None and bool(found.sentence)

    @contextmanager
    def of(self, task: TaskState, give_up: Callable[[TaskState, str], bool]) -> Iterator[None]:
        """Take it as the trouble of one task if the block fails with its files.

        Parameters
        ----------
        give_up
            Called, with a sentence, for what will not pass by itself; whether it did so.

        Raises
        ------
        RecordsError
            It is the campaign's own files that failed.
        """
        try:
            yield
        except RecordsError:
            raise
        except FormatError as error:
            self._meet(task, str(error), give_up)
        except OSError as error:
            sentence = _sentence(error)
            self._meet(task, sentence, (lambda *_: False) if passes(error) else give_up)
        else:
            if not self.wait(task):
                self.over(task)

    def _meet(self, task: TaskState, sentence: str, give_up: Callable[[TaskState, str], bool]) -> None:
        if give_up(task, sentence):
            self._found.pop(task.task, None)
        else:
            self.begin(task, sentence)

    def begin(self, task: TaskState, sentence: str) -> None:
        """Let a task wait, longer each time in a row; tell it once."""
        found = self._found.get(task.task)
        if found is None:
            found = self._found[task.task] = _Trouble("")
        if time.monotonic() - found.until > _FORGOTTEN:
            found.pause = 0.0
        found.pause = min(_LONGEST_PAUSE, 2 * found.pause or _FIRST_PAUSE)
        found.until = time.monotonic() + found.pause
        if found.sentence != sentence:
            found.sentence = sentence
            note(f"{self._records.name_of(task)}: {sentence} It is looked at again.")
            self._tell(f"{sentence} It is looked at again.", task)
            self._records.write({"event": "trouble", "task": task.task, "reason": sentence})

    def over(self, task: TaskState) -> None:
        """Take note that all is well with a task."""
        found = self._found.get(task.task)
        if found is not None and found.sentence:
            found.sentence = ""
            note(f"{self._records.name_of(task)}: its files can be used again.")
            self._tell("its files can be used again", task)
            self._records.write({"event": "trouble", "task": task.task, "reason": ""})


def _sentence(error: OSError) -> str:
    if error.errno is None or not error.strerror:
        return str(error)
    return f"{error.filename or 'a file'}: cannot be used ({error.strerror})."


def never(task: TaskState, sentence: str) -> bool:
    """Give up nothing: a task is left as it is, whatever is wrong with its files."""
    return False
