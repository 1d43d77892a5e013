"""Which atom of one molecule becomes which atom of another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from xpm_alchem.protocols.packages import load_package

MCS_TIMEOUT = 10  # seconds
MIN_COMMON_ATOMS = 3  # fewer do not orient the rest of the molecule
MAX_MATCHES = 500


def given_mapping(mapping: Any, ligand_a: Any, ligand_b: Any) -> dict[int, int] | None:
    """Return the mapping that a Transformation brings, from atoms of A to atoms of B.

    Parameters
    ----------
    mapping
        What gufe hands to a protocol: None, a ComponentMapping, or a list or dict of at most one of them.

    Returns
    -------
    dict or None
        None when no mapping is given.

    Raises
    ------
    ValueError
        There are several, or it is of other molecules, or names an atom twice or one that does not exist.
    """
    if isinstance(mapping, Mapping):
        mapping = list(mapping.values())
    if isinstance(mapping, list | tuple):
        if len(mapping) > 1:
            raise ValueError(f"{len(mapping)} mappings are given; a mutation of one ligand takes one.")
        mapping = mapping[0] if mapping else None
    if mapping is None:
        return None
    if not hasattr(mapping, "componentA_to_componentB"):
        raise ValueError(f"the mapping is a {type(mapping).__name__}; a ComponentMapping of atoms is expected.")
    if mapping.componentA != ligand_a or mapping.componentB != ligand_b:
        raise ValueError(
            f"the mapping goes from '{mapping.componentA.name}' to '{mapping.componentB.name}', "
            f"the transformation from '{ligand_a.name}' to '{ligand_b.name}'."
        )
    atoms = {int(a): int(b) for a, b in mapping.componentA_to_componentB.items()}
    n_a, n_b = ligand_a.to_rdkit().GetNumAtoms(), ligand_b.to_rdkit().GetNumAtoms()
    if not atoms:
        raise ValueError("the mapping is empty: the two ligands need atoms in common.")
    if len(set(atoms.values())) < len(atoms) or any(not (0 <= a < n_a and 0 <= b < n_b) for a, b in atoms.items()):
        raise ValueError(f"the mapping {atoms} uses an atom of B twice, or one that does not exist.")
    return atoms


def common_mapping(mol_a: Any, mol_b: Any) -> dict[int, int]:
    """Return the mapping of the largest common substructure, from atoms of A to atoms of B.

    Rings stay whole. Of the equivalent matches in B the one whose conformer fits A's best is taken.

    Parameters
    ----------
    mol_a, mol_b
        RDKit molecules with hydrogens and a conformer.

    Raises
    ------
    ValueError
        Nothing worth the name is in common.
    """
    chem = load_package("rdkit.Chem")
    mcs = load_package("rdkit.Chem.rdFMCS")
    mol_a, mol_b = chem.Mol(mol_a), chem.Mol(mol_b)
    for mol in (mol_a, mol_b):
        chem.GetSymmSSSR(mol)  # a molecule that gufe read from a file has no ring information
    found = mcs.FindMCS([mol_a, mol_b], ringMatchesRingOnly=True, completeRingsOnly=True, timeout=MCS_TIMEOUT)
    if found.canceled or found.numAtoms < MIN_COMMON_ATOMS:
        why = f"was not found within {MCS_TIMEOUT} s" if found.canceled else f"has {found.numAtoms} atoms"
        raise ValueError(f"The common substructure of the two ligands {why}: give the transformation a mapping.")
    query = chem.MolFromSmarts(found.smartsString)
    match_a = mol_a.GetSubstructMatch(query)
    xyz_a = mol_a.GetConformer().GetPositions()
    xyz_b = mol_b.GetConformer().GetPositions()
    best, best_rmsd = None, np.inf
    for match_b in mol_b.GetSubstructMatches(query, uniquify=False, maxMatches=MAX_MATCHES):
        mobile, target = xyz_b[list(match_b)], xyz_a[list(match_a)]
        rotation, shift = superpose(mobile, target)
        rmsd = float(np.sqrt((((mobile @ rotation + shift) - target) ** 2).sum(axis=1).mean()))
        if rmsd < best_rmsd - 1e-6:  # equal fits: the first, whatever the rounding
            best, best_rmsd = match_b, rmsd
    assert best is not None
    return dict(zip(match_a, best, strict=True))


def superpose(mobile: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rotation and the shift that put `mobile` on `target` with the least squares (Kabsch 1976).

    Parameters
    ----------
    mobile, target
        Shape (n, 3), any length unit.

    Returns
    -------
    rotation, shift
        Shapes (3, 3) and (3,); ``mobile @ rotation + shift`` fits ``target``.
    """
    center_mobile, center_target = mobile.mean(axis=0), target.mean(axis=0)
    u, _, vt = np.linalg.svd((mobile - center_mobile).T @ (target - center_target))
    proper = -1.0 if np.linalg.det(u @ vt) < 0 else 1.0
    rotation = u @ np.diag([1.0, 1.0, proper]) @ vt
    return rotation, center_target - center_mobile @ rotation
