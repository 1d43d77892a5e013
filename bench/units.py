"""What it costs to execute units that do nothing, and to keep large results: beside gufe's own execution.

    python bench/units.py [--quick] [--only flat chain floats array]

A row is a ProtocolDAG of 100 units side by side, of 300 in a chain (each is given the result of the one before), of one
with a result of 4.5 million floats (85 MB of JSON) or of a numpy array of 100 MB. All is measured in one process each,
CPU seconds from the DAG to its result, without imports: gufe's `execute_DAG` and, for the large ones, one `json.dump`
of the unit's result (its keyed chain) are the peers. `fsync`, `mkdir`, `open` and `stat` are system calls for each
unit, as strace counts them. `written` is what is left in the task's directory.

Let TMPDIR lie on a file system that is new, or at rest: where many directories were removed a moment ago, making one
takes many times as long.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common import options, own_place, peak_rss, print_table

SIZES = {"flat": 100, "chain": 300, "floats": 4_500_000, "array": 12_500_000}
QUICK = {"flat": 10, "chain": 30, "floats": 45_000, "array": 125_000}
THEN = {"flat": "4-8", "chain": "19", "floats": "1.5", "array": "6.8"}  # version 0.1.0, beside the peer
CALLS = {
    "fsync": ("fsync", "fdatasync"),
    "mkdir": ("mkdir", "mkdirat"),
    "open": ("open", "openat"),
    "stat": ("stat", "lstat", "newfstatat", "statx"),
}


def main() -> None:
    """Print the table."""
    parser = options(__doc__)
    parser.add_argument("--only", nargs="+", choices=tuple(SIZES), default=tuple(SIZES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--do", nargs=3, metavar=("WHAT", "SHAPE", "SIZE"), help="internal")
    given = parser.parse_args()
    if given.do:
        what, shape, size = given.do
        print(json.dumps({"ours": ours, "gufe": gufes, "json": one_dump}[what](shape, int(size))))
        return
    rows = []
    for shape in given.only:
        size = (QUICK if given.quick else SIZES)[shape]
        with own_place():
            rows.append(row(shape, size, given.rounds))
    head = ("units", "CPU s", "gufe s", "x gufe", "json s", "x json", "0.1.0", "peak MiB", "written", *CALLS)
    print_table("executing units", head, rows)


def row(shape: str, size: int, rounds: int) -> tuple[str, ...]:
    """Return the cells of a row: the best of some rounds, in turns."""
    peers = ["gufe"] if shape in ("flat", "chain") else ["gufe", "json"]
    found: dict[str, list[dict[str, float]]] = {}
    for _ in range(rounds):
        for what in ("ours", *peers):
            if (one := run([], what, shape, size)) is not None:
                found.setdefault(what, []).append(one)
    best = {what: min(values, key=lambda value: value["cpu"]) for what, values in found.items()}
    cpu = best["ours"]["cpu"]
    cells = []
    for peer in ("gufe", "json"):
        cells += [f"{best[peer]['cpu']:.3f}", f"{cpu / best[peer]['cpu']:.2f}"] if peer in best else ["-", "-"]
    units = size if shape in ("flat", "chain") else 1
    return (
        f"{shape}, {size}",
        f"{cpu:.3f}",
        *cells,
        THEN[shape],
        f"{best['ours']['peak'] / 2**20:.0f}",
        f"{best['ours']['written'] / 1e6:.1f} MB",
        *(f"{count / units:.1f}" for count in calls(shape, size).values()),
    )


def run(before: list[str], what: str, shape: str, size: int) -> dict[str, float] | None:
    """Measure in a process of its own; None where this gufe has no such thing."""
    command = [*before, sys.executable, __file__, "--do", what, shape, str(size)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        if "ImportError" in done.stderr:
            return None
        raise RuntimeError(done.stderr[-3000:])
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def calls(shape: str, size: int) -> dict[str, int]:
    """Return the system calls of an execution, between two marks."""
    strace = shutil.which("strace")
    if strace is None:
        return {}
    with tempfile.NamedTemporaryFile(mode="r") as out:
        names = ",".join(f"?{name}" for group in CALLS.values() for name in group)
        run([strace, "-f", "-e", f"trace={names}", "-o", out.name], "ours", shape, size)
        text = out.read()
    inside = text[text.index("bench-begins") : text.rindex("bench-ends")]
    counts = Counter(re.findall(r"^\d+ +(\w+)\(", inside, re.MULTILINE))
    return {what: sum(counts[name] for name in group) for what, group in CALLS.items()}


# ------------------------------------------------------------------------------------------- in a process of its own
def transformation(shape: str, size: int) -> Any:
    """Return a transformation of the protocol."""
    from dummy_protocol import small_molecule
    from units_protocol import UnitsProtocol, UnitsSettings

    from xpm_alchem import gufe_seam as seam

    ends = [seam.ChemicalSystem({"ligand": small_molecule(f"ligand_{n}")}, name=f"ligand_{n}") for n in range(2)]
    return seam.Transformation(*ends, UnitsProtocol(UnitsSettings(shape=shape, size=size)), None, name="units")


def timed(action: Callable[[Path], object]) -> dict[str, float]:
    """Return the CPU seconds of an action on a new directory, the peak of memory and the bytes it left."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "bench-begins").exists()
        began = time.process_time()
        action(Path(directory))
        cpu = time.process_time() - began
        Path(directory, "bench-ends").exists()
        files = [path for path in Path(directory).rglob("*") if path.is_file()]
        written = sum({path.stat().st_ino: path.stat().st_size for path in files}.values())
    return {"cpu": cpu, "peak": float(peak_rss()), "written": float(written)}


def ours(shape: str, size: int) -> dict[str, float]:
    """Execute a task."""
    from xpm_alchem.execution.dag_run import TaskSpec, run

    one = transformation(shape, size)
    spec = TaskSpec("0123456789abcdef", 1, lambda: one, None, ("units_protocol",))
    return timed(lambda directory: run(directory / "task", spec))


def gufes(shape: str, size: int) -> dict[str, float]:
    """Execute a ProtocolDAG with gufe's own means, and write its result as `openfe quickrun` does."""
    from gufe.protocols.protocoldag import execute_DAG

    one = transformation(shape, size)

    def execute(directory: Path) -> None:
        for name in ("shared", "scratch"):
            (directory / name).mkdir()
        dag = one.create()
        execute_DAG(dag, shared_basedir=directory / "shared", scratch_basedir=directory / "scratch", keep_shared=True)

    return timed(execute)


def one_dump(shape: str, size: int) -> dict[str, float]:
    """Write the result of the only unit as JSON, once."""
    from units_protocol import Large

    from xpm_alchem.gufe_seam.installed import JSON_HANDLER

    outputs = Large._execute(None, number=size, shape=shape)

    def dump(directory: Path) -> None:
        with open(directory / "result.json", "w") as out:
            out.write(json.dumps(outputs, cls=JSON_HANDLER.encoder))

    return timed(dump)


if __name__ == "__main__":
    main()
