"""Texts that can be made again, kept in a directory within a bound; the least recently used are dropped.

Nothing depends on it: an entry may vanish at any time, and a disk that is full or cannot be written only costs time.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from xpm_alchem.base.errors import FormatError
from xpm_alchem.base.files import atomic_write, read_bytes

FORMAT, FORMAT_VERSION = "xpm-alchem cache entry", 1
_KEPT_FRACTION = 0.9  # of the bound, when something must go: the directory is not read again on each write


class DiskCache:
    """Entries by name, one file each: a line of JSON that says what the text is made of, then the text.

    Two processes may use the same directory. If both write, the bound may be exceeded for a while.

    Parameters
    ----------
    path
        The directory; made when something is written.
    bound_bytes
        Most bytes of all entries together.
    read_only
        Whether to leave the directory as it is.
    """

    def __init__(self, path: Path, bound_bytes: int, *, read_only: bool = False) -> None:
        self.path, self.bound_bytes, self.read_only = path, bound_bytes, read_only
        self._bytes: int | None = None  # of all entries, as far as this process knows

    def get(self, name: str, made_of: Mapping[str, Any]) -> str | None:
        """Return the text of an entry, or None if there is none that is whole and made of the same.

        Parameters
        ----------
        name
            Names the file.
        made_of
            What `put` was told, as plain JSON.
        """
        path = self._entry(name)
        try:
            content = read_bytes(path)
        except (OSError, FormatError):
            return None
        header, _, text = content.partition(b"\n")
        with suppress(ValueError, RecursionError):  # no JSON, no UTF-8: none of ours
            if json.loads(header) == self._header(made_of, text):
                if not self.read_only:
                    with suppress(OSError):
                        os.utime(path)  # it was used now
                return text.decode()
        self.drop(name)
        return None

    def put(self, name: str, made_of: Mapping[str, Any], text: str) -> None:
        """Write an entry, instead of one of the same name; without effect if the disk does not let us."""
        encoded = text.encode()
        header = json.dumps(self._header(made_of, encoded), sort_keys=True).encode() + b"\n"
        size = len(header) + len(encoded)
        if self.read_only or size > self.bound_bytes * _KEPT_FRACTION:
            self.drop(name)
            return
        with suppress(OSError):
            self.path.mkdir(parents=True, exist_ok=True)
            with atomic_write(self._entry(name), "wb") as out:
                out.write(header)
                out.write(encoded)
            self._bytes = None if self._bytes is None else self._bytes + size
            if self._bytes is None or self._bytes > self.bound_bytes:
                self._bytes = self._make_room()

    def drop(self, name: str) -> None:
        """Remove an entry."""
        if not self.read_only:
            with suppress(OSError):
                self._entry(name).unlink()

    def _entry(self, name: str) -> Path:
        if Path(name).name != name:
            raise ValueError(f"{name!r} cannot name a file")
        return self.path / f"{name}.cached"

    @staticmethod
    def _header(made_of: Mapping[str, Any], text: bytes) -> dict[str, Any]:
        # plain JSON, so that it equals what is read back
        header = {"format": FORMAT, "format_version": FORMAT_VERSION, "sha256": hashlib.sha256(text).hexdigest()}
        return {**header, "made_of": json.loads(json.dumps(made_of))}

    def _make_room(self) -> int:
        """Keep the bound: remove what was used longest ago. Return the bytes of the rest."""
        found = []
        with os.scandir(self.path) as files:
            for file in files:
                if file.name.endswith((".cached", ".tmp")):  # .tmp: of a write that was killed
                    with suppress(OSError):
                        status = file.stat(follow_symlinks=False)
                        found.append((status.st_mtime_ns, file.name, status.st_size))
        total = sum(size for _, _, size in found)
        keep = self.bound_bytes if total <= self.bound_bytes else int(self.bound_bytes * _KEPT_FRACTION)
        for _, name, size in sorted(found):
            if total <= keep:
                break
            with suppress(OSError):
                (self.path / name).unlink()
                total -= size
        return total


def is_whole(path: Path) -> bool:
    """Whether a file is an entry as `put` writes it; an entry of a newer version is taken to be whole.

    Raises
    ------
    OSError
        It cannot be read.
    """
    header, _, text = path.read_bytes().partition(b"\n")
    try:
        says = json.loads(header)
        if says["format"] != FORMAT:
            return False
        return says["format_version"] > FORMAT_VERSION or says["sha256"] == hashlib.sha256(text).hexdigest()
    except (ValueError, RecursionError, KeyError, TypeError):
        return False
