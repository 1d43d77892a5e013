"""A site that lies, for as long as it is told to: a real SLURM, an ordinary user, and commands that answer at random.

    python tests/slurm/lying.py --minutes 20 --tasks 200 --seed 1

squeue, sacct, sbatch and scancel are late, answer from a cache, nothing at all, with code 0 or 1, or deny what they
have done (tests/support/lying_program.py). Every task must be completed once, by its only attempt; no job may be left.
Needs root. Exits with 1 if anything is wrong.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from lying_site import REPEATS, lying_site


def main() -> int:
    """Print what was seen; return 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20.0, help="how long the tasks take, about")
    parser.add_argument("--tasks", type=int, default=200, help=f"a multiple of {REPEATS}")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=0.4, help="how often an answer is not simply true")
    parser.add_argument("--no-accounting", action="store_true", help="without slurmdbd: sacct has nothing to say")
    given = parser.parse_args()
    if given.tasks % REPEATS:
        parser.error(f"--tasks: give a multiple of {REPEATS}")
    wrong = lying_site(
        tasks=given.tasks,
        seconds=given.minutes * 60,
        seed=given.seed,
        accounting=not given.no_accounting,
        rate=given.rate,
        patience=900.0,
    )
    print("all is right" if not wrong else "something is wrong")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
