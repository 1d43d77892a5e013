"""The script of an attempt looks for no garbage among what it imports; what the attempt makes is collected as ever."""

from __future__ import annotations

import subprocess
import sys

from xpm_alchem.launchers.base import _COLLECT_NOTHING

FROZEN = """
import sys

sys.argv = ["x"]
{begin}
from xpm_alchem.tasks import RunTransformation

try:
    RunTransformation.execute(None)
except AttributeError:  # there is no task: it comes no further than its imports
    pass

import gc

print(gc.isenabled(), gc.get_freeze_count() > 10_000)
"""


def test_what_is_imported_is_not_looked_through_and_all_else_is():
    for begin, expected in ((_COLLECT_NOTHING, "True True"), ("", "True False")):
        done = subprocess.run(
            [sys.executable, "-P", "-c", FROZEN.format(begin=begin)], capture_output=True, text=True, check=True
        )
        assert done.stdout.split("\n")[-2] == expected
