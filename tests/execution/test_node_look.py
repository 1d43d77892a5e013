"""A node is looked at before a task's first unit: what its profile promises works there, or nothing is computed."""

from __future__ import annotations

import json
import os
import signal
import threading
from functools import partial
from pathlib import Path

import psutil
import pytest
from fake_openmm import WITH_CUDA, put_openmm
from one_task import TIMED_OUT, TOLD_TO_END, Task, ended, wait_until

from xpm_alchem.base.errors import NodeFaultError
from xpm_alchem.devices.asked import Asked
from xpm_alchem.devices.device import AMD, INTEL, NVIDIA, Device
from xpm_alchem.devices.machine import MachineSlots
from xpm_alchem.devices.slots import SLOT, Given, Slot
from xpm_alchem.execution.attempts import Launched, Outcome
from xpm_alchem.execution.deadline import Deadline
from xpm_alchem.execution.demand import demand
from xpm_alchem.execution.node_look import DEFAULT_PLATFORM, look

TWO_GPUS = (Device("0", NVIDIA, "0", "GPU-a", "NVIDIA A100"), Device("1", NVIDIA, "1", "GPU-b", "NVIDIA A100"))


@pytest.fixture(autouse=True)
def no_platform_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DEFAULT_PLATFORM, "")  # so that what an attempt sets is undone after the test
    monkeypatch.delenv(DEFAULT_PLATFORM)


@pytest.fixture
def fake_openmm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return a function that puts a package named openmm, of some lines, before the real one."""
    return partial(put_openmm, tmp_path / "fake", monkeypatch)


@pytest.mark.parametrize("platform", ["Reference", "CPU"])
def test_a_platform_that_works(platform: str) -> None:
    found = look(Given(platform=platform), "n7")
    assert found is not None
    assert (found.platform, found.trouble) == (platform, "")


def test_a_platform_that_openmm_does_not_have_is_told_with_those_it_has() -> None:
    found = look(Given(platform="CUDA"), "n7")
    assert found is not None
    assert found.trouble.startswith("CUDA does not work on n7: OpenMM has no such platform here, only Reference")
    assert "\n" not in found.trouble


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (Given(), ()),
        (Given(platform="none", devices=TWO_GPUS, is_proved=True), ()),
        (Given(platform="CPU", devices=TWO_GPUS, is_proved=True), ("CPU",)),
        (Given(devices=TWO_GPUS), ()),  # a variable names them on a machine without any sign of a GPU
        (Given(devices=TWO_GPUS, is_proved=True), ("CUDA",)),
        (Given(devices=(Device("0", AMD),), is_proved=True), ("HIP", "OpenCL")),
        (Given(devices=(Device("0", INTEL),), is_proved=True), ("OpenCL",)),
    ],
)
def test_what_is_tried(given: Given, expected: tuple[str, ...]) -> None:
    assert given.platforms() == expected


def test_what_the_user_wants_of_openmm_counts_where_the_profile_says_nothing() -> None:
    assert Given(devices=TWO_GPUS, is_proved=True).platforms("OpenCL") == ("OpenCL",)
    assert Given(devices=TWO_GPUS, is_proved=True, platform="CUDA").platforms("OpenCL") == ("CUDA",)
    assert Given().platforms("OpenCL") == ()


def test_an_attempt_is_told_whether_its_devices_are_proved() -> None:
    for is_proved in (False, True):
        told = Slot(0, TWO_GPUS, devices_there=2, is_proved=is_proved).variables({}, "CUDA")
        assert Given.read(told) == Given(TWO_GPUS, 2, "CUDA", is_proved)
    assert Given.read({SLOT: json.dumps({"devices": [], "is_proved": "yes"})}) == Given()


def test_devices_that_only_a_variable_names_are_not_proved(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = MachineSlots(Asked(), where="a test", environment={"CUDA_VISIBLE_DEVICES": "0,1"})
    if machine.found.is_proved:
        pytest.skip("this machine has GPUs")
    assert [slot.is_proved for slot in machine.slots] == [False, False]


def test_each_device_is_tried_and_the_one_that_fails_is_named_in_the_drivers_words(fake_openmm, monkeypatch) -> None:
    fake_openmm(WITH_CUDA)
    given = Given(devices=TWO_GPUS, devices_there=2, is_proved=True)
    assert look(given, "n7").trouble == ""
    monkeypatch.setenv("BROKEN", "1")
    assert look(given, "n7").trouble == (
        "CUDA does not work on GPU 1 (NVIDIA A100) of n7: Error initializing CUDA: "
        "CUDA_ERROR_ECC_UNCORRECTABLE (214) at CudaContext.cpp:91"
    )


@pytest.mark.parametrize("distance", ["nan", "0.2"])
def test_a_device_that_computes_wrongly(fake_openmm, monkeypatch, distance: str) -> None:
    fake_openmm(WITH_CUDA)
    monkeypatch.setenv("DISTANCE", distance)
    assert f"it computes wrongly: two particles that should stay 0.1 nm apart are {distance}" in (
        look(Given(platform="CUDA"), "n7").trouble
    )


def test_amds_platform_may_be_either_of_two(fake_openmm) -> None:
    fake_openmm(WITH_CUDA.replace('"CUDA"', '"OpenCL"'))
    found = look(Given(devices=(Device("0", AMD),), is_proved=True), "n7")
    assert (found.platform, found.trouble) == ("OpenCL", "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import os; os.abort()", f"the trial was ended by signal {signal.SIGABRT:d}"),
        ("import os, sys; print('libcuda: no device', file=sys.stderr); os._exit(3)", "last words: libcuda: no device"),
        ("raise OSError('libcudart.so: cannot open')", "OpenMM cannot be imported: libcudart.so: cannot open"),
        ("raise ValueError('x' * 10000 + chr(27))", "..."),
        ("print(chr(123))", "has no attribute"),
    ],
)
def test_a_library_that_is_broken_is_told_in_one_short_line(fake_openmm, text: str, said: str) -> None:
    fake_openmm(text)
    trouble = look(Given(platform="CUDA"), "n7").trouble
    assert trouble.startswith("CUDA does not work on n7: ")
    assert said in trouble
    assert "\n" not in trouble and len(trouble) < 500


def test_a_driver_that_hangs_is_given_up_and_its_process_ended(fake_openmm, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    fake_openmm(f"""
        import os, subprocess, time
        other = subprocess.Popen(["sleep", "600"])
        open({str(pids)!r}, "w").write(f"{{os.getpid()}} {{other.pid}}")
        time.sleep(600)
    """)
    trouble = look(Given(platform="CUDA"), "n7", seconds=2.0).trouble
    assert "no answer within 2 s" in trouble
    if pids.exists():  # else Python itself took longer than that to start
        wait_until(lambda: not any(map(is_alive, map(int, pids.read_text().split()))))


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_without_openmm_only_a_platform_that_is_named_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xpm_alchem.execution.node_look.find_spec", lambda name: None)
    assert look(Given(devices=TWO_GPUS, is_proved=True), "n7") is None
    assert look(Given(platform="Reference"), "n7") is not None


def test_openmm_that_is_not_installed_is_missed_where_a_platform_is_named(fake_openmm) -> None:
    fake_openmm("raise ModuleNotFoundError(\"No module named 'openmm'\")")
    assert look(Given(platform="CUDA"), "n7").trouble == (
        "CUDA does not work on n7: OpenMM cannot be imported: No module named 'openmm'"
    )


# ------------------------------------------------------------------------------------------------------- an attempt
def launched(**given: object) -> Launched:
    return Launched(job="12", node="n7", given=Given(**given))


def test_an_attempt_on_such_a_node_ends_as_a_node_failure_before_any_unit(tmp_path: Path) -> None:
    task = Task(tmp_path / "task")
    gpu = TWO_GPUS[1]
    with pytest.raises(NodeFaultError, match="CUDA does not work on GPU 1"):
        task.run(launched=launched(platform="CUDA", devices=(gpu,), devices_there=2))
    (attempt,) = task.attempts
    assert attempt.outcome is Outcome.NODE_FAILURE
    assert attempt.reason.startswith("CUDA does not work on GPU 1 (NVIDIA A100) of n7: OpenMM has no such platform")
    assert attempt.units == () and not attempt.progress and attempt.traceback is None
    assert task.summary.status == "error"
    wants = demand(task.attempts)
    assert wants.avoid == ("n7",) and wants.avoid_devices == (("n7", gpu.id),)
    assert DEFAULT_PLATFORM not in os.environ
    task.run(launched=launched(platform="CPU"))  # elsewhere it goes on
    assert task.summary.status == "complete"


def test_where_it_works_nothing_computes_on_another_platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Task(tmp_path / "nothing").run(launched=launched())
    assert DEFAULT_PLATFORM not in os.environ
    Task(tmp_path / "one").run(launched=launched(platform="Reference"))
    assert os.environ[DEFAULT_PLATFORM] == "Reference"
    monkeypatch.setenv(DEFAULT_PLATFORM, "CPU")  # as the user wants it
    Task(tmp_path / "two").run(launched=launched(platform="Reference"))
    assert os.environ[DEFAULT_PLATFORM] == "CPU"


def test_openmm_heeds_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    openmm = pytest.importorskip("openmm")
    monkeypatch.setenv(DEFAULT_PLATFORM, "Reference")
    system = openmm.System()
    system.addParticle(1.0)
    context = openmm.Context(system, openmm.VerletIntegrator(0.001))
    assert context.getPlatform().getName() == "Reference"


def test_a_task_is_looked_at_once_an_attempt_and_not_where_nothing_is_to_be_run(tmp_path: Path, monkeypatch) -> None:
    looks = []

    def counted(given: Given, *arguments: object) -> None:
        looks.append(given.platform)

    monkeypatch.setattr("xpm_alchem.execution.dag_run.look", counted)
    task = Task(tmp_path / "task", n_simulations=3)
    task.run(launched=launched(platform="CPU"))
    assert looks == ["CPU"]
    task.run(launched=launched(platform="CPU"))
    assert looks == ["CPU"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, TOLD_TO_END), (signal.SIGUSR1, TIMED_OUT)])
def test_a_look_that_hangs_is_ended_by_a_signal_to_the_attempt(fake_openmm, tmp_path: Path, number, code) -> None:
    begun = tmp_path / "begun"
    fake_openmm(f"""
        import os, time
        open({str(begun)!r}, "w").write(str(os.getpid()))
        time.sleep(600)
    """)
    task = Task(tmp_path / "task")
    pid = task.fork(launched=launched(platform="CUDA"))
    wait_until(lambda: begun.exists() and begun.read_text())
    os.kill(pid, number)
    assert ended(pid) == code
    wait_until(lambda: not is_alive(int(begun.read_text())))
    (attempt,) = task.attempts
    assert attempt.outcome is (Outcome.TIMEOUT if code == TIMED_OUT else Outcome.CANCELLED)
    assert attempt.units == ()


def test_a_look_ends_at_the_deadline(fake_openmm, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    fake_openmm(f"open({str(begun)!r}, 'w').close(); import time; time.sleep(600)")
    deadline = Deadline(lambda: 0.0 if begun.exists() else 60.0, margin=0.0)
    assert Task(tmp_path / "task").run_forked(launched=launched(platform="CUDA"), deadline=deadline) == TIMED_OUT


def test_a_look_does_not_outlive_an_attempt_that_is_killed(fake_openmm, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    fake_openmm(f"""
        import os, time
        open({str(begun)!r}, "w").write(str(os.getpid()))
        time.sleep(600)
    """)
    pid = Task(tmp_path / "task").fork(launched=launched(platform="CUDA"))
    wait_until(lambda: begun.exists() and begun.read_text())
    os.kill(pid, signal.SIGKILL)
    assert ended(pid) == -signal.SIGKILL
    wait_until(lambda: not is_alive(int(begun.read_text())))


def test_a_look_outside_of_the_main_thread(tmp_path: Path) -> None:
    task = Task(tmp_path / "task")
    thread = threading.Thread(target=lambda: task.run(launched=launched(platform="Reference")))
    thread.start()
    thread.join()
    assert task.summary.status == "complete"
