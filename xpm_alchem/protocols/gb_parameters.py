"""From a molecule to the parameters of its energy: an OpenFF force field, and OBC2 radii for GB water."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from xpm_alchem.base.quiet import quiet
from xpm_alchem.protocols.charged_molecule import SDF_PROPERTY, stored_charges
from xpm_alchem.protocols.packages import load_package

CHARGE_SUM_TOLERANCE = 0.01  # e; stored charges are rounded


@dataclass(frozen=True)
class Parameters:
    """Everything that the energy of one molecule depends on, in OpenMM's units (nm, kJ/mol, rad, amu, e).

    Attributes
    ----------
    masses
        Shape (n_atoms,), amu.
    positions
        Shape (n_atoms, 3), nm.
    bonds
        (atom, atom, length, force constant) each.
    angles
        (atom, atom, atom, angle, force constant) each.
    torsions
        (atom, atom, atom, atom, periodicity, phase, barrier) each.
    exceptions
        (atom, atom, charge product, sigma, epsilon) of the pairs with less than the full nonbonded energy.
    charges, sigmas, epsilons
        Shape (n_atoms,): charge, and the two Lennard-Jones parameters.
    gb_radii, gb_screens
        Shape (n_atoms,): mbondi2 radius and OBC screening factor.
    """

    masses: np.ndarray
    positions: np.ndarray
    bonds: list[tuple[Any, ...]]
    angles: list[tuple[Any, ...]]
    torsions: list[tuple[Any, ...]]
    exceptions: list[tuple[Any, ...]]
    charges: np.ndarray
    sigmas: np.ndarray
    epsilons: np.ndarray
    gb_radii: np.ndarray
    gb_screens: np.ndarray

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return len(self.masses)


def parametrise(molecule: Any, forcefield: str, charge_method: str, nagl_model: str) -> Parameters:
    """Return the parameters of a molecule.

    Parameters
    ----------
    molecule
        A SmallMoleculeComponent; its conformer becomes the positions.
    forcefield
        A SMIRNOFF force field, e.g. ``openff_unconstrained-2.2.1.offxml``.
    charge_method
        ``stored`` or ``nagl``.
    nagl_model
        The NAGL model, for ``nagl``.

    Raises
    ------
    ValueError
        The molecule carries no usable charges, or the force field has constraints or terms unknown here.
    """
    toolkit = load_package("openff.toolkit")
    openmm = load_package("openmm")
    gb_module = load_package("openmm.app.internal.customgbforces")
    with quiet("openff"):
        charges = choose_charges(molecule, charge_method, nagl_model)
        off = molecule.to_openff()
        off.partial_charges = toolkit.Quantity(charges, "elementary_charge")
        topology = off.to_topology()
        system = toolkit.ForceField(forcefield).create_openmm_system(topology, charge_from_molecules=[off])
        gb_table = np.array(gb_module.GBSAOBC2Force.getStandardParameters(topology.to_openmm()), float)
        positions = np.array(off.conformers[0].m_as("nanometer"), float)
    if system.getNumConstraints():
        raise ValueError(f"forcefield = '{forcefield}' has constraints: use its 'unconstrained' variant.")
    n_atoms = system.getNumParticles()
    terms: dict[str, list[tuple[Any, ...]]] = {"bonds": [], "angles": [], "torsions": [], "exceptions": []}
    nonbonded = np.zeros((n_atoms, 3))
    for force in system.getForces():
        if isinstance(force, openmm.HarmonicBondForce):
            terms["bonds"] += [_plain(force.getBondParameters(i)) for i in range(force.getNumBonds())]
        elif isinstance(force, openmm.HarmonicAngleForce):
            terms["angles"] += [_plain(force.getAngleParameters(i)) for i in range(force.getNumAngles())]
        elif isinstance(force, openmm.PeriodicTorsionForce):
            terms["torsions"] += [_plain(force.getTorsionParameters(i)) for i in range(force.getNumTorsions())]
        elif isinstance(force, openmm.NonbondedForce):
            nonbonded = np.array([_plain(force.getParticleParameters(i)) for i in range(n_atoms)])
            terms["exceptions"] += [_plain(force.getExceptionParameters(i)) for i in range(force.getNumExceptions())]
        elif not isinstance(force, openmm.CMMotionRemover):
            raise ValueError(f"forcefield = '{forcefield}' makes a {force.getName()}, which this protocol cannot mix.")
    return Parameters(
        masses=np.array(_plain(system.getParticleMass(i) for i in range(n_atoms))),
        positions=positions,
        charges=nonbonded[:, 0],
        sigmas=nonbonded[:, 1],
        epsilons=nonbonded[:, 2],
        gb_radii=gb_table[:, 0],
        gb_screens=gb_table[:, 1],
        **terms,
    )


def choose_charges(molecule: Any, charge_method: str, nagl_model: str = "") -> np.ndarray:
    """Return the partial charges of a molecule, shape (n_atoms,), in elementary charges.

    Raises
    ------
    ValueError
        ``stored`` is asked for and the molecule carries none, or they do not add up to its formal charge.
    MissingPackageError
        ``nagl`` is asked for and is not installed.
    """
    if charge_method == "nagl":
        load_package("openff.nagl")
        wrapper = load_package("openff.toolkit.utils.nagl_wrapper").NAGLToolkitWrapper()
        with quiet("openff"):
            off = molecule.to_openff()
            off.assign_partial_charges(nagl_model, toolkit_registry=wrapper)
            return np.array(off.partial_charges.m_as("elementary_charge"), float)
    charges = stored_charges(molecule)
    if charges is None:
        raise ValueError(
            f"The molecule '{molecule.name}' ({molecule.smiles}) carries no partial charges. Charge the ligands first "
            f"(openfe charge-molecules writes them into the SDF property '{SDF_PROPERTY}'), "
            "or install openff-nagl and set charge_method = 'nagl'."
        )
    total = molecule.total_charge
    if abs(charges.sum() - total) > CHARGE_SUM_TOLERANCE:
        raise ValueError(
            f"The partial charges of the molecule '{molecule.name}' ({molecule.smiles}) add up to {charges.sum():.3f}, "
            f"and its formal charge is {total}: charge it again."
        )
    return charges


def _plain(values: Any) -> tuple[Any, ...]:
    """Return OpenMM quantities as numbers in OpenMM's own units."""
    system = load_package("openmm.unit").md_unit_system
    return tuple(
        value.value_in_unit_system(system) if hasattr(value, "value_in_unit_system") else value for value in values
    )
