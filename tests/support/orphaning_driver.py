"""Run a driver that is killed when it has started an attempt and has not noted its process: orphaning_driver.py PLAN.

The attempt is stopped before it can say anything: its number is printed.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from xpm_alchem.client import Campaign
from xpm_alchem.launchers.local_attempt import LocalAttempt, LocalAttemptBuilder

_real = LocalAttemptBuilder.start


def start(self: LocalAttemptBuilder, task_mode: bool = False) -> Any:
    """Start the attempt, stop it, and end the driver."""
    attempt: LocalAttempt = _real(self, task_mode)
    os.kill(attempt.identity.pid, signal.SIGSTOP)
    print(attempt.identity.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
    return attempt


if __name__ == "__main__":
    LocalAttemptBuilder.start = start  # type: ignore[method-assign]
    Campaign.create(sys.argv[1]).run()
