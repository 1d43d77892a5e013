"""Make molecules.sdf of molecules.csv: one conformer for each molecule, its charges, and its measured hydration.

The measured values are those of FreeSolv (Mobley and Guthrie, J. Comput. Aided Mol. Des. 28, 711, 2014), in kcal/mol;
the charges are NAGL's (AM1-BCC by a graph neural network), in the order of the atoms of the SMILES, hydrogens last.

Run it again only after a change of molecules.csv: another version of RDKit may give other conformers.

    python make_molecules.py
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from openff.toolkit import Molecule
from rdkit import Chem

HERE = Path(__file__).parent


def main() -> None:
    """Write molecules.sdf beside this file."""
    with open(HERE / "molecules.csv", newline="") as table, open(HERE / "molecules.sdf", "w") as out:
        writer = Chem.SDWriter(out)
        for row in csv.DictReader(table):
            molecule = Molecule.from_smiles(row["smiles"])
            molecule.generate_conformers(n_conformers=1)
            mol = molecule.to_rdkit()
            charges = np.array(row["charges"].split(), float)
            if len(charges) != mol.GetNumAtoms() or abs(charges.sum()) > 1e-3:
                raise SystemExit(f"{row['name']}: {len(charges)} charges, sum {charges.sum():.4f}")
            for name in mol.GetPropNames():
                mol.ClearProp(name)
            mol.SetProp("_Name", row["name"])
            mol.SetProp("atom.dprop.PartialCharge", row["charges"])
            mol.SetProp("experiment_kcal_per_mol", row["experiment"])
            mol.SetProp("experiment_uncertainty_kcal_per_mol", row["experiment_uncertainty"])
            writer.write(mol)
        writer.close()
    print(f"wrote {HERE / 'molecules.sdf'}")


if __name__ == "__main__":
    main()
