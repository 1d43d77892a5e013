"""The first bytes of a file that only grows: what was made of them holds for as long as they are the same.

What tells is a hash of all of them, not of a sample, nor the file's times and inode: a line corrected by hand, a backup
put back, a file that was replaced by a longer one, all of that is seen, and a copy of the file is as good as the file.
It costs little: hashing is a hundred times faster than reading JSON.
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from xpm_alchem.base.passing import patiently

_CHUNK = 1 << 20


class Prefix:
    """The bytes of a file up to an offset, as their hash; more can be added.

    Attributes
    ----------
    offset
        How many they are.
    """

    def __init__(self) -> None:
        self.offset = 0
        self._hash = hashlib.blake2b(digest_size=20)

    @property
    def digest(self) -> str:
        """The hash, in hexadecimal digits."""
        return self._hash.hexdigest()

    def add(self, content: bytes) -> None:
        """Add what comes next."""
        self._hash.update(content)
        self.offset += len(content)

    @classmethod
    def of(cls, path: Path, offset: int) -> Prefix | None:
        """Return the first bytes of a file; None where it has fewer, or cannot be read: whoever reads it is told why.

        Never waits, as for a pipe.
        """
        try:
            return patiently(lambda: cls._of(path, offset))
        except OSError:
            return None

    @classmethod
    def _of(cls, path: Path, offset: int) -> Prefix | None:
        prefix = cls()
        with open(path, "rb", buffering=0, opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as content:
            status = os.fstat(content.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_size < offset:
                return None
            while (left := offset - prefix.offset) > 0:
                chunk = content.read(min(left, _CHUNK))
                if not chunk:
                    return None
                prefix.add(chunk)
        return prefix
