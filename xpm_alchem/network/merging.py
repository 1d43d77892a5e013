"""A network put together of what two files hold: which transformations, and the keyed chain of them.

It is done with gufe's JSON as plain data, so that every transformation stays the very one it is, with its stable id,
whichever version of gufe wrote it, and whether or not its protocol is installed here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import attrs

from xpm_alchem.base.errors import NetworkError
from xpm_alchem.gufe_seam.keyed_chain import Chain, keys_in
from xpm_alchem.network.index import content_ids


@attrs.frozen
class Change:
    """How a network changes: stable ids."""

    new: frozenset[str]
    gone: frozenset[str]
    same: frozenset[str]

    @classmethod
    def of(cls, before: Collection[str], after: Collection[str]) -> Change:
        """Return how one network differs from another."""
        here, there = frozenset(before), frozenset(after)
        return cls(new=there - here, gone=here - there, same=here & there)

    def __bool__(self) -> bool:
        return bool(self.new or self.gone)


def wanted(in_force: Collection[str], given_last: Collection[str], given_now: Collection[str]) -> frozenset[str]:
    """Return what is to be in the network when a file is given again: only what has changed in the file changes.

    Parameters
    ----------
    in_force
        Stable ids of what is in the network; commands may have changed it.
    given_last, given_now
        Stable ids of what the file held when it was given last, and holds now.
    """
    here, last, now = frozenset(in_force), frozenset(given_last), frozenset(given_now)
    return (here | (now - last)) - (last - now)


def put_together(sources: Iterable[tuple[Chain, Collection[str]]]) -> list[list[Any]]:
    """Return the keyed chain of a network of transformations of several networks.

    Parameters
    ----------
    sources
        Keyed chains of networks, and for each the keys of the transformations to take from it. The new network has the
        first one's name and what else it says, and those of its systems that no transformation had.

    Raises
    ------
    NetworkError
        No transformation is left.
    """
    chain: dict[str, Any] = {}  # by key: the content
    edges: list[str] = []
    nodes: dict[str, None] = {}
    head: Mapping[str, Any] | None = None
    for source, keys in sources:
        renamed = {str(key): str(key) for key, _ in source} | _renamed(source, chain)
        entries = {renamed[key]: _referring(content, renamed) for key, content in source}
        network = entries.pop(renamed[source[-1][0]])
        if head is None:
            head = network
            ends = {node for key in keys_in(network.get("edges")) for node in _ends(entries[key])}
            nodes |= dict.fromkeys(key for key in keys_in(network.get("nodes")) if key not in ends)
        taken = [renamed[key] for key in keys]
        edges += taken
        nodes |= dict.fromkeys(node for key in taken for node in _ends(entries[key]))
        needed = _needed(entries, (*taken, *nodes))
        chain |= {key: content for key, content in entries.items() if key in needed}
    if head is None or not edges:
        raise NetworkError("no transformation would be left in the network.")
    refer = {"edges": sorted(edges), "nodes": sorted(nodes)}
    refs = {name: [{":gufe-key:": key} for key in keys] for name, keys in refer.items()}
    network = {**{name: value for name, value in head.items() if name != "_key"}, **refs}
    whole = [[key, content] for key, content in chain.items()]
    name = f"{network['__qualname__']}-{content_ids([*whole, ['', network]])['']}"  # no key of gufe's: it is another's
    return [*whole, [name, network]]


def _ends(transformation: Mapping[str, Any]) -> Iterable[str]:
    """Return the keys of a transformation's systems."""
    return keys_in([transformation.get(end) for end in ("stateA", "stateB", "system")])


def _needed(entries: Mapping[str, Any], keys: Iterable[str]) -> set[str]:
    needed: set[str] = set()
    waiting = [key for key in keys if key in entries]
    while waiting:
        key = waiting.pop()
        if key not in needed:
            needed.add(key)
            waiting += keys_in(entries[key])
    return needed


def _renamed(source: Chain, known: Mapping[str, Any]) -> dict[str, str]:
    """Return other keys for entries whose keys are those of other content: keys of older files are numbers."""
    ids = content_ids(source)
    taken = {*known, *(key for key, _ in source)}
    changed: dict[str, str] = {}
    for key, content in source:
        if key in known and known[key] != _referring(content, changed):
            name = f"{content['__qualname__']}-{ids[key]}"
            while name in taken and known.get(name) != _referring(content, changed):
                name += "x"
            changed[key] = name
            taken.add(name)
    return changed


def _referring(value: Any, changed: Mapping[str, str]) -> Any:
    """Return JSON whose references are to the new keys."""
    if not changed:
        return value
    if isinstance(value, dict):
        if ":gufe-key:" in value:
            key = value[":gufe-key:"]
            return {":gufe-key:": changed.get(key, key)}
        return {name: _referring(item, changed) for name, item in value.items()}
    return [_referring(item, changed) for item in value] if isinstance(value, list) else value
