"""Errors of a file system that pass: a server that restarts, a handle that has gone stale, a lock daemon that is busy.

What is done with a file is done through `patiently`: it is tried again, with the file opened anew, after pauses that
grow. What still fails then is for the caller, who waits longer, or gives up one thing and not all.
"""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_NAMES = """
    EAGAIN EBUSY ECOMM ECONNABORTED ECONNREFUSED ECONNRESET EDEADLK EHOSTDOWN EHOSTUNREACH EINTR EIO EMFILE ENETDOWN
    ENETRESET ENETUNREACH ENFILE ENOBUFS ENOLCK ENOLINK ENOMEM ENONET ENOTCONN EREMOTEIO ESHUTDOWN ESTALE ETIME
    ETIMEDOUT ETXTBSY
"""
PASSING = frozenset(getattr(errno, name) for name in _NAMES.split() if hasattr(errno, name))
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})  # passes once somebody makes room
PAUSES = (0.01, 0.05, 0.2, 0.5, 1.0)  # seconds
_TROUBLE_SECONDS = 20.0
_SCALE = "XPM_ALCHEM_PAUSES"  # by which long pauses are multiplied: tests make them shorter

_gave_up = float("-inf")  # when all tries were in vain last


def passes(error: BaseException) -> bool:
    """Whether an error may be gone when the same is tried again."""
    return isinstance(error, OSError) and error.errno in PASSING | FULL


def patiently(action: Callable[[], T]) -> T:
    """Return what an action on files returns; if it fails with an error that passes it is done again, a few times.

    An action must be able to follow itself half done. Where nothing was better a moment ago it is tried twice only: a
    file system that is down must not cost its time once for every file.

    Raises
    ------
    OSError
        The last error; one that does not pass at once.
    """
    global _gave_up
    for pause in PAUSES:
        try:
            return action()
        except OSError as error:
            if not passes(error):
                raise
            in_trouble = time.monotonic() - _gave_up < _TROUBLE_SECONDS
        time.sleep(pause)
        if in_trouble:
            break
    try:
        return action()
    except OSError as error:
        if passes(error):
            _gave_up = time.monotonic()
        raise


def scaled_pause(seconds: float) -> float:
    """Return how long a pause of minutes is here."""
    scale = os.environ.get(_SCALE, "")
    return seconds * (float(scale) if re.fullmatch(r"[0-9]*[.]?[0-9]+", scale) else 1.0)
