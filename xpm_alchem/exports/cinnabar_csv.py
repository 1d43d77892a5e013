"""cinnabar's CSV: experimental values and calculated ddG, in kcal/mol. Pure."""

from __future__ import annotations

import math

from xpm_alchem.base.errors import InputError
from xpm_alchem.base.values import printable
from xpm_alchem.results.analysis import NetworkAnalysis

_WORDS = ("Experiment", "Calculate", "Relative")  # a line that holds one begins a block


def cinnabar_csv(network: NetworkAnalysis) -> str:
    """Return the file that ``cinnabar.FEMap`` reads.

    The uncertainty of a ddG is the one that `openfe gather` takes: the standard deviations between repeats of both legs
    added in squares. Edges that have none yet are left out. cinnabar adds its two columns up: the second is 0.

    Raises
    ------
    InputError
        The name of a ligand would be misread.
    """
    measured = network.measured
    for name in measured.ligands:
        is_plain = name == name.strip() == printable(name) and "," not in name and not name.startswith("#")
        if not is_plain or any(word in name for word in _WORDS):
            raise InputError(f"the ligand '{name}' would be misread in cinnabar's CSV: rename it.")
    lines = ["# Experimental block", "# Ligand, expt_DG, expt_dDG"]
    for name, value, error in zip(measured.ligands, network.experiment, network.experiment_errors, strict=True):
        if math.isfinite(value):
            lines.append(f"{name},{float(value)!r},{float(error) if math.isfinite(error) else 0.0!r}")
    lines += ["", "# Calculated block", "# Ligand1,Ligand2,calc_DDG,calc_dDDG(MBAR),calc_dDDG(additional)"]
    topology = measured.topology
    for number, edge in enumerate(measured.edges):
        if edge.estimate is not None and edge.sd is not None:
            names = (measured.ligands[ends[number]] for ends in (topology.tails, topology.heads))
            lines.append(f"{','.join(names)},{edge.estimate!r},{edge.sd!r},0.0")
    return "\n".join(lines) + "\n"
