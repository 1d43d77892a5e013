"""What tells one state of a file from the next, without reading it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from xpm_alchem.base.passing import patiently


class Stamp(NamedTuple):
    """A file as the system describes it: which one it is, its size (bytes), when it and what is said of it changed."""

    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int


NO_FILE = Stamp(0, 0, 0, 0, 0)


def stamp_of(path: Path, *, is_asked_anew: bool = False) -> Stamp:
    """Return the stamp of a file, `NO_FILE` where there is none.

    Parameters
    ----------
    is_asked_anew
        Whether a file system of another machine is to say what is so now, which costs two calls more: the file is
        opened, and no cache answers. It never waits, as for a pipe.

    Raises
    ------
    OSError
        That cannot be known (now, or by this user).
    """
    try:
        found = patiently(lambda: _opened(path) if is_asked_anew else path.stat())
    except FileNotFoundError:
        return NO_FILE
    return Stamp(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _opened(path: Path) -> os.stat_result:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        return os.fstat(descriptor)
    finally:
        os.close(descriptor)
