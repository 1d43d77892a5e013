"""The energy of an edge between two end states, as OpenMM systems."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from xpm_alchem.protocols.atom_mapping import superpose
from xpm_alchem.protocols.gb_parameters import Parameters
from xpm_alchem.protocols.packages import load_package

Term = tuple[Any, ...]

WATER_DIELECTRIC = 78.5
SURFACE_ENERGY = 2.25936  # kJ/mol/nm^2, OpenMM's value of the ACE surface term
PROBE_RADIUS = 0.14  # nm, in the same term
OBC_OFFSET = 0.009  # nm, by which OBC shortens every radius
HYDROGEN_BELOW = 1.5  # amu: lighter than that is a hydrogen

# A GB atom that is absent at one end: no charge, no screening of the others (OpenMM wants a number above 0), and a
# radius so large that nothing descreens it, which makes its surface term an exact constant (`Edge.constant`).
ABSENT_RADIUS = 5.0  # nm
ABSENT_SCREEN = 1e-12
ABSENT_SIGMA = 0.3  # nm; any, as epsilon is 0


@dataclass
class Terms:
    """A part of the energy; the atoms of all terms count through the edge's atoms (units: see `Parameters`).

    Attributes
    ----------
    bonds, angles, torsions
        As in `Parameters`.
    nonbonded
        (charge, sigma, epsilon) of every atom, or empty: no nonbonded energy.
    exceptions
        As in `Parameters`.
    gb
        (charge, radius, screen) of every atom, or empty: no GB water.
    """

    bonds: list[Term] = field(default_factory=list)
    angles: list[Term] = field(default_factory=list)
    torsions: list[Term] = field(default_factory=list)
    nonbonded: list[Term] = field(default_factory=list)
    exceptions: list[Term] = field(default_factory=list)
    gb: list[Term] = field(default_factory=list)


@dataclass
class Edge:
    """An alchemical path: ``U(x; lambda) = U_common + (1 - lambda) U_a + lambda U_b``.

    As the energy is linear in lambda, a sample needs only ``U_b - U_a`` to be re-evaluated at every lambda.

    Attributes
    ----------
    masses
        Shape (n_atoms,), amu, hydrogens not yet made heavy.
    positions
        Shape (n_atoms, 3), nm.
    common, end_a, end_b
        The three parts of the energy.
    """

    masses: list[float]
    positions: list[list[float]]
    common: Terms
    end_a: Terms
    end_b: Terms

    @property
    def n_atoms(self) -> int:
        """Number of atoms, of both ends together."""
        return len(self.masses)

    @property
    def constant(self) -> float:
        """Surface energy of the absent atoms, end B minus end A, kJ/mol: not a part of the free energy.

        The ACE term of an atom of radius r and Born radius R is ``4 pi s (r + probe)^2 (r / R)^6`` (Schaefer,
        Bartels and Karplus, J. Mol. Biol. 284, 835, 1998); R is ``r - offset`` for an atom that nothing descreens.
        """
        ratio = ABSENT_RADIUS / (ABSENT_RADIUS - OBC_OFFSET)
        energy = 4 * np.pi * SURFACE_ENERGY * (ABSENT_RADIUS + PROBE_RADIUS) ** 2 * ratio**6
        absent_a, absent_b = (sum(gb[1] == ABSENT_RADIUS for gb in end.gb) for end in (self.end_a, self.end_b))
        return float((absent_b - absent_a) * energy)

    def system(self, lam: float, hydrogen_mass: float = 4.0) -> Any:
        """Return the OpenMM System at one lambda.

        Parameters
        ----------
        lam
            0 (end A) to 1 (end B).
        hydrogen_mass
            amu. Masses do not change free energies; heavy hydrogens allow 2 fs without constraints.
        """
        system = self._empty_system(hydrogen_mass)
        for terms, scale in ((self.common, 1.0), (self.end_a, 1.0 - lam), (self.end_b, lam)):
            add_terms(system, terms, scale)
        return system

    def end_systems(self) -> tuple[Any, Any]:
        """Return the systems whose energies are ``U_a`` and ``U_b``."""
        systems = self._empty_system(1.0), self._empty_system(1.0)
        for system, terms in zip(systems, (self.end_a, self.end_b), strict=True):
            add_terms(system, terms, 1.0)
        return systems

    def _empty_system(self, hydrogen_mass: float) -> Any:
        system = load_package("openmm").System()
        for mass in self.masses:
            system.addParticle(hydrogen_mass if mass < HYDROGEN_BELOW else mass)
        return system

    def to_dict(self) -> dict[str, Any]:
        """Return the edge as values that JSON keeps exactly."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Edge:
        """Return the edge that `to_dict` described."""
        parts = {name: Terms(**content[name]) for name in ("common", "end_a", "end_b")}
        return cls(masses=content["masses"], positions=content["positions"], **parts)


def hydration_edge(molecule: Parameters) -> Edge:
    """Return the edge from a molecule in vacuum to the same molecule in GB water."""
    everything = _embed(molecule, list(range(molecule.n_atoms)), molecule.n_atoms, solvated=True)
    water = Terms(gb=everything.gb)
    everything.gb = []
    return Edge(molecule.masses.tolist(), molecule.positions.tolist(), everything, Terms(), water)


def mutation_edge(a: Parameters, b: Parameters, mapping: Mapping[int, int], solvated: bool) -> Edge:
    """Return the edge that turns molecule A into molecule B: a hybrid of both.

    The atoms of A keep their numbers; the atoms that only B has follow. An atom that only one end has keeps its
    bonded terms at every lambda (it dangles from the molecule and its contribution cancels between the two legs),
    while all its nonbonded and GB energy goes away at the other end.

    Parameters
    ----------
    mapping
        From atoms of A to atoms of B.
    solvated
        In GB water, or in vacuum.
    """
    to_a = {atom_b: atom_a for atom_a, atom_b in mapping.items()}
    index_b, only_b = [], []
    for atom in range(b.n_atoms):
        if atom not in to_a:
            only_b.append(atom)
        index_b.append(to_a.get(atom, a.n_atoms + len(only_b) - 1))
    n_atoms = a.n_atoms + len(only_b)
    unique = set(range(n_atoms)) - set(mapping)
    mapped_b = sorted(to_a)
    rotation, shift = superpose(b.positions[mapped_b], a.positions[[to_a[atom] for atom in mapped_b]])
    placed = b.positions @ rotation + shift
    end_a = _embed(a, list(range(a.n_atoms)), n_atoms, solvated)
    end_b = _embed(b, index_b, n_atoms, solvated)
    common = Terms()
    for end in (end_a, end_b):
        for name, size in (("bonds", 2), ("angles", 3), ("torsions", 4)):
            terms: list[Term] = getattr(end, name)
            getattr(common, name).extend(term for term in terms if unique.intersection(term[:size]))
            setattr(end, name, [term for term in terms if not unique.intersection(term[:size])])
    return Edge(
        masses=np.concatenate([a.masses, b.masses[only_b]]).tolist(),
        positions=np.vstack([a.positions, placed[only_b]]).tolist(),
        common=common,
        end_a=end_a,
        end_b=end_b,
    )


def _embed(molecule: Parameters, index: list[int], n_atoms: int, solvated: bool) -> Terms:
    """Return the terms of a molecule whose atom i is atom ``index[i]`` of `n_atoms`; the others do nothing."""

    def renumber(terms: list[Term], size: int) -> list[Term]:
        return [(*(index[atom] for atom in term[:size]), *term[size:]) for term in terms]

    nonbonded: list[Term] = [(0.0, ABSENT_SIGMA, 0.0)] * n_atoms
    gb: list[Term] = [(0.0, ABSENT_RADIUS, ABSENT_SCREEN)] * n_atoms
    charges, radii, screens = molecule.charges.tolist(), molecule.gb_radii.tolist(), molecule.gb_screens.tolist()
    sigmas, epsilons = molecule.sigmas.tolist(), molecule.epsilons.tolist()
    for atom, place in enumerate(index):
        nonbonded[place] = (charges[atom], sigmas[atom], epsilons[atom])
        gb[place] = (charges[atom], radii[atom], screens[atom])
    return Terms(
        bonds=renumber(molecule.bonds, 2),
        angles=renumber(molecule.angles, 3),
        torsions=renumber(molecule.torsions, 4),
        nonbonded=nonbonded,
        exceptions=renumber(molecule.exceptions, 2),
        gb=gb if solvated else [],
    )


def add_terms(system: Any, terms: Terms, scale: float) -> None:
    """Add terms to a system with their energy multiplied by `scale`, by native OpenMM forces.

    GB is OBC2 (Onufriev, Bashford and Case, Proteins 55, 383, 2004). Its Born radii do not depend on the dielectric
    constant e of the solvent and its polar energy goes as ``1 - 1 / e``, so that
    ``1 / e = 1 - scale (1 - 1 / 78.5)`` scales it exactly.
    """
    if scale == 0.0:
        return
    mm = load_package("openmm")
    bonds, angles, torsions = mm.HarmonicBondForce(), mm.HarmonicAngleForce(), mm.PeriodicTorsionForce()
    for *atoms_and_length, constant in terms.bonds:
        bonds.addBond(*atoms_and_length, scale * constant)
    for *atoms_and_angle, constant in terms.angles:
        angles.addAngle(*atoms_and_angle, scale * constant)
    for *atoms_and_phase, barrier in terms.torsions:
        torsions.addTorsion(*atoms_and_phase, scale * barrier)
    for force, present in ((bonds, terms.bonds), (angles, terms.angles), (torsions, terms.torsions)):
        if present:
            system.addForce(force)
    if terms.nonbonded:
        nonbonded = mm.NonbondedForce()
        nonbonded.setNonbondedMethod(mm.NonbondedForce.NoCutoff)
        for charge, sigma, epsilon in terms.nonbonded:
            nonbonded.addParticle(charge * np.sqrt(scale), sigma, epsilon * scale)
        for first, second, product, sigma, epsilon in terms.exceptions:
            nonbonded.addException(first, second, scale * product, sigma, scale * epsilon)
        system.addForce(nonbonded)
    if terms.gb:
        gb = mm.GBSAOBCForce()
        gb.setNonbondedMethod(mm.GBSAOBCForce.NoCutoff)
        gb.setSoluteDielectric(1.0)
        gb.setSolventDielectric(1.0 / (1.0 - scale * (1.0 - 1.0 / WATER_DIELECTRIC)))
        gb.setSurfaceAreaEnergy(scale * SURFACE_ENERGY)
        for charge, radius, screen in terms.gb:
            gb.addParticle(charge, radius, screen)
        system.addForce(gb)
