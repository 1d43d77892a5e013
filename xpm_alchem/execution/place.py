"""Where a record was written: a workspace may be copied, and what its records say of processes is true of the original.

A directory that was renamed, or that another machine knows by another path, is the same directory; a copy is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def place_of(directory: Path) -> dict[str, Any]:
    """Return what a record written in a directory says of it."""
    try:
        return {"directory": str(directory), "inode": directory.stat().st_ino}
    except OSError:
        return {"directory": str(directory)}


def is_copy(directory: Path, record: Mapping[str, Any]) -> bool:
    """Whether a directory is a copy of the one in which a record was written; one that does not say was not copied."""
    path, inode = record.get("directory"), record.get("inode")
    if not isinstance(path, str) or not isinstance(inode, int) or path == str(directory):
        return False
    try:
        return directory.stat().st_ino != inode
    except OSError:
        return False
