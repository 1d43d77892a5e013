"""What gufe 0.4 wrote, as a newer gufe wants it. Used by gufe_seam alone; can be deleted with what is 0.4's there."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from rdkit import Chem

with warnings.catch_warnings():  # pydantic and openff warn at import about things no user can change
    warnings.simplefilter("ignore")
    import gufe
    from gufe.molhashing import deserialize_numpy
    from gufe.protocols.protocoldag import ProtocolDAG, ProtocolDAGResult
    from gufe.tokenization import GufeTokenizable, get_class


def read(content: dict[str, Any]) -> Any:
    """Return an object that gufe 0.4 wrote, as a newer gufe wants it."""
    if content["__qualname__"] == "SmallMoleculeComponent" and "conformers" in content:
        return _molecule(content)
    from gufe.settings import SettingsBaseModel

    kind = get_class(content["__module__"], content["__qualname__"])
    if issubclass(kind, SettingsBaseModel):
        return kind(**{key: value for key, value in content.items() if not key.startswith("__")})
    if issubclass(kind, ProtocolDAG | ProtocolDAGResult):
        content = {"transformation_key": None, "extends_key": None, **content}
    return GufeTokenizable.from_shallow_dict(content)


def _molecule(content: Mapping[str, Any]) -> Any:
    """Return a molecule that gufe 0.4 wrote; newer versions write and read others."""
    molecule = Chem.RWMol()
    for number, name, charge, _, _ in content["atoms"]:
        atom = Chem.Atom(number)
        atom.SetFormalCharge(charge)
        atom.SetNoImplicit(True)
        if name:
            atom.SetProp("_Name", name)
        molecule.AddAtom(atom)
    for begin, end, order, _, _ in content["bonds"]:
        molecule.AddBond(begin, end, Chem.BondType.values[order])
    for positions in content["conformers"]:
        conformer = Chem.Conformer(molecule.GetNumAtoms())
        for i, position in enumerate(deserialize_numpy(positions).tolist()):
            conformer.SetAtomPosition(i, position)
        molecule.AddConformer(conformer, assignId=True)
    Chem.SanitizeMol(molecule)
    Chem.AssignStereochemistryFrom3D(molecule)
    return gufe.SmallMoleculeComponent(molecule.GetMol(), name=content["name"])
