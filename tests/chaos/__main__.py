"""Chaos: a campaign whose tasks fail by script while everything is killed and its user changes everything.

    python -m tests.chaos --minutes 10 --seed 1 [--launcher slurm | workers]

A protocol fails as misfortunes.py has drawn it (NaN, exceptions, segmentation fault, out of memory, hang, truncated
checkpoint, full disk, ...). Drivers and tasks are killed with SIGKILL and SIGTERM, on SLURM daemons, nodes and jobs as
well (storm.py), and workers, which are frozen too (workers.py). A user looks, changes strategy, mode and restart
patterns, cancels, retries, stops (user.py). When the time is over everything is mended, the user asks for a number of
results that is known beforehand, and the campaign must come to its end. Then all of it is checked against models:
journal_model.py, attempts_model.py, wholeness.py.

Exits with 1 if anything is wrong, and keeps the directory then. Times are real, so a seed gives the same script and the
same order of faults, not the same run.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from places import python_path
from slurm_cluster import SlurmCluster, missing

from tests.chaos.program import LAUNCHERS, REPEATS, SLURMD_TIMEOUT, Chaos
from tests.chaos.report import Report


def chaos(place: Path, *, launcher: str, **options: Any) -> Report:
    """Run all of it in a directory; the environment is this process's from now on."""
    home = place / "home"
    home.mkdir(parents=True)
    os.environ["XPM_ALCHEM_TEST_REAL"] = "attempts"  # they are killed at any moment: also while Python starts
    os.environ |= {"HOME": str(home), "XPM_WORKDIR": str(home / "xpm"), "PYTHONPATH": python_path(), "COLUMNS": "200"}
    os.environ["XPM_ALCHEM_PAUSES"] = "0"  # what is killed all the time is tried again at once
    run = Chaos(place, launcher=launcher, **options)
    if launcher != "slurm":
        return run.run(None)
    cluster = SlurmCluster(place / "cluster", accounting=True, settings={"SlurmdTimeout": SLURMD_TIMEOUT})
    os.environ["SLURM_CONF"] = str(cluster.conf)
    try:
        return run.run(cluster.start())
    finally:
        cluster.stop()


def main() -> int:
    """Print what was seen; return 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--launcher", choices=sorted(LAUNCHERS), default="local")
    parser.add_argument("--minutes", type=float, default=10.0, help="of storm")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tasks", type=int, default=0, help=f"a multiple of {REPEATS} (default: 8 a minute)")
    parser.add_argument("--longest", type=float, default=3.0, help="most seconds between two faults of the storm")
    parser.add_argument("--faults", type=int, default=10**6, help="end the storm after so many")
    parser.add_argument("--patience", type=float, default=300.0, help="seconds without any change that count as hung")
    parser.add_argument("--short", action="store_true", dest="is_short", help="no hanging tasks, no nodes that fail")
    parser.add_argument("--place", type=Path, help="a directory that does not exist (default: a temporary one)")
    parser.add_argument("--keep", action="store_true", help="keep the directory also if all is right")
    given = parser.parse_args()
    options = vars(given)
    keep, place = options.pop("keep"), options.pop("place")
    options["tasks"] = given.tasks or REPEATS * max(2, round(8 * given.minutes / REPEATS))
    if options["tasks"] % REPEATS:
        parser.error(f"--tasks: give a multiple of {REPEATS}")
    if given.launcher == "slurm" and (absent := missing(accounting=True)):
        print(f"needs SLURM with accounting; not installed: {', '.join(absent)}")
        return 1
    place = place or Path(tempfile.mkdtemp(prefix="xpm-alchem-chaos-"))
    print(f"launcher {given.launcher}, seed {given.seed}, {options['tasks']} results, in {place}", flush=True)
    right = False
    try:
        report = chaos(place, **options)
        report.print()
        right = not report.wrong
    finally:
        if right and not keep:
            shutil.rmtree(place, ignore_errors=True)
        else:
            print(f"kept: {place}")
    print(f"seed {given.seed}: {'all is right' if right else 'something is wrong'}")
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
