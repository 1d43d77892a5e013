"""The experimaestro types: one task is one repeat of one transformation.

A task's directory follows from the transformation's stable id, the repeat and the task it extends, and from nothing
else: the same repeat of the same transformation is the same task in every campaign of a workspace.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experimaestro import (
    Config,
    DependentMarker,
    GracefulTimeout,
    LightweightTask,
    Meta,
    Param,
    ResumableTask,
    TaskCancelled,
    field,
)
from experimaestro.taskglobals import Env

from xpm_alchem.base.permissions import close_to_others
from xpm_alchem.execution.deadline import Deadline
from xpm_alchem.execution.directory import TaskDirectory
from xpm_alchem.launchers.base import AttemptLimits
from xpm_alchem.network.index import TransformationRecord
from xpm_alchem.network.loading import load_network, load_transformation

if TYPE_CHECKING:
    from xpm_alchem.execution.dag_run import UnitEvent


class AlchemicalTransformation(Config):  # type: ignore[misc]
    """One transformation of a network."""

    __xpmid__ = "xpm_alchem.transformation"

    id: Param[str]
    """Stable id."""

    name: Meta[str] = field(default="")
    """Its name, for people."""

    network: Meta[Path | None] = field(default=None)
    """The campaign's network.json."""

    key: Meta[str] = field(default="")
    """The key under which network.json holds it; without it the whole network is indexed to find it."""

    trusted: Meta[list[str]] = field(default_factory=list)
    """Packages the user trusts to be imported."""

    def load(self) -> Any:
        """Return the gufe Transformation."""
        return _load(Path(self.network), self.id, self.key, tuple(self.trusted))


@cache
def _load(network: Path, stable_id: str, key: str, trusted: tuple[str, ...]) -> Any:
    if key:
        return load_transformation(network, key, trusted)
    return load_network(network, trusted).transformation(stable_id)


class TaskEvent(Config):  # type: ignore[misc]
    """Something happened in a task's directory; the event only says where to look."""

    __xpmid__ = "xpm_alchem.task_event"

    what: Param[str]
    units_done: Param[int]
    units_total: Param[int]


class ExtendedTask(Config):  # type: ignore[misc]
    """A task that another one continues. Not a dependency of experimaestro's: our queue waits for it."""

    __xpmid__ = "xpm_alchem.extended_task"

    task: Param[str]
    """Its experimaestro identifier."""

    directory: Meta[Path | None] = field(default=None)
    """Its directory."""


class RunTransformation(ResumableTask):  # type: ignore[misc]
    """Execute the ProtocolDAG of one repeat of a transformation in the task's directory."""

    __xpmid__ = "xpm_alchem.run"

    transformation: Param[AlchemicalTransformation]
    """What to run."""

    repeat: Param[int]
    """Number of the repeat, from 1."""

    extends: Param[ExtendedTask | None] = field(default=None)
    """The complete task of the same transformation that this one continues."""

    before: Meta[list[LightweightTask]] = field(default_factory=list)
    """A campaign's init tasks. experimaestro's own would be part of the identity, and so of the directory."""

    def unit_finished(self, dep: DependentMarker, *, name: str, done: int, total: int) -> TaskEvent:
        """Dynamic output: a unit ended."""
        return dep(TaskEvent.C(what=f"unit {name}", units_done=done, units_total=total))

    def task_finished(self, dep: DependentMarker, *, done: int, total: int) -> TaskEvent:
        """Dynamic output: the task is complete."""
        return dep(TaskEvent.C(what="complete", units_done=done, units_total=total))

    def execute(self) -> None:
        """Work on the task; called by experimaestro in the attempt's process.

        Raises
        ------
        GracefulTimeout
            The time limit is near; the next attempt goes on from here.
        TaskCancelled
            The process was told to end.
        NodeFaultError
            It can do nothing on this machine.
        """
        from xpm_alchem.execution.dag_run import TaskSpec, run  # gufe takes its time, and a driver does without it
        from xpm_alchem.execution.interrupts import Stopped

        if not gc.isenabled():  # as the attempt's script has it: what was imported is never looked through
            gc.freeze()
            gc.enable()
        if self.transformation.network is not None:
            close_to_others(Path(self.transformation.network))  # DAG and results hold what it holds
        for init_task in self.before:
            init_task.execute()
        env = Env.instance()
        limits = env.launcher_info
        deadline = limits.deadline() if isinstance(limits, AttemptLimits) else Deadline(self.remaining_time)
        spec = TaskSpec(
            transformation_id=self.transformation.id,
            repeat=self.repeat,
            load_transformation=self.transformation.load,
            extends=None if self.extends is None else Path(self.extends.directory),
            trusted=tuple(self.transformation.trusted),
        )
        try:
            launched = limits.launched if isinstance(limits, AttemptLimits) else None
            path = TaskDirectory(env.taskpath).path
            summary = run(path, spec, deadline=deadline, on_unit=self._tell, launched=launched)
        except Stopped as stop:
            raise (GracefulTimeout(stop.reason) if stop.timeout else TaskCancelled(stop.reason)) from None
        self.register_task_output(self.task_finished, done=summary.units_done, total=summary.units_total)

    def _tell(self, event: UnitEvent) -> None:
        self.register_task_output(self.unit_finished, name=event.name, done=event.units_done, total=event.units_total)


def make_task(
    transformation: TransformationRecord,
    repeat: int,
    *,
    network: Path,
    trusted: Iterable[str] = (),
    extends: Path | None = None,
) -> Any:
    """Return the configuration of a task, tagged for experimaestro's monitors with edge, leg and repeat.

    Parameters
    ----------
    network
        The campaign's network.json.
    extends
        Directory of the task that this one continues.
    """
    edge = f"{transformation.ligand_a}->{transformation.ligand_b}"
    task = RunTransformation.C(
        transformation=AlchemicalTransformation.C(
            id=transformation.id,
            name=transformation.name,
            network=network,
            key=transformation.key,
            trusted=list(trusted),
        ),
        repeat=repeat,
        extends=None if extends is None else ExtendedTask.C(task=extends.name, directory=extends),
    )
    return task.tag("edge", edge).tag("leg", transformation.environment).tag("repeat", repeat)


def directory_in_workspace(task: Any) -> str:
    """Return the directory of a task's configuration relative to its workspace."""
    return f"jobs/{RunTransformation.__xpmid__}/{task.__xpm__.identifier.all.hex()}"
