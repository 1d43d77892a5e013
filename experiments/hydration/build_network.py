"""Build the network of the hydration experiment and write it as gufe JSON.

    python build_network.py --small --out network.json     # 5 absolute hydrations, 2 mutations: minutes
    python build_network.py --full --out network.json      # 15 mutations, both legs
    python build_network.py --full --absolute --out network.json  # and the hydration of each of the 18 molecules

gufe's keys differ between its versions: build the network with the gufe that will run it.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from openff.units import unit
from rdkit import Chem

from xpm_alchem.gufe_seam import AlchemicalNetwork, ChemicalSystem, SolventComponent, Transformation, save
from xpm_alchem.protocols.charged_molecule import charged_molecule
from xpm_alchem.protocols.gb_hydration import GBHydrationProtocol, GBHydrationSettings

HERE = Path(__file__).parent

FULL_EDGES = [
    ("benzene", "toluene"),
    ("benzene", "phenol"),
    ("toluene", "phenol"),
    ("toluene", "p-cresol"),
    ("phenol", "p-cresol"),
    ("benzene", "fluorobenzene"),
    ("fluorobenzene", "chlorobenzene"),
    ("benzene", "chlorobenzene"),
    ("benzene", "aniline"),
    ("phenol", "aniline"),
    ("benzene", "anisole"),
    ("phenol", "anisole"),
    ("benzene", "benzonitrile"),
    ("benzene", "benzaldehyde"),
    ("benzonitrile", "benzaldehyde"),
]
SMALL_EDGES = [("benzene", "toluene"), ("benzene", "fluorobenzene")]
SMALL_MOLECULES = ["methane", "ethane", "methanol", "ethanol", "benzene"]

FULL_MUTATION = GBHydrationSettings(n_windows=11, production_ps=50.0)
FULL_HYDRATION = GBHydrationSettings(n_windows=6, production_ps=60.0)
SMALL_MUTATION = GBHydrationSettings(n_windows=6, production_ps=15.0, equilibration_ps=5.0, segment_ps=5.0)
SMALL_HYDRATION = GBHydrationSettings(n_windows=4, production_ps=15.0, equilibration_ps=5.0, segment_ps=5.0)


def read_molecules(path: Path = HERE / "molecules.sdf") -> dict[str, Any]:
    """Return the SmallMoleculeComponents of an SDF file by name."""
    molecules = [charged_molecule(mol) for mol in Chem.SDMolSupplier(str(path), removeHs=False)]
    return {molecule.name: molecule for molecule in molecules}


def build_network(small: bool, absolute: bool) -> Any:
    """Return the AlchemicalNetwork.

    Parameters
    ----------
    small
        A handful of short transformations instead of the 15 mutations.
    absolute
        Add the hydration of every molecule (the small network always has its five).
    """
    molecules = read_molecules()
    water = SolventComponent(neutralize=False, ion_concentration=0.0 * unit.molar)
    vacuum = {name: ChemicalSystem({"ligand": mol}, name=f"{name}_vacuum") for name, mol in molecules.items()}
    solvent = {
        name: ChemicalSystem({"ligand": mol, "solvent": water}, name=f"{name}_solvent")
        for name, mol in molecules.items()
    }
    mutation = GBHydrationProtocol(SMALL_MUTATION if small else FULL_MUTATION)
    hydration = GBHydrationProtocol(SMALL_HYDRATION if small else FULL_HYDRATION)
    edges = [
        Transformation(systems[first], systems[second], mutation, name=f"{first}_{second}_{leg}")
        for first, second in (SMALL_EDGES if small else FULL_EDGES)
        for leg, systems in (("vacuum", vacuum), ("solvent", solvent))
    ]
    edges += [
        Transformation(vacuum[name], solvent[name], hydration, name=f"{name}_hydration")
        for name in (SMALL_MOLECULES if small else molecules if absolute else [])
    ]
    return AlchemicalNetwork(edges=edges, name="hydration-small" if small else "hydration")


def main() -> None:
    """Read the command line, write the network."""
    parser = argparse.ArgumentParser(description="Build the network of the hydration experiment.")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--small", action="store_true", help="a handful of short transformations")
    size.add_argument("--full", action="store_true", help="the 15 mutations, both legs (default)")
    parser.add_argument("--absolute", action="store_true", help="add the hydration of all 18 molecules (full only)")
    parser.add_argument("--out", type=Path, required=True, help="the file to write")
    options = parser.parse_args()
    if options.small and options.absolute:
        parser.error("--absolute goes with --full: the small network has its own five hydrations")
    network = build_network(options.small, options.absolute)
    save(network, options.out)
    print(f"wrote {options.out}: {len(network.edges)} transformations of {len(network.nodes)} chemical systems")


if __name__ == "__main__":
    main()
