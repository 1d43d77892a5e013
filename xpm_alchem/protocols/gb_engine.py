"""Sampling: Langevin dynamics in a lambda window, as a chain of checkpointed segments.

A segment is a pure function of a state and a seed, and a checkpoint is written after each, so that a window that was
killed loses one segment and ends with the same bits as one that was not. That is promised on the same machine with
the same versions of OpenMM and of the C library only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xpm_alchem.base.files import atomic_write
from xpm_alchem.protocols.gb_system import Edge
from xpm_alchem.protocols.packages import load_package

MINIMISE_TOLERANCE = 1.0  # kJ/mol/nm
MINIMISE_STEPS = 500


@dataclass(frozen=True)
class State:
    """Where a segment starts and ends.

    Attributes
    ----------
    positions
        Shape (n_atoms, 3), nm.
    velocities
        Shape (n_atoms, 3), nm/ps.
    """

    positions: np.ndarray
    velocities: np.ndarray


@dataclass(frozen=True)
class Schedule:
    """How long a window is sampled, and how.

    Attributes
    ----------
    n_equilibration, n_production
        Segments that are discarded, and that are kept.
    n_steps, sample_every
        Steps in a segment, and from one sample to the next.
    timestep
        ps.
    temperature, friction, hydrogen_mass
        K, 1/ps, amu.
    """

    n_equilibration: int
    n_production: int
    n_steps: int
    sample_every: int
    timestep: float
    temperature: float
    friction: float
    hydrogen_mass: float

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], equilibrate: bool = True) -> Schedule:
        """Return the schedule of (checked) settings, without equilibration for a window that goes on from its end."""
        segment = settings["segment_ps"]
        return cls(
            n_equilibration=round(settings["equilibration_ps"] / segment) if equilibrate else 0,
            n_production=round(settings["production_ps"] / segment),
            n_steps=round(segment / settings["timestep_fs"] * 1000),
            sample_every=settings["sample_every"],
            timestep=settings["timestep_fs"] / 1000,
            temperature=settings["temperature"],
            friction=settings["friction_per_ps"],
            hydrogen_mass=settings["hydrogen_mass"],
        )


def segment_seed(run_seed: str, window: int, segment: int) -> int:
    """Return the seed of one segment: 1 to 2^31 - 2, as OpenMM takes 0 for "choose one yourself"."""
    digest = hashlib.sha256(f"{run_seed}|{window}|{segment}".encode()).digest()
    return int.from_bytes(digest[:4], "little") % (2**31 - 2) + 1


def minimise(edge: Edge) -> State:
    """Return the edge at rest in the minimum nearest to its positions, half way along the path."""
    openmm = load_package("openmm")
    context = _context(edge.system(0.5), openmm.VerletIntegrator(0.001))
    context.setPositions(np.array(edge.positions))
    openmm.LocalEnergyMinimizer.minimize(context, MINIMISE_TOLERANCE, MINIMISE_STEPS)
    positions = context.getState(getPositions=True).getPositions(asNumpy=True)._value
    return State(np.array(positions), np.zeros_like(positions))


class Window:
    """The sampling of an edge at one lambda."""

    def __init__(self, edge: Edge, lam: float, schedule: Schedule) -> None:
        openmm = load_package("openmm")
        self.edge, self.schedule = edge, schedule
        self._system = edge.system(lam, schedule.hydrogen_mass)
        self._ends = [_context(system, openmm.VerletIntegrator(0.001)) for system in edge.end_systems()]
        self._constant = edge.constant

    def energy_difference(self, positions: np.ndarray) -> float:
        """Return ``U_b - U_a`` at some positions (nm) without the constant of absent atoms, kJ/mol."""
        energies = []
        for context in self._ends:
            context.setPositions(positions)
            energies.append(context.getState(getEnergy=True).getPotentialEnergy()._value)
        return float(energies[1] - energies[0] - self._constant)

    def segment(self, start: State, seed: int) -> tuple[State, list[float]]:
        """Return the state at the end of a segment, and its energy differences in kJ/mol.

        The integrator is the LFMiddle discretisation of Langevin dynamics (Zhang et al., J. Phys. Chem. A 123,
        6056, 2019).
        """
        openmm = load_package("openmm")
        plan = self.schedule
        integrator = openmm.LangevinMiddleIntegrator(plan.temperature, plan.friction, plan.timestep)
        integrator.setRandomNumberSeed(seed)
        context = _context(self._system, integrator)
        context.setPositions(start.positions)
        context.setVelocities(start.velocities)
        samples = []
        for _ in range(plan.n_steps // plan.sample_every):
            integrator.step(plan.sample_every)
            positions = context.getState(getPositions=True).getPositions(asNumpy=True)._value
            samples.append(self.energy_difference(positions))
        end = context.getState(getPositions=True, getVelocities=True)
        state = State(np.array(end.getPositions(asNumpy=True)._value), np.array(end.getVelocities(asNumpy=True)._value))
        if not (np.all(np.isfinite(state.positions)) and np.all(np.isfinite(samples))):
            raise FloatingPointError("The dynamics became unstable (not a number): use a smaller timestep_fs.")
        return state, samples

    def run(self, start: State, seeds: Sequence[int], checkpoint: Path) -> tuple[State, np.ndarray]:
        """Run all segments, from the checkpoint on when there is one.

        Parameters
        ----------
        start
            Where the first segment starts.
        seeds
            One for each segment, equilibration first.
        checkpoint
            File that holds the progress; it is complete or absent at every instant.

        Returns
        -------
        state, samples
            The last state, and the energy differences of the production segments, kJ/mol.
        """
        state, done, samples = start, 0, np.zeros(0)
        if checkpoint.exists():
            state, done, samples = load_progress(checkpoint)
        for number in range(done, len(seeds)):
            state, new = self.segment(state, seeds[number])
            if number >= self.schedule.n_equilibration:
                samples = np.concatenate([samples, new])
            save_progress(checkpoint, state, number + 1, samples)
        return state, samples


def save_progress(path: Path, state: State, done: int, samples: np.ndarray) -> None:
    """Write a state, the number of finished segments and the samples (kJ/mol), whole or not at all."""
    with atomic_write(path, "wb") as out:
        np.savez(out, positions=state.positions, velocities=state.velocities, done=done, samples=samples)


def load_progress(path: Path) -> tuple[State, int, np.ndarray]:
    """Read what `save_progress` wrote."""
    with np.load(path, allow_pickle=False) as content:
        state = State(content["positions"], content["velocities"])
        return state, int(content["done"]), content["samples"]


def _context(system: Any, integrator: Any) -> Any:
    """Return a Context on the Reference platform: double precision, one thread, and the fastest for few atoms."""
    openmm = load_package("openmm")
    return openmm.Context(system, integrator, openmm.Platform.getPlatformByName("Reference"))
