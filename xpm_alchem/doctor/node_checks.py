"""Checks of a node, made by a process that runs there as an attempt would."""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import attrs
import psutil

from xpm_alchem.base.files import read_bytes, write_json
from xpm_alchem.devices.found import find_devices
from xpm_alchem.devices.slots import THREADS, Given
from xpm_alchem.doctor.check import Check, Finding, fault, ok, warning
from xpm_alchem.doctor.environment import home, import_problem, protocol_modules
from xpm_alchem.doctor.file_system import (
    REFUSED,
    atomic_files,
    clock,
    file_system,
    locker,
    no_locks,
    space,
    writable,
)
from xpm_alchem.execution.measures import versions
from xpm_alchem.execution.node_look import look
from xpm_alchem.execution.processes import HOST

LOCK = "lock"  # the file that is locked by whoever asks
_ASKED, _OWN = "asked.json", 0o600  # variables may be secret
_SLOW_IMPORT_SECONDS = 60.0
_FACE = "xpm_alchem.gufe_seam.face"


@attrs.frozen
class Asked:
    """What a node is asked, by a process on another machine, or on the same.

    Attributes
    ----------
    workspace
        The workspace.
    host, versions
        The machine that asks, and the versions of the packages there.
    platform
        The profile's.
    has_gpus
        Whether the profile asks for GPUs.
    modules, trusted
        Modules of protocols, and packages that the user trusts to be imported.
    container
        The profile's: the one that looks is started in it.
    holds_lock
        Whether the lock is held by whoever asks.
    environment
        Variables that settings.yaml has for every task of the workspace.
    """

    workspace: str
    host: str = HOST
    versions: Mapping[str, str] = attrs.field(factory=lambda: all_versions())
    platform: str | None = None
    container: Mapping[str, Any] | None = None
    has_gpus: bool = False
    modules: tuple[str, ...] = ()
    trusted: tuple[str, ...] = ()
    holds_lock: bool = True
    environment: Mapping[str, str] = attrs.field(factory=dict, repr=False)

    def write(self, directory: Path) -> None:
        """Write it for `read`."""
        write_json(directory / _ASKED, attrs.asdict(self), permissions=_OWN)

    @classmethod
    def read(cls, directory: Path) -> Asked:
        """Return what was written."""
        told = json.loads(read_bytes(directory / _ASKED))
        return cls(**told | {name: tuple(told[name]) for name in ("modules", "trusted")})


def all_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that matter."""
    return {"Python": platform.python_version(), **versions()}


def node_checks(asked: Asked, directory: Path) -> list[tuple[str, Check]]:
    """Return the checks to be made here.

    Parameters
    ----------
    directory
        Of this look, in the workspace.
    """
    given = _given(asked)
    workspace = Path(asked.workspace)
    return [
        ("devices", lambda: devices(asked, given)),
        ("platform", lambda: platform_works(given)),
        ("cores", cores),
        ("packages", lambda: packages(asked)),
        ("import", lambda: imports(asked)),
        ("workspace", lambda: writable(workspace, workspace)),
        ("file system", lambda: file_system(workspace)),
        ("locks", lambda: lock_of_other(asked, directory)),
        ("atomic files", lambda: atomic_files(workspace)),
        ("clock", lambda: clock(directory)),
        ("scratch", scratch),
        ("home", lambda: home(Path.home())),
    ]


def _given(asked: Asked) -> Given:
    """Return the devices of this process: those that the launcher has told, else those that a scheduler's job sees."""
    given = Given.read(os.environ)
    found = find_devices()
    if given.devices or not (asked.has_gpus or found.is_limited):
        return attrs.evolve(given, platform=asked.platform)
    return Given(found.devices, len(found.devices), asked.platform, found.is_proved)


def devices(asked: Asked, given: Given) -> Iterator[Finding]:
    """Tell which GPUs there are, of those that were asked for."""
    trouble = find_devices().trouble
    if given.devices:
        told = ", ".join(map(str, given.devices))
        yield warning(f"{told}; but {trouble}", "ask your administrator") if trouble else ok(told)
    elif asked.has_gpus:
        found = "the profile asks for GPUs, and none is seen here"
        mend = "what does nvidia-smi or rocm-smi say in a job there? Ask your administrator (gres.conf, the driver)"
        yield fault(f"{found}{f': {trouble}' if trouble else ''}", mend)
    else:
        yield ok("the profile asks for no GPU")


def platform_works(given: Given) -> Iterator[Finding]:
    """Try the platform as an attempt would."""
    began = time.monotonic()
    found = look(given, HOST)
    if found is None:
        yield ok("none is to be tried: the profile names none, and has no GPU that OpenMM could use")
    elif found.trouble:
        yield fault(
            found.trouble,
            "ask for a GPU (`gpus`), load what it needs (`modules`, `prologue`), or install an OpenMM that fits the "
            "driver; `platform: none` in the profile where nothing computes with OpenMM",
        )
    else:
        where = f" on {', '.join(map(str, given.devices))}" if given.devices else ""
        yield ok(f"{found.platform} works{where}; that took {time.monotonic() - began:.1f} s")


def cores() -> Iterator[Finding]:
    """Compare the threads that are to be started with the cores that may be used."""
    here, threads = len(os.sched_getaffinity(0)), os.environ.get(THREADS[0], "")
    told = f"{here} core(s) for this process, {threads or 'any number of'} thread(s) ({THREADS[0]}), "
    told += f"{psutil.virtual_memory().total / 1e9:.1f} GB in the machine"
    if threads.isdigit() and int(threads) > here:
        yield warning(told, "ask for as many cores (`cpus`) as threads")
    else:
        yield ok(told)


def packages(asked: Asked) -> Iterator[Finding]:
    """Compare the versions with those of the machine that asks."""
    there, here = dict(asked.versions), all_versions()
    names = [name for name in (*there, *(here.keys() - there.keys())) if there.get(name) != here.get(name)]
    if names:
        different = (
            f"{name} {here.get(name, 'missing')} (on {asked.host} {there.get(name, 'missing')})" for name in names
        )
        mend = "let jobs use the same environment: `prologue`, `modules`, or one on a shared file system"
        yield warning(f"not the same as on {asked.host}: {', '.join(different)} ({sys.executable})", mend)
    else:
        told = ", ".join(f"{name} {version}" for name, version in here.items())
        yield ok(f"the same as on {asked.host}: {told} ({sys.executable})")


def imports(asked: Asked) -> Iterator[Finding]:
    """Import what an attempt imports, and tell how long that takes."""
    began = time.monotonic()
    if (problem := import_problem(_FACE)) is not None:
        yield fault(f"gufe cannot be imported: {problem}", "is this the environment that you mean?")
        return
    modules = asked.modules or (("openfe",) if find_spec("openfe") is not None else ())
    wrong = [finding for finding in protocol_modules(modules, asked.trusted) if finding.mend]
    yield from wrong
    seconds = time.monotonic() - began
    told = (
        f"gufe and {len(modules)} module(s) of protocols took {seconds:.1f} s"
        if modules
        else f"gufe took {seconds:.1f} s"
    )
    if seconds > _SLOW_IMPORT_SECONDS:
        mend = "every attempt pays that: put the environment on a faster file system, or into one file (a container)"
        yield warning(told, mend)
    elif not wrong:
        yield ok(told)


def lock_of_other(asked: Asked, directory: Path) -> Iterator[Finding]:
    """Check that a lock that is held where this was asked is refused here."""
    if not asked.holds_lock:
        yield warning(f"{asked.host} could not take a lock itself: nothing could be tried here")
        return
    with locker(directory / LOCK) as mine:
        answer = mine()
    if answer in REFUSED:
        yield ok(f"a lock (flock) that {asked.host} holds is refused here")
    elif answer == "held":
        yield fault(
            f"{HOST} got a lock (flock) that {asked.host} holds: nothing keeps two attempts from one task",
            "ask your administrator for flock over all hosts (Lustre: mount -o flock), or choose another workspace",
        )
    else:
        yield no_locks(answer)


def scratch() -> Iterator[Finding]:
    """Check the directory for temporary files: that it can be written, and its space."""
    named = os.environ.get("TMPDIR")
    tempfile.tempdir = None  # it was asked for before the variables of settings.yaml were set
    place = Path(tempfile.gettempdir())
    if named and place != Path(named):
        yield warning(
            f"TMPDIR is {named}, which cannot be written; {place} is used", "set TMPDIR in the prologue or `env`"
        )
    with tempfile.TemporaryFile(dir=place) as probe:
        probe.write(b"\0" * 65536)
        probe.flush()
    stat = os.statvfs(place)
    judged = space(stat.f_bavail * stat.f_frsize, stat.f_favail if stat.f_files else None)
    mend = "set TMPDIR in the profile's prologue or `env`" if judged.mend else ""
    yield attrs.evolve(judged, found=f"{place}: {judged.found}", mend=mend)
