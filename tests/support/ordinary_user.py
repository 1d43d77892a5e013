"""A user who is not root, for what root does not see: a cluster, campaigns and commands of somebody else's."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from places import NO_SKIPS, ROOT, python_path
from slurm_campaigns import SlurmCampaign
from slurm_cluster import SlurmCluster

USER = GROUP = 65534  # nobody: there wherever SLURM is, and owns nothing
_PATH = f"PYTHONPATH={python_path(ROOT)}{os.pathsep}{sysconfig.get_path('purelib')}"


@contextmanager
def open_place() -> Iterator[Path]:
    """Make a directory that everybody can reach; pytest's own are root's alone."""
    place = Path(tempfile.mkdtemp(prefix="xpm-alchem-user-"))
    place.chmod(0o755)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def open_cluster(place: Path, **options: Any) -> SlurmCluster:
    """Return a cluster, not started, that everybody may use."""
    cluster = SlurmCluster(place / "cluster", **options)
    for path in (cluster.near, cluster.path, cluster.path / "run"):
        path.chmod(0o755)
    return cluster


class UsersCampaign(SlurmCampaign):
    """A campaign on SLURM that belongs to an ordinary user, who gives all commands."""

    def __init__(self, path: Path, **options: Any) -> None:
        super().__init__(path, **options)
        (path / "home").mkdir()
        self.give()

    def give(self) -> None:
        """Give all files to the user."""
        for path in [self.path, *self.path.rglob("*")]:
            os.chown(path, USER, GROUP, follow_symlinks=False)

    def command(self, *arguments: object) -> list[str]:
        """Return the command line, as the user."""
        theirs = [f"HOME={self.path / 'home'}", f"XPM_WORKDIR={self.path / 'home' / 'xpm'}"]
        python = users_python()
        assert python is not None
        return [*as_user(), "env", *theirs, _PATH, python, *super().command(*arguments)[1:]]


def needs_root() -> None:
    """Skip where one cannot be somebody else."""
    if os.getuid() != 0 or shutil.which("setpriv") is None:
        message = "needs root and setpriv, to be somebody else"
        pytest.fail(message) if NO_SKIPS and os.getuid() == 0 else pytest.skip(message)


def as_user() -> list[str]:
    """Return what stands before a command that an ordinary user gives."""
    return ["setpriv", f"--reuid={USER}", f"--regid={GROUP}", "--clear-groups", "--"]


@functools.cache
def users_python() -> str | None:
    """Return a Python that the user may run, with the packages of this one: this one may be root's; None if none is."""
    if os.getuid() != 0 or shutil.which("setpriv") is None:
        return None
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys.executable, f"/usr/local/bin/{name}", f"/usr/bin/{name}"):
        program = [*as_user(), "env", _PATH, python, "-c", "import xpm_alchem.tasks, numpy"]
        with suppress(FileNotFoundError):
            if subprocess.run(program, cwd="/", capture_output=True).returncode == 0:
                return python
    return None
