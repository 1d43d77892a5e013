"""What is in a network, from its plain JSON: stable ids, connected parts, and the legs that belong together.

Nothing the file names is imported for it, so that a network can be looked at where its protocol is not installed.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import attrs

from xpm_alchem.base.errors import NetworkError
from xpm_alchem.base.near_miss import nearest
from xpm_alchem.gufe_seam.keyed_chain import Chain, keys_in

ENVIRONMENTS = ("vacuum", "solvent", "complex")  # the order in which ddG = dG(later) - dG(earlier) is taken
_SHORT_ID = 6  # digits
# protocols whose transformations compute a whole ddG of binding, both legs in one DAG; and such as compute none at all
WHOLE = ("SepTopProtocol", "RelativeBindingProtocol", "RelativeHybridTopologyBindingProtocol")
WITHOUT_ESTIMATE = ("PlainMDProtocol",)
_PROTEINS = ("ProteinComponent", "SolvatedPDBComponent", "ProteinMembraneComponent")


@attrs.frozen
class TransformationRecord:
    """What the index knows of one transformation.

    Attributes
    ----------
    id
        Stable id, 16 hexadecimal digits of a hash of the content. gufe's keys change between its versions, this not.
    key
        The key under which the network file holds the transformation.
    name
        The transformation's name; made from the systems' names where it has none.
    kind
        'relative' (one ligand becomes another), 'absolute' (a component appears or disappears), 'other', or 'none'
        (a NonTransformation).
    environment
        'vacuum', 'solvent' or 'complex': what the unchanged components make up.
    environment_id, ligand_a_id, ligand_b_id
        Content ids of the unchanged components and of the two ligands (relative transformations only).
    """

    id: str
    key: str
    name: str
    kind: str
    system_a: str
    system_b: str
    system_a_id: str
    system_b_id: str
    protocol: str
    environment: str
    environment_id: str
    ligand_a: str
    ligand_b: str
    ligand_a_id: str
    ligand_b_id: str


@attrs.frozen
class Leg:
    """One transformation as part of an edge; `sign` is -1 where it runs from ligand B to ligand A."""

    transformation: str
    environment: str
    sign: int


@attrs.frozen
class Edge:
    """The same pair of ligands in two or more environments; one leg alone where it computes the whole ddG."""

    ligand_a: str
    ligand_b: str
    legs: tuple[Leg, ...]

    @property
    def name(self) -> str:
        """The edge as 'A -> B'."""
        return f"{self.ligand_a} -> {self.ligand_b}"


@attrs.frozen
class Index:
    """Everything about a network that is needed without gufe.

    Attributes
    ----------
    components
        The connected parts of the network, each the ids of its transformations, largest first.
    edges
        The legs that belong together.
    unpaired
        Stable id of each relative transformation that belongs to no edge, with the reason.
    modules
        Every Python module the network file names.
    """

    name: str
    transformations: tuple[TransformationRecord, ...]
    components: tuple[tuple[str, ...], ...]
    edges: tuple[Edge, ...]
    unpaired: Mapping[str, str]
    modules: tuple[str, ...]

    @cached_property
    def by_id(self) -> dict[str, TransformationRecord]:
        """The transformations by stable id."""
        return {record.id: record for record in self.transformations}

    @cached_property
    def names(self) -> Counter[str]:
        """How many transformations there are of each name."""
        return Counter(record.name for record in self.transformations)

    def find(self, text: str) -> TransformationRecord:
        """Return the transformation with this name, id, or beginning of an id.

        Raises
        ------
        NetworkError
            There is none, or more than one.
        """
        found = [r for r in self.transformations if text == r.name] or [
            r for r in self.transformations if text and r.id.startswith(text)
        ]
        if len(found) == 1:
            return found[0]
        if found:
            raise NetworkError(f"'{text}' is the beginning of {len(found)} transformation ids; give more of it.")
        near = nearest(text, (record.name for record in self.transformations))
        hint = f"did you mean '{near}'?" if near is not None else "`xpm-alchem show` lists them."
        raise NetworkError(f"no transformation is called '{text}'; {hint}")


def index_chain(chain: Chain, path: Path, modules: Iterable[str]) -> Index:
    """Return the index of a network's keyed chain; `path` is for messages.

    Raises
    ------
    NetworkError
        It is no network, refers to what it does not hold, is empty, or has transformations that cannot be run.
    """
    entries: dict[str, dict[str, Any]] = {}
    for key, content in chain:
        if missing := [name for name in keys_in(content) if not isinstance(name, str) or name not in entries]:
            raise NetworkError(f"{path}: damaged: '{key}' refers to '{missing[0]}', which is not in the file.")
        entries[key] = content
    network = entries[chain[-1][0]]
    if network["__qualname__"] != "AlchemicalNetwork":
        raise NetworkError(
            f"{path}: holds the gufe class {network['__qualname__']}, not an AlchemicalNetwork. Put its "
            "transformations into an AlchemicalNetwork and write that with to_json()."
        )
    if not (edges := list(keys_in(network.get("edges")))):
        raise NetworkError(f"{path}: the network has no transformations. Add some before you run it.")
    try:
        ids = content_ids(chain)
        records = [_record(key, entries, ids) for key in edges]
    except (KeyError, TypeError, AttributeError, StopIteration) as error:
        raise NetworkError(f"{path}: damaged: a transformation lacks {error}. Write the network again.") from None
    except RecursionError:
        raise NetworkError(f"{path}: damaged: nested too deeply. Write the network again.") from None
    records = _named(sorted(records, key=lambda record: (record.name, record.id)))
    _check(records, path)
    return index_of(records, str(network.get("name") or path.stem), modules)


def index_of(records: Sequence[TransformationRecord], name: str, modules: Iterable[str]) -> Index:
    """Return the index of a network of these transformations, each with a name of its own."""
    edges, unpaired = pair_legs(records)
    return Index(
        name=name,
        transformations=tuple(records),
        components=_components(records),
        edges=edges,
        unpaired=unpaired,
        modules=tuple(sorted(modules)),
    )


def content_ids(chain: Chain) -> dict[str, str]:
    """Hash every entry's content, a reference by the hash of what it refers to, leaving out what gufe versions add."""
    ids: dict[str, str] = {}

    def canonical(value: Any) -> Any:
        if isinstance(value, dict):
            if ":gufe-key:" in value:
                return ids[value[":gufe-key:"]]
            kept = ((k, canonical(v)) for k, v in value.items() if k not in (":version:", "_key"))
            return {k: v for k, v in kept if v is not None and v != {} and v != []}
        return [canonical(item) for item in value] if isinstance(value, list) else value

    for key, content in chain:
        text = json.dumps(canonical(content), sort_keys=True)
        ids[key] = hashlib.sha256(text.encode()).hexdigest()[:16]
    return ids


def _record(key: str, entries: Mapping[str, dict[str, Any]], ids: Mapping[str, str]) -> TransformationRecord:
    content = entries[key]
    is_none = content["__qualname__"] == "NonTransformation"
    keys = [next(keys_in(content[end])) for end in (("system", "system") if is_none else ("stateA", "stateB"))]
    parts = []
    for system in keys:
        components = entries[system]["components"].values()
        parts.append({ids[ref[":gufe-key:"]]: entries[ref[":gufe-key:"]] for ref in components})
    change = change_between(*({item: content["__qualname__"] for item, content in end.items()} for end in parts))
    names = [str(entries[system].get("name") or system.split("-")[-1][:8]) for system in keys]
    a, b = change.ligand_a, change.ligand_b
    return TransformationRecord(
        id=ids[key],
        key=key,
        name=str(content.get("name") or ""),
        kind="none" if is_none else change.kind,
        system_a=names[0],
        system_b=names[1],
        system_a_id=ids[keys[0]],
        system_b_id=ids[keys[1]],
        protocol=str(entries[next(keys_in(content["protocol"]))]["__qualname__"]),
        environment=change.environment,
        environment_id=change.environment_id,
        ligand_a=_molecule_name(parts[0][a], a) if a else names[0],
        ligand_b=_molecule_name(parts[1][b], b) if b else names[1],
        ligand_a_id=a,
        ligand_b_id=b,
    )


@attrs.frozen
class Change:
    """What a transformation changes and where; the fields are those of `TransformationRecord`."""

    kind: str
    environment: str
    environment_id: str
    ligand_a: str
    ligand_b: str


def change_between(state_a: Mapping[str, str], state_b: Mapping[str, str]) -> Change:
    """Compare two chemical systems, each given as the class names of its components by their ids."""
    shared = state_a.keys() & state_b.keys()
    only_a, only_b = ([item for item in state if item not in shared] for state in (state_a, state_b))
    kinds = {*state_a.values(), *state_b.values()}
    changed = [state_a[item] for item in only_a] + [state_b[item] for item in only_b]
    small = not any(kind in (*_PROTEINS, "SolventComponent") for kind in changed)
    relative = len(only_a) == len(only_b) == 1 and small
    kind = "relative" if relative else "absolute" if not (only_a and only_b) else "other"
    has_protein, has_solvent = kinds & set(_PROTEINS), "SolventComponent" in kinds
    environment = "complex" if has_protein else "solvent" if has_solvent else "vacuum"
    ligands = (only_a[0], only_b[0]) if relative else ("", "")
    return Change(kind, environment, "+".join(sorted(shared)), *ligands)


def _molecule_name(content: Mapping[str, Any], content_id: str) -> str:
    properties = content.get("molprops")
    name = properties.get("ofe-name") if isinstance(properties, Mapping) else None
    return str(name or content.get("name") or content_id[:8])


def _named(records: list[TransformationRecord]) -> list[TransformationRecord]:
    made = {r.id: f"{r.system_a}->{r.system_b}" for r in records if not r.name}
    counts = Counter([r.name for r in records if r.name] + list(made.values()))
    return [
        r if r.name else attrs.evolve(r, name=made[r.id] if counts[made[r.id]] == 1 else f"{made[r.id]} {r.id[:6]}")
        for r in records
    ]


def _check(records: list[TransformationRecord], path: Path) -> None:
    double = [name for name, count in Counter(r.name for r in records).items() if count > 1]
    if double:
        raise NetworkError(
            f"{path}: {len(double)} name(s) are used for more than one transformation: {', '.join(double[:5])}. "
            "Give every transformation a name of its own."
        )
    same = [r.name for r in records if r.kind != "none" and r.system_a_id == r.system_b_id]
    if same:
        raise NetworkError(
            f"{path}: stateA is stateB in {len(same)} transformation(s): {', '.join(same[:5])}. "
            "Remove them, or use a gufe NonTransformation for plain sampling of one system."
        )
    double = [i for i, count in Counter(r.id for r in records).items() if count > 1]
    if double:
        raise NetworkError(f"{path}: damaged: holds the same transformation more than once ({double[0]}).")


def _components(records: Iterable[TransformationRecord]) -> tuple[tuple[str, ...], ...]:
    import networkx as nx  # not needed to look at an index

    graph: nx.Graph[str] = nx.Graph()
    for record in records:
        graph.add_edge(record.system_a_id, record.system_b_id)
    number = {node: i for i, nodes in enumerate(nx.connected_components(graph)) for node in nodes}
    members: dict[int, list[str]] = defaultdict(list)
    for record in records:
        members[number[record.system_a_id]].append(record.id)
    return tuple(sorted((tuple(part) for part in members.values()), key=lambda part: (-len(part), part)))


def told_apart(names: Mapping[str, str]) -> dict[str, str]:
    """Return names by content id, of which no two are the same: equal ones are followed by the beginning of the id."""
    by_name: dict[str, list[str]] = defaultdict(list)
    for content_id, name in names.items():
        by_name[name].append(content_id)

    def shown(content_id: str, name: str) -> str:
        others = [other for other in by_name[name] if other != content_id]
        if not others:
            return name
        length = _SHORT_ID
        while any(other[:length] == content_id[:length] for other in others):
            length += 1
        return f"{name} ({content_id[:length]})"

    return {content_id: shown(content_id, name) for content_id, name in names.items()}


def pair_legs(records: Iterable[TransformationRecord]) -> tuple[tuple[Edge, ...], dict[str, str]]:
    """Find the same ligand pair in two or more environments; what cannot be paired is said, never guessed.

    Returns
    -------
    edges, unpaired
        The edges, and for each relative transformation in none of them the reason, by stable id.
    """
    pairs: dict[frozenset[str], list[TransformationRecord]] = defaultdict(list)
    whole: dict[tuple[str, str], list[TransformationRecord]] = defaultdict(list)
    for record in records:
        if record.kind == "relative" and record.protocol in WHOLE:
            whole[min(record.ligand_a_id, record.ligand_b_id), max(record.ligand_a_id, record.ligand_b_id)].append(
                record
            )
        elif record.kind == "relative":
            pairs[frozenset((record.ligand_a_id, record.ligand_b_id))].append(record)
    edges, unpaired, single = [], {}, defaultdict(list)
    for group in pairs.values():
        count = Counter(record.environment for record in group)
        if double := [environment for environment in ENVIRONMENTS if count[environment] > 1]:
            for record in group:
                unpaired[record.id] = (
                    f"{count[double[0]]} transformations of this ligand pair in the environment '{double[0]}'"
                )
        elif len(group) == 1:
            record = group[0]
            single[frozenset((record.ligand_a, record.ligand_b))].append(record)
        else:
            group.sort(key=lambda record: ENVIRONMENTS.index(record.environment))
            first = group[0]
            legs = (Leg(r.id, r.environment, 1 if r.ligand_a_id == first.ligand_a_id else -1) for r in group)
            edges.append(Edge(first.ligand_a, first.ligand_b, tuple(legs)))
    for group in whole.values():
        if len(group) > 1:
            unpaired |= {record.id: f"{len(group)} transformations compute the whole of this edge" for record in group}
        else:
            edges.append(Edge(group[0].ligand_a, group[0].ligand_b, (Leg(group[0].id, group[0].environment, 1),)))
    for group in single.values():
        for record in group:
            unpaired[record.id] = f"this ligand pair is there in one environment only ('{record.environment}')"
            if len(group) > 1:
                unpaired[record.id] += ", though another pair has the same names but other molecules"
    return tuple(sorted(edges, key=lambda edge: edge.name)), unpaired
