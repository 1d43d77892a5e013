"""The client has all 63 public methods of alchemiscale 0.8.0 (its API reference), each with the same arguments."""

from __future__ import annotations

import inspect
import json
from enum import Enum
from pathlib import Path
from typing import Any

from places import ROOT

from xpm_alchem.alchemiscale import AlchemiscaleClient, AlchemiscaleClientError

CONSTRUCTOR = (
    "(api_url=None, identifier=None, key=None, cache_directory=None, cache_size_limit=1073741824, "
    "use_local_cache=True, max_retries=5, retry_base_seconds=2.0, retry_max_seconds=60.0, verify=True, "
)
METHODS = {
    "get_scopes": "()",
    "list_scopes": "()",
    "get_scoped_key": "(obj, scope)",
    "check_exists": "(scoped_key)",
    "create_network": '(network, scope, state="active", compress=True, visualize=True)',
    "set_network_state": "(network, state)",
    "set_networks_state": "(networks, states)",
    "get_network_state": "(network)",
    "get_networks_state": "(networks)",
    "query_networks": '(name=None, scope=None, state="active")',
    "query_transformations": "(name=None, scope=None)",
    "query_chemicalsystems": "(name=None, scope=None)",
    "get_network_transformations": "(network)",
    "get_network_weight": "(network)",
    "get_networks_weight": "(networks, batch_size=1000)",
    "set_network_weight": "(network, weight)",
    "set_networks_weight": "(networks, weights, batch_size=1000)",
    "get_transformation_networks": "(transformation)",
    "get_network_chemicalsystems": "(network)",
    "get_chemicalsystem_networks": "(chemicalsystem)",
    "get_transformation_chemicalsystems": "(transformation)",
    "get_chemicalsystem_transformations": "(chemicalsystem)",
    "get_network": "(network, compress=True, visualize=True)",
    "get_transformation": "(transformation, compress=True, visualize=True)",
    "get_chemicalsystem": "(chemicalsystem, compress=True, visualize=True)",
    "set_network_strategy": (
        '(network, strategy, max_tasks_per_transformation=3, task_scaling="exponential", mode="partial", '
        "sleep_interval=3600)"
    ),
    "get_network_strategy": "(network)",
    "get_network_strategy_state": "(network)",
    "get_network_strategy_status": "(network)",
    "set_network_strategy_awake": "(network)",
    "create_tasks": "(transformation, extends=None, count=1)",
    "create_transformations_tasks": "(transformations, extends=None)",
    "query_tasks": "(scope=None, status=None)",
    "get_network_tasks": "(network, status=None)",
    "get_task_networks": "(task)",
    "get_transformation_tasks": '(transformation, extends=None, return_as="list", status=None)',
    "get_task_transformation": "(task)",
    "get_scope_status": '(scope=None, visualize=True, network_state="active")',
    "get_network_status": "(network, visualize=True)",
    "get_networks_status": "(networks)",
    "get_transformation_status": "(transformation, visualize=True)",
    "get_network_actioned_tasks": "(network, task_weights=False)",
    "get_networks_actioned_tasks": "(networks, task_weights=False)",
    "get_task_actioned_networks": "(task, task_weights=False)",
    "action_tasks": "(tasks, network, weight=None)",
    "cancel_tasks": "(tasks, network)",
    "set_tasks_status": "(tasks, status, batch_size=1000)",
    "get_tasks_status": "(tasks, batch_size=1000)",
    "set_tasks_priority": "(tasks, priority, batch_size=1000)",
    "get_tasks_priority": "(tasks, batch_size=1000)",
    "get_network_results": (
        '(network, return_as="ProtocolResult", return_protocoldagresults=None, compress=True, visualize=True)'
    ),
    "get_network_failures": "(network, compress=True, visualize=True)",
    "get_network_archives": "(networks, metadata=None, compress=True, visualize=True)",
    "get_network_archive": "(network, metadata=None, compress=True, visualize=True)",
    "get_transformation_results": (
        '(transformation, return_as="ProtocolResult", return_protocoldagresults=None, compress=True, visualize=True)'
    ),
    "get_transformation_failures": "(transformation, compress=True, visualize=True)",
    "get_task_results": "(task, compress=True, visualize=True)",
    "get_task_failures": "(task, compress=True, visualize=True)",
    "add_task_restart_patterns": "(network_scoped_key, patterns, num_allowed_restarts)",
    "get_task_restart_patterns": "(network_scoped_key)",
    "set_task_restart_patterns_allowed_restarts": "(network_scoped_key, patterns, num_allowed_restarts)",
    "remove_task_restart_patterns": "(network_scoped_key, patterns)",
    "clear_task_restart_patterns": "(network_scoped_key)",
}


def arguments_of(function: Any) -> str:
    """Return the arguments of a function without their types."""

    def written(one: inspect.Parameter) -> str:
        if one.default is one.empty:
            return one.name
        value = one.default.value if isinstance(one.default, Enum) else one.default
        return f"{one.name}={json.dumps(value) if isinstance(value, str) else repr(value)}"

    parameters = [one for one in inspect.signature(function).parameters.values() if one.name != "self"]
    assert all(one.kind is one.POSITIONAL_OR_KEYWORD for one in parameters)
    return f"({', '.join(map(written, parameters))})"


def test_every_method_is_there_with_its_arguments() -> None:
    assert len(METHODS) == 63
    assert {name: arguments_of(getattr(AlchemiscaleClient, name)) for name in METHODS} == METHODS


def test_there_is_no_other_public_method() -> None:
    there = {name for name, _ in inspect.getmembers(AlchemiscaleClient, callable) if not name.startswith("_")}
    assert there == {*METHODS}


def test_it_is_made_with_the_same_arguments() -> None:
    ours = inspect.signature(AlchemiscaleClient.__init__).parameters
    written = [f"{one.name}={one.default!r}" for one in ours.values() if one.kind is one.POSITIONAL_OR_KEYWORD]
    assert f"({', '.join(written[1:])}, " == CONSTRUCTOR


def test_every_method_is_documented_and_in_the_table_of_the_docs() -> None:
    page = (Path(ROOT) / "docs" / "alchemiscale.md").read_text()
    for name in METHODS:
        assert getattr(AlchemiscaleClient, name).__doc__, name
        assert f"| `{name}` |" in page, f"docs/alchemiscale.md says nothing of {name}"


def test_its_errors_are_errors_of_value() -> None:
    assert AlchemiscaleClientError.__mro__[1].__name__ == "AlchemiscaleBaseClientError"
    assert issubclass(AlchemiscaleClientError, ValueError)
