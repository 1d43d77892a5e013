"""What the vendors' tools say of the devices of this machine."""

from __future__ import annotations

import importlib
import json
import re
import shutil
import subprocess
from contextlib import suppress
from typing import Any

from xpm_alchem.devices.device import AMD, NVIDIA, Device

_ANSWER_SECONDS = 60.0  # the first call after a boot takes seconds; a broken driver may hang
_GPU = re.compile(r"GPU (\d+): (.+?) \(UUID: (GPU-[^)]+)\)")
_SLICE = re.compile(r"\s+MIG (\S+)\s+Device\s+\d+: \(UUID: (MIG-[^)]+)\)")


def ask_nvidia() -> tuple[list[Device], str]:
    """Return NVIDIA's devices as nvidia-ml-py tells, else nvidia-smi, and what that complained of ('' for nothing).

    A GPU that is divided into MIG slices is not listed: its slices are.
    """
    try:
        return _of_nvml(importlib.import_module("pynvml")), ""
    except ImportError:
        pass
    except Exception as error:  # NVMLError: no driver, another version, a machine without GPUs; nvidia-smi says more
        if shutil.which("nvidia-smi") is None:
            return [], "" if "not found" in str(error).lower() else f"NVML: {error}"
    listed, trouble = _said("nvidia-smi", "-L")
    return list_nvidia(listed), trouble


def _of_nvml(nvml: Any) -> list[Device]:
    devices = []
    nvml.nvmlInit()
    try:
        for index in range(nvml.nvmlDeviceGetCount()):
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
            model = _decoded(nvml.nvmlDeviceGetName(handle))
            if slices := _slices(nvml, handle):
                devices += [Device(uuid, NVIDIA, "", uuid, f"{model} MIG") for uuid in slices]
            else:
                uuid = _decoded(nvml.nvmlDeviceGetUUID(handle))
                devices.append(Device(uuid, NVIDIA, str(index), uuid, model))
    finally:
        nvml.nvmlShutdown()
    return devices


def _slices(nvml: Any, handle: Any) -> list[str]:
    """Return the identities of a GPU's MIG slices; none for one that cannot be divided, or is not."""
    found = []
    with suppress(nvml.NVMLError):
        if nvml.nvmlDeviceGetMigMode(handle)[0]:
            for number in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
                with suppress(nvml.NVMLError):  # a place where there is none
                    found.append(nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, number))
    return [_decoded(nvml.nvmlDeviceGetUUID(one)) for one in found]


def _decoded(value: str | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def list_nvidia(text: str) -> list[Device]:
    """Return the devices that ``nvidia-smi -L`` lists."""
    devices: list[Device] = []
    divided = ("", "")  # index and model of the GPU that was read last
    for line in text.splitlines():
        if gpu := _GPU.match(line):
            divided = (gpu[1], gpu[2])
            devices.append(Device(gpu[3], NVIDIA, gpu[1], gpu[3], gpu[2]))
        elif part := _SLICE.match(line):
            if devices and devices[-1].index == divided[0]:
                devices.pop()
            devices.append(Device(part[2], NVIDIA, "", part[2], f"{divided[1]} MIG {part[1]}"))
    return devices


def ask_amd() -> tuple[list[Device], str]:
    """Return AMD's devices as rocm-smi tells, and what that complained of ('' for nothing)."""
    listed, trouble = _said("rocm-smi", "--showuniqueid", "--showproductname", "--json")
    return list_amd(listed), trouble


def list_amd(text: str) -> list[Device]:
    """Return the devices that ``rocm-smi --showuniqueid --showproductname --json`` lists."""
    try:
        cards = json.loads(text[text.index("{") :])
    except ValueError:
        return []
    devices = []
    for name, facts in cards.items():
        if isinstance(facts, dict) and re.fullmatch(r"card\d+", name):
            known = {str(key).lower(): str(value) for key, value in facts.items()}
            index = name.removeprefix("card")
            model = known.get("card series") or known.get("card model") or ""
            devices.append(Device(index, AMD, index, known.get("unique id", ""), model))
    return sorted(devices, key=lambda device: int(device.index))


def _said(tool: str, *arguments: str) -> tuple[str, str]:
    """Return what a tool prints, and what is wrong with it ('' for nothing); nothing of one that is not there."""
    if shutil.which(tool) is None:
        return "", ""
    try:
        answer = subprocess.run(
            [tool, *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_ANSWER_SECONDS,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return "", f"{tool}: {error}"
    complaint = " ".join((answer.stderr or answer.stdout).split())
    return answer.stdout, "" if answer.returncode == 0 else f"{tool}: {complaint or f'exit {answer.returncode}'}"
