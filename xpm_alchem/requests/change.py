"""What becomes of something that was asked for."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

_NAMED = 5


@attrs.frozen(repr=False)
class Change:
    """Something that was asked for and granted; what cannot be granted raises an error. It is true.

    Attributes
    ----------
    later
        Whether a driver that runs will do it within seconds (else it is done).
    """

    later: bool

    def __bool__(self) -> bool:
        """Be true: it is granted in either case."""
        return True

    def __repr__(self) -> str:
        """Return what becomes of it, in words."""
        return f"<{self._words}>"

    @property
    def _words(self) -> str:
        return "the driver does it within seconds" if self.later else "done"


@attrs.frozen(repr=False)
class TaskChange(Change):
    """What became of something that was asked of tasks; it iterates over their names.

    Attributes
    ----------
    tasks
        'TRANSFORMATION:REPEAT' of every task that is changed; empty where a driver has yet to create them.
    """

    tasks: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of the tasks."""
        return iter(self.tasks)

    def __len__(self) -> int:
        """Return how many tasks are changed."""
        return len(self.tasks)

    def __repr__(self) -> str:
        """Return which tasks it is about, and what becomes of it."""
        if not self.tasks:
            return super().__repr__()
        named = ", ".join(self.tasks[:_NAMED])
        more = f" and {len(self.tasks) - _NAMED} more" if len(self.tasks) > _NAMED else ""
        return f"<{len(self.tasks)} task(s): {named}{more}; {self._words}>"


@attrs.frozen(repr=False, kw_only=True)
class NetworkChange(Change):
    """How a network changed; what it names are transformations.

    Attributes
    ----------
    parts
        How many parts that nothing joins it has then: values of different parts cannot be compared.
    """

    new: tuple[str, ...]
    gone: tuple[str, ...]
    same: tuple[str, ...]
    parts: int

    def __repr__(self) -> str:
        """Return how many transformations are new, gone, and the same, and what becomes of it."""
        return f"<{len(self.new)} new, {len(self.gone)} gone, {len(self.same)} the same; {self._words}>"
