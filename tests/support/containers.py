"""Runtimes of containers for tests: a stand-in for Apptainer, and a real Podman with an image made of nothing."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from places import SUPPORT

_IMAGE = "localhost/xpm-alchem-test:1"
_LIMITS = {"nofile": resource.RLIMIT_NOFILE, "nproc": resource.RLIMIT_NPROC}


class _Runtime:
    profile: dict[str, Any]

    def with_bound(self, path: Path) -> dict[str, Any]:
        """Return the profile's 'container' with one more path bound."""
        return {**self.profile, "binds": [*self.profile["binds"], str(path)]}


class StandIn(_Runtime):
    """A program named apptainer on PATH; see stand_in_apptainer.py."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path.mkdir()
        self._calls = path / "calls.jsonl"
        self.image = path / "image.sif"
        self.image.touch()
        program = path / "apptainer"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -P {SUPPORT / "stand_in_apptainer.py"} "$@"\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{path}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.setenv("STAND_IN_CALLS", str(self._calls))
        self.profile = {"image": str(self.image), "options": ["--nv"], "binds": ["/usr"]}

    def calls(self) -> list[dict[str, Any]]:
        """Return what it was called with, each time."""
        return [json.loads(line) for line in self._calls.read_text().splitlines()] if self._calls.exists() else []


class Podman(_Runtime):
    """Podman with a storage of its own, and an image that has only directories: the node's /usr is bound."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        root = path / "root"
        for name in ("usr", "proc", "sys", "dev", "etc", "run", "tmp"):
            (root / name).mkdir(parents=True)
        for name in ("bin", "lib", "lib64", "sbin"):
            (root / name).symlink_to(f"usr/{name}")
        (root / "etc" / "made-for-a-test").touch()
        storage, containers = path / "storage.conf", path / "containers.conf"
        storage.write_text(f'[storage]\ndriver = "vfs"\ngraphroot = "{path / "graph"}"\nrunroot = "{path / "run"}"\n')
        limits = [f"{name}={min(4096, resource.getrlimit(kind)[1])}" for name, kind in _LIMITS.items()]
        engine = '[engine]\ncgroup_manager = "cgroupfs"\n' + ('runtime = "runc"\n' if shutil.which("runc") else "")
        containers.write_text(f"[containers]\ndefault_ulimits = {json.dumps(limits)}\n{engine}")
        monkeypatch.setenv("CONTAINERS_STORAGE_CONF", str(storage))
        monkeypatch.setenv("CONTAINERS_CONF", str(containers))
        tar = subprocess.Popen(["tar", "-C", root, "-c", "."], stdout=subprocess.PIPE)
        subprocess.run(["podman", "import", "-q", "-", _IMAGE], stdin=tar.stdout, check=True, capture_output=True)
        tar.wait()
        self.profile = {"image": _IMAGE, "runtime": "podman", "binds": ["/usr:/usr:ro"]}

    def why_not(self) -> str:
        """Return why no container can be run here, '' where one can."""
        words = ["podman", "run", "--rm", "--pid=host", "--network=host", "-v", "/usr:/usr:ro", _IMAGE, "true"]
        done = subprocess.run(words, capture_output=True, text=True)
        return f"podman cannot run a container here: {done.stderr.strip()}" if done.returncode else ""

    def containers(self) -> list[str]:
        """Return the containers that there are."""
        return subprocess.run(["podman", "ps", "-aq"], capture_output=True, text=True, check=True).stdout.split()
