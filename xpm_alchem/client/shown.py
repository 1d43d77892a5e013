"""What a campaign returns, as it shows itself: in a notebook as tables, in a terminal as the commands print it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from xpm_alchem.views.overview import View

if TYPE_CHECKING:
    from rich.console import RenderableType

_MOST_LINES = 60


class Shown(dict[str, Any]):
    """A view: a dict with the keys of docs/json.md that reads well where it is shown; ``dict(view)`` is a plain one.

    Parameters
    ----------
    view
        The keys and values.
    draw
        How it is drawn for a terminal.
    """

    def __init__(self, view: View, draw: Callable[[View], RenderableType]) -> None:
        super().__init__(view)
        self._draw = draw

    def __repr__(self) -> str:
        """Return what the command of the same name prints."""
        from xpm_alchem.tables.console import plain_text

        try:
            lines = plain_text(self._draw(self)).split("\n")
        except (LookupError, TypeError, ValueError, AttributeError):  # a program may have changed what it holds
            return super().__repr__()
        if len(lines) > _MOST_LINES:
            lines[_MOST_LINES - 1 :] = [f"... and {len(lines) - _MOST_LINES + 1} more lines"]
        return "\n".join(lines)

    def _repr_html_(self) -> str | None:
        from xpm_alchem.tables.html import html_of

        try:
            return html_of(self._draw(self))
        except (LookupError, TypeError, ValueError, AttributeError):
            return None

    def __reduce__(self) -> tuple[Any, ...]:
        """Become a plain dict when it is copied or pickled: how it is drawn is not part of what it holds."""
        return dict, (dict(self),)
