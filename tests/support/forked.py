"""``subprocess.Popen`` whose Python programs are forked from a server that has imported everything (fork_server.py).

Only programs of ours are, ``python -m xpm_alchem...`` and scripts of tasks, and only where nothing is asked for that a
new interpreter alone could give. With `XPM_ALCHEM_TEST_REAL=1` none is: then every process is started anew; with
`attempts` those of attempts are, also by drivers that were forked themselves.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fork_server import LENGTH, NUMBER
from places import SUPPORT

REAL = os.environ.get("XPM_ALCHEM_TEST_REAL") == "1"
_OwnPopen = subprocess.Popen  # whatever stands there later
_SETS_UP = ("PYTHON", "LANG", "LC_", "LD_")  # variables that an interpreter reads when it starts
_server: list[str] = []  # the address of the server, where there is one
_AT_FIRST = dict(os.environ)  # before a test changes anything


def use(address: str) -> None:
    """Let this process, which is the server, and those forked from it have Python programs forked."""
    _server[:] = [address]
    subprocess.Popen = Popen  # type: ignore[misc]


def _start_server() -> None:
    """Start a server that ends with this process: when its standard input is closed."""
    address = f"xpm-forks-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    home = tempfile.gettempdir()  # no test's: it outlives them all
    path = os.pathsep.join([str(SUPPORT), *filter(None, [_AT_FIRST.get("PYTHONPATH")])])
    environment = {**_AT_FIRST, "HOME": home, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, str(Path(__file__).with_name("fork_server.py")), address]
    process = _OwnPopen(
        command, env=environment, cwd=home, start_new_session=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    _kept.append(process)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n", "the server that forks has not started"
    _server[:] = [address]


_kept: list[subprocess.Popen[bytes]] = []


class Popen(_OwnPopen):
    """A process that is forked where that makes no difference to what a test asks."""

    _connection: socket.socket | None = None
    _status = b""

    def _execute_child(self, args: Any, executable: Any, preexec_fn: Any, *rest: Any) -> None:
        _, pass_fds, cwd, env, _, _, shell, p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite, *more = rest
        restore_signals, *ids, start_new_session, _ = more
        words = [] if isinstance(args, str | bytes | os.PathLike) else [os.fspath(word) for word in args]
        environment = os.environ if env is None else env
        special = executable or preexec_fn or pass_fds or shell or not restore_signals or ids != [None, None, None, -1]
        ours = not special and _is_ours(words) and Path(cwd or ".").is_dir() and _sets_up_the_same(environment)
        if not ours:
            return super()._execute_child(args, executable, preexec_fn, *rest)
        if not _server:
            _start_server()
        asked = {
            "words": words,
            "cwd": os.fspath(cwd or Path.cwd()),
            "environment": dict(environment),
            "session": start_new_session,
        }
        streams = [own if given == -1 else given for own, given in enumerate((p2cread, c2pwrite, errwrite))]
        try:
            self._connection = socket.socket(socket.AF_UNIX)
            self._connection.connect(f"\0{_server[0]}")
            content = json.dumps(asked).encode()
            socket.send_fds(self._connection, [LENGTH.pack(len(content))], streams)
            self._connection.sendall(content)
            self.pid = NUMBER.unpack(self._connection.recv(NUMBER.size, socket.MSG_WAITALL))[0]
            self._child_created = True
        finally:
            self._close_pipe_fds(p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite)

    def _try_wait(self, wait_flags: int) -> tuple[int, int]:
        if self._connection is None:
            return super()._try_wait(wait_flags)
        flags = socket.MSG_DONTWAIT if wait_flags & os.WNOHANG else 0
        try:
            while len(self._status) < NUMBER.size:
                part = self._connection.recv(NUMBER.size - len(self._status), flags)
                if not part:
                    raise ChildProcessError("the server that forks is gone")
                self._status += part
        except BlockingIOError:
            return 0, 0
        self._connection.close()
        return self.pid, NUMBER.unpack(self._status)[0]

    def _internal_poll(self, *args: Any, **options: Any) -> int | None:
        if self._connection is None:
            return super()._internal_poll(*args, **options)
        if self.returncode is None:
            with self._waitpid_lock:
                if self.returncode is None:
                    pid, status = self._try_wait(os.WNOHANG)
                    if pid == self.pid:
                        self._handle_exitstatus(status)
        return self.returncode


def _is_ours(words: Sequence[str]) -> bool:
    words = [word for word in words if word != "-P"]
    if REAL or len(words) < 2 or words[0] != sys.executable:
        return False
    if len(words) > 2 and words[1] == "-m":
        return words[2].split(".")[0] == "xpm_alchem"
    if words[1] in (str(SUPPORT / "faults.py"), str(SUPPORT / "tuned.py")):
        return True
    is_attempt = "/jobs/xpm_alchem." in words[1] and words[1].endswith(".py")
    return is_attempt and os.environ.get("XPM_ALCHEM_TEST_REAL") != "attempts"


def _setup_in(environment: Mapping[str, str]) -> dict[str, str]:
    return {key: environment[key] for key in environment if key.startswith(_SETS_UP) and key != "PYTHONPATH"}


def _sets_up_the_same(environment: Mapping[str, str]) -> bool:
    """Whether an interpreter would start as the server did; also with modules on its path that nobody has imported."""
    known = (str(SUPPORT), *_AT_FIRST.get("PYTHONPATH", "").split(os.pathsep))
    more = [Path(path) for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path and path not in known]
    others = {"sitecustomize", "usercustomize", "gufe", *sys.modules}  # what the server may have imported
    return _setup_in(environment) == _setup_in(_AT_FIRST) and not any(
        found.stem in others for path in more if path.is_dir() for found in path.iterdir()
    )
