"""Directories that one unit left empty for the next one: renamed, which takes a file system far less than a new one.

Only for those in which no process of a unit works: one that is still there would work in the next unit's.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from types import TracebackType

from xpm_alchem.base.files import make_directories, names_in, remove_if_empty


class SpareDirectories:
    """Makes directories, and takes them back; use it as a context, at whose end none is kept."""

    def __init__(self) -> None:
        self._kept: dict[Path, Path] = {}  # one by the directory it is in

    def __enter__(self) -> SpareDirectories:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._kept:
            remove_if_empty(self._kept.popitem()[1])

    def make(self, path: Path) -> None:
        """Make a directory; one that is there stays, with what is in it."""
        spare = self._kept.pop(path.parent, None)
        if spare is not None:
            try:
                spare.rename(path)
            except OSError:  # most often something is in the one that is there
                remove_if_empty(spare)
            else:
                return
        make_directories(path)

    def take_back(self, path: Path) -> None:
        """Remove a directory, now or later, if there is nothing in it."""
        parent = path.parent
        if parent in self._kept:
            remove_if_empty(path)
            return
        with suppress(OSError):
            if not names_in(path):
                self._kept[parent] = path
