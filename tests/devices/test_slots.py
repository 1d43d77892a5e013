"""Slots: devices and cores are shared out evenly, or it is said that they cannot be."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpm_alchem.base.errors import CampaignError
from xpm_alchem.devices.asked import Asked, asked_of
from xpm_alchem.devices.claims import claim
from xpm_alchem.devices.device import Device
from xpm_alchem.devices.found import Found
from xpm_alchem.devices.machine import MachineSlots
from xpm_alchem.devices.slots import SLOT, Given, Slot, slots_of


def devices(number: int) -> tuple[Device, ...]:
    return tuple(Device(str(n), index=str(n)) for n in range(number))


def names(slots: tuple[Slot, ...]) -> list[list[str]]:
    return [[device.name for device in slot.devices] for slot in slots]


@given(st.integers(1, 8), st.integers(1, 4), st.integers(0, 64))
def test_each_device_is_shared_by_so_many_slots_with_cores_of_their_own(number, tasks_per_gpu, cores):
    slots = slots_of(devices(number), number=None, tasks_per_gpu=tasks_per_gpu, cores=range(cores), where="here")
    shares = [(slot.devices[0].name, slot.share) for slot in slots]
    assert len(set(shares)) == len(slots) == number * tasks_per_gpu
    used = [core for slot in slots for core in slot.cores]
    assert len(set(used)) == len(used)
    assert len({len(slot.cores) for slot in slots}) == 1
    assert all(slot.threads == (max(1, len(slot.cores)) if cores else None) for slot in slots)


def test_slots_may_have_several_devices_each():
    assert names(slots_of(devices(4), number=2, cores=())) == [["0", "1"], ["2", "3"]]
    assert names(slots_of((), number=2, cores=())) == [[], []]


@pytest.mark.parametrize(
    ("gpus", "number", "tasks_per_gpu", "said"),
    [
        (4, 3, 1, "4 GPUs for 3 tasks at once: they do not divide"),
        (2, 4, 1, "2 GPUs for 4 tasks at once: none would have one of its own. Let 2 share one (tasks_per_gpu: 2)"),
        (2, 3, 2, "2 GPUs for 3 tasks at once, and tasks_per_gpu: 2: that is for 4"),
        (1, 4, 3, "1 GPU for 4 tasks at once, and tasks_per_gpu: 3: that is for 3"),
    ],
)
def test_devices_that_do_not_divide_by_the_tasks_are_refused(gpus, number, tasks_per_gpu, said):
    with pytest.raises(CampaignError) as refused:
        slots_of(devices(gpus), number=number, tasks_per_gpu=tasks_per_gpu, cores=(), where="launcher gpu")
    assert str(refused.value).startswith(f"launcher gpu: {said}")


def test_an_attempt_is_told_what_it_was_given():
    (slot,) = slots_of([Device("GPU-a", uuid="GPU-a", model="A100")], number=1, cores=(4, 5))
    variables = slot.variables({"PATH": "/bin"}, "CUDA")
    assert variables["CUDA_VISIBLE_DEVICES"] == "GPU-a"
    assert variables["OPENMM_CPU_THREADS"] == "2"
    assert Given.read(variables) == Given((slot.devices[0],), 1, "CUDA")
    assert "OPENMM_CPU_THREADS" not in Slot(0).variables({})


@pytest.mark.parametrize("said", ["", "[]", "{", '{"devices": 5}', '{"devices": null}', json.dumps({"platform": [1]})])
def test_what_cannot_be_used_of_it_is_nothing(said):
    assert Given.read({SLOT: said}) == Given.read({}) == Given()


@pytest.mark.parametrize(
    ("value", "asked"),
    [
        ("all", Asked()),
        (" ALL ", Asked()),
        (2, Asked(2)),
        (2.0, Asked(2)),
        ("2", Asked(2)),
        (0, Asked(0)),
        ([0, 2], Asked(2, ("0", "2"))),
        (["MIG-1", "GPU-2"], Asked(2, ("MIG-1", "GPU-2"))),
    ],
)
def test_gpus_are_all_so_many_or_named(value, asked):
    assert asked_of(value, "x") == asked


@pytest.mark.parametrize("value", [1.5, True, "some", [], [True], [-1], [0.5], ["a b"], [""], {"a": 1}, 10**6, "0,1"])
def test_anything_else_is_refused_with_what_would_do(value):
    with pytest.raises(CampaignError, match=r"^x: .* is no choice of GPUs. Give 'all'"):
        asked_of(value, "x")


def test_a_gpu_is_named_once():
    with pytest.raises(CampaignError, match="tasks_per_gpu"):
        asked_of([0, 0], "x")


FOUND = Found((Device("GPU-aa", index="0", uuid="GPU-aa"), Device("GPU-bb", index="1", uuid="GPU-bb")), is_proved=True)


@pytest.mark.parametrize(
    ("asked", "chosen"),
    [
        (Asked(), ["GPU-aa", "GPU-bb"]),
        (Asked(1), ["GPU-aa"]),
        (Asked(1, ("1",)), ["GPU-bb"]),  # by what nvidia-smi calls it, given on by what CUDA cannot misread
        (Asked(2, ("GPU-b", "0")), ["GPU-bb", "GPU-aa"]),
    ],
)
def test_the_devices_that_are_asked_for_are_chosen(asked, chosen):
    assert [device.name for device in asked.chosen(FOUND, "x")] == chosen


@pytest.mark.parametrize(
    ("asked", "there", "said"),
    [
        (Asked(), Found(), "asks for all GPUs; found none. "),
        (Asked(3), FOUND, "asks for 3 GPUs; found GPU 0, GPU 1. "),
        (Asked(1, ("2",)), FOUND, "found GPU 0, GPU 1, and not 2."),
        (Asked(1, ("0",)), Found((Device("2", index="2"),), is_limited=True), "found GPU 2, of what variables"),
        (Asked(1, ("0",)), Found((), is_limited=True), "found none, of what variables"),
        (Asked(), Found(trouble="nvidia-smi: no driver"), "found none (nvidia-smi: no driver)"),
    ],
)
def test_devices_that_are_not_here_are_refused(asked, there, said):
    with pytest.raises(CampaignError) as refused:
        asked.chosen(there, "launcher x")
    assert said in str(refused.value)


def test_devices_that_are_named_where_nothing_can_tell_are_believed():
    assert [device.name for device in Asked(2, ("0", "1")).chosen(Found(), "x")] == ["0", "1"]


def test_a_claim_is_one_processes_until_it_is_closed(tmp_path):
    (slot,) = slots_of(devices(1), number=1, cores=())
    held = claim(slot, str(tmp_path))
    assert held is not None
    assert claim(slot, str(tmp_path)) is None
    other = claim(slot, str(tmp_path / "other workspace"))  # an index alone means something in one place only
    assert other is not None
    held.close()
    again = claim(slot, str(tmp_path))
    assert again is not None
    for one in (other, again):
        one.close()


def test_a_slot_of_several_devices_is_claimed_whole_or_not_at_all(tmp_path):
    single = slots_of(devices(2), number=2, cores=())
    (both,) = slots_of(devices(2), number=1, cores=())
    held = claim(single[1], str(tmp_path))
    assert held is not None
    assert claim(both, str(tmp_path)) is None
    first = claim(single[0], str(tmp_path))  # was given back
    assert first is not None
    first.close()
    held.close()


def test_slots_are_taken_by_those_who_may_have_them(tmp_path):
    machine = MachineSlots(Asked(), where="x", environment={"CUDA_VISIBLE_DEVICES": "0,1,2"})
    scope = str(tmp_path)
    assert machine.take("a", scope, {"0"}) and machine.take("a", scope)
    assert machine.take("b", scope, {"0", "1"})
    assert not machine.take("c", scope, {"0"})  # there are others, if not now
    assert not machine.is_full(scope)
    assert machine.take("d", scope, {"0", "1", "2"})  # there are none but those
    assert machine.is_full(scope)
    assert not machine.take("e", scope)
    taken = machine.hand_on("a")
    assert taken is not None and taken[0].devices[0].name == "1"
    taken[1].close()
    machine.release("b")
    assert machine.take("e", scope) and machine.take("f", scope)
    for who in "def":
        machine.release(who)
    assert not machine.is_full(scope)
