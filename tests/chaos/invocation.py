"""``xpm-alchem`` called again and again: mostly forked from a server that has imported everything, which takes no time.

A few are started as a user's shell does: what happens while Python starts and ends is the same as ever, and slow.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from patience import Patience

_FORK = multiprocessing.get_context("forkserver")
_FORK.set_forkserver_preload(
    [
        "tests.chaos.invocation",
        "xpm_alchem.cli.start",
        "xpm_alchem.cli.look",
        "xpm_alchem.cli.change",
        "xpm_alchem.cli.restarts",
        "xpm_alchem.cli.strategy",
        "xpm_alchem.cli.display",
        "xpm_alchem.driver.loop",
        "xpm_alchem.strategies",
        "xpm_alchem.strategies.strategist",
        "xpm_alchem.launchers.choose",
        "xpm_alchem.launchers.slurm.launcher",
        "xpm_alchem.views.strategy",
        "dummy_protocol",
    ]
)


class Invocation:
    """One call of ``xpm-alchem ARGUMENTS``, in a session of its own; stdout and stderr go to files.

    Parameters
    ----------
    as_program
        Whether to start Python anew.
    """

    def __init__(self, arguments: Sequence[object], *, cwd: Path, out: Path, err: Path, as_program: bool) -> None:
        words = [str(word) for word in arguments]
        for file in (out, err):  # a call may be killed before it has opened them
            file.touch()
        self._program: subprocess.Popen[bytes] | None = None
        if as_program:
            with open(out, "wb") as stdout, open(err, "ab") as stderr:
                self._program = subprocess.Popen(
                    [sys.executable, "-m", "xpm_alchem", *words],
                    cwd=cwd,
                    stdin=subprocess.DEVNULL,
                    stdout=stdout,
                    stderr=stderr,
                    start_new_session=True,
                )
            self.pid = self._program.pid
        else:
            self._forked = _FORK.Process(target=_run, args=(words, cwd, out, err, dict(os.environ)))
            self._forked.start()
            self.pid = int(self._forked.pid or 0)

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal; None while it runs."""
        return self._forked.exitcode if self._program is None else self._program.poll()

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it runs."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

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


def _run(words: list[str], cwd: Path, out: Path, err: Path, environment: Mapping[str, str]) -> None:
    os.setsid()
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    for path, stream, mode in ((Path(os.devnull), 0, os.O_RDONLY), (out, 1, os.O_TRUNC), (err, 2, os.O_APPEND)):
        opened = os.open(path, mode if stream == 0 else mode | os.O_WRONLY | os.O_CREAT)
        os.dup2(opened, stream)
        os.close(opened)
    sys.argv = ["xpm-alchem", *words]
    from xpm_alchem.cli import main

    main(prog_name="xpm-alchem")
