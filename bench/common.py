"""What the benchmarks share: a place of their own, measured processes, networks of any size, and tables."""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import psutil

BENCH = Path(__file__).parent
ROOT = BENCH.parent
SUPPORT = ROOT / "tests" / "support"
sys.path.insert(0, str(SUPPORT))


def options(description: str) -> argparse.ArgumentParser:
    """Return a parser with the option that all benchmarks have."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes: does it run at all")
    return parser


@contextmanager
def own_place() -> Iterator[Path]:
    """Give a temporary directory with a HOME in it; at the end nothing of it is left, no file and no process."""
    place = Path(tempfile.mkdtemp(prefix="xpm-alchem-bench-"))
    before = dict(os.environ)
    home = place / "home"
    home.mkdir()
    paths = [str(BENCH), str(SUPPORT), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ |= {"HOME": str(home), "XPM_WORKDIR": str(home / "xpm"), "PYTHONPATH": os.pathsep.join(paths)}
    try:
        yield place
    finally:
        os.environ.clear()
        os.environ.update(before)
        _end_processes(home)
        shutil.rmtree(place, ignore_errors=True)


def _end_processes(home: Path) -> None:
    """Kill what still runs with our temporary HOME, which nobody else has."""
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get("HOME") == str(home):
                process.kill()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue


@attrs.frozen
class Usage:
    """What a process used: wall seconds, CPU seconds (with the children it waited for), its own peak RSS in bytes."""

    wall: float
    cpu: float
    peak: int


def measured(command: Sequence[object], **settings: Any) -> Usage:
    """Run a command to its end and return what it used.

    Raises
    ------
    RuntimeError
        It failed; with the end of what it wrote.
    """
    with tempfile.TemporaryFile() as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=output, stderr=output, **settings
        )
        peak = [0]
        watch = threading.Thread(target=_watch_peak, args=(process.pid, peak), daemon=True)
        watch.start()
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        watch.join()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            text = output.read().decode(errors="replace")
            raise RuntimeError(f"{command} ended with code {process.returncode}:\n{text[-3000:]}")
    return Usage(wall, used.ru_utime + used.ru_stime, peak[0])


def peak_rss(pid: int | str = "self") -> int:
    """Return the peak RSS of a process in bytes; unlike getrusage's it does not begin with its parent's size.

    Raises
    ------
    OSError, StopIteration
        It has ended.
    """
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024


def _watch_peak(pid: int, peak: list[int]) -> None:
    try:
        while True:
            peak[0] = peak_rss(pid)
            time.sleep(0.005)
    except (OSError, StopIteration):
        return


def make_network(transformations: int, ligand: str = "ligand", **settings: Any) -> Any:
    """Return a gufe network with about that many transformations: random ligand pairs, a vacuum and a solvent leg.

    One SMILES stands for all ligands, which differ in their names: making molecules is not what is measured.

    Parameters
    ----------
    ligand
        Begins the names of ligands: networks whose ligands have other names share no task.
    settings
        Of the scripted protocol.
    """
    import dummy_protocol as dummy

    from xpm_alchem import gufe_seam as seam

    pairs = max(1, transformations // 2)
    ligands = max(4, pairs * 2 // 3)
    choose = random.Random(transformations)
    edges = {(n, n + 1) for n in range(min(pairs, ligands - 1))}  # connected first, then random cycles
    while len(edges) < min(pairs, ligands * (ligands - 1) // 2):
        first, second = sorted(choose.sample(range(ligands), 2))
        edges.add((first, second))
    protocol = dummy.DummyProtocol(dummy.DummySettings(**{"n_steps": 1, **settings}))
    water = seam.SolventComponent()
    molecules = [dummy.small_molecule(f"{ligand}_{n}") for n in range(ligands)]
    systems = {
        environment: [
            seam.ChemicalSystem(
                {"ligand": molecule} | ({"solvent": water} if environment == "solvent" else {}),
                name=f"{environment}_ligand_{n}",
            )
            for n, molecule in enumerate(molecules)
        ]
        for environment in ("vacuum", "solvent")
    }
    made = [
        seam.Transformation(group[a], group[b], protocol, None, name=f"{ligand}_{a}_{ligand}_{b}_{environment}")
        for a, b in sorted(edges)
        for environment, group in systems.items()
    ]
    return seam.AlchemicalNetwork(edges=made[:transformations], name=f"bench-{transformations}")


def write_campaign(place: Path, network: Any, plan: Mapping[str, Any]) -> Path:
    """Write network.json and a campaign.yaml in `place`; return the latter."""
    import yaml

    from xpm_alchem.gufe_seam import save

    place.mkdir(parents=True, exist_ok=True)
    save(network, place / "network.json")
    content = {"name": "bench", "network": "network.json", "workspace": "./workspace", **plan}
    path = place / "campaign.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def spread(values: Iterable[float]) -> str:
    """Return 'min / median / max'."""
    known = list(values)
    return " / ".join(f"{f(known):.2f}" for f in (min, statistics.median, max))


def print_table(title: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table, the first column to the left and the others to the right."""
    cells = [list(head), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    print(f"\n{title}")
    for number, row in enumerate(cells):
        parts = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        print("  ".join(parts))
        if number == 0:
            print("  ".join("-" * width for width in widths))
    sys.stdout.flush()


def mebibytes(size: int) -> str:
    """Return bytes as MiB."""
    return f"{size / 2**20:.0f}"
