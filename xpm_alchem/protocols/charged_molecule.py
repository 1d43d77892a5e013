"""A molecule and the partial charges it carries, stored as OpenFE stores them."""

from __future__ import annotations

from typing import Any

import numpy as np

from xpm_alchem.gufe_seam import IS_GUFE_0_4, SmallMoleculeComponent

# Written by OpenFE and the OpenFF toolkit; RDKit also makes the atom property "PartialCharge" of it (RDKit book,
# "Property lists in SDF files").
SDF_PROPERTY = "atom.dprop.PartialCharge"
ATOM_PROPERTY = "PartialCharge"


def stored_charges(molecule: Any) -> np.ndarray | None:
    """Return the partial charges stored on a molecule.

    Parameters
    ----------
    molecule
        A SmallMoleculeComponent.

    Returns
    -------
    np.ndarray or None
        Shape (n_atoms,), elementary charges; None when the molecule carries none.

    Raises
    ------
    ValueError
        There are charges, but not one finite number for each atom.
    """
    mol = molecule.to_rdkit()
    if mol.HasProp(SDF_PROPERTY):
        text = str(mol.GetProp(SDF_PROPERTY))
        try:
            charges = np.array([float(word) for word in text.split()])
        except ValueError:
            charges = np.array([np.nan])
    elif mol.GetNumAtoms() and all(atom.HasProp(ATOM_PROPERTY) for atom in mol.GetAtoms()):
        charges = np.array([atom.GetDoubleProp(ATOM_PROPERTY) for atom in mol.GetAtoms()])
    else:
        return None
    if charges.shape != (mol.GetNumAtoms(),) or not np.all(np.isfinite(charges)):
        raise ValueError(
            f"The molecule '{molecule.name}' has a damaged '{SDF_PROPERTY}': "
            f"{mol.GetNumAtoms()} finite numbers, one for each atom, are expected."
        )
    return charges


def charged_molecule(mol: Any) -> Any:
    """Return the SmallMoleculeComponent of an RDKit molecule, such that its stored charges survive a file.

    Parameters
    ----------
    mol
        An RDKit molecule with hydrogens, a conformer and, for instance from an SDF file, partial charges.
    """
    return ChargedMolecule(mol) if IS_GUFE_0_4 else SmallMoleculeComponent(mol)


# --- gufe 0.4 only
class ChargedMolecule(SmallMoleculeComponent):
    """A SmallMoleculeComponent that writes its charges: gufe 0.4 drops all properties when it serialises."""

    def _to_dict(self) -> dict[str, Any]:
        charges = stored_charges(self)
        return {**super()._to_dict(), "partial_charges": None if charges is None else charges.tolist()}

    @classmethod
    def _from_dict(cls, dct: dict[str, Any]) -> Any:
        content = dict(dct)
        charges = content.pop("partial_charges")
        molecule = super()._from_dict(content)
        if charges is None:
            return molecule
        mol = molecule.to_rdkit()
        mol.SetProp(SDF_PROPERTY, " ".join(repr(charge) for charge in charges))
        return cls(mol)


# --- end of gufe 0.4 only
