"""Changes to a campaign's restart patterns, checked before anything is written. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from xpm_alchem.base.errors import InputError
from xpm_alchem.base.near_miss import unknown_key
from xpm_alchem.base.values import short
from xpm_alchem.plan.campaign_yaml import RestartPattern

Patterns = tuple[RestartPattern, ...]


def changed_patterns(patterns: Patterns, change: Mapping[str, Any]) -> Patterns:
    """Return the patterns after a change.

    Parameters
    ----------
    change
        'do' is one of 'add' (a pattern that is there gets the new limit), 'set' (the limit of patterns that are
        there), 'remove' and 'clear'; 'patterns' are the regular expressions, 'allowed' and 'from_scratch' as in
        campaign.yaml.

    Raises
    ------
    InputError
        A pattern is no regular expression, or is not there; a limit is no whole number of at least 1.
    """
    names = change.get("patterns", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError(f"restarts: {short(names)} is not a list of patterns.")
    do = change.get("do")
    if do == "clear":
        return ()
    if do == "add":
        entry = {key: change[key] for key in ("allowed", "from_scratch") if key in change}
        new = [RestartPattern.parse({"pattern": name, **entry}, "restarts") for name in names]
        return _with(patterns, new)
    _check_there(patterns, names)
    if do == "remove":
        return tuple(pattern for pattern in patterns if pattern.pattern not in names)
    if do == "set":
        there = {pattern.pattern: pattern.from_scratch for pattern in patterns}
        entries = [{"pattern": n, "allowed": change.get("allowed"), "from_scratch": there[n]} for n in names]
        return _with(patterns, [RestartPattern.parse(entry, "restarts") for entry in entries])
    raise InputError(f"restarts: {do!r} is not known.")


def _with(patterns: Sequence[RestartPattern], new: Sequence[RestartPattern]) -> Patterns:
    made = {pattern.pattern: pattern for pattern in (*patterns, *new)}
    return tuple(made.values())


def _check_there(patterns: Patterns, names: Sequence[str]) -> None:
    there = [pattern.pattern for pattern in patterns]
    for name in names:
        if name not in there:
            raise InputError(unknown_key(name, there or ["none"], "restarts", what="there is no pattern"))
