"""squeue, sacct, sbatch or scancel of a site that lies: run under the name of the program that it stands before.

Beside it lie.json says the seed, how often it lies, and where the real programs are; what it did is a line of lies.log.
It never says that a job has ended which has not: no site does. All else happens: answers that are late, of long ago,
empty with code 0, failures with and without a word, an sbatch that made its job and says that it did not, a scancel
that says that it did and did not. For a while it may have nothing to say at all.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(sys.argv[0]).parent
NAME, ARGUMENTS = Path(sys.argv[0]).name, sys.argv[1:]
KEPT = 30  # answers, to be given again
WORDS = [
    "slurm_load_jobs error: Unable to contact slurm controller (connect failure)",
    "error: Socket timed out on send/recv operation",
    "error: Zero Bytes were transmitted or received",
    "error: the site is having a bad day",
    "",
]


def number() -> int:
    """Return how many calls there have been."""
    file = os.open(HERE / "calls", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    os.write(file, b".")
    return os.fstat(file).st_size


def real(given: dict, *, hidden: bool = False) -> subprocess.CompletedProcess[bytes]:
    """Run the real program."""
    done = subprocess.run([given["real"][NAME], *ARGUMENTS], stdin=subprocess.DEVNULL, capture_output=True)
    if not hidden:
        sys.stdout.buffer.write(done.stdout)
        sys.stderr.buffer.write(done.stderr)
    return done


def ask(given: dict, rng: random.Random, what: str) -> int:
    """Answer a question: squeue, sacct."""
    key = hashlib.sha256("\0".join([NAME, *ARGUMENTS]).encode()).hexdigest()[:16]
    answers = sorted(HERE.glob(f"answers/{key}.*"), key=lambda path: int(path.suffix[1:]))
    if what == "of long ago" and answers:
        sys.stdout.buffer.write(rng.choice(answers).read_bytes())
        return 0
    if what == "empty":
        return 0
    if what == "failed":
        print(rng.choice(WORDS), file=sys.stderr)
        return 1
    done = real(given)
    if done.returncode == 0:
        (HERE / "answers" / f"{key}.{time.time_ns()}").write_bytes(done.stdout)
        for old in answers[:-KEPT]:
            old.unlink(missing_ok=True)
    if what == "late":
        time.sleep(rng.uniform(0.5, given["late"]))
    return done.returncode


def act(given: dict, rng: random.Random, what: str) -> int:
    """Do something: sbatch, scancel."""
    if what == "late":
        time.sleep(rng.uniform(0.5, given["late"]))
    if what == "failed" or (what == "nothing" and NAME == "sbatch"):
        print(f"{NAME}: {rng.choice(WORDS)}", file=sys.stderr)
        return 1
    if what == "nothing":
        return 0
    if what == "done, and denied":
        real(given, hidden=True)
        print(f"{NAME}: {rng.choice(WORDS)}", file=sys.stderr)
        return rng.choice([0, 1])
    return real(given).returncode


def main() -> int:
    """Answer as this site does."""
    given = json.loads((HERE / "lie.json").read_text())
    call = number()
    rng = random.Random(f"{given['seed']} {call}")
    is_question = NAME in ("squeue", "sacct")
    kinds = (
        ["late", "of long ago", "empty", "failed"] if is_question else ["late", "failed", "nothing", "done, and denied"]
    )
    what = rng.choice(kinds) if rng.random() < given["rate"] else "true"
    silent = HERE / "silent-until"
    if is_question:  # a spell: nobody gets an answer
        until = float(silent.read_text() or 0) if silent.exists() else 0.0
        if time.time() < until:
            what = "empty"
        elif NAME == "squeue" and rng.random() < given["spells"]:
            silent.write_text(str(time.time() + rng.uniform(5, given["spell"])))
            what = "empty"
    if "--test-only" in ARGUMENTS or "--version" in ARGUMENTS:
        what = "true"
    with open(HERE / "lies.log", "a") as log:
        log.write(f"{time.strftime('%H:%M:%S')} {NAME} {what}\n")
    return ask(given, rng, what) if is_question else act(given, rng, what)


if __name__ == "__main__":
    sys.exit(main())
