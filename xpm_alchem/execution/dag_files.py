"""The DAG of a task and the results of its units as files: each is written once, and what is damaged is set aside."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from xpm_alchem import gufe_seam
from xpm_alchem.base.errors import FormatError, UntrustedModuleError
from xpm_alchem.base.files import exists, make_directories, names_in, set_aside
from xpm_alchem.base.passing import passes
from xpm_alchem.execution.directory import TaskDirectory
from xpm_alchem.network.trust import check_module

_SMALL = 16 * 1024 * 1024  # bytes; the results of most protocols of OpenFE have less


class DagFiles:
    """Reads and writes them for one attempt.

    Parameters
    ----------
    files
        The task's, of the attempt's generation.
    trusted
        Packages that may be imported.
    guard
        Raises if the task was given to another attempt: nothing may be written then.
    note_damage
        Notes that a file was set aside: what it was, its new name, and why.
    """

    def __init__(
        self,
        files: TaskDirectory,
        trusted: tuple[str, ...],
        guard: Callable[[], None],
        note_damage: Callable[[str, str, str], None],
    ) -> None:
        self._files, self._trusted, self._guard, self._note_damage = files, trusted, guard, note_damage
        self._parts = gufe_seam.Parts(files.path, check_module(str(files.path), trusted), files.relocated)

    def other_result(self, directory: Path) -> Any:
        """Return the ProtocolDAGResult of another task.

        Raises
        ------
        FileNotFoundError, FormatError, UntrustedModuleError
            It is not there, damaged, or names a module that is not trusted.
        """
        files = TaskDirectory(directory)
        return gufe_seam.load(files.result, check_module(str(files.result), self._trusted), files.relocated)

    def dag(self, create: Callable[[], Any]) -> Any:
        """Return the task's DAG: the one that was written, else one that is created now."""
        damaged = None
        if exists(self._files.dag):
            try:
                dag = self._parts.load(self._files.dag)
                if gufe_seam.is_dag(dag):
                    return dag
                damaged = FormatError(self._files.dag, "damaged: not a ProtocolDAG.")
            except FormatError as error:
                damaged = error
        dag = create()
        if damaged is not None:  # the results of its units cannot be told apart any more
            for path in (self._files.dag, self._files.results):
                self._set_aside(path, f"{damaged} The task starts over.")
            self._files.make()
        self._save(dag, self._files.dag, gufe_seam.is_dag)
        self._parts.forget(self._files.dag)
        return self._parts.load(self._files.dag)  # as a later attempt reads it

    def unit_results(self, units: Iterable[Any]) -> dict[str, Any]:
        """Return the results of finished units by key; one counts only if those of the units it depends on do."""
        results: dict[str, Any] = {}
        there = set(names_in(self._files.results))
        for unit in units:
            path = self._files.unit_result(str(unit.key))
            if path.name not in there:
                continue
            try:
                if any(str(parent.key) not in results for parent in unit.dependencies):
                    raise FormatError(path, "a unit that this one depends on is made again.")
                result = self._parts.load(path)
                if not gufe_seam.is_result_of(result, unit):
                    raise FormatError(path, "not a result of this unit.")
                results[str(unit.key)] = result
            except FileNotFoundError:  # a link that leads nowhere
                continue
            except (FormatError, UntrustedModuleError) as error:
                self._set_aside(path, str(error))
        return results

    def save_unit_result(self, result: Any, unit: Any) -> Any:
        """Write the result of a unit; return the one that counts."""
        path = self._files.unit_result(str(unit.key))
        return self._save(result, path, lambda there: gufe_seam.is_result_of(there, unit))

    def save_failure(self, failure: Any, key: str) -> None:
        """Write the failure of a unit beside those before it."""
        path = self._files.next_failure(key)
        make_directories(path.parent)
        self._parts.save(failure, path)

    def save_result(self, result: Any, dag: Any) -> Any:
        """Write the result of the DAG; return the one that counts. One that is small does without the other files."""
        is_one = partial(gufe_seam.is_whole_result_of, dag=dag)
        return self._save(result, self._files.result, is_one, whole_up_to=_SMALL)

    def _save(self, obj: Any, path: Path, is_one: Callable[[Any], bool], *, whole_up_to: int = 0) -> Any:
        """Write an object, and return it, or the one that is there: the first counts, and nothing is written over it.

        So an attempt that was frozen while it wrote, and is superseded, changes nothing when it goes on.

        Parameters
        ----------
        is_one
            Whether what is there is such an object.
        whole_up_to
            See `Parts.save`.
        """
        self._guard()
        save = partial(self._parts.save, obj, path, exclusive=True, whole_up_to=whole_up_to)
        with suppress(FileExistsError):
            save()
            return obj
        self._guard()
        try:
            if is_one(there := self._parts.load(path)):
                return there
        except OSError as error:
            if passes(error):
                raise
        except (FormatError, UntrustedModuleError):
            pass
        self._set_aside(path, "not what this task makes")
        save()
        return obj

    def _set_aside(self, path: Path, reason: str) -> None:
        """Set aside what cannot be used; it is kept."""
        self._guard()
        self._note_damage(path.stem, set_aside(path).name, reason)
        self._parts.forget(path)
