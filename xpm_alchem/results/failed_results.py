"""What failed attempts have left, as gufe's ProtocolDAGResults: the failures of units beside the results of others."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from xpm_alchem.base.files import exists, names_in
from xpm_alchem.execution.attempt_log import AttemptLog
from xpm_alchem.execution.attempts import Outcome
from xpm_alchem.execution.directory import TaskDirectory
from xpm_alchem.network.trust import check_module


def failed_results(files: TaskDirectory, trusted: Iterable[str]) -> list[Any]:
    """Return a ProtocolDAGResult for every attempt of a task in which a unit raised, the earliest first.

    An attempt that died otherwise, or whose DAG could not be made, has left none.

    Parameters
    ----------
    files
        The task's.
    trusted
        Packages that the user trusts.

    Raises
    ------
    FormatError
        A file is damaged.
    """
    from xpm_alchem import gufe_seam

    failures = _by_attempt(files)
    if not failures or not exists(files.dag):
        return []
    parts = gufe_seam.Parts(files.path, check_module(str(files.path), trusted), files.relocated)
    dag = parts.load(files.dag)
    good = [path for unit in dag.protocol_units if exists(path := files.unit_result(str(unit.key)))]
    made = []
    for paths in failures:
        first = min(map(_written, paths))
        before = [parts.load(path) for path in good if _written(path) < first]
        made.append(gufe_seam.make_dag_result(dag, [*before, *map(parts.load, paths)]))
    return made


def _by_attempt(files: TaskDirectory) -> list[list[Path]]:
    """Return the files of the failures that have ended attempts, by attempt."""
    directory = files.path / "failures"
    paths = sorted((directory / name for name in names_in(directory) if name.endswith(".json")), key=_written)
    found: list[list[Path]] = []
    left = iter(paths)
    for attempt in AttemptLog(files.attempts).read():
        failed = [unit for unit in attempt.units if unit.get("ok") is False]
        of_attempt = [path for unit, path in zip(failed, left) if not unit.get("set_aside")]  # noqa: B905 - one may lack
        if of_attempt and attempt.outcome is Outcome.ERROR:
            found.append(of_attempt)
    return found


def _written(path: Path) -> int:
    return path.stat().st_mtime_ns
