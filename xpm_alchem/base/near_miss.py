"""Naming the key a user probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable

from xpm_alchem.base.errors import CampaignError
from xpm_alchem.base.values import text


def unknown_key(key: object, known: Iterable[str], where: str, *, what: str = "unknown key") -> str:
    """Return a message about an unknown key (or `what` else), with the nearest known one or all of them."""
    known = sorted(name[:60] for name in known)
    near = nearest(str(key)[:60], known)
    hint = f"did you mean '{near}'?" if near is not None else f"known are: {', '.join(known)}."
    return f"{where}: {what} '{text(str(key))[:60]}'; {hint}"


def check_keys(given: Iterable[object], known: Collection[str], where: str) -> None:
    """Raise CampaignError for a key that is not known, naming the nearest one."""
    for key in given:
        if key not in known:
            raise CampaignError(unknown_key(key, known, where))


def nearest(key: object, known: Iterable[str]) -> str | None:
    """Return the known key that was probably meant, None if none is near."""
    near = difflib.get_close_matches(str(key), list(known), n=1, cutoff=0.6)
    return near[0] if near else None
