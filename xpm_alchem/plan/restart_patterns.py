"""The restart patterns of campaign.yaml, and changes to them, checked before anything is written. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from xpm_alchem.base import checks
from xpm_alchem.base.errors import CampaignError, InputError
from xpm_alchem.base.near_miss import check_keys, unknown_key
from xpm_alchem.base.values import short


@attrs.frozen
class RestartPattern:
    """Restart a task whose failure matches `pattern`, at most `allowed` times.

    Attributes
    ----------
    pattern
        Regular expression, searched (re.search, no flags) in each text of `restarts.words_of` of the failed attempt.
    allowed
        Restarts of one task.
    from_scratch
        Whether the restarted task sets aside what it has computed, instead of going on from there.
    """

    pattern: str
    allowed: int
    from_scratch: bool = False

    @classmethod
    def parse(cls, value: Any, where: str) -> RestartPattern:
        """Check one entry of 'restarts'.

        Raises
        ------
        CampaignError
            Says the key, and what would do.
        """
        given = checks.mapping(value, where)
        check_keys(given, ("pattern", "allowed", "from_scratch"), where)
        for key in ("pattern", "allowed"):
            if key not in given:
                raise CampaignError(f"{where}: '{key}' is missing; an entry is {{pattern: 'CUDA', allowed: 3}}.")
        pattern = given["pattern"]
        if not isinstance(pattern, str) or not pattern:
            raise CampaignError(f"{where}.pattern: {short(pattern)} is not a text.")
        try:
            re.compile(pattern)
        except (re.error, RecursionError, OverflowError) as error:
            raise CampaignError(f"{where}.pattern: {short(pattern)} is no regular expression ({error}).") from None
        fresh = given.get("from_scratch", False)
        if not isinstance(fresh, bool):
            raise CampaignError(f"{where}.from_scratch: {short(fresh)} is neither true nor false.")
        return cls(pattern, checks.whole(given["allowed"], f"{where}.allowed", 1), fresh)


Patterns = tuple[RestartPattern, ...]


def parse_patterns(value: Any, where: str) -> Patterns:
    """Check the 'restarts' section.

    Raises
    ------
    CampaignError
        An entry cannot be used, or is there twice.
    """
    patterns = [RestartPattern.parse(item, f"{where}[{i}]") for i, item in enumerate(checks.items(value, where))]
    for i, pattern in enumerate(patterns):
        if any(pattern.pattern == other.pattern for other in patterns[:i]):
            raise CampaignError(f"{where}[{i}]: the pattern {pattern.pattern!r} is there twice; keep one of them.")
    return tuple(patterns)


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
