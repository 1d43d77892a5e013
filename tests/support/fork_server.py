"""A process that has imported what drivers and attempts import, and forks one of them whenever it is asked to.

    python fork_server.py ADDRESS

Most of a test's time would be Python starting and importing. What is forked is a process like any other: it has its
pid, session, working directory, environment and streams, ends by signals and exit codes, and starts its own attempts
in the same way. What differs: its parent is this server, and its imports are done. See forked.py, which asks.
"""

from __future__ import annotations

import atexit
import io
import json
import os
import runpy
import selectors
import signal
import socket
import struct
import sys
import threading
import traceback
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

LENGTH = struct.Struct("!I")
NUMBER = struct.Struct("!i")
PRELOADED = (
    "constraint",
    "dummy_protocol",
    "experimaestro.core.partial_lock",
    "experimaestro.run",
    "experimaestro.scheduler.dynamic_outputs",
    "experimaestro.scheduler.folders",
    "experimaestro.scheduler.objects_writer",
    "experimaestro.scheduler.prepare",
    "experimaestro.utils.environment",
    "experimaestro.utils.git",
    "forked",
    "pydantic.dataclasses",
    "rdkit.Chem.AllChem",
    "rich._emoji_codes",
    "setproctitle",
    "xpm_alchem.cli.budget",
    "xpm_alchem.cli.change",
    "xpm_alchem.cli.display",
    "xpm_alchem.cli.doctor",
    "xpm_alchem.cli.failures",
    "xpm_alchem.cli.logs",
    "xpm_alchem.cli.look",
    "xpm_alchem.cli.restarts",
    "xpm_alchem.cli.start",
    "xpm_alchem.cli.strategy",
    "xpm_alchem.cli.tasks",
    "xpm_alchem.cli.transfer",
    "xpm_alchem.cli.work",
    "xpm_alchem.client.workers",
    "xpm_alchem.driver.loop",
    "xpm_alchem.execution.dag_run",
    "xpm_alchem.gufe_seam.face",
    "xpm_alchem.launchers.choose",
    "xpm_alchem.launchers.slurm.launcher",
    "xpm_alchem.launchers.workers.launcher",
    "xpm_alchem.launchers.workers.worker",
    "xpm_alchem.results.analysis",
    "xpm_alchem.strategies.connectivity",
    "xpm_alchem.strategies.strategist",
    "xpm_alchem.strategies.uniform",
    "xpm_alchem.tables.result",
    "xpm_alchem.tasks",
    "xpm_alchem.views.strategy",
)


def serve(address: str) -> None:
    """Fork until stdin is closed, as it is when the tests have ended."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(f"\0{address}")
    listening.listen(64)
    selector = selectors.DefaultSelector()
    selector.register(listening, selectors.EVENT_READ)
    selector.register(0, selectors.EVENT_READ)
    os.write(1, b"ready\n")
    while True:
        for key, _ in selector.select():
            if key.fileobj == 0:
                return
            if key.fileobj is listening:
                connection, _ = listening.accept()
                _fork(connection, selector)
            else:
                selector.unregister(key.fileobj)
                os.close(key.fd)
                pid, connection = key.data
                _, status = os.waitpid(pid, 0)
                with suppress(OSError), connection:  # who asked may be gone
                    connection.sendall(NUMBER.pack(status))


def _fork(connection: socket.socket, selector: selectors.BaseSelector) -> None:
    """Fork the process that is asked for on a connection; there its pid is told first, and at the end how it ended."""
    data, streams, _, _ = socket.recv_fds(connection, LENGTH.size, 3)
    asked = b""
    if len(data) == LENGTH.size:
        with connection.makefile("rb") as reader:
            asked = reader.read(LENGTH.unpack(data)[0])
    if _is_there(connection):
        pid = os.fork()
        if pid == 0:
            _become(json.loads(asked), connection, streams)
        selector.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, connection))
    else:
        connection.close()
    for stream in streams:
        os.close(stream)


def _is_there(connection: socket.socket) -> bool:
    """Whether who asked still lives: one that was killed meanwhile has started nothing, as if it had forked itself."""
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def _become(asked: Mapping[str, Any], connection: socket.socket, streams: list[int]) -> None:
    """Be the process that is asked for, to its end."""
    code: object = 1
    try:
        if asked["session"]:
            os.setsid()
        os.chdir(asked["cwd"])
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        connection.sendall(NUMBER.pack(os.getpid()))
        os.closerange(3, 4096)
        connection.detach()
        _take_environment(asked["environment"])
        _open_streams()
        words = asked["words"]
        sys.modules["setproctitle"].setproctitle(" ".join(words))
        code = _run(words[1:])
    except SystemExit as end:
        code = end.code
    except KeyboardInterrupt:
        traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        traceback.print_exc()
    finally:
        _end(code)


def _take_environment(environment: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    first = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path and path not in sys.path]
    sys.path[1:1] = first  # the first of all is where the program lies


def _open_streams() -> None:
    sys.stdin = sys.__stdin__ = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, "r", closefd=False)), "utf-8")
    for number, name, errors in ((1, "stdout", "strict"), (2, "stderr", "backslashreplace")):
        raw = io.FileIO(number, "w", closefd=False)
        is_line_wise = name == "stderr" or raw.isatty()
        stream = io.TextIOWrapper(io.BufferedWriter(raw), "utf-8", errors, line_buffering=is_line_wise)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _run(words: list[str]) -> int:
    """Run ``[-P] -m MODULE ARGUMENTS`` or ``[-P] SCRIPT ARGUMENTS`` as Python does."""
    is_safe = words[0] == "-P"
    words = words[is_safe:]
    first = Path.cwd() if words[0] == "-m" else Path(words[0]).parent
    sys.path[:1] = [] if is_safe else [str(first)]
    if words[0] == "-m":
        sys.argv = words[1:]
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = words
        runpy.run_path(words[0], run_name="__main__")
    return 0


def _end(code: object) -> None:
    """End as an interpreter does: non-daemon threads, then exit functions, then what is still to be written."""
    if isinstance(code, str):
        print(code, file=sys.stderr)
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            code = code or 120
    os._exit(code & 0xFF if isinstance(code, int) else 0 if code is None else 1)


def main() -> None:
    """Import, then serve."""
    for name in PRELOADED:
        __import__(name)
    sys.modules["forked"].use(sys.argv[1])
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell in the background has it ignored
    serve(sys.argv[1])


if __name__ == "__main__":
    main()
