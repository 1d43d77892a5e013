"""Interrupt a simulation with OpenMM again and again, at random moments: no crash, and each is resumed.

PYTHONPATH=. python tests/support/random_interrupts.py 300
"""

from __future__ import annotations

import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from functools import partial
from pathlib import Path

import attrs
import openmm_protocol
from one_task import TOLD_TO_END, Task, ended, task_of
from patience import wait_for

from xpm_alchem.execution.attempts import Outcome

LONGEST = 1.0  # seconds until an interrupt


@attrs.define
class Course:
    """What came of the interrupts: exit codes of attempts, tasks that are complete, and how often one started over."""

    codes: Counter[int] = attrs.field(factory=Counter)
    interrupted: int = 0
    complete: int = 0
    started_over: int = 0
    faults: list[str] = attrs.field(factory=list)


def interrupt_often(directory: Path, times: int, seed: int = 1) -> Course:
    """Interrupt tasks until that was done `times` times while a unit was at work."""
    import openmm  # noqa: F401 - each attempt is forked: its imports are done

    course, chance, number = Course(), random.Random(seed), 0
    while course.interrupted < times:
        number += 1
        task = task_of(
            openmm_protocol.MDProtocol(openmm_protocol.MDSettings()),
            directory / str(number),
            "openmm_protocol",
        )
        _run_one(task, course, chance, times)
    return course


def _run_one(task: Task, course: Course, chance: random.Random, times: int) -> None:
    while True:
        for started in task.files.path.glob("shared/*/started"):
            started.unlink()
        pid = task.fork()
        if course.interrupted < times:
            wait_for(partial(_has_begun, task, pid))
            time.sleep(chance.uniform(0, LONGEST))
            os.kill(pid, signal.SIGTERM)
        code = ended(pid)
        course.codes[code] += 1
        last = task.attempts[-1]
        if code == 0:
            course.complete += 1
            course.started_over += task.summary.set_aside
            result = task.summary
            if result.estimate is None or _iterations(task) != openmm_protocol.MDSettings().n_iterations:
                course.faults.append(f"{task.files.path}: {result}, {_iterations(task)} iterations")
            return
        course.interrupted += 1
        if code != TOLD_TO_END or last.outcome is not Outcome.CANCELLED:
            course.faults.append(f"{task.files.path}: exit code {code}, {last.outcome}: {last.reason}")
            if last.traceback:
                course.faults.append(last.traceback)
            if len(course.faults) > 20:
                raise SystemExit("\n".join(course.faults))


def _has_begun(task: Task, pid: int) -> bool:
    has_ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    return has_ended or any(task.files.path.glob("shared/*/started"))


def _iterations(task: Task) -> object:
    from one_task import TRUSTED

    from xpm_alchem import gufe_seam as seam
    from xpm_alchem.network.trust import check_module

    result = seam.load(task.files.result, check_module("a test", (*TRUSTED, "openmm_protocol")))
    return next(unit.outputs["iterations"] for unit in result.protocol_unit_results)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        found = interrupt_often(Path(scratch), int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    print(f"{found.interrupted} interrupts, exit codes {dict(found.codes)}, {found.complete} tasks complete")
    print(f"a checkpoint could not be gone on from: {found.started_over}")
    print("\n".join(found.faults))
    raise SystemExit(bool(found.faults))
