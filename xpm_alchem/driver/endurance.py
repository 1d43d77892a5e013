"""A campaign whose own files cannot be read or written now: its driver waits, says so once, and goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from xpm_alchem.base.errors import WorkspaceError
from xpm_alchem.base.passing import passes
from xpm_alchem.driver.log import note

T = TypeVar("T")

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0  # seconds
_PASSING_SECONDS = 1800.0  # how long an error that may pass is borne where no attempt is at work
_LASTING_SECONDS = 60.0  # and any other, wherever


class Unwritable(Exception):
    """The driver must end: nothing could be written for too long. The message is one sentence for the user."""


class Endurance:
    """Does a step of the driver again and again while the campaign's files fail; attempts go on meanwhile.

    Parameters
    ----------
    tell
        Called with a sentence when it begins, and when it is over.
    notify
        Called with the sentence when it has lasted a while.
    wait
        Waits so many seconds; an interrupt of the user ends it.
    is_at_work
        Whether an attempt is at work that the end of the driver would leave alone.
    """

    def __init__(
        self,
        tell: Callable[[str], None],
        notify: Callable[[str], None],
        wait: Callable[[float], None],
        is_at_work: Callable[[], bool],
    ) -> None:
        self._tell, self._notify, self._wait, self._is_at_work = tell, notify, wait, is_at_work
        self._since: float | None = None
        self._pause = 0.0

    def do(self, step: Callable[[], T]) -> T:
        """Return what a step returns, as soon as it does; it must be able to follow itself half done.

        Raises
        ------
        Unwritable
            It failed for too long.
        """
        while True:
            try:
                done = step()
            except OSError as error:
                self._bear(error)
            else:
                self._is_over()
                return done

    def _bear(self, error: OSError) -> None:
        is_sentence = isinstance(error, WorkspaceError) or not error.strerror
        sentence = str(error) if is_sentence else f"{error.filename or 'a file'}: {error.strerror}."
        now = time.monotonic()
        if self._since is None:
            self._since = now
            note(f"{sentence} The driver tries again.")
            self._tell(f"{sentence} Attempts go on; it is tried again until that is mended.")
            self._notify(f"{sentence} Attempts go on; the driver tries again")
        lasted = now - self._since
        is_long = lasted > (_PASSING_SECONDS if passes(error) else _LASTING_SECONDS)
        if is_long and not (passes(error) and self._is_at_work()):
            note(f"{sentence} The driver ends.")
            raise Unwritable(
                f"{sentence} The driver has ended after {lasted:.0f} s of tries. Tasks that run go on and nothing is "
                "lost: mend that, then run the campaign again."
            ) from error
        self._pause = min(_LONGEST_PAUSE, 2 * self._pause or _FIRST_PAUSE)
        self._wait(self._pause)

    def _is_over(self) -> None:
        if self._since is not None:
            self._since, self._pause = None, 0.0
            note("The campaign's files can be used again.")
            self._tell("the campaign's files can be used again")
            self._notify("its files can be used again; the driver goes on")
