"""Results and failures as gufe's objects."""

from __future__ import annotations

import json
import warnings
from typing import Any, Literal

from xpm_alchem.alchemiscale.catalogue import ScopedNetwork
from xpm_alchem.alchemiscale.enums import ResultFormat, value_of
from xpm_alchem.alchemiscale.errors import AlchemiscaleClientError
from xpm_alchem.alchemiscale.foundation import check_lengths, translated
from xpm_alchem.alchemiscale.scoped_key import ScopedKey
from xpm_alchem.alchemiscale.tasks import TaskMethods
from xpm_alchem.alchemiscale.tasks_of_scopes import ScopedTask, TaskBook
from xpm_alchem.campaign.task_state import TaskState
from xpm_alchem.execution.directory import TaskDirectory
from xpm_alchem.execution.fence import current
from xpm_alchem.network.trust import check_module

Format = ResultFormat | Literal["ProtocolResult", "ProtocolResults", "ProtocolDAGResults"]


class ResultMethods(TaskMethods):
    """Results. `compress` and `visualize` are taken, and of no effect: nothing is sent anywhere."""

    def get_network_results(
        self,
        network: ScopedKey,
        return_as: Format = ResultFormat.PROTOCOL_RESULT,
        return_protocoldagresults: bool | None = None,
        compress: bool = True,
        visualize: bool = True,
    ) -> dict[ScopedKey, Any]:
        """Return the results of all transformations of a network by their keys; see `get_transformation_results`.

        Raises
        ------
        AlchemiscaleClientError
            There is no such network.
        """
        wanted = _format(return_as, return_protocoldagresults)
        with translated():
            found, book = self._network(network), self._book()
            return {key: _results(found, book, key, wanted) for key in found.transformations}

    def get_network_failures(
        self, network: ScopedKey, compress: bool = True, visualize: bool = True
    ) -> dict[ScopedKey, list[Any]]:
        """Return the failed ProtocolDAGResults of all transformations of a network by their keys.

        Raises
        ------
        AlchemiscaleClientError
            There is no such network.
        """
        with translated():
            found, book = self._network(network), self._book()
            return {
                key: _failures(found, book.of_transformation(found.scope, record.id))
                for key, record in found.transformations.items()
            }

    def get_network_archives(
        self,
        networks: list[ScopedKey | str],
        metadata: list[dict[str, Any] | None] | None = None,
        compress: bool = True,
        visualize: bool = True,
    ) -> list[Any | None]:
        """Return AlchemicalArchives of networks and all their results, in their order; it takes gufe >= 1.8.

        Parameters
        ----------
        metadata
            What is kept with each: a mapping of what JSON has and of gufe's objects, or None.

        Returns
        -------
        list
            None for a network that is not there.

        Raises
        ------
        AlchemiscaleClientError
            A network is named twice, the lists differ in length, or the metadata cannot be written.
        MissingPackageError
            The installed gufe has no archives.
        """
        notes: list[dict[str, Any] | None] = [None] * len(networks) if metadata is None else metadata
        check_lengths(networks, notes, "get_network_archives")
        keys = [ScopedKey.from_str(str(key)) for key in networks]
        if len({*keys}) < len(keys):
            raise AlchemiscaleClientError("get_network_archives: a network is named more than once.")
        for note in notes:
            _check_metadata(note)
        with translated():
            return [self._archive(key, note) for key, note in zip(keys, notes, strict=True)]

    def get_network_archive(
        self,
        network: ScopedKey | str,
        metadata: dict[str, Any] | None = None,
        compress: bool = True,
        visualize: bool = True,
    ) -> Any | None:
        """Return an AlchemicalArchive of a network, None if it is not there; see `get_network_archives`."""
        return self.get_network_archives([network], [metadata])[0]

    def get_transformation_results(
        self,
        transformation: ScopedKey,
        return_as: Format = ResultFormat.PROTOCOL_RESULT,
        return_protocoldagresults: bool | None = None,
        compress: bool = True,
        visualize: bool = True,
    ) -> Any:
        """Return the results of a transformation.

        Parameters
        ----------
        return_as
            'ProtocolResult': one of all complete tasks, None without any. 'ProtocolResults': a list with one for each.
            'ProtocolDAGResults': the list of what they were made of.
        return_protocoldagresults
            Of old: True is 'ProtocolDAGResults'.

        Raises
        ------
        AlchemiscaleClientError
            There is no such transformation.
        """
        wanted = _format(return_as, return_protocoldagresults)
        with translated():
            return _results(self._holder(transformation), self._book(), transformation, wanted)

    def get_transformation_failures(
        self, transformation: ScopedKey, compress: bool = True, visualize: bool = True
    ) -> list[Any]:
        """Return the failed ProtocolDAGResults of a transformation, one for each attempt in which a unit raised.

        Raises
        ------
        AlchemiscaleClientError
            There is no such transformation.
        """
        with translated():
            holder = self._holder(transformation)
            record = holder.transformations[ScopedKey.from_str(str(transformation))]
            return _failures(holder, self._book().of_transformation(holder.scope, record.id))

    def get_task_results(self, task: ScopedKey, compress: bool = True, visualize: bool = True) -> list[Any]:
        """Return the ProtocolDAGResult of a task in a list, empty while it is not complete.

        Raises
        ------
        AlchemiscaleClientError
            There is no such task.
        """
        with translated():
            found = self._task(self._book(), task)
            return _dag_results(found.holders[0][0], [found])

    def get_task_failures(self, task: ScopedKey, compress: bool = True, visualize: bool = True) -> list[Any]:
        """Return the failed ProtocolDAGResults of a task, one for each attempt in which a unit raised.

        Raises
        ------
        AlchemiscaleClientError
            There is no such task.
        """
        with translated():
            found = self._task(self._book(), task)
            return _failures(found.holders[0][0], [found])

    def _holder(self, transformation: ScopedKey) -> ScopedNetwork:
        found = self._catalogue.with_transformation(transformation)
        if not found:
            raise AlchemiscaleClientError(
                f"{self._catalogue.workspace}: there is no Transformation '{transformation}'."
            )
        return found[0][0]

    def _archive(self, key: ScopedKey, metadata: dict[str, Any] | None) -> Any:
        from xpm_alchem import gufe_seam

        network = self._catalogue.network(key)
        if network is None:
            return None
        book, results = self._book(), []
        for one, record in network.transformations.items():
            found = _results(network, book, one, ResultFormat.PROTOCOL_DAG_RESULTS)
            results.append((network.records.network.transformation(record.id), found))
        return gufe_seam.make_archive(network.records.network.alchemical_network, results, metadata or {})


def _format(return_as: object, of_old: bool | None) -> str:
    if of_old is not None:
        warnings.warn(
            "return_protocoldagresults is deprecated: use return_as='ProtocolDAGResults'.",
            DeprecationWarning,
            stacklevel=3,
        )
        return ResultFormat.PROTOCOL_DAG_RESULTS if of_old else ResultFormat.PROTOCOL_RESULT
    return value_of(return_as, ResultFormat, "return_as")


def _complete(tasks: list[ScopedTask]) -> list[TaskState]:
    """Return what campaigns say of complete tasks, by repeat; what was set aside in any of them does not count."""
    found = sorted((task for task in tasks if task.status == "complete"), key=lambda task: task.repeat)
    return [state for task in found if (state := task.complete) is not None]


def _results(network: ScopedNetwork, book: TaskBook, key: ScopedKey, wanted: str) -> Any:
    from xpm_alchem import gufe_seam
    from xpm_alchem.results.protocol_results import ProtocolResults

    records, stable_id = network.records, network.transformations[ScopedKey.from_str(str(key))].id
    tasks = book.of_transformation(network.scope, stable_id)
    if wanted == ResultFormat.PROTOCOL_RESULT:
        trusted = records.plan().trusted_modules
        results = ProtocolResults(records.network, records.workspace, trusted, records.cache_path, read_only=True)
        return results.of(stable_id, _complete(tasks), 0)
    found = _dag_results(network, tasks)
    if wanted == ResultFormat.PROTOCOL_DAG_RESULTS:
        return found
    return [gufe_seam.gather(records.network.transformation(stable_id), [one]) for one in found]


def _dag_results(network: ScopedNetwork, tasks: list[ScopedTask]) -> list[Any]:
    from xpm_alchem import gufe_seam

    check = check_module("a task's result.json", network.records.plan().trusted_modules)
    whole = (state for state in _complete(tasks) if not state.lacks_dag_result)
    files = [TaskDirectory(network.records.task_path(state)) for state in whole]
    return [gufe_seam.load(one.result, check, one.relocated) for one in files]


def _failures(network: ScopedNetwork, tasks: list[ScopedTask]) -> list[Any]:
    from xpm_alchem.results.failed_results import failed_results

    trusted = network.records.plan().trusted_modules
    paths = [network.records.task_path(task.holders[0][1]) for task in tasks]
    return [result for path in paths for result in failed_results(current(path), trusted)]


def _check_metadata(metadata: dict[str, Any] | None) -> None:
    from xpm_alchem import gufe_seam

    if metadata is None:
        return
    try:
        if not isinstance(metadata, dict):
            raise TypeError(f"{type(metadata).__name__} is no mapping")
        json.dumps(metadata, cls=gufe_seam.JSON_HANDLER.encoder)
    except (TypeError, ValueError, RecursionError) as error:
        raise AlchemiscaleClientError(f"the metadata cannot be written: {error}.") from None
