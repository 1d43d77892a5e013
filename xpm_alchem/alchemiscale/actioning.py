"""Which tasks are to be run for which network."""

from __future__ import annotations

from typing import Any

from xpm_alchem.alchemiscale.catalogue import ScopedNetwork
from xpm_alchem.alchemiscale.foundation import check_lengths, translated
from xpm_alchem.alchemiscale.scope import Scope
from xpm_alchem.alchemiscale.scoped_key import ScopedKey
from xpm_alchem.alchemiscale.tasks import TaskMethods
from xpm_alchem.alchemiscale.tasks_of_scopes import OPEN, ScopedTask, TaskBook
from xpm_alchem.campaign.standing import DEFAULT_WEIGHT, check_weight
from xpm_alchem.requests.inbox import change_tasks


class ActionMethods(TaskMethods):
    """Actioning and cancelling."""

    def action_tasks(
        self, tasks: list[ScopedKey], network: ScopedKey, weight: float | list[float] | None = None
    ) -> list[ScopedKey | None]:
        """Have tasks run for a network of their Scope that has their transformation.

        Parameters
        ----------
        weight
            0 to 1, one for all or a list with one for each: of tasks of one priority those of more weight begin first.
            None: 0.5 for those that were not actioned on it yet; the others keep theirs.

        Returns
        -------
        list
            The keys in the order of `tasks`, None for one that cannot be run for this network: it is not there, in
            another Scope, of a transformation that the network has not, or complete, invalid or deleted.

        Raises
        ------
        AlchemiscaleClientError
            There is no such network, or a weight is none.
        """
        weights: list[float | None] = list(weight) if isinstance(weight, list) else [weight] * len(tasks)
        check_lengths(tasks, weights, "action_tasks")
        with translated():
            for one in weights if tasks else [weight]:
                if one is not None:
                    check_weight(one)  # type: ignore[arg-type]
            here, book = self._network(network), self._book()
            wanted: dict[float, list[str]] = {}
            new: dict[str, tuple[ScopedTask, float]] = {}
            done: list[ScopedKey | None] = []
            for task, one in zip(book.find_all(tasks), weights, strict=True):
                may = task is not None and task.scope == here.scope and task.transformation in here.key_of
                if task is None or not may or not task.is_open:
                    done.append(None)
                    continue
                done.append(task.key)
                state = task.in_network(here)
                if state is None:
                    new[task.id] = task, DEFAULT_WEIGHT if one is None else one
                elif not state.actioned or (one is not None and one != state.weight):
                    wanted.setdefault(DEFAULT_WEIGHT if one is None else one, []).append(state.task)
            for value, ids in wanted.items():
                self._ask({here: list(dict.fromkeys(ids))}, "action", weight=value)
            for task, value in new.values():
                self._take_over(book, here, task, value)
            self._bring_along(here.scope)
        return done

    def cancel_tasks(self, tasks: list[ScopedKey], network: ScopedKey) -> list[ScopedKey | None]:
        """Have tasks not run for a network any more; an attempt at work ends at its next checkpoint.

        Returns
        -------
        list
            The keys in the order of `tasks`, None for one that is not actioned on this network.

        Raises
        ------
        AlchemiscaleClientError
            There is no such network.
        """
        with translated():
            here = self._network(network)
            found = self._book().find_all(tasks)
            done = [task if task and task.is_open and _is_actioned(task, here) else None for task in found]
            if ids := list(dict.fromkeys(task.id for task in done if task is not None)):
                self._ask({here: ids}, "cancel", in_error=True)
        return [None if task is None else task.key for task in done]

    def get_network_actioned_tasks(
        self, network: ScopedKey, task_weights: bool = False
    ) -> dict[ScopedKey, float] | list[ScopedKey]:
        """Return the keys of the tasks that are to be run for a network; `task_weights`: with their weights."""
        return self.get_networks_actioned_tasks([network], task_weights)[0]

    def get_networks_actioned_tasks(
        self, networks: list[ScopedKey], task_weights: bool = False
    ) -> list[dict[ScopedKey, float] | list[ScopedKey]]:
        """Return the actioned tasks of networks in their order, none for one that is not there."""
        book, found = self._book(), []
        for key in networks:
            network = self._catalogue.network(key)
            pairs = [] if network is None else [(task, task.in_network(network)) for task in book.of_network(network)]
            weights = {task.key: state.weight for task, state in pairs if state and state.actioned and task.is_open}
            found.append(_either(weights, task_weights))
        return found

    def get_task_actioned_networks(
        self, task: ScopedKey, task_weights: bool = False
    ) -> dict[ScopedKey, float] | list[ScopedKey]:
        """Return the keys of the networks that a task is to be run for; `task_weights`: with its weight in each."""
        found = self._book().find(task)
        pairs: list[tuple[ScopedNetwork, Any]] = [] if found is None else found.actioned_on()
        return _either({network.key: state.weight for network, state in pairs}, task_weights)

    def _take_over(self, book: TaskBook, here: ScopedNetwork, task: ScopedTask, weight: float) -> None:
        """Have a network's campaign run a task that another campaign of the Scope has, after what it extends."""
        chain = [task]
        while chain[0].extends is not None:
            chain.insert(0, book.of_scope(here.scope)[chain[0].extends])
        for one in chain:
            if one.in_network(here) is None:
                extends = one.holders[0][1].extends
                new = [one.transformation, one.repeat, extends, one is task, weight, one.priority]
                change_tasks(here.records, "create", patience=self._patience, new=[new])

    def _bring_along(self, scope: Scope) -> None:
        """Action what actioned tasks extend in their campaign too, where another one has it or computes it.

        A task waits for what it extends by what its own campaign says, which takes over what is there.
        """
        tasks = self._book().of_scope(scope)
        wanted: dict[ScopedNetwork, dict[str, None]] = {}
        for task in tasks.values():
            for network, _ in task.actioned_on():
                other = None if task.extends is None else tasks.get(task.extends)
                while other is not None:
                    state = other.in_network(network)
                    is_lacking = state is not None and state.status in OPEN and not state.actioned
                    if is_lacking and (other.complete is not None or other.actioned_on()):
                        wanted.setdefault(network, {})[other.id] = None
                    other = None if other.extends is None else tasks.get(other.extends)
        self._ask({network: list(ids) for network, ids in wanted.items()}, "action")


def _is_actioned(task: ScopedTask, network: ScopedNetwork) -> bool:
    state = task.in_network(network)
    return state is not None and state.actioned


def _either(weights: dict[ScopedKey, float], with_weights: bool) -> dict[ScopedKey, float] | list[ScopedKey]:
    return weights if with_weights else list(weights)
