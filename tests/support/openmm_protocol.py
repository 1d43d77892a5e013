"""A gufe protocol for tests that simulates with OpenMM, so that its C++ code calls Python code in all its ways."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import dummy_protocol as dummy
import numpy as np

from xpm_alchem import gufe_seam as seam
from xpm_alchem.base.files import write_json


class MDSettings(dummy.DummySettings):
    n_iterations: int = 100
    n_particles: int = 30
    checkpoint_every: int = 5


class MDUnit(seam.ProtocolUnitBase):
    """A chain of beads: minimised with a Python reporter, moved with a Python force, written to NetCDF."""

    @staticmethod
    def _execute(ctx: Any, *, settings: dict[str, int], **inputs: Any) -> dict[str, Any]:
        import openmm
        from openmm import unit

        shared = Path(ctx.shared)
        progress, state_file = shared / "iterations.json", shared / "checkpoint.xml"
        (shared / "started").touch()
        n = settings["n_particles"]
        system = openmm.System()
        bonds = openmm.HarmonicBondForce()
        for i in range(n):
            system.addParticle(39.9 * unit.amu)
            if i:
                bonds.addBond(i - 1, i, 3.8 * unit.angstrom, 100.0 * unit.kilocalorie_per_mole / unit.nanometer**2)
        system.addForce(bonds)
        system.addForce(openmm.PythonForce(pull))
        integrator = openmm.LangevinMiddleIntegrator(300 * unit.kelvin, 1 / unit.picosecond, 2 * unit.femtosecond)
        context = openmm.Context(system, integrator, openmm.Platform.getPlatformByName("Reference"))
        done, energies = 0, []
        if progress.exists():
            saved = json.loads(progress.read_text())
            done, energies = saved["done"], saved["energies"]
            context.setState(openmm.XmlSerializer.deserialize(state_file.read_text()))
        else:
            context.setPositions([openmm.Vec3(0.4 * i, 0.01 * i, 0) for i in range(n)] * unit.nanometer)
            openmm.LocalEnergyMinimizer.minimize(context, 1.0, 50, Reporter())
        first, trajectory = (
            done,
            shared / f"trajectory {done} {time.time_ns()}.nc",
        )  # a torn one stays
        while done < settings["n_iterations"]:
            context.setVelocitiesToTemperature(300 * unit.kelvin)
            integrator.step(20)
            state = context.getState(getPositions=True, getEnergy=True)
            positions = state.getPositions()
            context.setPositions([position + openmm.Vec3(0, 0, 1e-6) * unit.nanometer for position in positions])
            context.setPositions(state.getPositions(asNumpy=True))
            energies.append(state.getPotentialEnergy() / (n * unit.kilojoule_per_mole))
            integrator.setTemperature(300 * unit.kelvin + 0.1 * unit.kelvin)
            write_netcdf(trajectory, done - first, np.asarray(positions.value_in_unit(unit.nanometer)))
            done += 1
            if done % settings["checkpoint_every"] == 0:
                whole = context.getState(getPositions=True, getVelocities=True, getParameters=True)
                state_file.with_suffix(".new").write_text(openmm.XmlSerializer.serialize(whole))
                state_file.with_suffix(".new").rename(state_file)
                write_json(progress, {"done": done, "energies": energies})
        return {"dg": sum(energies) / len(energies), "iterations": len(energies)}


def pull(state: Any) -> tuple[Any, Any]:
    """The energy and forces of a Python force: a weak pull to the origin, with units."""
    from openmm import unit

    positions = state.getPositions(asNumpy=True)
    energy = 0.5 * float((positions / unit.nanometer).__pow__(2).sum()) * unit.kilojoule_per_mole
    return energy, -positions / unit.nanometer * (unit.kilojoule_per_mole / unit.nanometer)


def Reporter() -> Any:
    """Return a reporter of the minimiser: called from C++ at every step."""
    import openmm

    class Steps(openmm.MinimizationReporter):  # type: ignore[misc]
        def report(self, iteration: int, x: Any, grad: Any, args: Any) -> bool:
            return bool(np.isnan(np.asarray(x)).any())

    return Steps()


def write_netcdf(path: Path, frame: int, positions: Any) -> None:
    """Write one frame, with netCDF4 where it is there."""
    try:
        from netCDF4 import Dataset
    except ImportError:
        from scipy.io import netcdf_file as Dataset
    with Dataset(path, "a" if path.exists() else "w") as data:
        if "frame" not in data.dimensions:
            for name, size in (("frame", None), ("atom", len(positions)), ("xyz", 3)):
                data.createDimension(name, size)
            data.createVariable("positions", "f4", ("frame", "atom", "xyz"))
        data.variables["positions"][frame] = positions


class MDProtocol(dummy.DummyProtocol):
    """One unit."""

    _settings_cls = MDSettings

    @classmethod
    def _default_settings(cls) -> MDSettings:
        return MDSettings()

    def _create(self, stateA: Any, stateB: Any, mapping: Any = None, extends: Any = None) -> list[Any]:
        names = ("n_iterations", "n_particles", "checkpoint_every")
        return [MDUnit(name="analyse", settings={name: getattr(self.settings, name) for name in names})]
