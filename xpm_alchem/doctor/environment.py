"""Checks of this machine: packages, the modules a network names, HOME, open files, cores and memory."""

from __future__ import annotations

import importlib
import os
import platform
import re
import resource
import sys
import tempfile
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, distributions, version
from importlib.util import find_spec
from pathlib import Path

import psutil

from xpm_alchem.base.errors import UntrustedModuleError
from xpm_alchem.base.quiet import quiet
from xpm_alchem.doctor.check import Check, Finding, fault, ok, warning
from xpm_alchem.doctor.site import Site
from xpm_alchem.network.trust import VALUE_TYPES, check_module

_TOLD = ("xpm-alchem", "experimaestro", "gufe", "openfe", "stratocaster", "openmm")
_OLDEST_GUFE = (1, 6)  # beside 0.4, the only one on PyPI
_LEAST_FILES = 1024
_FILES_OF_DRIVER, _FILES_OF_SLOT = 256, 2


def environment_checks(site: Site) -> list[tuple[str, Check]]:
    """Return the checks of this machine that no workspace is needed for."""
    return [
        ("packages", packages),
        ("openff packages", lambda: openff_packages(installed(), in_conda=(Path(sys.prefix) / "conda-meta").is_dir())),
        ("protocol modules", lambda: protocol_modules(site.modules, site.trusted)),
        ("home", lambda: home(Path.home())),
        ("open files", lambda: open_files(resource.getrlimit(resource.RLIMIT_NOFILE)[0], site)),
        ("machine", lambda: machine(site)),
    ]


def packages() -> Iterator[Finding]:
    """Check that gufe and experimaestro are there and can be imported, and tell the versions."""
    told = [f"Python {platform.python_version()}"]
    for name in _TOLD:
        try:
            told.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    yield ok(f"{', '.join(told)} ({sys.executable})")
    for module in ("experimaestro", "xpm_alchem.gufe_seam.face"):
        name = module.removeprefix("xpm_alchem.").partition("_seam")[0]
        problem = import_problem(module)
        if problem is not None:
            mend = f"install it in this environment again, for example: conda install -c conda-forge {name}"
            yield fault(f"{name} cannot be imported: {problem}", mend)
    if (found := gufe_finding(_version_of("gufe"))) is not None:
        yield found


def _version_of(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def gufe_finding(installed_version: str | None) -> Finding | None:
    """Return what is wrong with a version of gufe, None if nothing is."""
    numbers = tuple(int(part) for part in re.findall(r"\d+", installed_version or "")[:2])
    if not numbers or numbers[:2] == (0, 4) or numbers >= _OLDEST_GUFE:
        return None
    wanted = ".".join(map(str, _OLDEST_GUFE))
    return warning(
        f"gufe {installed_version} is not supported: {wanted} and later are, and 0.4",
        f'conda install -c conda-forge "gufe>={wanted}"',
    )


def installed() -> set[str]:
    """Return the names of the installed distributions."""
    names = (distribution.metadata["Name"] for distribution in distributions())
    return {re.sub(r"[-_.]+", "-", name).lower() for name in names if name}


def openff_packages(names: Iterable[str], *, in_conda: bool) -> Iterator[Finding]:
    """Check that acellera's re-distributions of the openff packages are not mixed with the packages themselves.

    Parameters
    ----------
    names
        Of the installed distributions.
    in_conda
        Whether this is a conda environment.
    """
    names = set(names)
    theirs = sorted(name for name in names if name.startswith("acellera-"))
    both = [name for name in theirs if name.removeprefix("acellera-") in names]
    mend = f"python -m pip uninstall {' '.join(theirs)}; then reinstall the openff packages with conda"
    if both:
        twice = ", ".join(name.removeprefix("acellera-") for name in both)
        yield fault(f"installed twice, once from acellera and once from openff, in the same directories: {twice}", mend)
    elif theirs and in_conda:
        yield warning("acellera's re-distributions of the openff packages are in a conda environment", mend)
    else:
        yield ok("acellera's (without conda)" if theirs else "no re-distributions that could hide others")


def protocol_modules(modules: Iterable[str], trusted: Iterable[str]) -> Iterator[Finding]:
    """Check that the modules a network names are trusted and can be imported; none that is not trusted is imported."""
    check = check_module("the network", trusted)
    refused: list[str] = []
    missing: list[str] = []
    fine: list[str] = []
    for module in sorted(modules):
        try:
            check(module)
        except UntrustedModuleError:
            refused.append(module)
            continue
        if module.split(".")[0] not in VALUE_TYPES:
            problem = import_problem(module)
            (fine if problem is None else missing).append(module if problem is None else f"{module}: {problem}")
    if refused:
        tops = ", ".join(sorted({module.split(".")[0] for module in refused}))
        mend = f"if you trust them, add {tops} to 'trusted_modules' in campaign.yaml"
        yield fault(f"not trusted, and not imported: {', '.join(refused)}", mend, places=tuple(refused))
    if missing:
        tops = " ".join(sorted({entry.partition(":")[0].split(".")[0] for entry in missing}))
        mend = f"install it in this environment, for example: conda install -c conda-forge {tops}"
        yield fault(f"cannot be imported: {'; '.join(missing)}", mend, places=tuple(missing))
    absent = [name for name in trusted if find_spec(name.split(".")[0]) is None]
    if absent:
        yield warning(f"trusted, but not installed: {', '.join(absent)}", "correct 'trusted_modules' in campaign.yaml")
    if not refused and not missing:
        yield ok(f"{len(fine)} that the network names can be imported" if fine else "no network to look at")


def import_problem(module: str) -> str | None:
    """Return why a module cannot be imported, None if it can."""
    try:
        with quiet("pymbar"):
            importlib.import_module(module)
    except Exception as error:  # whatever a package raises when it is imported
        return f"{type(error).__name__}: {' '.join(str(error).split())}"
    return None


def home(path: Path) -> Iterator[Finding]:
    """Check that HOME can be written: Python packages, experimaestro and SLURM keep things there."""
    try:
        with tempfile.TemporaryFile(dir=path) as probe:
            probe.write(b"\0" * 65536)
            probe.flush()
    except OSError as error:
        mend = "free some space there (quota?), or set HOME to a directory that you may write"
        yield warning(f"{path} cannot be written ({error.strerror})", mend)
    else:
        yield ok(f"{path} can be written")


def open_files(limit: int, site: Site) -> Iterator[Finding]:
    """Check the limit of open files of a process against what a driver with so many slots needs."""
    slots = 0 if site.launcher is None else site.launcher.slots
    needed = max(_LEAST_FILES, _FILES_OF_DRIVER + _FILES_OF_SLOT * slots)
    if limit != resource.RLIM_INFINITY and limit < needed:
        yield warning(
            f"a process may open {limit} files, which is few for {slots} slot(s)",
            f"`ulimit -n {needed}` before `xpm-alchem run`, or ask your administrator for a higher limit",
        )
    else:
        many = "without limit" if limit == resource.RLIM_INFINITY else str(limit)
        yield ok(f"{many}, for {slots} slot(s)")


def machine(site: Site) -> Iterator[Finding]:
    """Check that the local launcher's slots fit this machine's cores; tell cores and memory."""
    memory, cores = psutil.virtual_memory(), len(os.sched_getaffinity(0))
    told = f"{cores} core(s) for this process, {memory.available / 1e9:.1f} of {memory.total / 1e9:.1f} GB are free"
    if site.launcher is not None:  # then experimaestro can be imported
        from xpm_alchem.launchers.local import LocalLauncher

        if isinstance(site.launcher, LocalLauncher):
            threads, slots = site.launcher.threads, site.launcher.slots
            told += f"; launcher {site.launcher.name}: {slots} slot(s) of {threads} thread(s)"
            if slots * threads > cores:
                yield warning(told, f"lower 'slots' or 'threads' of launcher {site.launcher.name}")
                return
    yield ok(told)
