"""Who may read a file that is made from others: nobody who may not read those. Files are made so, not changed later."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from xpm_alchem.base.passing import patiently

ANYBODY = 0o666  # what the umask leaves of it
_OWNER = 0o600
_CLASSES = ((stat.S_IRGRP, stat.S_IRWXG), (stat.S_IROTH, stat.S_IRWXO))


def permissions_of(*paths: Path) -> int:
    """Return the permissions that all of these files have; those that are not there count for nothing.

    One that cannot be looked at may hold anything.
    """
    allowed = ANYBODY
    for path in paths:
        try:
            allowed &= patiently(path.stat).st_mode
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            allowed = 0
    return allowed | _OWNER


def private(directory: Path) -> int:
    """Return the permissions of a file that holds what may be secret: also for the group, where the place is a group's.

    Parameters
    ----------
    directory
        The workspace.
    """
    with suppress(OSError):
        if directory.stat().st_mode & stat.S_IWGRP:
            return _OWNER | stat.S_IRGRP
    return _OWNER


def make_file(path: Path, permissions: int) -> None:
    """Make an empty file, which is not there yet."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, permissions))


def close_to_others(*paths: Path) -> int:
    """Make all that this process writes from now on readable to nobody who may not read these files.

    Returns
    -------
    int
        The umask as it was.
    """
    allowed = permissions_of(*paths)
    closed = sum(everything for may_read, everything in _CLASSES if not allowed & may_read)
    before = os.umask(0o077)
    os.umask(before | closed)
    return before


@contextmanager
def no_more_open_than(*paths: Path) -> Iterator[None]:
    """Make all that is written in the block readable to nobody who may not read these files."""
    before = close_to_others(*paths)
    try:
        yield
    finally:
        os.umask(before)
