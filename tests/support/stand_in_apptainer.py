"""Stands in for Apptainer, which Debian does not have: no container, but the same process tree.

It checks the options that xpm-alchem gives, up to the image, then runs the command on the node itself as Apptainer runs
it in a container: as a child in its own session, to which it hands signals on, and whose code is its own. Each call is
a line of the file that STAND_IN_CALLS names.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path


def main() -> int:
    words = sys.argv[1:]
    assert words.pop(0) == "exec", words
    found: dict[str, list[str]] = {"--bind": [], "--pwd": [], "flags": []}
    while words[0].startswith("-"):
        option = words.pop(0)
        if option in found:
            found[option].append(words.pop(0))
        else:
            found["flags"].append(option)
    image = words.pop(0)
    assert all(Path(bind).exists() for bind in found["--bind"]), found
    assert found["--pwd"] == [os.getcwd()], found  # noqa: PTH109
    with open(os.environ["STAND_IN_CALLS"], "a") as calls:
        calls.write(json.dumps({"image": image, "pid": os.getpid(), "words": sys.argv[1:], **found}) + "\n")
    child = subprocess.Popen(words)
    for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, frame: child.send_signal(number))
    code = child.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
