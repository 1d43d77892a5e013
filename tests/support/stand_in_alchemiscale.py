"""A server of alchemiscale that is none: what its client's methods that submit.py calls would find there.

Where alchemiscale is installed, `client_of` stands behind the signatures of its real client (autospec), and everything
that is sent goes through its own models; else `Server` itself is the client, with keys and scopes of its own.
"""

from __future__ import annotations

import importlib.util
import uuid
from types import SimpleNamespace
from typing import Any
from unittest.mock import create_autospec

import networkx as nx

IS_INSTALLED = importlib.util.find_spec("alchemiscale") is not None


class Interrupted(Exception):
    """The connection broke."""


class Key(str):
    """What stands for a ScopedKey where there is no alchemiscale."""

    @property
    def gufe_key(self) -> str:
        """The key of the gufe object."""
        return self.partition("@")[0]


class Server:
    """Networks, tasks, patterns and strategies, by ScopedKey.

    Attributes
    ----------
    breaks_at
        After so many calls that change something it breaks off, once.
    """

    def __init__(self) -> None:
        self.networks: dict[str, Any] = {}
        self.states: dict[str, str] = {}
        self.weights: dict[str, float] = {}
        self.strategies: dict[str, tuple[Any, Any]] = {}
        self.patterns: dict[str, dict[str, int]] = {}
        self.tasks: dict[str, SimpleNamespace] = {}
        self.actioned: dict[str, dict[str, Any]] = {}
        self.breaks_at: int | None = None
        self._changes = 0

    def _changing(self) -> None:
        self._changes += 1
        if self._changes == self.breaks_at:
            raise Interrupted

    # ---------------------------------------------------------------------------------------------------- networks
    def _key_of(self, obj: Any, scope: Any) -> Any:
        return Key(f"{obj.key}@{scope}")

    def query_networks(self, name: str | None = None, scope: Any = None, state: str | None = "active") -> list[Any]:
        return [key for key, at, _ in self.networks.values() if at == scope and state in (None, self.states[str(key)])]

    def create_network(self, network: Any, scope: Any, state: str = "active", **others: Any) -> Any:
        self._changing()
        key = self._key_of(network, scope)
        self.networks[str(key)] = (key, scope, [self._key_of(one, scope) for one in network.edges])
        self.states[str(key)], self.weights[str(key)] = state, 0.5
        return key

    def get_network_transformations(self, network: Any) -> list[Any]:
        return self.networks[str(network)][2]

    def get_network_state(self, network: Any) -> str:
        return self.states[str(network)]

    def set_network_state(self, network: Any, state: str) -> Any:
        self.states[str(network)] = state
        return network

    def get_network_weight(self, network: Any) -> float:
        return self.weights[str(network)]

    def set_network_weight(self, network: Any, weight: float) -> Any:
        self._changing()
        self.weights[str(network)] = weight
        return network

    # ---------------------------------------------------------------------------------------------------- strategy
    def set_network_strategy(self, network: Any, strategy: Any, **arguments: Any) -> Any:
        self._changing()
        self.strategies[str(network)] = (strategy, SimpleNamespace(**arguments))
        return network

    def get_network_strategy(self, network: Any) -> Any:
        return self.strategies.get(str(network), (None, None))[0]

    def get_network_strategy_state(self, network: Any) -> Any:
        return self.strategies[str(network)][1]

    # ---------------------------------------------------------------------------------------------------- patterns
    def get_task_restart_patterns(self, network_scoped_key: Any) -> dict[str, int]:
        return dict(self.patterns.get(str(network_scoped_key), {}))

    def add_task_restart_patterns(self, network_scoped_key: Any, patterns: list[str], num_allowed_restarts: int) -> Any:
        self._changing()
        self.patterns.setdefault(str(network_scoped_key), {}).update(dict.fromkeys(patterns, num_allowed_restarts))
        return network_scoped_key

    def set_task_restart_patterns_allowed_restarts(
        self, network_scoped_key: Any, patterns: list[str], num_allowed_restarts: int
    ) -> None:
        self.add_task_restart_patterns(network_scoped_key, patterns, num_allowed_restarts)

    # ------------------------------------------------------------------------------------------------------- tasks
    def _task_key(self, transformation: Any) -> Any:
        return Key(f"Task-{uuid.uuid4().hex}@scope")

    def create_tasks(self, transformation: Any, extends: Any = None, count: int = 1) -> list[Any]:
        self._changing()
        made = [self._task_key(transformation) for _ in range(count)]
        for key in made:
            facts = {"of": str(transformation), "extends": extends, "status": "waiting", "priority": 10}
            self.tasks[str(key)] = SimpleNamespace(key=key, **facts)
        return made

    def get_transformation_tasks(self, transformation: Any, return_as: str = "list", **others: Any) -> Any:
        graph: nx.DiGraph[Any] = nx.DiGraph()
        for task in self.tasks.values():
            if task.of == str(transformation):
                graph.add_node(task.key)
                if task.extends is not None:
                    graph.add_edge(task.key, task.extends)
        return graph if return_as == "graph" else list(graph)

    def get_tasks_status(self, tasks: list[Any], **others: Any) -> list[str]:
        return [self.tasks[str(task)].status for task in tasks]

    def set_tasks_priority(self, tasks: list[Any], priority: int, **others: Any) -> list[Any]:
        for task in tasks:
            self.tasks[str(task)].priority = priority
        return tasks

    def get_network_actioned_tasks(self, network: Any, **others: Any) -> list[Any]:
        return list(self.actioned.get(str(network), {}).values())

    def action_tasks(self, tasks: list[Any], network: Any, weight: list[float] | None = None) -> list[Any]:
        self._changing()
        for task, one in zip(tasks, weight or [], strict=True):
            self.tasks[str(task)].weight = one
        assert {self.tasks[str(task)].status for task in tasks} <= {"waiting", "running", "error"}
        self.actioned.setdefault(str(network), {}).update({str(task): task for task in tasks})
        return tasks


METHODS = tuple(name for name in vars(Server) if not name.startswith("_"))


def client_of(server: Server) -> Any:
    """Return a stand-in of alchemiscale's own client: a call that this would not take is an error."""
    from alchemiscale import AlchemiscaleClient

    client = create_autospec(AlchemiscaleClient, instance=True)
    for name in METHODS:
        getattr(client, name).side_effect = getattr(server, name)
    return client


class ModelServer(Server):
    """A server whose keys, tasks, patterns and strategies are alchemiscale's own models, sent as JSON."""

    def _key_of(self, obj: Any, scope: Any) -> Any:
        from alchemiscale import ScopedKey

        return ScopedKey.from_str(str(ScopedKey(gufe_key=obj.key, **scope.to_dict())))

    def create_network(self, network: Any, scope: Any, state: str = "active", **others: Any) -> Any:
        from alchemiscale.storage.models import NetworkStateEnum
        from alchemiscale.validators import validate_network_nonself

        assert scope.specific()
        validate_network_nonself(network)
        return super().create_network(_sent(network), scope, NetworkStateEnum(state).value)

    def set_network_strategy(self, network: Any, strategy: Any, **arguments: Any) -> Any:
        from alchemiscale.storage.models import StrategyState

        self._changing()
        self.strategies[str(network)] = (_sent(strategy), StrategyState.from_dict(StrategyState(**arguments).to_dict()))
        return network

    def add_task_restart_patterns(self, network_scoped_key: Any, patterns: list[str], num_allowed_restarts: int) -> Any:
        from alchemiscale.storage.models import TaskRestartPattern

        for pattern in patterns:
            made = TaskRestartPattern(pattern, num_allowed_restarts, str(network_scoped_key))
            assert _sent(made) == made
        return super().add_task_restart_patterns(network_scoped_key, patterns, num_allowed_restarts)

    def _task_key(self, transformation: Any) -> Any:
        from alchemiscale import ScopedKey
        from alchemiscale.storage.models import Task

        return ScopedKey(gufe_key=Task().key, **transformation.scope.to_dict())


def _sent(obj: Any) -> Any:
    """Return an object of gufe's after it went through JSON as alchemiscale's client sends it."""
    import json

    from gufe.tokenization import JSON_HANDLER, KeyedChain

    text = json.dumps(KeyedChain.gufe_to_keyed_chain_rep(obj), cls=JSON_HANDLER.encoder)
    return KeyedChain(json.loads(text, cls=JSON_HANDLER.decoder)).to_gufe()
