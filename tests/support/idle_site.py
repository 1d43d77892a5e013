"""A site whose jobs run at once, for ever, and without a process: what a driver does beside them is all there is.

Run under the name of a SLURM command it stands for that command; imported it makes the directory of those commands.
"""

from __future__ import annotations

import fcntl
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

PROGRAMS = ("sbatch", "squeue", "sacct", "scancel", "scontrol", "sinfo")


def make_site(path: Path) -> Path:
    """Make the commands of a site, and return the directory that is to be first on PATH.

    What they print comes in large pieces, as from SLURM's own, whatever PYTHONUNBUFFERED says.
    """
    path.mkdir(parents=True)
    for name in PROGRAMS:
        program = path / name
        program.write_text(f"#!{sys.executable} -SE\n" + Path(__file__).read_text())
        program.chmod(0o755)
    return path


# ------------------------------------------------------------------------------- what its attempts and jobs would write
def batches(workspace: Path) -> dict[Path, list[str]]:
    """Return the scripts of every batch that was submitted, by the batch's directory."""
    records = [path for path in (workspace / "slurm").glob("*/batch.json") if path.with_name("job").exists()]
    return {path.parent: json.loads(path.read_text())["scripts"] for path in records}


def begin_all(workspace: Path) -> None:
    """Write what the attempt of every task that was launched writes when it begins."""
    from xpm_alchem.execution.attempt_log import AttemptLog
    from xpm_alchem.execution.attempts import Launched
    from xpm_alchem.execution.fence import Orders
    from xpm_alchem.execution.processes import ProcessIdentity

    for pid in (workspace / "jobs" / "xpm_alchem.run").glob("*/*.pid"):
        journal = pid.with_name("attempts.jsonl")
        AttemptLog(journal).start(limit=None, launched=Launched(launch=Orders.read(pid.parent).launch), versions={})
        if "pid" in (spec := json.loads(pid.read_text())):  # a local one: its process is another one than this
            header, start = journal.read_text().splitlines()
            own = ProcessIdentity.of(spec["pid"]).to_record("pid_start")
            journal.write_text("\n".join([header, json.dumps(json.loads(start) | own), ""]))


def end_job(batch: Path, number: int) -> None:
    """Write what an attempt that fails, and then its job, write at their ends."""
    from xpm_alchem.execution.attempt_log import AttemptLog
    from xpm_alchem.execution.attempts import Outcome
    from xpm_alchem.launchers.slurm.batch import Batch

    found = Batch.read(batch)
    assert found is not None
    log = AttemptLog(Path(found.scripts[number]).parent / "attempts.jsonl")
    log.end(log.read()[-1], Outcome.ERROR, reason="made up")
    found.set_ended(number, 1)


def end_for_accounting(site: Path, job: str) -> None:
    """Let sacct say that a job has ended."""
    (site / f"ended-{job}").touch()


def times_called(site: Path, name: str) -> int:
    """Return how often a command was called."""
    return (site / "calls").read_text().split().count(name)


# --------------------------------------------------------------------------------------------------------- the commands
def _sbatch(here: Path, arguments: list[str]) -> None:
    if "--test-only" in arguments or "--version" in arguments:
        print("slurm 22.05.8")
        return
    options = dict(re.findall(r"^#SBATCH --([a-z-]+)=(.*)$", Path(arguments[-1]).read_text(), re.MULTILINE))
    with open(here / "jobs.jsonl", "a+") as jobs:
        fcntl.flock(jobs, fcntl.LOCK_EX)
        jobs.seek(0)
        number = 1 + sum(1 for _ in jobs)
        jobs.write(json.dumps([number, options.get("job-name", "job"), options.get("array", "")]) + "\n")
    print(number)


def _jobs(here: Path) -> Iterator[tuple[str, str]]:
    """Yield the id and the name of every job, and of every element of an array."""
    if not (here / "jobs.jsonl").exists():
        return
    for line in (here / "jobs.jsonl").read_text().splitlines():
        number, name, array = json.loads(line)
        first, _, last = array.partition("-")
        for index in range(int(first), int(last) + 1) if array else ("",):
            yield f"{number}_{index}" if array else str(number), name


def _squeue(here: Path) -> None:
    """Print what `--format=%i|%j|%T|%N|%r` asks for."""
    for job, name in _jobs(here):
        print(f"{job}|{name}|RUNNING|node|None")


def _sacct(here: Path, arguments: list[str]) -> None:
    """Print what `--format=NAME,NAME` asks for, as with `--parsable`."""
    wanted = next((one.partition("=")[2] for one in arguments if one.startswith("--format=")), "")
    for job, name in _jobs(here):
        state = "COMPLETED" if (here / f"ended-{job}").exists() else "RUNNING"
        known = {"JobID": job, "JobName": name, "State": state, "Start": "2026-01-01T00:00:00", "End": "Unknown"}
        print("".join(f"{known.get(column, '')}|" for column in wanted.split(",")))


def _main() -> None:
    here, name = Path(sys.argv[0]).parent, Path(sys.argv[0]).name
    with open(here / "calls", "a") as calls:
        calls.write(f"{name}\n")
    if name == "sbatch":
        _sbatch(here, sys.argv[1:])
    elif name == "squeue":
        _squeue(here)
    elif name == "sacct":
        _sacct(here, sys.argv[1:])


if __name__ == "__main__":
    _main()
