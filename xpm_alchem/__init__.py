"""xpm-alchem: run an alchemical free-energy network to the precision its user needs, with no servers."""

from __future__ import annotations

TYPE_CHECKING = False  # typing's may lie about as somebody else's file where `python -m xpm_alchem` is begun
if TYPE_CHECKING:
    from typing import Any

    from xpm_alchem.client import Campaign, Workspace

__all__ = ["Campaign", "Workspace"]
__version__ = "0.2.0.dev0"


def __getattr__(name: str) -> Any:
    """Import what is asked for first: every attempt and every worker imports this package, and needs nothing of it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from xpm_alchem import client

    return getattr(client, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
