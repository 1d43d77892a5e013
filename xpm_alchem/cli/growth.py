"""What is said and asked when a network changes."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import click

from xpm_alchem.base.errors import InputError
from xpm_alchem.cli.options import say
from xpm_alchem.requests.growth import Growth

_WIDTH, _LINES = 80, 3  # of names


def tell_growth(growth: Growth, *, would: str = "") -> None:
    """Say how a network changes, and how it stays other than the file that gives it."""
    change = growth.change
    if change:
        say(f"network {would}changed: {growth.sentence}")
        for what, ids in (("new", change.new), ("gone", change.gone)):
            _say_names(f"  {what}:", growth.named(ids))
        before, after = growth.parts
        if after > before:
            say(
                f"  warning: the network {would or 'is '}now in {after} parts that nothing joins ({before} before): "
                "values of different parts cannot be compared"
            )
    for what, ids in (("dropped", growth.dropped_by_commands), ("added", growth.added_by_commands)):
        _say_names(f"stays as commands have set it: {what}", growth.named(ids))


def confirm_what_goes(growth: Growth, *, yes: bool) -> None:
    """Ask whether transformations may go, where somebody can answer.

    Raises
    ------
    InputError
        They may not.
    """
    if not growth.change.gone or yes or not sys.stdin.isatty():
        return
    question = "Their results are kept, and left out unless asked for. Go on?"
    if not click.confirm(question, default=True):
        raise InputError("nothing was changed.")


def _say_names(head: str, names: Iterable[str]) -> None:
    """Say names in lines of a terminal's width; a few lines of many."""
    names = list(names)
    if not names:
        return
    lines, line = list[str](), head
    for number, name in enumerate(names):
        more = f" {name}{'' if number == len(names) - 1 else ','}"
        if len(line) + len(more) > _WIDTH and line.strip() != head.strip():
            if len(lines) == _LINES - 1:
                line += f" and {len(names) - number} more"
                break
            lines.append(line)
            line = " " * 5
        line += more
    say(*lines, line)
