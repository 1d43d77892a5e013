"""The built-in protocol: free energies of small molecules in GB water, on one core, within seconds.

It is a real calculation (OpenFF force field, OBC2 implicit water, MBAR) that is small enough to try a campaign with,
and it resumes exactly: a task that was killed at any instant and resumed ends with the same bits as one that was not
(on the same machine, with the same versions).
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from statistics import fmean, stdev
from typing import Any

from xpm_alchem.gufe_seam import (
    ProtocolBase,
    ProtocolResultBase,
    SmallMoleculeComponent,
    SolventComponent,
    current_repeat,
)
from xpm_alchem.protocols.atom_mapping import given_mapping
from xpm_alchem.protocols.charged_molecule import stored_charges
from xpm_alchem.protocols.gb_parameters import choose_charges
from xpm_alchem.protocols.gb_settings import GBHydrationSettings, as_dict, check_settings
from xpm_alchem.protocols.gb_units import GBAnalysisUnit, GBSetupUnit, GBWindowUnit
from xpm_alchem.protocols.packages import load_package

__all__ = ["GBHydrationProtocol", "GBHydrationResult", "GBHydrationSettings"]

LIGAND, SOLVENT = "ligand", "solvent"


class GBHydrationResult(ProtocolResultBase):
    """Free energy of a transformation from any number of DAG results.

    ``data`` holds, one value for each DAG result: ``estimates``, ``errors`` (MBAR) and ``ti`` in kcal/mol,
    ``min_overlap`` and ``n_effective``.
    """

    def get_estimate(self) -> Any:
        """Return the mean of the estimates, a quantity in kcal/mol.

        Raises
        ------
        ValueError
            No DAG result is complete.
        """
        return _kcal_per_mol(fmean(self._values("estimates")))

    def get_uncertainty(self) -> Any:
        """Return the standard deviation between the estimates, or MBAR's error of a single one, in kcal/mol.

        Raises
        ------
        ValueError
            No DAG result is complete.
        """
        estimates = self._values("estimates")
        return _kcal_per_mol(stdev(estimates) if len(estimates) > 1 else self._values("errors")[0])

    def _values(self, name: str) -> list[float]:
        values: list[float] = self.data[name]
        if not values:
            raise ValueError("There is no complete result of this transformation yet.")
        return values


class GBHydrationProtocol(ProtocolBase):
    """Hydration free energies and relative mutations of one small molecule in vacuum or GB-OBC2 water.

    A ChemicalSystem holds one SmallMoleculeComponent under ``ligand`` and, when it is in water, a SolventComponent
    of pure water under ``solvent`` (its ions are ignored: the model has none). Two kinds of transformation exist:

    - the same ligand, first without and then with solvent: its absolute hydration free energy;
    - two ligands, both without or both with solvent: one leg of a relative hydration free energy, which is the leg
      in water minus the leg in vacuum. A mapping is honoured; without one the largest common substructure is used.

    An extension continues every window from its last positions, with new seeds, and gives an estimate of its own.

    Seeds follow from the molecules, the phase and the number of the repeat when `xpm_alchem.gufe_seam.create_dag`
    tells it; otherwise they are random. On the same machine and with the same versions the same repeat then gives
    the same bits, however often it was interrupted.
    """

    result_cls = GBHydrationResult
    _settings_cls = GBHydrationSettings

    def __init__(self, settings: GBHydrationSettings) -> None:
        """Check the settings.

        Raises
        ------
        ValueError
            A value cannot be used.
        """
        if not isinstance(settings, GBHydrationSettings):
            raise ValueError(f"settings is a {type(settings).__name__}; a GBHydrationSettings is expected.")
        check_settings(settings)
        super().__init__(settings)

    @classmethod
    def _default_settings(cls) -> GBHydrationSettings:
        return GBHydrationSettings()

    def _create(self, stateA: Any, stateB: Any, mapping: Any = None, extends: Any = None) -> list[Any]:
        settings = as_dict(self.settings)
        (ligand_a, solvent_a), (ligand_b, solvent_b) = _split(stateA), _split(stateB)
        if solvent_a != solvent_b and (solvent_a or ligand_a != ligand_b):
            raise ValueError(
                f"'{stateA.name}' to '{stateB.name}' cannot be computed: it {_describe(solvent_a, solvent_b)} and "
                f"{'keeps' if ligand_a == ligand_b else 'changes'} the ligand. Possible are the same ligand from "
                "vacuum (no solvent) to water, and two ligands both in vacuum or both in water."
            )
        absolute = solvent_a != solvent_b
        if not absolute and ligand_a == ligand_b:
            raise ValueError(f"'{stateA.name}' and '{stateB.name}' are the same: there is nothing to compute.")
        pairs = None if absolute else given_mapping(mapping, ligand_a, ligand_b)
        if settings["charge_method"] == "stored":  # found here rather than on a node
            for ligand in (ligand_a, ligand_b):
                choose_charges(ligand, "stored")
        phase = "hydration" if absolute else "solvent" if solvent_a else "vacuum"
        identity = "|".join(["gb-hydration", _identity(ligand_a), _identity(ligand_b), phase])
        earlier = None if extends is None else _last_states(extends, identity, settings["n_windows"])
        run_seed = _run_seed(identity, current_repeat(), earlier)

        setup = GBSetupUnit(
            name="setup",
            settings=settings,
            ligand_a=ligand_a,
            ligand_b=None if absolute else ligand_b,
            mapping=None if pairs is None else [[a, b] for a, b in sorted(pairs.items())],
            solvated=solvent_b,
            identity=identity,
            run_seed=run_seed,
        )
        windows: list[Any] = []
        for window in range(settings["n_windows"]):
            windows.append(
                GBWindowUnit(
                    name=f"window {window}",
                    settings=settings,
                    setup=setup,
                    previous=windows[-1] if windows else setup,
                    window=window,
                    run_seed=run_seed,
                    continues=None if earlier is None else earlier[1][window],
                )
            )
        analysis = GBAnalysisUnit(name="analysis", settings=settings, windows=windows)
        return [setup, *windows, analysis]

    def _gather(self, protocol_dag_results: Iterable[Any]) -> dict[str, Any]:
        outputs = [
            result.outputs
            for dag_result in protocol_dag_results
            for result in dag_result.protocol_unit_results
            if result.ok() and result.outputs.get("unit") == "analysis"
        ]
        return {
            "estimates": [output["estimate"] for output in outputs],
            "errors": [output["error"] for output in outputs],
            "ti": [output["ti"] for output in outputs],
            "min_overlap": [output["min_overlap"] for output in outputs],
            "n_effective": [output["n_effective"] for output in outputs],
        }


def _split(state: Any) -> tuple[Any, bool]:
    """Return the ligand of a chemical system, and whether it is in water."""
    components = dict(state.components)
    ligand, solvent = components.pop(LIGAND, None), components.pop(SOLVENT, None)
    if components or not isinstance(ligand, SmallMoleculeComponent):
        raise ValueError(
            f"The chemical system '{state.name}' has the components {sorted(state.components)}; "
            f"this protocol takes one SmallMoleculeComponent named '{LIGAND}' and, for water, "
            f"a SolventComponent named '{SOLVENT}'."
        )
    if solvent is not None and (not isinstance(solvent, SolventComponent) or solvent.smiles != "O"):
        raise ValueError(
            f"The solvent of the chemical system '{state.name}' is {solvent}; this protocol has water only."
        )
    return ligand, solvent is not None


def _describe(solvent_a: bool, solvent_b: bool) -> str:
    return "goes from water to vacuum" if solvent_a and not solvent_b else "goes from vacuum to water"


def _identity(ligand: Any) -> str:
    """Return what tells a ligand apart, on every version of gufe alike: its name, SMILES and charges."""
    charges = stored_charges(ligand)
    text = "" if charges is None else " ".join(f"{charge:.6f}" for charge in charges)
    return f"{ligand.name}|{ligand.smiles}|{text}"


def _run_seed(identity: str, repeat: int | None, earlier: tuple[str, Any] | None) -> str:
    """Return what the seeds of a DAG are derived from, as hexadecimal digits.

    Parameters
    ----------
    identity
        The molecules and the phase.
    repeat
        Number of the repeat; None: random.
    earlier
        Of an extension: the seed of the extended result comes first in it, so that the chain never repeats itself.
    """
    own = secrets.token_hex(16) if repeat is None else f"repeat {repeat}"
    before = "" if earlier is None else earlier[0]
    return hashlib.sha256(f"{identity}|{own}|{before}".encode()).hexdigest()


def _last_states(extends: Any, identity: str, n_windows: int) -> tuple[str, dict[int, Any]]:
    """Return the seed of a ProtocolDAGResult and, by window, its last positions and velocities.

    Raises
    ------
    ValueError
        It is of another transformation, has another number of windows, or is not complete.
    """
    results = [result for result in extends.protocol_unit_results if result.ok()]
    states = {r.outputs["window"]: r.outputs["last"] for r in results if r.outputs.get("unit") == "window"}
    seeds = [(r.inputs["identity"], r.inputs["run_seed"]) for r in results if r.outputs.get("unit") == "setup"]
    if not seeds or seeds[-1][0] != identity:
        raise ValueError("The result to extend is of another transformation.")
    if sorted(states) != list(range(n_windows)):
        raise ValueError(
            f"The result to extend has {len(states)} complete windows and this protocol n_windows = {n_windows}: "
            "extend a complete result with the same settings."
        )
    return seeds[-1][1], states


def _kcal_per_mol(value: float) -> Any:
    return load_package("openff.units").Quantity(value, "kilocalorie_per_mole")
