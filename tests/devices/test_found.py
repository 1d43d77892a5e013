"""Devices as the vendors' tools list them, and as variables leave them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from xpm_alchem.devices import found
from xpm_alchem.devices.device import AMD, NVIDIA, Device
from xpm_alchem.devices.found import find_devices
from xpm_alchem.devices.tools import list_amd, list_nvidia

A100 = """\
GPU 0: NVIDIA A100-SXM4-80GB (UUID: GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77)
GPU 1: NVIDIA A100-SXM4-80GB (UUID: GPU-99b5a1ab-e5d2-a8b2-7b0a-1f0a1a4c8c3e)
"""
DIVIDED = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-a)
  MIG 3g.20gb     Device  0: (UUID: MIG-1)
  MIG 3g.20gb     Device  1: (UUID: MIG-2)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-b)
"""
MI250 = """\
WARNING: some card is asleep
{"card1": {"Unique ID": "0xb", "Card series": "AMD Instinct MI250X"}, "card0": {"Unique ID": "0xa", "Card Series":
"AMD Instinct MI250X"}, "system": {"Driver version": "6.1"}}
"""


@pytest.fixture(autouse=True)
def no_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(found, "_DRIVERS", {NVIDIA: (), AMD: ()})


def tool(directory: Path, name: str, text: str, code: int = 0) -> None:
    directory.mkdir(exist_ok=True)
    (directory / "said").write_text(text)
    script = directory / name
    script.write_text(f"#!/bin/sh\ncat {directory}/said\nexit {code}\n")
    script.chmod(0o755)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    return tmp_path / "bin"


def test_nvidia_smi_lists_gpus_and_the_slices_of_those_that_are_divided():
    first, second = list_nvidia(A100)
    assert (first.index, second.index) == ("0", "1")
    assert first.name == first.uuid == "GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77"
    assert str(first) == "GPU 0 (NVIDIA A100-SXM4-80GB)"
    assert [device.name for device in list_nvidia(DIVIDED)] == ["MIG-1", "MIG-2", "GPU-b"]
    assert str(list_nvidia(DIVIDED)[0]) == "MIG-1 (NVIDIA A100-SXM4-40GB MIG 3g.20gb)"
    assert list_nvidia("No devices were found\n") == []


def test_rocm_smi_lists_cards_in_their_order():
    assert [(one.index, one.uuid, one.model) for one in list_amd(MI250)] == [
        ("0", "0xa", "AMD Instinct MI250X"),
        ("1", "0xb", "AMD Instinct MI250X"),
    ]
    assert list_amd("rocm-smi: no such thing") == list_amd("{broken") == []


def test_all_devices_of_a_machine_are_there_where_nothing_limits_them(path):
    tool(path, "nvidia-smi", A100)
    there = find_devices({})
    assert [device.index for device in there.devices] == ["0", "1"]
    assert there.is_proved and not there.is_limited


@pytest.mark.parametrize("name", ["1", "GPU-99b5a1ab-e5d2-a8b2-7b0a-1f0a1a4c8c3e", "GPU-99b5"])
def test_a_variable_leaves_some_by_index_identity_or_its_beginning(path, name):
    tool(path, "nvidia-smi", A100)
    there = find_devices({"CUDA_VISIBLE_DEVICES": name})
    (device,) = there.devices
    assert device.name == name
    assert device.uuid == "GPU-99b5a1ab-e5d2-a8b2-7b0a-1f0a1a4c8c3e"
    assert there.is_limited


def test_an_index_names_none_for_sure_where_cuda_may_count_otherwise(path):
    """CUDA counts the fastest first where nothing else is asked; nvidia-smi by the bus."""
    tool(path, "nvidia-smi", A100.replace("A100-SXM4-80GB", "T400", 1))
    (device,) = find_devices({"CUDA_VISIBLE_DEVICES": "0"}).devices
    assert (device.uuid, device.model) == ("", "")
    (device,) = find_devices({"CUDA_VISIBLE_DEVICES": "0", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}).devices
    assert device.model == "NVIDIA T400"


def test_what_only_a_variable_names_is_not_proved():
    there = find_devices({"CUDA_VISIBLE_DEVICES": "0,1"})
    assert [device.name for device in there.devices] == ["0", "1"]
    assert not there.is_proved
    assert find_devices({}).devices == ()
    (device,) = find_devices({"HIP_VISIBLE_DEVICES": "3"}).devices
    assert device.vendor == AMD


def test_a_broken_driver_is_told_of_and_proves_that_there_should_be_devices(path):
    tool(path, "nvidia-smi", "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n", code=9)
    there = find_devices({"CUDA_VISIBLE_DEVICES": "0"})
    assert there.is_proved
    assert "couldn't communicate with the NVIDIA driver" in there.trouble
    assert [device.name for device in there.devices] == ["0"]


def test_a_record_of_a_device_is_read_again_and_a_damaged_one_does_no_harm():
    device = Device("0", NVIDIA, "0", "GPU-a", "NVIDIA A100")
    assert Device.from_record(device.to_record()) == device
    assert Device.from_record({"name": 5, "uuid": ["x"]}) == Device.from_record(None) == Device("", "")
