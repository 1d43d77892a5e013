"""How much a relative transformation is likely to scatter, from its molecules alone."""

from __future__ import annotations

import math
from typing import Any


def prior_spread(transformation: Any) -> float:
    """Return NetBFE's guess of the statistical error of a transformation, in arbitrary units; 1.0 without molecules.

    ``1 + sqrt(soft-core heavy atoms) + sqrt(heavy atoms) / 2``, each the larger of the two ligands' (Li et al. 2022,
    doi:10.1021/acs.jctc.1c00703). Soft-core atoms are those that the mapping leaves out; without a mapping, the atoms
    of the molecules that only one of the two systems has.
    """
    from xpm_alchem import gufe_seam  # gufe takes its time

    mapping = gufe_seam.mapping_of(transformation)
    sides: list[tuple[Any, set[int] | None]]
    if mapping is not None:
        sides = [
            (mapping.componentA, set(mapping.componentA_unique)),
            (mapping.componentB, set(mapping.componentB_unique)),
        ]
    else:
        states = [transformation.stateA.components.values(), transformation.stateB.components.values()]
        shared = {component.key for component in states[0]} & {component.key for component in states[1]}
        sides = [(c, None) for state in states for c in state if c.key not in shared]
    counts = [_heavy_atoms(component, unique) for component, unique in sides if hasattr(component, "to_rdkit")]
    if not counts:
        return 1.0
    return 1.0 + math.sqrt(max(soft for soft, _ in counts)) + 0.5 * math.sqrt(max(heavy for _, heavy in counts))


def _heavy_atoms(component: Any, unique: set[int] | None) -> tuple[int, int]:
    """Return how many heavy atoms of a molecule are soft-core, and how many it has."""
    heavy = [atom.GetIdx() for atom in component.to_rdkit().GetAtoms() if atom.GetAtomicNum() > 1]
    return len(heavy) if unique is None else sum(index in unique for index in heavy), len(heavy)
