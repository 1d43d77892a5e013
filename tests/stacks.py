"""Where a Python process is that should have ended."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def stacks(pid: int) -> str:
    """Return the stacks of a process's threads."""
    command = [str(Path(sys.executable).with_name("py-spy")), "dump", "--nonblocking", "--pid", str(pid)]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=30).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"its stacks cannot be shown: {error}"
