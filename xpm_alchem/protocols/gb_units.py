"""The units of the GB hydration protocol: setup, one for each lambda window, analysis."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from xpm_alchem.base.files import write_json
from xpm_alchem.gufe_seam import ProtocolUnitBase
from xpm_alchem.protocols.atom_mapping import common_mapping
from xpm_alchem.protocols.gb_analysis import analyse
from xpm_alchem.protocols.gb_engine import (
    Schedule,
    State,
    Window,
    load_progress,
    minimise,
    save_progress,
    segment_seed,
)
from xpm_alchem.protocols.gb_parameters import parametrise
from xpm_alchem.protocols.gb_system import Edge, hydration_edge, mutation_edge

# The names of the files in a unit's shared directory.
EDGE_FILE = "edge.json"
START_FILE = "start.npz"
WINDOW_FILE = "window.npz"


class GBSetupUnit(ProtocolUnitBase):
    """Parametrises the molecules, builds the edge between them and minimises it."""

    @staticmethod
    def _execute(
        ctx: Any,
        *,
        settings: dict[str, Any],
        ligand_a: Any,
        ligand_b: Any = None,
        mapping: list[list[int]] | None = None,
        solvated: bool = True,
        **inputs: Any,
    ) -> dict[str, Any]:
        """Write the edge and the minimised state.

        Parameters
        ----------
        settings
            The protocol's settings as plain values.
        ligand_a, ligand_b
            The SmallMoleculeComponents; without `ligand_b` the edge is the hydration of `ligand_a`.
        mapping
            Pairs of atoms (A, B); None: the largest common substructure.
        solvated
            Whether a mutation happens in GB water.
        """
        shared = Path(ctx.shared).absolute()
        how = (settings["forcefield"], settings["charge_method"], settings["nagl_model"])
        first = parametrise(ligand_a, *how)
        n_common = first.n_atoms
        if ligand_b is None:
            edge = hydration_edge(first)
        else:
            pairs = {pair[0]: pair[1] for pair in mapping or []}
            pairs = pairs or common_mapping(ligand_a.to_rdkit(), ligand_b.to_rdkit())
            edge = mutation_edge(first, parametrise(ligand_b, *how), pairs, solvated)
            n_common = len(pairs)
        write_json(shared / EDGE_FILE, edge.to_dict())
        save_progress(shared / START_FILE, minimise(edge), 0, np.zeros(0))
        return {
            "unit": "setup",
            "edge": shared / EDGE_FILE,
            "state": shared / START_FILE,
            "n_atoms": edge.n_atoms,
            "n_common_atoms": n_common,
        }


class GBWindowUnit(ProtocolUnitBase):
    """Samples one lambda window, segment after segment."""

    @staticmethod
    def _execute(
        ctx: Any,
        *,
        settings: dict[str, Any],
        setup: Any,
        previous: Any,
        window: int,
        run_seed: str,
        continues: dict[str, list[list[float]]] | None = None,
        **inputs: Any,
    ) -> dict[str, Any]:
        """Sample, from the checkpoint in the shared directory on when there is one.

        Parameters
        ----------
        settings
            The protocol's settings as plain values.
        setup, previous
            Results of the setup unit, and of the unit whose last state is the start of this window.
        window
            Its number, from 0.
        run_seed
            What the seeds of the DAG are derived from.
        continues
            Positions (nm) and velocities (nm/ps) of the same window at the end of the extended result; it goes on
            from there, without equilibration, instead of from `previous`.
        """
        checkpoint = Path(ctx.shared).absolute() / WINDOW_FILE
        edge = Edge.from_dict(json.loads(Path(setup.outputs["edge"]).read_text()))
        schedule = Schedule.from_settings(settings, equilibrate=continues is None)
        if continues is None:
            start, _, _ = load_progress(Path(previous.outputs["state"]))
        else:
            start = State(np.array(continues["positions"]), np.array(continues["velocities"]))
        lam = window_lambda(window, settings["n_windows"])
        n_segments = schedule.n_equilibration + schedule.n_production
        seeds = [segment_seed(run_seed, window, segment) for segment in range(n_segments)]
        end, _ = Window(edge, lam, schedule).run(start, seeds, checkpoint)
        return {
            "unit": "window",
            "window": window,
            "lambda": lam,
            "state": checkpoint,
            # As numbers too: an extension must not depend on files of a task that may have been cleaned up.
            "last": {"positions": end.positions.tolist(), "velocities": end.velocities.tolist()},
        }


class GBAnalysisUnit(ProtocolUnitBase):
    """Estimates the free energy from all windows."""

    @staticmethod
    def _execute(ctx: Any, *, settings: dict[str, Any], windows: list[Any], **inputs: Any) -> dict[str, Any]:
        """Read the samples of all windows and analyse them; the energies are in kcal/mol.

        Parameters
        ----------
        settings
            The protocol's settings as plain values.
        windows
            Results of the window units, in their order.
        """
        samples = [load_progress(Path(window.outputs["state"]))[2] for window in windows]
        lambdas = [window.outputs["lambda"] for window in windows]
        return {"unit": "analysis", **analyse(samples, lambdas, settings["temperature"])}


def window_lambda(window: int, n_windows: int) -> float:
    """Return the lambda of a window: 0 for the first, exactly 1 for the last."""
    return window / (n_windows - 1)
