"""What a protocol says of one repeat by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from xpm_alchem import gufe_seam
from xpm_alchem.base.energies import Believed, believed, believed_pairs


class RepeatEstimate(NamedTuple):
    """What is believed of it, what it says of each simulation inside, and what is to be said about that."""

    found: Believed
    simulations: list[list[float]]
    message: str


def estimate_of(dag_result: Any, load_transformation: Callable[[], Any]) -> RepeatEstimate:
    """Ask the protocol of a transformation; one that cannot say loses no result."""
    try:
        gathered = gufe_seam.gather(load_transformation(), [dag_result])
        if (given := gathered.get_estimate()) is None:
            return RepeatEstimate(Believed(None, None), [], "complete; this protocol computes no free energy")
        estimate = _energy(given)
    except Exception as error:
        message = f"complete, but the protocol gave no estimate: {type(error).__name__}: {error}"
        return RepeatEstimate(Believed(None, None), [], message)
    uncertainty, message = None, "complete, but the protocol gave no estimate" if estimate is None else ""
    try:
        uncertainty = _energy(gathered.get_uncertainty())
    except Exception as error:
        message = f"the protocol gave no uncertainty: {type(error).__name__}: {error}"
    found = believed(estimate, uncertainty)
    simulations = [] if found.left_out else believed_pairs(gufe_seam.individual_estimates(gathered))
    return RepeatEstimate(found, simulations, found.left_out or message)


def _energy(value: Any) -> Any:
    """Return an energy in kcal/mol; what is none as it is, so that it can be told."""
    try:
        return None if value is None else gufe_seam.in_kcal_per_mol(value)
    except Exception:  # of another dimension, say
        return value
