"""What is set so that a program sees one device of those that an environment shows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpm_alchem.devices.device import AMD, INTEL, NVIDIA, Device
from xpm_alchem.devices.variables import ALL, is_set, limits, showing

SLURM = dict.fromkeys(("CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "ZE_AFFINITY_MASK"), "0,1,2,3")
SLURM["GPU_DEVICE_ORDINAL"] = "0,1,2,3"


@pytest.mark.parametrize(
    ("vendor", "environment", "left"),
    [
        (NVIDIA, {}, None),
        (NVIDIA, {"CUDA_VISIBLE_DEVICES": "2,0"}, ("2", "0")),
        (NVIDIA, {"CUDA_VISIBLE_DEVICES": " 2 , GPU-ab"}, ("2", "GPU-ab")),
        (NVIDIA, {"CUDA_VISIBLE_DEVICES": ""}, ()),
        (NVIDIA, {"CUDA_VISIBLE_DEVICES": "NoDevFiles"}, ()),
        (NVIDIA, {"CUDA_VISIBLE_DEVICES": "1,-1,2"}, ("1",)),  # CUDA reads up to what is none
        (NVIDIA, {"CUDA_VISIBLE_DEVICES": "1,1,2"}, ("1", "2")),
        (NVIDIA, {"HIP_VISIBLE_DEVICES": "1"}, None),
        (AMD, {"HIP_VISIBLE_DEVICES": "1,3"}, ("1", "3")),
        (AMD, {"ROCR_VISIBLE_DEVICES": "4,5,6"}, ("4", "5", "6")),
        (AMD, {"ROCR_VISIBLE_DEVICES": "4,5,6", "HIP_VISIBLE_DEVICES": "2,0,7"}, ("6", "4")),
        (AMD, {"CUDA_VISIBLE_DEVICES": "1"}, ("1",)),
        (INTEL, {"ZE_AFFINITY_MASK": "0.1,1.0"}, ("0.1", "1.0")),
        (INTEL, {"ONEAPI_DEVICE_SELECTOR": "level_zero:1,2"}, ("1", "2")),
        (INTEL, {"ONEAPI_DEVICE_SELECTOR": "level_zero:gpu"}, None),
        (INTEL, {"ZE_AFFINITY_MASK": "3,4", "ONEAPI_DEVICE_SELECTOR": "level_zero:1"}, ("4",)),
    ],
)
def test_what_is_limited_is_all_there_is(vendor, environment, left):
    assert limits(vendor, environment) == left


@pytest.mark.parametrize(
    ("vendor", "environment", "shown"),
    [
        (NVIDIA, {}, {"CUDA_VISIBLE_DEVICES": "2"}),
        (NVIDIA, {"CUDA_VISIBLE_DEVICES": "1,2"}, {"CUDA_VISIBLE_DEVICES": "2"}),
        (NVIDIA, SLURM, dict.fromkeys(SLURM, "2")),
        (AMD, {}, {"ROCR_VISIBLE_DEVICES": "2", "HIP_VISIBLE_DEVICES": "0"}),
        (AMD, {"HIP_VISIBLE_DEVICES": "1,2"}, {"HIP_VISIBLE_DEVICES": "2"}),
        (AMD, {"ROCR_VISIBLE_DEVICES": "1,2"}, {"ROCR_VISIBLE_DEVICES": "2", "HIP_VISIBLE_DEVICES": "0"}),
        (
            AMD,
            SLURM,  # HIP would take CUDA's, and count within ROCR's
            {
                "ROCR_VISIBLE_DEVICES": "2",
                "HIP_VISIBLE_DEVICES": "0",
                "CUDA_VISIBLE_DEVICES": "0",
                "GPU_DEVICE_ORDINAL": "0",
                "ZE_AFFINITY_MASK": "2",
            },
        ),
        (INTEL, {}, {"ZE_AFFINITY_MASK": "2"}),
        (INTEL, {"ONEAPI_DEVICE_SELECTOR": "opencl:1,2"}, {"ONEAPI_DEVICE_SELECTOR": "opencl:2"}),
        (
            INTEL,
            {"ONEAPI_DEVICE_SELECTOR": "level_zero:0,1", "ZE_AFFINITY_MASK": "1,2"},
            {"ONEAPI_DEVICE_SELECTOR": "level_zero:0", "ZE_AFFINITY_MASK": "2"},
        ),
    ],
)
def test_a_program_is_shown_one_device(vendor, environment, shown):
    assert showing([Device("2", vendor)], environment) == shown


@given(
    st.sampled_from([NVIDIA, AMD, INTEL]),
    st.dictionaries(st.sampled_from(ALL), st.lists(st.integers(0, 9), min_size=1, max_size=6), max_size=6),
    st.data(),
)
def test_what_is_shown_is_what_was_chosen_of_what_was_there(vendor, given_lists, data):
    prefix = {"ONEAPI_DEVICE_SELECTOR": "level_zero:"}
    environment = {name: prefix.get(name, "") + ",".join(map(str, listed)) for name, listed in given_lists.items()}
    there = limits(vendor, environment)
    names = ("4", "5", "6") if there is None else there
    if not names:
        return
    chosen = data.draw(st.lists(st.sampled_from(sorted(set(names))), min_size=1, max_size=3, unique=True))
    after = {**environment, **showing([Device(name, vendor) for name in chosen], environment)}
    assert limits(vendor, after) == tuple(chosen)


def test_nothing_is_set_without_devices():
    assert showing([], SLURM) == {}
    assert not is_set({"CUDA_VISIBLE_DEVICES": ""}, *ALL)
    assert is_set({"ROCR_VISIBLE_DEVICES": "0"}, *ALL)
