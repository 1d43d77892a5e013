"""The only room that knows gufe's versions: ``from xpm_alchem import gufe_seam``, then ``gufe_seam.load(...)``.

gufe takes its time to be imported, and commands that only look do without it (``gufe_seam.keyed_chain`` reads its JSON
as plain data): what needs it is imported with the first name that is asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xpm_alchem.gufe_seam.face import *  # noqa: F403


def __getattr__(name: str) -> Any:
    globals()[name] = found = getattr(importlib.import_module(f"{__name__}.face"), name)
    return found
