"""What befalls the tasks of the chaos program: drawn from a seed beforehand, acted inside the units.

Every task has a file, '<system A>~<system B>~<repeat>.json': a list of misfortunes in the order of the places where
they come. Each comes once, when its place is reached; beside the file '.happened' tells what came when, and to which
process. A full disk stays full until there is a file '.room'. The memory misfortune is real (RLIMIT_AS); what the
kernel's OOM killer does is the one named 'kill'.
"""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

STEPS = 6  # of the simulation
PLACES = ("create", "setup", "simulate 0", *(f"simulate 0 step {i + 1}" for i in range(STEPS)), "analyse")
LATE = tuple(f"simulate 0 step {i + 1}" for i in range(2, STEPS))  # where there is a checkpoint

KNOWN = "weird fault"  # messages; a pattern of the campaign from the beginning
POISON = "poisoned state"  # its pattern restarts from scratch
ODD = "odd fault"  # the user adds a pattern later
MEMORY = "MemoryError"  # likewise
HOPELESS = "beyond hope"  # always, and nobody adds a pattern

WEIGHTS = {
    "known": 4.0,
    "poison": 1.5,
    "odd": 2.0,
    "nan": 2.0,
    "passing": 2.0,
    "segfault": 2.0,
    "kill": 2.0,
    "exit": 1.0,
    "memory": 1.5,
    "truncated": 3.0,
    "full": 1.5,
    "child": 1.0,
    "hang": 0.5,
}
_insisting: dict[str, Callable[[], None]] = {}  # by unit: what this process does again and again


def draw(rng: random.Random, weights: Mapping[str, float] = WEIGHTS, *, most: int = 4) -> list[dict[str, Any]]:
    """Return the misfortunes of one task, in the order of their places."""
    found = []
    for _ in range(rng.choice(range(most + 1))):
        kind = rng.choices(list(weights), list(weights.values()))[0]
        places = LATE if kind == "truncated" else PLACES[1:]
        if kind in ("known", "odd") and rng.random() < 0.15:
            places = ("create",)
        # one that insists comes again when the unit is tried fresh in the same process: only another attempt helps
        insists = kind in ("known", "poison", "odd", "nan", "passing", "memory") and rng.random() < 0.7
        found.append({"kind": kind, "at": rng.choice(places), "insists": insists})
    return sorted(found, key=lambda each: PLACES.index(str(each["at"])))


def write(
    directory: Path,
    edges: Sequence[tuple[int, int]],
    repeats: int,
    rng: random.Random,
    weights: Mapping[str, float],
    *,
    hopeless: tuple[int, int],
) -> None:
    """Write the files of all tasks of a dummy network; those of one edge always fail."""
    for a, b in edges:
        for repeat in range(1, repeats + 1):
            orders = draw(rng, weights)
            if (a, b) == hopeless:
                orders = [{"kind": "hopeless", "at": "setup", "insists": False}]
            script_of(directory, f"vacuum_ligand_{a}", f"vacuum_ligand_{b}", repeat).write_text(json.dumps(orders))


def script_of(directory: Path, system_a: str, system_b: str, repeat: int | None) -> Path:
    """Return the file of a task."""
    return directory / f"{system_a}~{system_b}~{repeat}.json"


# ------------------------------------------------------------------------------------------------- inside the units
def meet(script: Path, place: str, shared: Path | None) -> None:
    """Let come what comes at a place.

    Parameters
    ----------
    shared
        The unit's directory of checkpoints.
    """
    if (again := _insisting.get(place)) is not None:
        again()
    came = Counter(each["number"] for each in happened_at(script))
    for number, order in enumerate(json.loads(script.read_text())):
        if _is_over(order, came[number], script):
            continue
        if order["at"] == place:
            with open(script.with_suffix(".happened"), "a") as out:
                me = {"number": number, "kind": order["kind"], "pid": os.getpid(), "time": time.time()}
                out.write(json.dumps(me) + "\n")
            if order["insists"]:
                _insisting[place.partition(" step")[0]] = partial(_act, order["kind"], number, shared)
            _act(order["kind"], number, shared)
        return


def _is_over(order: Mapping[str, Any], came: int, script: Path) -> bool:
    if order["kind"] == "hopeless":
        return False
    return script.with_suffix(".room").exists() if order["kind"] == "full" else came > 0


def _act(kind: str, number: int, shared: Path | None) -> None:
    match kind:
        case "known":
            raise RuntimeError(f"{KNOWN} {number}")
        case "poison":
            raise RuntimeError(f"{POISON} {number}")
        case "odd":
            raise RuntimeError(f"{ODD} {number}")
        case "hopeless":
            raise RuntimeError(HOPELESS)
        case "nan":
            raise ValueError("Particle coordinate is NaN. For more information, see the FAQ")
        case "passing":
            raise OSError(116, "Stale file handle")
        case "memory":
            _exhaust_memory()
        case "full":
            with open("/dev/full", "wb") as out:  # a real ENOSPC
                out.write(b"0" * 4096)
        case "segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "exit":  # says that all is well
            os._exit(0)
        case "child":  # leaves a process behind
            subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            os.kill(os.getpid(), signal.SIGKILL)
        case "truncated":
            checkpoint = Path(str(shared)) / "checkpoint.json"
            os.truncate(checkpoint, checkpoint.stat().st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)
        case "hang":  # deaf to all that can be blocked
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGTERM, signal.SIGINT})
            time.sleep(300)
        case _:
            os.kill(os.getpid(), signal.SIGKILL)


def _exhaust_memory() -> None:
    limits = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**26, limits[1]))
    try:
        bytearray(2**32)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)


# ------------------------------------------------------------------------------------------------------- afterwards
def happened_at(script: Path) -> list[dict[str, Any]]:
    """Return what came to a task: 'number', 'kind', 'pid', 'time'."""
    try:
        lines = script.with_suffix(".happened").read_text().splitlines()
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in lines if line.endswith("}")]


def happened(directory: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield all that came, with the file of the task."""
    for script in sorted(directory.glob("*.json")):
        for each in happened_at(script):
            yield script, each


def make_room(directory: Path) -> int:
    """End the full disk of every task to which it came; return to how many."""
    full = {script for script, each in happened(directory) if each["kind"] == "full"}
    full = {script for script in full if not script.with_suffix(".room").exists()}
    for script in full:
        script.with_suffix(".room").touch()
    return len(full)
