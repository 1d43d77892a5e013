"""A command on a file system where every call on a name takes a while; it says how many calls there were.

    python slow_file_system.py ORDER run campaign.yaml

ORDER is JSON: 'root', the directory; 'seconds' of each call; 'counts': a file that says, again and again, how often
each name of a path was asked for (without what differs from task to task).
"""

from __future__ import annotations

import json
import re
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from faults import BY_PATH, Faults

_REST = re.compile(r"[0-9a-f]{32,}|\d{8}-\d{6}-[0-9a-f]+|\d+")


def install(order: dict[str, Any]) -> None:
    """Slow down the calls of this process from now on, and count them."""
    counts, lock, file = Counter[str](), threading.Lock(), Path(order["counts"])

    def choose(call: int, name: str, path: str) -> None:
        if name in BY_PATH:
            with lock:
                counts[_REST.sub("*", path.removeprefix(order["root"]))] += 1
            time.sleep(order["seconds"])

    def say() -> None:
        while True:
            time.sleep(0.2)
            with lock:
                text = json.dumps(counts)
            new = file.with_suffix(".new")
            new.write_text(text)
            new.replace(file)

    Faults(Path(order["root"]), choose).install()
    threading.Thread(target=say, daemon=True).start()


if __name__ == "__main__":
    install(json.loads(sys.argv[1]))
    sys.argv[1:2] = []
    from xpm_alchem.cli import main

    main(prog_name="xpm-alchem")
