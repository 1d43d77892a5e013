"""The notify section of campaign.yaml: whom to tell, and of what. Pure."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import attrs

from xpm_alchem.base.durations import duration
from xpm_alchem.base.errors import CampaignError
from xpm_alchem.base.near_miss import check_keys, unknown_key
from xpm_alchem.base.values import short
from xpm_alchem.plan.secrets import hidden_value

EVENTS = SATISFIED, ERROR, BUDGET = "satisfied", "error", "budget"
_LONGEST_SECONDS = 3600.0


@attrs.frozen
class Notify:
    """Whom to tell.

    Attributes
    ----------
    command
        Program and arguments; run without a shell. Empty: none.
    url
        http(s) address to which a small JSON is posted.
    on
        The events it is told of.
    timeout
        Seconds after which the command is killed, or the post given up.
    """

    command: tuple[str, ...] = attrs.field(default=(), repr=False)
    url: str | None = attrs.field(default=None, repr=False)
    on: tuple[str, ...] = EVENTS
    timeout: float = 30.0

    @classmethod
    def parse(cls, value: Any, where: str) -> Notify:
        """Check the 'notify' section.

        Raises
        ------
        CampaignError
            Says the key, and what would do.
        """
        if value is None:
            return cls()
        if not isinstance(value, Mapping):
            raise CampaignError(f"{where}: {hidden_value(value)} is not a mapping such as {{command: [mail, me]}}.")
        section = dict(value)
        given = {("on" if key is True else key): item for key, item in section.items()}  # YAML reads on: as true:
        check_keys(given, _CHECKS, where)
        made = cls(**{k: _CHECKS[k](item, f"{where}.{k}") for k, item in given.items() if item is not None})
        if not made.command and made.url is None:
            raise CampaignError(f"{where}: it tells nobody; give 'command' or 'url', or take the section away.")
        return made


def missing_program(notify: Notify) -> str:
    """Return in a sentence that the program of `notify` cannot be run here, '' if it can, or if there is none."""
    if not notify.command:
        return ""
    program = notify.command[0]
    path = os.path.expanduser(program) if program.startswith("~/") else program  # noqa: PTH111
    if shutil.which(path) is not None:
        return ""
    return f"notify.command: the program {short(program)} is not here or cannot be run"


def _command(value: Any, where: str) -> tuple[str, ...]:
    try:
        words = shlex.split(value) if isinstance(value, str) else value
    except ValueError as error:
        raise CampaignError(f"{where}: it cannot be split into words ({error}).") from None
    if not (isinstance(words, list) and words and all(isinstance(word, str) and "\0" not in word for word in words)):
        raise CampaignError(
            f"{where}: {hidden_value(value)} is no command. Give a text, or a list of program and arguments."
        )
    if not words[0] or ("/" in words[0] and not words[0].startswith(("/", "~/"))):
        raise CampaignError(f"{where}: give {short(words[0])} with its whole path, or as a program that PATH finds.")
    return tuple(words)


def _url(value: Any, where: str) -> str:
    try:
        parts = urlsplit(value) if isinstance(value, str) and value.isascii() and value.isprintable() else None
        sound = parts is not None and parts.hostname and (parts.port is None or parts.port) and " " not in value
    except ValueError:  # a port that is no number, a bracket that is not closed
        parts, sound = None, False
    if parts is None or not sound or parts.scheme not in ("http", "https"):
        raise CampaignError(
            f"{where}: {hidden_value(value)} is no http(s) address, such as https://hooks.example.org/abc."
        )
    if parts.username is not None:
        raise CampaignError(f"{where}: a name or password before the host cannot be used; leave them out.")
    return str(value)


def _events(value: Any, where: str) -> tuple[str, ...]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not names:
        raise CampaignError(f"{where}: {short(value)} is not a list of {', '.join(EVENTS)}.")
    for name in names:
        if name not in EVENTS:
            raise CampaignError(unknown_key(name, EVENTS, where, what="there is no event"))
    return tuple(event for event in EVENTS if event in names)


def _seconds(value: Any, where: str) -> float:
    seconds = duration(value, where)
    if not 0 < seconds <= _LONGEST_SECONDS:
        raise CampaignError(f"{where}: {short(value)} is not more than nothing and at most 1 h.")
    return seconds


_CHECKS: Mapping[str, Callable[[Any, str], Any]] = {
    "command": _command,
    "url": _url,
    "on": _events,
    "timeout": _seconds,
}
