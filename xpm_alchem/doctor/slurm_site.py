"""Checks of a SLURM cluster: commands, controller, accounting, and whether it would accept a profile's jobs."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator

from xpm_alchem.doctor.check import Check, Finding, fault, ok, warning
from xpm_alchem.launchers.base import AttemptLauncher
from xpm_alchem.launchers.slurm.commands import Slurm, SlurmError, Trouble

_NEEDED = ("sbatch", "squeue", "scancel")
_USEFUL = {
    "sacct": "how some attempts ended stays unknown",
    "sinfo": "a profile cannot be told from a cluster that is down",
    "scontrol": "you cannot hold or release jobs by hand",
}
_SECONDS = 20.0  # for a command to answer
_WITHOUT_ACCOUNTS = (
    "squeue alone is asked, which forgets a job some minutes after its end: an attempt that ended while no driver ran "
    "and left no word counts as lost"
)


def slurm_checks(launcher: AttemptLauncher) -> list[tuple[str, Check]]:
    """Return the checks for a SLURM launcher; without SLURM's commands there is but one."""
    checks: list[tuple[str, Check]] = [("slurm commands", commands)]
    if Slurm.is_installed():
        checks += [
            ("slurm controller", controller),
            ("slurm accounting", accounting),
            ("slurm profile", lambda: profile(launcher)),
        ]
    return checks


def commands() -> Iterator[Finding]:
    """Check that SLURM's commands are on PATH, and tell the version."""
    missing = [name for name in _NEEDED if shutil.which(name) is None]
    if missing:
        yield fault(
            f"not on PATH: {', '.join(missing)}",
            "run this on a login node of the cluster, or load its SLURM module (in cron, set PATH)",
        )
        return
    lacking = [name for name in _USEFUL if shutil.which(name) is None]
    for name in lacking:
        yield warning(f"{name} is not on PATH: {_USEFUL[name]}", "ask your administrator to install it here")
    found = [name for name in (*_NEEDED, *_USEFUL) if name not in lacking]
    try:
        yield ok(f"{', '.join(found)} of {Slurm(_SECONDS).version()}")
    except SlurmError as error:
        yield fault(f"found, but cannot be used: {error}", "is SLURM_CONF set as on a login node of the cluster?")


def controller() -> Iterator[Finding]:
    """Check that the controller answers."""
    try:
        jobs = Slurm(_SECONDS).queue()
    except SlurmError as error:
        yield fault(
            f"the controller does not answer: {error}",
            "wait, or ask your administrator; a driver that runs waits for it, and jobs that run go on",
        )
        return
    alive = sum(job.is_alive for job in jobs)
    yield ok(f"the controller answers; {alive} job(s) of yours wait or run")


def accounting() -> Iterator[Finding]:
    """Check whether the cluster keeps accounts of jobs that ended."""
    try:
        Slurm(_SECONDS).accounts(["1"], (), time.time())
    except SlurmError as error:
        if error.trouble is Trouble.NO_ACCOUNTING:
            found = f"no accounting: {_WITHOUT_ACCOUNTS}"
            yield warning(found, "keep a driver running (`run --detach`), or run --once from cron every few minutes")
        else:
            mend = "wait, or ask your administrator; until then squeue alone is asked"
            yield warning(f"sacct does not answer: {error}", mend)
        return
    yield ok("sacct answers")


def profile(launcher: AttemptLauncher) -> Iterator[Finding]:
    """Ask SLURM whether it would accept a job of the profile: partition, account, limits."""
    said = launcher.check()  # CampaignError where it would not, in SLURM's words
    told = f"launcher {launcher.name}: {said}"
    if said.startswith("SLURM would accept"):
        yield ok(told)
    else:
        yield warning(told, "try again when the controller answers")
