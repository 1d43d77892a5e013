"""Tasks: created, looked up, and their status and priority."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from xpm_alchem.alchemiscale.catalogue import ScopedNetwork
from xpm_alchem.alchemiscale.enums import TaskStatusEnum, value_of
from xpm_alchem.alchemiscale.errors import AlchemiscaleClientError
from xpm_alchem.alchemiscale.foundation import Foundation, as_scope, check_lengths, translated
from xpm_alchem.alchemiscale.scope import Scope
from xpm_alchem.alchemiscale.scoped_key import ScopedKey
from xpm_alchem.alchemiscale.tasks_of_scopes import ScopedTask, TaskBook, extending, task_key
from xpm_alchem.base.errors import InputError
from xpm_alchem.campaign.standing import DEFAULT_WEIGHT, NetworkState
from xpm_alchem.campaign.task_state import DEFAULT_PRIORITY, TaskState, TaskStatus
from xpm_alchem.campaign.task_transitions import ALLOWED, check_priority, user_status
from xpm_alchem.network.index import TransformationRecord
from xpm_alchem.requests.inbox import change_tasks
from xpm_alchem.requests.task_requests import MOST_AT_ONCE

if TYPE_CHECKING:
    import networkx as nx

_TRIES = 10  # another program may create tasks at the same time


class TaskMethods(Foundation):
    """Tasks of transformations; those of one that is in several networks of a Scope belong to all of these."""

    def create_tasks(
        self, transformation: ScopedKey, extends: ScopedKey | None = None, count: int = 1
    ) -> list[ScopedKey]:
        """Create tasks of a transformation; they run once they are actioned.

        Parameters
        ----------
        extends
            A task of the same transformation that each of them goes on from; they wait until that is complete.
        count
            How many.

        Raises
        ------
        AlchemiscaleClientError
            There is no such transformation or task, or it cannot be extended.
        """
        if isinstance(count, bool) or not isinstance(count, int) or count < 0:
            raise AlchemiscaleClientError(f"count {count!r}: give how many tasks, a whole number.")
        return self.create_transformations_tasks([transformation] * count, [extends] * count)

    def create_transformations_tasks(
        self, transformations: list[ScopedKey], extends: list[ScopedKey | None] | None = None
    ) -> list[ScopedKey]:
        """Create a task of each transformation, which may be named several times; they run once they are actioned.

        Parameters
        ----------
        extends
            The task that each goes on from, None for one that begins anew.

        Raises
        ------
        AlchemiscaleClientError
            As of `create_tasks`.
        """
        others: list[ScopedKey | None] = [None] * len(transformations) if extends is None else extends
        check_lengths(transformations, others, "create_transformations_tasks")
        with translated():
            return self._create(transformations, others)

    def query_tasks(self, scope: Scope | None = None, status: str | None = None) -> list[ScopedKey]:
        """Return the keys of the tasks within a Scope, or those of one status."""
        book, where = self._book(), as_scope(scope)
        scopes = dict.fromkeys(network.scope for network in self._catalogue.networks(where))
        return _keys((task for one in scopes for task in book.of_scope(one).values()), status)

    def get_network_tasks(self, network: ScopedKey, status: str | None = None) -> list[ScopedKey]:
        """Return the keys of the tasks of a network's transformations, actioned or not."""
        found = self._catalogue.network(network)
        return [] if found is None else _keys(self._book().of_network(found), status)

    def get_task_networks(self, task: ScopedKey) -> list[ScopedKey]:
        """Return the keys of the networks that have a task's transformation."""
        found = self._book().find(task)
        if found is None:
            return []
        networks = self._catalogue.networks(found.scope)
        return [network.key for network in networks if found.transformation in network.key_of]

    def get_transformation_tasks(
        self,
        transformation: ScopedKey,
        extends: ScopedKey | None = None,
        return_as: str = "list",
        status: str | None = None,
    ) -> list[ScopedKey] | nx.DiGraph[ScopedKey]:
        """Return the tasks of a transformation.

        Parameters
        ----------
        extends
            Only those that extend this one, directly or not.
        return_as
            'list', or 'graph': a networkx.DiGraph with an edge from each task to the one that it extends.
        status
            Only those of one status.
        """
        if return_as not in ("list", "graph"):
            raise AlchemiscaleClientError(f"return_as {return_as!r}: give 'list' or 'graph'.")
        book, tasks = self._book(), []
        for network, record in self._catalogue.with_transformation(transformation)[:1]:
            tasks = book.of_transformation(network.scope, record.id)
        if extends is not None:
            root = book.find(extends)
            tasks = [] if root is None else extending(tasks, root)
        chosen = _of_status(tasks, status)
        return [task.key for task in chosen] if return_as == "list" else _graph(chosen)

    def get_task_transformation(self, task: ScopedKey) -> ScopedKey:
        """Return the key of a task's transformation.

        Raises
        ------
        AlchemiscaleClientError
            There is no such task.
        """
        found = self._task(self._book(), task)
        return found.holders[0][0].key_of[found.transformation]

    def set_tasks_status(
        self, tasks: list[ScopedKey], status: TaskStatusEnum | str, batch_size: int = 1000
    ) -> list[ScopedKey | None]:
        """Set tasks 'waiting', 'invalid' or 'deleted'; with the last two go all that extend them.

        Returns
        -------
        list
            The keys in the order of `tasks`, None for one that is not there, or whose status may not become this one.

        Raises
        ------
        AlchemiscaleClientError
            It is another status.
        """
        with translated():
            wanted = user_status(value_of(status, TaskStatusEnum, "status"))
            book = self._book()
            found = [task if task and wanted in ALLOWED[task.status] else None for task in book.find_all(tasks)]
            self._change(found, lambda state: wanted in ALLOWED[state.status], "status", status=str(wanted))
        return [None if task is None else task.key for task in found]

    def get_tasks_status(self, tasks: list[ScopedKey], batch_size: int = 1000) -> list[str]:
        """Return the statuses of tasks in their order, None for one that is not there."""
        found = self._book().find_all(tasks)
        statuses: list[Any] = [None if task is None else str(task.status) for task in found]
        return statuses

    def set_tasks_priority(
        self, tasks: list[ScopedKey], priority: int, batch_size: int = 1000
    ) -> list[ScopedKey | None]:
        """Set the priority of tasks: 1 is the most urgent, 10 the default.

        Parameters
        ----------
        priority
            One for all, or a list with one for each.

        Returns
        -------
        list
            The keys in the order of `tasks`, None for one that is not there.

        Raises
        ------
        AlchemiscaleClientError
            It is no whole number from 1 to 2**63 - 1.
        """
        given: list[int] = priority if isinstance(priority, list) else [priority] * len(tasks)
        check_lengths(tasks, given, "set_tasks_priority")
        with translated():
            for one in given or [priority]:
                check_priority(one)
            found = self._book().find_all(tasks)
            for one in dict.fromkeys(given):
                chosen = [task for task, wanted in zip(found, given, strict=True) if wanted == one]
                self._change(chosen, lambda state: True, "priority", priority=one)
        return [None if task is None else task.key for task in found]

    def get_tasks_priority(self, tasks: list[ScopedKey], batch_size: int = 1000) -> list[int]:
        """Return the priorities of tasks in their order, None for one that is not there."""
        found = self._book().find_all(tasks)
        priorities: list[Any] = [None if task is None else task.priority for task in found]
        return priorities

    # ------------------------------------------------------------------------------------------------- how it is done
    def _task(self, book: TaskBook, key: ScopedKey | str) -> ScopedTask:
        found = book.find(key)
        if found is None:
            raise AlchemiscaleClientError(f"{self._catalogue.workspace}: there is no Task '{key}'.")
        return found

    def _create(self, transformations: list[ScopedKey], extends: list[ScopedKey | None]) -> list[ScopedKey]:
        """Create tasks in the first active campaign that has their transformation, or that has what they extend."""
        book = self._book()
        wanted: dict[ScopedNetwork, list[tuple[int, str, str | None]]] = {}
        homes: dict[ScopedKey, list[tuple[ScopedNetwork, TransformationRecord]]] = {}
        for place, (transformation, other) in enumerate(zip(transformations, extends, strict=True)):
            if transformation not in homes:
                homes[transformation] = self._catalogue.with_transformation(transformation)
            if not homes[transformation]:
                where = self._catalogue.workspace
                raise AlchemiscaleClientError(f"{where}: there is no Transformation '{transformation}'.")
            extended = None if other is None else self._task(book, other)
            network, record = _home(homes[transformation], extended)
            check_extended(extended, record.id)
            wanted.setdefault(network, []).append((place, record.id, None if extended is None else extended.id))
        keys: dict[int, ScopedKey] = {}
        for network, tasks in wanted.items():
            for start in range(0, len(tasks), MOST_AT_ONCE):
                keys |= self._create_in(network, tasks[start : start + MOST_AT_ONCE])
        return [keys[place] for place in range(len(transformations))]

    def _create_in(self, network: ScopedNetwork, tasks: list[tuple[int, str, str | None]]) -> dict[int, ScopedKey]:
        for left in reversed(range(_TRIES)):
            there = self._book().of_scope(network.scope)
            last: dict[str, int] = {}
            for transformation, repeat in there:
                last[transformation] = max(repeat, last.get(transformation, 0))
            new, keys = [], {}
            for place, transformation, other in tasks:
                last[transformation] = last.get(transformation, 0) + 1
                new.append([transformation, last[transformation], other, False, DEFAULT_WEIGHT, DEFAULT_PRIORITY])
                keys[place] = task_key(network.scope, transformation, last[transformation])
            try:
                change_tasks(network.records, "create", patience=self._patience, new=new)
                return keys
            except InputError:
                now = self._book().of_scope(network.scope)
                if not left or not any((one[0], one[1]) in now for one in new):  # else others came first
                    raise
        return {}

    def _change(
        self, tasks: Iterable[ScopedTask | None], is_meant: Callable[[TaskState], bool], request: str, **values: Any
    ) -> None:
        """Ask every campaign that has one of the tasks for a change of it, where it is meant."""
        wanted: dict[ScopedNetwork, list[str]] = {}
        for task in tasks:
            for network, state in () if task is None else task.holders:
                if is_meant(state):
                    wanted.setdefault(network, []).append(state.task)
        self._ask(wanted, request, **values)

    def _ask(self, wanted: Mapping[ScopedNetwork, list[str]], request: str, **values: Any) -> None:
        later = [
            network
            for network, ids in wanted.items()
            if change_tasks(network.records, request, tasks=ids, **values).later
        ]
        for network in later:
            self._settle(network.records, True)


def _home(
    holders: list[tuple[ScopedNetwork, TransformationRecord]], extended: ScopedTask | None
) -> tuple[ScopedNetwork, TransformationRecord]:
    """Return the campaign that a new task is created in."""
    there = [one for one in holders if extended is not None and extended.in_network(one[0])] or holders
    active = (one for one in there if one[0].records.state().standing.state is NetworkState.ACTIVE)
    return next(active, there[0])


def check_extended(extended: ScopedTask | None, transformation: str) -> None:
    """Refuse what cannot be extended by a task of a transformation."""
    if extended is None:
        return
    if extended.transformation != transformation:
        raise AlchemiscaleClientError(f"'{extended.key}' is of another Transformation: a task extends one of its own.")
    if extended.status in (TaskStatus.INVALID, TaskStatus.DELETED):
        raise AlchemiscaleClientError(f"'{extended.key}' is {extended.status}: it cannot be extended.")


def _of_status(tasks: Iterable[ScopedTask], status: object) -> list[ScopedTask]:
    if status is None:
        return list(tasks)
    wanted = value_of(status, TaskStatusEnum, "status")
    return [task for task in tasks if task.status == wanted]


def _keys(tasks: Iterable[ScopedTask], status: object) -> list[ScopedKey]:
    return [task.key for task in _of_status(tasks, status)]


def _graph(tasks: Iterable[ScopedTask]) -> nx.DiGraph[ScopedKey]:
    import networkx as nx

    graph: nx.DiGraph[ScopedKey] = nx.DiGraph()
    for task in tasks:
        graph.add_node(task.key)
    for task in tasks:
        if task.extends is not None and (other := task_key(task.scope, *task.extends)) in graph:
            graph.add_edge(task.key, other)
    return graph
