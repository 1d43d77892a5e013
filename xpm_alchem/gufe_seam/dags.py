"""A ProtocolDAG: made, executed unit by unit, and its result put together."""

from __future__ import annotations

import contextvars
import inspect
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from xpm_alchem.gufe_seam.installed import Context, ProtocolDAG, ProtocolDAGResult, ProtocolUnit, ProtocolUnitResult

# The number of the repeat a DAG is created for. gufe does not hand it to a protocol; a protocol whose seeds
# are to be reproducible reads it here while its `_create` runs.
_REPEAT: contextvars.ContextVar[int | None] = contextvars.ContextVar("repeat", default=None)


def current_repeat() -> int | None:
    """Return the repeat whose DAG is being created by `create_dag`, or None outside of it."""
    return _REPEAT.get()


def create_dag(transformation: Any, *, repeat: int | None = None, extends: Any = None, name: str | None = None) -> Any:
    """Create the ProtocolDAG of one repeat of a transformation.

    Parameters
    ----------
    transformation
        A gufe Transformation or NonTransformation.
    repeat
        Number of the repeat; protocols that want reproducible seeds read it through `current_repeat`.
    extends
        The ProtocolDAGResult that this one continues.
    """
    token = _REPEAT.set(repeat)
    try:
        if "extends" in inspect.signature(transformation.create).parameters:
            return transformation.create(extends=extends, name=name)
        return _create_dag_0_4(transformation, extends, name)
    finally:
        _REPEAT.reset(token)


STREAMS = tuple(name for name in ("stdout", "stderr") if name in inspect.signature(Context).parameters)
"""The directories of a Context for what a unit prints: none before gufe 1.7."""


def make_context(shared: Path, scratch: Path, stdout: Path | None = None, stderr: Path | None = None) -> Any:
    """Return gufe's Context; directories that are none of `STREAMS` are left out."""
    streams = {"stdout": stdout, "stderr": stderr}
    return Context(shared=shared, scratch=scratch, **{name: streams[name] for name in STREAMS})


_TAKES_CONTEXT = "context" in inspect.signature(ProtocolUnit.execute).parameters


def execute_unit(unit: Any, context: Any, inputs: Mapping[str, Any]) -> Any:
    """Execute one ProtocolUnit; return its ProtocolUnitResult or ProtocolUnitFailure."""
    if _TAKES_CONTEXT:
        return unit.execute(context=context, raise_error=False, **inputs)
    return unit.execute(shared=context.shared, scratch=context.scratch, **inputs)


def resolve_inputs(unit: Any, results: Mapping[str, Any]) -> dict[str, Any]:
    """Return a unit's inputs with every ProtocolUnit replaced by its result in ``results[unit key]``."""

    def resolve(value: Any) -> Any:
        if isinstance(value, ProtocolUnit):
            return results[str(value.key)]
        if isinstance(value, dict):
            return {key: resolve(item) for key, item in value.items()}
        if isinstance(value, list):
            return [resolve(item) for item in value]
        return value

    return {key: resolve(value) for key, value in unit.inputs.items()}


def is_result_of(result: Any, unit: Any) -> bool:
    """Return whether an object that was read is the result of a unit that succeeded, with all a result has."""
    parts = [getattr(result, name, None) for name in ("inputs", "outputs")]
    sound = isinstance(result, ProtocolUnitResult) and isinstance(result.key, str)
    return sound and all(isinstance(part, Mapping) for part in parts) and str(result.source_key) == str(unit.key)


def is_dag(dag: Any) -> bool:
    """Return whether an object that was read is a ProtocolDAG whose units' keys can name files."""
    return isinstance(dag, ProtocolDAG) and all(Path(str(u.key)).name == str(u.key) for u in dag.protocol_units)


def is_dag_result(result: Any) -> bool:
    """Return whether an object that was read is a ProtocolDAGResult."""
    return isinstance(result, ProtocolDAGResult)


def is_whole_result_of(result: Any, dag: Any) -> bool:
    """Return whether an object that was read is a ProtocolDAGResult of a DAG whose units have all succeeded."""
    keys = {str(unit.key) for unit in dag.protocol_units}
    return is_dag_result(result) and {str(unit.key) for unit in result.protocol_units} == keys and dag_ok(result)


def make_dag_result(dag: Any, results: Iterable[Any]) -> Any:
    """Return the ProtocolDAGResult of the unit results of a DAG, failures included."""
    given = {
        "name": dag.name,
        "protocol_units": dag.protocol_units,
        "protocol_unit_results": list(results),
        "transformation_key": getattr(dag, "transformation_key", None),
        "extends_key": getattr(dag, "extends_key", None),
    }
    known = inspect.signature(ProtocolDAGResult.__init__).parameters
    return ProtocolDAGResult(**{key: value for key, value in given.items() if key in known})


def dag_ok(result: Any) -> bool:
    """Return whether every unit of a ProtocolDAGResult has a result (0.4's own ``ok`` is wrong on failures)."""
    good = {str(unit_result.source_key) for unit_result in result.protocol_unit_results if unit_result.ok()}
    return all(str(unit.key) in good for unit in result.protocol_units)


# --- gufe 0.4 only
def _create_dag_0_4(transformation: Any, extends: Any, name: str | None) -> Any:
    return transformation.protocol.create(
        transformation.stateA,
        transformation.stateB,
        getattr(transformation, "mapping", None),
        extend_from=extends,
        name=name or str(transformation.key),
    )


# --- end of gufe 0.4 only
