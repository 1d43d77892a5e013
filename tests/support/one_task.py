"""One task of the scripted protocol in a directory of its own, worked on in this process or in a forked one."""

from __future__ import annotations

import faulthandler
import os
from pathlib import Path

from dummy_protocol import dummy_network
from patience import wait_for

from xpm_alchem import gufe_seam as seam
from xpm_alchem.base.files import names_in, write_json
from xpm_alchem.execution.attempt_log import AttemptLog
from xpm_alchem.execution.dag_run import TaskSpec, UnitsFailed, run
from xpm_alchem.execution.directory import TaskDirectory, TaskSummary
from xpm_alchem.execution.fence import current
from xpm_alchem.execution.interrupts import Stopped
from xpm_alchem.network.trust import check_module

TRUSTED = ("dummy_protocol",)
SLEEP = {"do": "sleep", "seconds": 600, "times": 1}
TIMED_OUT, TOLD_TO_END, FAILED = 10, 11, 12  # how a forked attempt ends


class Task:
    """A task of the scripted protocol in a directory of its own."""

    def __init__(self, path: Path, *, repeat: int = 1, extends: Path | None = None, **values: object) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self.script_path = path / "script.json"
        self.files = TaskDirectory(path / "task")
        (self.transformation,) = dummy_network([(0, 3)], script=str(self.script_path), **values).edges
        self.spec = TaskSpec("0123456789abcdef", repeat, lambda: self.transformation, extends, TRUSTED)

    def script(self, **orders: dict) -> None:
        """Say what units do from now on; '_' in a name stands for a space."""
        write_json(self.script_path, {name.replace("_", " "): order for name, order in orders.items()})

    def run(self, **options: object) -> TaskSummary:
        return run(self.files.path, self.spec, **options)

    def fork(self, **options: object) -> int:
        """Work on the task in another process; return its pid."""
        pid = os.fork()
        if pid == 0:
            code = 99
            faulthandler.disable()
            try:
                self.run(**options)
                code = 0
            except Stopped as stop:
                code = TIMED_OUT if stop.timeout else TOLD_TO_END
            except UnitsFailed:
                code = FAILED
            finally:
                os._exit(code)
        return pid

    def run_forked(self, **options: object) -> int:
        """Work on the task in another process; return its exit code, negative for a signal."""
        return ended(self.fork(**options))

    @property
    def attempts(self) -> list:
        return AttemptLog(self.files.attempts).read()

    @property
    def summary(self) -> TaskSummary:
        return TaskSummary.of(current(self.files.path))

    def units_done(self) -> list[str]:
        """Return the names of the units that succeeded, over all attempts."""
        return [unit["name"] for attempt in self.attempts for unit in attempt.units if unit.get("ok")]

    def outputs(self) -> dict[str, object]:
        """Return what the units of the finished task gave, without how often they were started."""
        result = seam.load(self.files.result, check_module("a test", TRUSTED))
        found = {r.name: dict(r.outputs) for r in result.protocol_unit_results}
        return {
            name: {key: value for key, value in outputs.items() if key in ("samples", "dg")}
            for name, outputs in found.items()
        }

    def starts(self, name: str) -> int:
        result = seam.load(self.files.result, check_module("a test", TRUSTED))
        return next(r.outputs["starts"] for r in result.protocol_unit_results if r.name == name)

    def key(self, name: str) -> str:
        dag = seam.load(self.files.dag, check_module("a test", TRUSTED))
        return next(str(unit.key) for unit in dag.protocol_units if unit.name == name)

    def failures(self) -> list[str]:
        return names_in(self.files.path / "failures")


def ended(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def wait_until(condition, seconds: float = 60) -> None:
    """Wait for another process; fails rather than hangs."""
    wait_for(condition, seconds=seconds, pause=0.005)


def task_of(protocol, path: Path, name: str, *, repeat: int = 1, extends: Path | None = None) -> Task:
    """Return a task like the dummy's, but of another protocol from another module."""
    task = Task(path)
    old = task.transformation
    task.transformation = seam.Transformation(old.stateA, old.stateB, protocol, None, name="edge")
    trusted = ("dummy_protocol", name)
    task.spec = TaskSpec("0123456789abcdef", repeat, lambda: task.transformation, extends, trusted)
    return task
