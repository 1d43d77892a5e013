"""The tasks of a workspace as alchemiscale sees them: a task belongs to a transformation in a Scope.

Two networks of one Scope that have a transformation in common have its tasks in common, although each campaign has
records of its own: the same repeat of the same transformation is one task, and what is computed for one is there for
the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

import attrs

from xpm_alchem.alchemiscale.catalogue import Catalogue, ScopedNetwork
from xpm_alchem.alchemiscale.scope import Scope
from xpm_alchem.alchemiscale.scoped_key import ScopedKey
from xpm_alchem.campaign.task_state import TaskState, TaskStatus
from xpm_alchem.views.overview import tasks_now

_DIGITS = 16  # of a repeat in a token; with those of a stable id as many as alchemiscale's tokens have
OPEN = (TaskStatus.WAITING, TaskStatus.RUNNING, TaskStatus.ERROR)  # what may be actioned
_FINAL_FIRST = (TaskStatus.DELETED, TaskStatus.INVALID, TaskStatus.COMPLETE, TaskStatus.RUNNING)
Name = tuple[str, int]  # stable id of the transformation, repeat


def task_key(scope: Scope, transformation: str, repeat: int) -> ScopedKey:
    """Return the key of a task: its token is made of its transformation's stable id and its repeat."""
    return ScopedKey.of(f"Task-{transformation}{repeat:0{_DIGITS}x}", scope)


def name_of(key: ScopedKey | str) -> Name | None:
    """Return which task a key is of, None if it is none of ours."""
    wanted = ScopedKey.from_str(str(key))
    token = str(wanted.gufe_key).partition("-")[2]
    try:
        return (token[:-_DIGITS], int(token[-_DIGITS:], 16)) if wanted.qualname == "Task" else None
    except ValueError:
        return None


@attrs.frozen(eq=False, slots=False)
class ScopedTask:
    """One task of a Scope, as all campaigns that have it tell it.

    Attributes
    ----------
    transformation
        Stable id.
    holders
        The networks whose campaigns have it, with what each says.
    """

    scope: Scope
    transformation: str
    repeat: int
    holders: list[tuple[ScopedNetwork, TaskState]] = attrs.field(factory=list)

    @cached_property
    def key(self) -> ScopedKey:
        """Its key."""
        return task_key(self.scope, self.transformation, self.repeat)

    @property
    def name(self) -> Name:
        """What tells it apart from others of its Scope."""
        return self.transformation, self.repeat

    @property
    def id(self) -> str:
        """Its id in the campaigns."""
        return self.holders[0][1].task

    @property
    def extends(self) -> Name | None:
        """The task that it extends."""
        other = self.holders[0][1].extends
        if other is None:
            return None
        transformation, _, repeat = other.rpartition("-")
        return transformation, int(repeat)

    @property
    def priority(self) -> int:
        """1 is the most urgent."""
        return self.holders[0][1].priority

    @property
    def status(self) -> TaskStatus:
        """What is so in any of the campaigns; one in error is waiting where another campaign is to run it."""
        statuses = {state.status for _, state in self.holders}
        for status in _FINAL_FIRST:
            if status in statuses:
                return status
        to_run = any(state.status is TaskStatus.WAITING and state.actioned for _, state in self.holders)
        return TaskStatus.ERROR if TaskStatus.ERROR in statuses and not to_run else TaskStatus.WAITING

    @property
    def complete(self) -> TaskState | None:
        """What a campaign says that has its result."""
        return next((state for _, state in self.holders if state.status is TaskStatus.COMPLETE), None)

    def in_network(self, network: ScopedNetwork) -> TaskState | None:
        """Return what a network's campaign says of it, None if it does not have it."""
        return next((state for one, state in self.holders if one is network), None)

    @property
    def is_open(self) -> bool:
        """Whether it may be run: it is neither complete nor set aside."""
        return self.status in OPEN

    def actioned_on(self) -> list[tuple[ScopedNetwork, TaskState]]:
        """Return the networks that it is to be run for."""
        return [(network, state) for network, state in self.holders if state.actioned] if self.is_open else []


class TaskBook:
    """The tasks of the Scopes of a workspace as they are now; made anew for each look.

    Parameters
    ----------
    catalogue
        The workspace's networks.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._scopes: dict[Scope, dict[Name, ScopedTask]] = {}

    def of_scope(self, scope: Scope) -> Mapping[Name, ScopedTask]:
        """Return the tasks of a specific Scope, in the order of their creation in each campaign."""
        if scope not in self._scopes:
            found: dict[Name, ScopedTask] = {}
            for network in self._catalogue.networks(scope):
                for state in tasks_now(network.records).values():
                    if state.transformation not in network.records.index.by_id:
                        continue  # it is gone from the network
                    name = (state.transformation, state.repeat)
                    found.setdefault(name, ScopedTask(scope, *name)).holders.append((network, state))
            self._scopes[scope] = found
        return self._scopes[scope]

    def of_network(self, network: ScopedNetwork) -> list[ScopedTask]:
        """Return the tasks of a network's transformations, actioned on it or not."""
        there = network.records.index.by_id
        return [task for task in self.of_scope(network.scope).values() if task.transformation in there]

    def of_transformation(self, scope: Scope, transformation: str) -> list[ScopedTask]:
        """Return the tasks of a transformation, by stable id."""
        return [task for task in self.of_scope(scope).values() if task.transformation == transformation]

    def find(self, key: ScopedKey | str) -> ScopedTask | None:
        """Return the task of a key, None if there is none."""
        wanted, name = ScopedKey.from_str(str(key)), name_of(key)
        return None if name is None else self.of_scope(wanted.scope).get(name)

    def find_all(self, keys: Iterable[ScopedKey | str | None]) -> list[ScopedTask | None]:
        """Return the tasks of keys in their order, None for what is not there, as what another method gave None for."""
        return [None if key is None else self.find(key) for key in keys]


def extending(tasks: Sequence[ScopedTask], root: ScopedTask) -> list[ScopedTask]:
    """Return the tasks that extend another, directly or not."""
    found = {root.name}
    while more := {task.name for task in tasks if task.extends in found and task.name not in found}:
        found |= more
    return [task for task in tasks if task.name in found and task is not root]
