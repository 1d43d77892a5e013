"""Where the project and its tests lie, and the Python path that the processes of a test need."""

from __future__ import annotations

import os
from pathlib import Path

SUPPORT = Path(__file__).resolve().parent
ROOT = SUPPORT.parents[1]
NO_SKIPS = os.environ.get("XPM_ALCHEM_NO_SKIPS") == "1"  # CI: a test that cannot run is a failure
HYDRATION = ROOT / "experiments" / "hydration"


def python_path(*first: Path) -> str:
    """Return PYTHONPATH with directories, and what tests share, before what it is now."""
    return os.pathsep.join([*map(str, first), str(SUPPORT), *filter(None, [os.environ.get("PYTHONPATH")])])
