"""Asking strategies about small networks: systems, counted results, weights by the transformations' names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from dummy_protocol import DummyProtocol, DummySettings, small_molecule

from xpm_alchem import gufe_seam as seam

NEEDS_STRATOCASTER = "stratocaster is not on PyPI; its own classes are compared where conda has it"


@cache
def system(number: int, *, solvent: bool = False) -> Any:
    """Return a ChemicalSystem of one ligand."""
    components = {"ligand": small_molecule(f"ligand_{number}", "C" * (number + 1))}
    if solvent:
        components["solvent"] = seam.SolventComponent()
    return seam.ChemicalSystem(components, name=f"s_{number}")


@cache
def edge(a: int, b: int, copy: int = 0) -> Any:
    """Return the Transformation 'a-b', or a NonTransformation if a == b; `copy` makes parallel ones ('a-b copy')."""
    protocol = DummyProtocol(DummySettings(n_steps=4 + copy))
    name = f"{a}-{b}" if copy == 0 else f"{a}-{b} {copy}"
    if a == b:
        return seam.NonTransformation(system(a), protocol, name=name)
    return seam.Transformation(system(a), system(b), protocol, None, name=name)


def network_of(transformations: Iterable[Any]) -> Any:
    """Return the network of transformations."""
    return seam.AlchemicalNetwork(edges=transformations)


def counted(network: Any, counts: Mapping[str, int]) -> dict[str, Any]:
    """Return protocol results that say no more than how many there are, by gufe key; `counts` go by name."""
    return {
        str(t.key): seam.with_results_to_come(t.protocol, None, counts.get(t.name, 0)) if counts.get(t.name) else None
        for t in network.edges
    }


def weights_by_name(strategy: Any, network: Any, counts: Mapping[str, int]) -> dict[str, float | None]:
    """Return what a strategy proposes, by the transformations' names."""
    names = {str(t.key): t.name for t in network.edges}
    return {names[str(k)]: w for k, w in strategy.propose(network, counted(network, counts)).weights.items()}
