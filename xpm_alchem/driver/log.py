"""driver.log: what a driver notes for whoever looks into it later, beside experimaestro's own notes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from xpm_alchem.base.streams import failures

_LOG = logging.getLogger("xpm.driver")  # experimaestro's, so that it goes where `quiet_experimaestro` sends it


def note(sentence: str) -> None:
    """Add a sentence to driver.log."""
    _LOG.warning("%s", sentence)


def note_failure(sentence: str) -> None:
    """Add a sentence to driver.log, and the traceback of the exception that is being handled."""
    _LOG.exception("%s", sentence)


class Teller:
    """Hands events on to a display that may fail: whatever happens to it, the driver goes on and notes it once."""

    def __init__(self, observe: Callable[[Any], None]) -> None:
        self._observe = observe
        self._noted: set[str] = set()

    def __call__(self, event: Any) -> None:
        """Hand an event on."""
        try:
            self._observe(event)
        except Exception as error:
            self._note("display", f"what shows events failed ({type(error).__name__}: {error}); the driver goes on")

    def look(self) -> None:
        """Note what could not be printed."""
        for label, error in failures().items():
            self._note(label, f"{label} cannot be written ({error.strerror}); the driver goes on without it")

    def _note(self, about: str, sentence: str) -> None:
        if about not in self._noted:
            self._noted.add(about)
            note(sentence)
