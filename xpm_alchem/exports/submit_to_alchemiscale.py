#!/usr/bin/env python3
"""Submit what lies beside this file to an alchemiscale server, with alchemiscale's own client. Written by xpm-alchem.

    python submit.py --scope ORG-CAMPAIGN-PROJECT --dry-run    # says what it would do; nothing is connected to
    python submit.py --scope ORG-CAMPAIGN-PROJECT              # does it

Address, identifier and key are those of ALCHEMISCALE_URL, ALCHEMISCALE_ID and ALCHEMISCALE_KEY, or are given as --url,
--identifier and --key (which other users of the machine can see); --scope may be ALCHEMISCALE_SCOPE.

It can be run again, also after it was interrupted: what is there already is counted first, and nothing is doubled. What
somebody has changed on the server since is left as it is and said; --replace sets it to what is written here.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
FORMAT, FORMAT_VERSION = "xpm-alchem hand-over to alchemiscale", 1
DEFAULT_PRIORITY, DEFAULT_WEIGHT = 10, 0.5  # alchemiscale's
GONE, UNFINISHED = ("invalid", "deleted"), ("waiting", "running")

Say = Callable[[str], None]


class Impossible(Exception):
    """It cannot be done; the message says why."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; return the exit code."""
    options = _options(arguments)
    try:
        given = read_hand_over(HERE / "hand-over.json")
        if options.dry_run:
            return _dry_run(given, options)
        scope, network, strategy = _objects(given, options)
        client = _imported("alchemiscale").AlchemiscaleClient(options.url, options.identifier, options.key)
        submit(client, given, network, scope, strategy, tasks_only=options.tasks_only, replace=options.replace)
    except Impossible as error:
        print(f"submit.py: {error}", file=sys.stderr)
        return 1
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    scope = os.environ.get("ALCHEMISCALE_SCOPE")
    parser.add_argument("--scope", default=scope, help="where to submit it: ORG-CAMPAIGN-PROJECT")
    parser.add_argument("--url", help="of the server's API (ALCHEMISCALE_URL)")
    parser.add_argument("--identifier", help="yours (ALCHEMISCALE_ID)")
    parser.add_argument("--key", help="yours (ALCHEMISCALE_KEY)")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done; nothing is connected to")
    only = "set no strategy; create the tasks that are missing here instead"
    parser.add_argument("--tasks-only", action="store_true", help=only)
    replace = "set strategy, weight, state and restart patterns also where the server has others"
    parser.add_argument("--replace", action="store_true", help=replace)
    return parser.parse_args(arguments)


def read_hand_over(path: Path) -> dict[str, Any]:
    """Return what is to be handed over.

    Raises
    ------
    Impossible
        The file is not there, or not as this script knows it.
    """
    try:
        given: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise Impossible(f"{path}: cannot be read ({error})") from None
    if given.get("format") != FORMAT or given.get("format_version") != FORMAT_VERSION:
        raise Impossible(f"{path}: not what this script was written with; export the campaign again")
    return given


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise Impossible(
            f"the Python package '{name}' cannot be imported ({error}); alchemiscale's client is installed as its "
            "documentation says (conda, devtools/conda-envs/alchemiscale-client.yml of its repository)"
        ) from None


def _objects(given: dict[str, Any], options: argparse.Namespace) -> tuple[Any, Any, Any]:
    """Return the scope, the network, and the strategy or None, as alchemiscale's client wants them."""
    alchemiscale = _imported("alchemiscale")
    if not options.scope:
        raise Impossible("give --scope ORG-CAMPAIGN-PROJECT (client.list_scopes() says which are yours)")
    try:
        scope = alchemiscale.Scope.from_str(options.scope)
    except ValueError as error:
        raise Impossible(f"--scope {options.scope}: {' '.join(str(error).split())}") from None
    if not scope.specific():
        raise Impossible(f"--scope {options.scope}: a network goes into one scope; give all three parts, without '*'")
    return scope, _network(given), None if options.tasks_only else strategy_of(given)


def _network(given: dict[str, Any]) -> Any:
    gufe = _imported("gufe")
    if not hasattr(gufe.AlchemicalNetwork, "from_json"):
        version = getattr(gufe, "__version__", "of an unknown version")
        raise Impossible(f"gufe {version} cannot read {given['network']}; alchemiscale takes gufe >= 1.6 (conda-forge)")
    try:
        return gufe.AlchemicalNetwork.from_json(HERE / given["network"])
    except Exception as error:  # whatever gufe and the protocols raise, that of a package that is not installed too
        said = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise Impossible(f"gufe {gufe.__version__} cannot read {given['network']} ({said})") from error


def strategy_of(given: dict[str, Any]) -> Any:
    """Return the stratocaster Strategy to be set, None if there is none."""
    asked = given["strategy"]
    if asked is None:
        return None
    module, _, name = asked["class"].partition(":")
    found = getattr(_imported(module), name)
    defaults = found.default_settings()
    return found(type(defaults)(**{**dict(defaults), **asked["settings"]}))


# ------------------------------------------------------------------------------------------------------- submitting
def submit(
    client: Any,
    given: dict[str, Any],
    network: Any,
    scope: Any,
    strategy: Any,
    *,
    tasks_only: bool = False,
    replace: bool = False,
    say: Say = print,
) -> Any:
    """Submit it all, as far as it is not there yet; return the network's ScopedKey.

    Parameters
    ----------
    client
        An AlchemiscaleClient.
    given
        What `read_hand_over` returns.
    network, scope, strategy
        A gufe AlchemicalNetwork, an alchemiscale Scope, a stratocaster Strategy or None.
    tasks_only
        Whether to create the tasks that are missing, as is done where there is no strategy.
    replace
        Whether to set what the server has otherwise.

    Raises
    ------
    Impossible
        The server names the transformations of the network in another way.
    """
    key = next((one for one in client.query_networks(scope=scope, state=None) if one.gufe_key == network.key), None)
    if key is not None:
        say(f"network: {key} is there already")
    else:
        key = client.create_network(network, scope, state=given["state"])
        say(f"network: {key} created")
    _set_state_and_weight(client, key, given, replace, say)
    if strategy is not None:
        _set_strategy(client, key, strategy, given["strategy"]["arguments"], replace, say)
    _add_patterns(client, key, given["restart_patterns"], replace, say)
    _create_tasks(client, key, _to_do(client, key, given, network), tasks_only or strategy is None, say)
    say(f"what is done there: client.get_network_status(ScopedKey.from_str('{key}'))")
    say(f"back again: client.get_network_archive(...).to_json('a.json'); xpm-alchem import {given['campaign']} a.json")
    return key


def _set_state_and_weight(client: Any, key: Any, given: dict[str, Any], replace: bool, say: Say) -> None:
    state, weight = client.get_network_state(key), client.get_network_weight(key)
    if state != given["state"]:
        if replace:
            client.set_network_state(key, given["state"])
        say(f"state: {_changed(state, given['state'], replace)}")
    if weight != given["weight"]:
        is_set = replace or weight == DEFAULT_WEIGHT
        if is_set:
            client.set_network_weight(key, given["weight"])
        say(f"weight: {_changed(weight, given['weight'], is_set)}")


def _changed(there: Any, here: Any, is_set: bool) -> str:
    return (
        f"{there} -> {here}" if is_set else f"{there} on the server is left as it is ({here} here; --replace sets it)"
    )


def _set_strategy(client: Any, key: Any, strategy: Any, arguments: dict[str, Any], replace: bool, say: Say) -> None:
    there = client.get_network_strategy(key)
    if there is not None:
        state = client.get_network_strategy_state(key)
        is_same = there == strategy and all(getattr(state, name) == value for name, value in arguments.items())
        if is_same or not replace:
            left = (
                "is set already" if is_same else "another one is set on the server and left (--replace sets this one)"
            )
            say(f"strategy: {type(strategy).__name__}: {left}")
            return
    client.set_network_strategy(key, strategy, **arguments)
    say(f"strategy: {type(strategy).__name__} set")


def _add_patterns(client: Any, key: Any, patterns: list[dict[str, Any]], replace: bool, say: Say) -> None:
    there = client.get_task_restart_patterns(key) if patterns else {}
    for one in patterns:
        pattern, allowed = one["pattern"], one["allowed"]
        if pattern not in there:
            client.add_task_restart_patterns(key, [pattern], allowed)
            say(f"restart pattern: {pattern!r}, {allowed} restart(s), added")
        elif there[pattern] != allowed:
            if replace:
                client.set_task_restart_patterns_allowed_restarts(key, [pattern], allowed)
            say(f"restart pattern: {pattern!r}: {_changed(there[pattern], allowed, replace)}")


def _to_do(client: Any, key: Any, given: dict[str, Any], network: Any) -> list[tuple[Any, dict[str, Any]]]:
    """Return the ScopedKey that the server has for each transformation, and what is to be done for it."""
    by_key = {str(one.key): one for one in network.edges}
    by_name = {one.name: one for one in network.edges if one.name}
    there = {str(one.gufe_key): one for one in client.get_network_transformations(key)}
    found = []
    for asked in given["transformations"]:
        one = by_key.get(asked["key"]) or by_name.get(asked["name"])
        if one is None or str(one.key) not in there:
            raise Impossible(
                f"the server does not know the transformation '{asked['name'] or asked['key']}' by the key that it has "
                "here: gufe's keys differ by version. Run this with the server's version of gufe. The network is "
                "there now, tasks are not."
            )
        found.append((there[str(one.key)], asked))
    return found


# ------------------------------------------------------------------------------------------------------------ tasks
def wanted_trees(asked: dict[str, Any], *, missing: bool) -> list[dict[str, Any]]:
    """Return the tasks wanted of a transformation, each with those that extend it: the largest trees first."""
    plain = {"priority": DEFAULT_PRIORITY, "weight": DEFAULT_WEIGHT, "extended_by": []}
    trees = [*asked["tasks"], *([plain] * asked["missing"] if missing else [])]
    return sorted(trees, key=lambda tree: -_size(tree))


def _size(tree: dict[str, Any]) -> int:
    return 1 + sum(map(_size, tree["extended_by"]))


def _create_tasks(client: Any, key: Any, to_do: list[tuple[Any, dict[str, Any]]], missing: bool, say: Say) -> None:
    actioned = {str(task) for task in client.get_network_actioned_tasks(key)}
    created = there = 0
    for transformation, asked in to_do:
        trees = wanted_trees(asked, missing=missing)
        if not trees:
            continue
        tasks = _Tasks(client, transformation)
        tasks.provide(trees, None)
        to_action = [(task, weight) for task, weight in tasks.to_run if str(task) not in actioned]
        if to_action:
            client.action_tasks([task for task, _ in to_action], key, weight=[weight for _, weight in to_action])
        created, there = created + tasks.created, there + tasks.found
    say(f"tasks: {created} created, {there} there already")


class _Tasks:
    """The tasks of a transformation on the server.

    Attributes
    ----------
    created, found
        How many of those that are wanted were created, and were there.
    to_run
        Those of them that are not finished, with their weights.
    """

    def __init__(self, client: Any, transformation: Any) -> None:
        self._client, self._transformation = client, transformation
        self.created = self.found = 0
        self.to_run: list[tuple[Any, float]] = []
        graph = client.get_transformation_tasks(transformation, return_as="graph")
        tasks = sorted(graph.nodes, key=str)
        statuses = client.get_tasks_status(tasks) if tasks else []
        self._status = {str(task): str(status) for task, status in zip(tasks, statuses, strict=True)}
        self._extending: dict[str | None, list[Any]] = {}
        for task in tasks:
            if self._status[str(task)] not in GONE:
                parents = [str(other) for other in graph.successors(task)]
                self._extending.setdefault(parents[0] if parents else None, []).append(task)

    def provide(self, trees: Sequence[dict[str, Any]], extends: Any) -> None:
        """See to it that there are the tasks of some trees, which extend a task (None: new repeats)."""
        there = self._extending.get(None if extends is None else str(extends), [])
        there = sorted(there, key=lambda task: -self._size(task))[: len(trees)]
        made = self._create(trees[len(there) :], extends)
        self.found, self.created = self.found + len(there), self.created + len(made)
        for tree, task in zip(trees, [*there, *made], strict=True):
            if self._status.get(str(task), "waiting") in UNFINISHED:
                self.to_run.append((task, tree["weight"]))
            self.provide(sorted(tree["extended_by"], key=lambda one: -_size(one)), task)

    def _create(self, trees: Sequence[dict[str, Any]], extends: Any) -> list[Any]:
        if not trees:
            return []
        made: list[Any] = self._client.create_tasks(self._transformation, extends=extends, count=len(trees))
        for priority in sorted({tree["priority"] for tree in trees} - {DEFAULT_PRIORITY}):
            chosen = [task for tree, task in zip(trees, made, strict=True) if tree["priority"] == priority]
            self._client.set_tasks_priority(chosen, priority)
        return made

    def _size(self, task: Any) -> int:
        return 1 + sum(map(self._size, self._extending.get(str(task), [])))


# -------------------------------------------------------------------------------------------------------- dry run
def _dry_run(given: dict[str, Any], options: argparse.Namespace) -> int:
    """Say what would be done; return 1 if it could not be done from here."""
    missing = options.tasks_only or given["strategy"] is None
    trees = [wanted_trees(one, missing=missing) for one in given["transformations"]]
    scope = options.scope or "(no --scope given)"
    print(f"network: {len(given['transformations'])} transformations of '{given['campaign']}' into {scope}")
    print(f"state: {given['state']}, weight: {given['weight']}")
    if given["strategy"] is not None and not options.tasks_only:
        asked = given["strategy"]
        told = ", ".join(f"{name} {value}" for name, value in {**asked["settings"], **asked["arguments"]}.items())
        print(f"strategy: {asked['class'].partition(':')[2]}: {told}")
    for one in given["restart_patterns"]:
        print(f"restart pattern: {one['pattern']!r}, {one['allowed']} restart(s)")
    total = sum(_size(tree) for found in trees for tree in found)
    print(f"tasks: {total} of {sum(map(bool, trees))} transformations, less those that are there already")
    for sentence in given["left_out"]:
        print(f"not handed over: {sentence}")
    try:
        _objects(given, options)
    except Impossible as error:
        print(f"it could not be done from here: {error}")
        return 1
    print("it could be done from here")
    return 0


if __name__ == "__main__":
    sys.exit(main())
