"""How a Python is started.

With ``-m`` or ``-c`` Python looks for modules in the current directory first, and for a script where the script lies: a
``random.py`` beside campaign.yaml, somebody's notes or somebody's trap, would be imported instead of Python's own.
"""

from __future__ import annotations

import os
import sys


def python(*arguments: object) -> list[str]:
    """Return the command of this Python with arguments, importing only what is installed or on PYTHONPATH."""
    return [sys.executable, "-P", *map(str, arguments)]


def leave_out_current_directory() -> None:
    """Import no further module from the current directory, where ``python -m`` has put it first."""
    try:
        here = os.getcwd()  # noqa: PTH109 - pathlib takes its time, and is a module that could lie there
    except OSError:  # it was removed
        return
    if not sys.flags.safe_path and sys.path[:1] in ([""], [here]):
        del sys.path[0]


def hand_on_no_current_directory() -> None:
    """Take empty entries out of PYTHONPATH for what is started: ``$PYTHONPATH:/more`` makes one of nothing.

    An empty entry stands for the current directory, of a node's job too.
    """
    entries = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    if entries:
        os.environ["PYTHONPATH"] = os.pathsep.join(entries)
    else:
        os.environ.pop("PYTHONPATH", None)
