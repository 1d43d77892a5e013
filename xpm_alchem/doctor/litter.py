"""What killed writers leave behind, and how large things are."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

STALE_SECONDS = 3600.0  # no writer takes that long
_TEMPORARY = re.compile(r"\..+\.\d+\.[0-9a-f]{8}\.tmp")  # as files.atomic_write names them


def is_stale(path: Path) -> bool:
    """Whether a file or directory was last changed more than an hour ago."""
    try:
        return path.lstat().st_mtime < time.time() - STALE_SECONDS
    except OSError:
        return False


def stale_temporaries(place: Path) -> list[Path]:
    """Return the files in a directory that a killed writer has left, older than an hour."""
    entries = (entry for entry in entries_of(place) if _TEMPORARY.fullmatch(entry.name))
    return [Path(entry.path) for entry in entries if entry.is_file(follow_symlinks=False) and is_stale(Path(entry))]


def entries_of(place: Path) -> list[os.DirEntry[str]]:
    """Return what is in a directory, by name; nothing if it is none."""
    try:
        with os.scandir(place) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of all files in a directory; links are not followed."""
    total = 0
    waiting = [path]
    while waiting:
        item = waiting.pop()
        try:
            if item.is_dir() and not item.is_symlink():
                waiting.extend(item.iterdir())
            else:
                total += item.lstat().st_size
        except OSError:
            continue
    return total
