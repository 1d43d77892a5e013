"""Of which transformation a run is: told by what its units were given. No gufe is needed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import attrs

from xpm_alchem.gufe_seam.keyed_chain import Chain
from xpm_alchem.network.index import Index, content_ids


@attrs.frozen
class Origin:
    """What a run, or a transformation, was made of: content ids; '' where it is not known."""

    state_a: str
    state_b: str
    protocol: str
    mapping: str

    def fits(self, other: Origin) -> bool:
        """Return whether both say the same of the states and the protocol; the mapping too, where both know it."""
        mapping = "" in (self.mapping, other.mapping) or self.mapping == other.mapping
        ends = (self.state_a, self.state_b, self.protocol) == (other.state_a, other.state_b, other.protocol)
        return ends and "" not in (self.state_a, self.state_b, self.protocol) and mapping


def origin_of(content: Mapping[str, Any], ids: Mapping[str, str]) -> Origin:
    """Return what the inputs of a unit, or the content of a transformation, name; `ids`: content ids by key."""
    mapping = "ligandmapping" if "ligandmapping" in content else "mapping"

    def named(value: Any) -> str:
        return ids.get(value.get(":gufe-key:", ""), "") if isinstance(value, dict) else ""

    return Origin(*(named(content.get(name)) for name in ("stateA", "stateB", "protocol", mapping)))


def origins_of(chain: Chain, index: Index) -> dict[str, Origin]:
    """Return what every transformation of a network is made of, by its stable id."""
    ids, contents = content_ids(chain), {entry[0]: entry[1] for entry in chain}
    return {record.id: origin_of(contents[record.key], ids) for record in index.transformations}


def why_of_none(origins: Collection[Origin], known: Mapping[str, Origin], index: Index) -> str:
    """Return why a run is of no transformation of a network; `known`: what `origins_of` returns."""
    ends = {(origin.state_a, origin.state_b) for origin in origins}
    for record in index.transformations:
        one = known[record.id]
        if (one.state_a, one.state_b) in ends:
            others = all(origin.protocol != one.protocol for origin in origins)
            other = "settings of the protocol" if others else "mapping"
            return f"a run of the chemical systems of '{record.name}', but with another {other}"
    return "of no transformation of this network: its chemical systems are others"
