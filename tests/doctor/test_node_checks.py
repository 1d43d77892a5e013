"""What a process on a node finds there."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

import attrs
import pytest

from xpm_alchem.devices.device import Device
from xpm_alchem.devices.slots import Given
from xpm_alchem.doctor import node_checks
from xpm_alchem.doctor.check import NODE, Finding, Verdict, perform
from xpm_alchem.doctor.file_system import locker
from xpm_alchem.doctor.node_checks import LOCK, Asked
from xpm_alchem.execution.processes import HOST


def one(findings: Iterable[Finding]) -> Finding:
    (finding,) = findings
    return finding


def test_what_is_asked_is_read_as_it_was_written(tmp_path: Path) -> None:
    asked = Asked("/w", platform="CUDA", has_gpus=True, modules=("openfe",), trusted=("mine",), holds_lock=False)
    asked.write(tmp_path)
    assert Asked.read(tmp_path) == asked


def test_all_is_well_on_a_machine_that_asks_itself(tmp_path: Path) -> None:
    asked = Asked(str(tmp_path), platform="Reference")
    with locker(tmp_path / LOCK) as mine:
        assert mine() == "held"
        found = list(perform(NODE, node_checks.node_checks(asked, tmp_path)))
    assert not [finding for finding in found if finding.verdict is Verdict.FAULT]
    assert len({finding.check for finding in found}) == 12
    assert json.dumps([finding.view() for finding in found])


def test_other_versions_are_told_with_both(tmp_path: Path) -> None:
    asked = Asked(str(tmp_path), host="login1")
    other = attrs.evolve(asked, versions={**asked.versions, "gufe": "0.1", "openfe-of-there": "1.0"})
    assert one(node_checks.packages(asked)).verdict is Verdict.OK
    finding = one(node_checks.packages(other))
    assert finding.verdict is Verdict.WARNING
    assert f"gufe {asked.versions['gufe']} (on login1 0.1)" in finding.found
    assert "openfe-of-there missing (on login1 1.0)" in finding.found
    assert "Python" not in finding.found.partition("(/")[0]


def test_a_lock_that_does_not_hold_between_the_machines_is_a_fault(tmp_path: Path) -> None:
    asked = Asked(str(tmp_path), host="login1")
    with locker(tmp_path / LOCK) as mine:
        assert mine() == "held"
        assert one(node_checks.lock_of_other(asked, tmp_path)).verdict is Verdict.OK
    finding = one(node_checks.lock_of_other(asked, tmp_path))
    assert finding.verdict is Verdict.FAULT and f"{HOST} got a lock (flock) that login1 holds" in finding.found
    assert one(node_checks.lock_of_other(attrs.evolve(asked, holds_lock=False), tmp_path)).verdict is Verdict.WARNING
    assert one(node_checks.lock_of_other(asked, tmp_path / "nowhere")).verdict is Verdict.FAULT


def test_a_platform_that_does_not_work_is_a_fault_in_the_words_of_an_attempt() -> None:
    finding = one(node_checks.platform_works(Given(platform="CUDA")))
    assert finding.verdict is Verdict.FAULT
    assert finding.found.startswith(f"CUDA does not work on {HOST}: OpenMM has no such platform")
    assert "platform: none" in finding.mend
    assert "Reference works" in one(node_checks.platform_works(Given(platform="Reference"))).found
    assert "none is to be tried" in one(node_checks.platform_works(Given())).found


def test_gpus_that_are_asked_for_and_not_there_are_a_fault() -> None:
    asked = Asked("/w", has_gpus=True)
    assert one(node_checks.devices(asked, Given())).verdict is Verdict.FAULT
    finding = one(node_checks.devices(asked, Given((Device("0", index="0", model="NVIDIA A100"),))))
    assert "GPU 0 (NVIDIA A100)" in finding.found


def test_more_threads_than_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", str(len(os.sched_getaffinity(0)) + 1))
    assert one(node_checks.cores()).verdict is Verdict.WARNING
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert one(node_checks.cores()).verdict is Verdict.OK


def test_modules_that_cannot_be_imported_and_a_slow_file_system(monkeypatch: pytest.MonkeyPatch) -> None:
    assert one(node_checks.imports(Asked("/w"))).verdict is Verdict.OK
    found = list(node_checks.imports(Asked("/w", modules=("no_such_protocol",), trusted=("no_such_protocol",))))
    assert {finding.verdict for finding in found} == {Verdict.FAULT, Verdict.WARNING}
    monkeypatch.setattr(node_checks, "_SLOW_IMPORT_SECONDS", -1.0)
    finding = one(node_checks.imports(Asked("/w")))
    assert finding.verdict is Verdict.WARNING and "faster file system" in finding.mend


def test_a_scratch_directory_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert str(tmp_path) in one(node_checks.scratch()).found
    monkeypatch.setenv("TMPDIR", str(tmp_path / "nowhere"))
    first, _ = node_checks.scratch()
    assert first.verdict is Verdict.WARNING and "TMPDIR is" in first.found
