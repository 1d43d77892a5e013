"""How many tasks there are of each status."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from xpm_alchem.alchemiscale.enums import NetworkStateEnum
from xpm_alchem.alchemiscale.foundation import Foundation, as_scope
from xpm_alchem.alchemiscale.networks import is_in_state
from xpm_alchem.alchemiscale.scope import Scope
from xpm_alchem.alchemiscale.scoped_key import ScopedKey
from xpm_alchem.alchemiscale.tasks_of_scopes import ScopedTask
from xpm_alchem.campaign.task_state import TaskStatus


class StatusMethods(Foundation):
    """Counts of tasks by status; a status that no task has is not among them."""

    def get_scope_status(
        self,
        scope: Scope | None = None,
        visualize: bool | None = True,
        network_state: NetworkStateEnum | str | None = NetworkStateEnum.active,
    ) -> dict[str, int]:
        """Count the tasks within a Scope.

        Parameters
        ----------
        scope
            None for all.
        visualize
            Whether to print a table.
        network_state
            Only tasks of networks whose state matches this regular expression; None for any.
        """
        book, where = self._book(), as_scope(scope) or Scope()
        networks = [one for one in self._catalogue.networks(where) if is_in_state(one, network_state)]
        tasks = {task.key: task for network in networks for task in book.of_network(network)}
        return _counted(tasks.values(), str(where), visualize)

    def get_network_status(self, network: ScopedKey, visualize: bool | None = True) -> dict[str, int]:
        """Count the tasks of a network's transformations, actioned or not; `visualize`: and print a table."""
        found = self._catalogue.network(network)
        return _counted([] if found is None else self._book().of_network(found), str(network), visualize)

    def get_networks_status(self, networks: list[ScopedKey]) -> list[dict[str, int]]:
        """Count the tasks of networks in their order; an empty mapping for one that is not there."""
        book, found = self._book(), map(self._catalogue.network, networks)
        return [_counted([] if one is None else book.of_network(one), "", False) for one in found]

    def get_transformation_status(self, transformation: ScopedKey, visualize: bool | None = True) -> dict[str, int]:
        """Count the tasks of a transformation; `visualize`: and print a table."""
        tasks: list[ScopedTask] = []
        for network, record in self._catalogue.with_transformation(transformation)[:1]:
            tasks = self._book().of_transformation(network.scope, record.id)
        return _counted(tasks, str(transformation), visualize)


def _counted(tasks: Iterable[ScopedTask], title: str, visualize: bool | None) -> dict[str, int]:
    counts = Counter(str(task.status) for task in tasks)
    if visualize:
        _show(counts, title)
    return {str(status): counts[str(status)] for status in TaskStatus if counts[str(status)]}


def _show(counts: Counter[str], title: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table()
    table.add_column("status")
    table.add_column("count", justify="right")
    for status in TaskStatus:
        table.add_row(str(status), str(counts[str(status)]))
    console = Console()
    console.print(title, soft_wrap=True, markup=False, highlight=False)
    console.print(table)
