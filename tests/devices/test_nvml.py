"""NVIDIA's nvidia-ml-py, on a driver that is a stub, and without any driver."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from places import SUPPORT

pytest.importorskip("pynvml")
_LOOK = """
import json
from xpm_alchem.devices.tools import ask_nvidia
devices, trouble = ask_nvidia()
print(json.dumps([[device.to_record() for device in devices], trouble]))
"""


def asked(libraries: Path, path: Path) -> tuple[list[dict[str, str]], str]:
    """Return what a process finds with libraries of its own, and no nvidia-smi."""
    environment = {**os.environ, "LD_LIBRARY_PATH": str(libraries), "PATH": str(path)}
    done = subprocess.run([sys.executable, "-c", _LOOK], env=environment, capture_output=True, text=True, check=True)
    devices, trouble = json.loads(done.stdout)
    return devices, trouble


@pytest.mark.skipif(shutil.which("gcc") is None, reason="the stub of a driver is compiled with gcc")
def test_gpus_and_slices_are_those_of_the_driver(tmp_path):
    library = tmp_path / "libnvidia-ml.so.1"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, SUPPORT / "nvml_stub.c"], check=True)
    devices, trouble = asked(tmp_path, tmp_path / "no programs")
    assert trouble == ""
    assert [device["uuid"] for device in devices] == ["GPU-0", "MIG-0", "MIG-2", "GPU-2"]
    assert [device.get("index") for device in devices] == ["0", None, None, "2"]
    assert {device["model"] for device in devices} == {"NVIDIA A100-SXM4-40GB", "NVIDIA A100-SXM4-40GB MIG"}


def test_a_machine_without_a_driver_has_no_gpus_and_that_is_no_trouble(tmp_path):
    assert asked(tmp_path, tmp_path / "no programs") == ([], "")
