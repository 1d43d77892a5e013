"""How many files a process may have open."""

from __future__ import annotations

import resource
from contextlib import suppress

_RESERVED = 256  # descriptors that are left for all else
_MOST = 65536  # descriptors that are ever asked for


def is_to_spare(descriptor: int) -> bool:
    """Whether enough descriptors are left beside one that was just given: the lowest that was free."""
    return descriptor < resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _RESERVED


class Descriptors:
    """How many files this process may have open: as many as it needs, while its children keep to what it was given."""

    def __init__(self) -> None:
        self._given: tuple[int, int] | None = None

    def make_room(self, processes: int) -> None:
        """Allow a descriptor for each of some processes, as far as the system lets."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        needed = processes + 2 * _RESERVED
        if soft == resource.RLIM_INFINITY or needed <= soft:
            return
        most = _MOST if hard == resource.RLIM_INFINITY else min(hard, _MOST)
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(needed, most)), hard))
            self._given = self._given or (soft, hard)

    def as_given(self, pid: int) -> None:
        """Set a child's limit to what this process was given: programs may count on a low one."""
        if self._given is not None:
            with suppress(OSError, AttributeError):
                resource.prlimit(pid, resource.RLIMIT_NOFILE, self._given)
