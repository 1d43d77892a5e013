"""Many processes need many descriptors; their own programs see the limit that this process was given."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

LIMITS = """
import resource, subprocess, sys
from xpm_alchem.execution.descriptors import Descriptors
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (300, hard))
limits = Descriptors()
limits.make_room(1)
few = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
limits.make_room(500)
many = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
child = subprocess.Popen([sys.executable, "-c", "input(); import resource; print(resource.getrlimit(7)[0])"],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
limits.as_given(child.pid)
print(few, many, child.communicate("\\n")[0].strip())
"""


def test_room_is_made_for_many_processes_and_their_children_keep_the_limit():
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 1100:
        pytest.skip("this machine's hard limit leaves no room")
    done = subprocess.run([sys.executable, "-c", LIMITS], capture_output=True, text=True, check=True)
    few, many, childs = map(int, done.stdout.split())
    assert few >= 513 and many >= 1012 and childs == 300
