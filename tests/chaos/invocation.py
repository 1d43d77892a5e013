"""``xpm-alchem`` called again and again: mostly forked from a server that has imported everything, which takes no time.

A few are started as a user's shell does: what happens while Python starts and ends is the same as ever, and slow.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import forked
from patience import Patience
from places import SUPPORT


class Invocation:
    """One call of ``xpm-alchem ARGUMENTS``, in a session of its own; stdout and stderr go to files.

    Parameters
    ----------
    as_program
        Whether to start Python anew.
    durations
        Durations in it that are others than usual, see `tuned`.
    """

    def __init__(
        self,
        arguments: Sequence[object],
        *,
        cwd: Path,
        out: Path,
        err: Path,
        as_program: bool,
        durations: Mapping[str, float] | None = None,
    ) -> None:
        program = [str(SUPPORT / "tuned.py"), json.dumps(durations), "0"] if durations else ["-m", "xpm_alchem"]
        words = [sys.executable, *program, *map(str, arguments)]
        start = subprocess.Popen if as_program else forked.Popen
        with open(out, "wb") as stdout, open(err, "ab") as stderr:
            self._process = start(
                words, cwd=cwd, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, start_new_session=True
            )
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal; None while it runs."""
        return self._process.poll()

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it runs."""
        self._process.send_signal(number)

    def wait(self, seconds: float) -> int:
        """Return the exit code when it has ended.

        Raises
        ------
        TimeoutError
            It has not ended in time.
        """
        patience = Patience(seconds)
        while (code := self.poll()) is None:
            if patience.is_over():
                raise TimeoutError(f"process {self.pid} has not ended within {patience}")
            time.sleep(0.02)
        return code
