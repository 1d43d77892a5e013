"""Ending a process that cannot end itself: hung in native code, where no Python runs, or stopped.

A shell waits beside it, for its end or for the time to be over. It learns of the end by a pipe that closes then, so it
never kills a later process of the same number, and never stays behind.
"""

from __future__ import annotations

import os
import shutil
import subprocess

_SCRIPT = 'timeout "$1" cat; test $? = 124 && kill -s KILL -- "-$2"'  # 124: the pipe was still open


def kill_after(seconds: float) -> None:
    """Have the processes of this one's group killed in so many seconds, unless this process has ended by then.

    Does nothing where this process does not lead a session and a group of its own, or where there is no `timeout`.
    """
    if not os.getpid() == os.getsid(0) == os.getpgrp() or shutil.which("timeout") is None:
        return
    its_end, _ours = os.pipe()  # ours stays open until this process has ended: no other inherits it
    try:
        subprocess.Popen(
            ["/bin/sh", "-c", _SCRIPT, "watchdog", f"{seconds:.1f}", str(os.getpid())],
            stdin=its_end,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    finally:
        os.close(its_end)
