"""Closures of the cycles of a network: free energy is a function of state, so each should be zero. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping

import attrs
import numpy as np
from numpy.typing import NDArray

from xpm_alchem.estimation.covariance import Topology
from xpm_alchem.results.cycle_basis import cycle_basis

Floats = NDArray[np.float64]


@attrs.frozen
class CycleClosure:
    """One cycle. Energies in kcal/mol.

    Attributes
    ----------
    nodes
        The ligands in order; the last is joined to the first.
    closure
        Sum of ddG along them.
    standard_error
        Of the sum, from the repeats of its edges; None where it is not known.
    """

    nodes: tuple[int, ...]
    closure: float
    standard_error: float | None

    @property
    def z(self) -> float | None:
        """The closure over its standard error; None where that is not known."""
        if self.standard_error is None:
            return None
        return self.closure / self.standard_error if self.standard_error > 0 else math.copysign(math.inf, self.closure)


def cycle_closures(topology: Topology, values: Floats, variances: Floats) -> list[CycleClosure]:
    """Return the closures of a basis of independent cycles, the worst first.

    The basis is the one of `cycle_basis`, with the shortest cycles there are.

    Parameters
    ----------
    values, variances
        Of the edges, kcal/mol and (kcal/mol)^2, shape (E,); NaN where unknown. Edges without a value are left out.
    """
    known = {
        (int(topology.tails[edge]), int(topology.heads[edge])): (float(values[edge]), float(variances[edge]))
        for edge in np.flatnonzero(np.isfinite(values))
    }
    found = [_closure(known, cycle) for cycle in cycle_basis(topology.nodes, list(known))]
    return sorted(found, key=lambda one: (-_badness(one), -abs(one.closure), one.nodes))


def independent_cycles(topology: Topology, values: Floats) -> int:
    """Return how many independent cycles the edges with a value make."""
    known = np.isfinite(values).astype(float)
    parts = topology.parts(known)
    return int(known.sum()) - topology.nodes + int(parts.max(initial=-1)) + 1


def _closure(known: Mapping[tuple[int, int], tuple[float, float]], nodes: tuple[int, ...]) -> CycleClosure:
    total, variances = [], []
    for start, end in zip(nodes, (*nodes[1:], nodes[0]), strict=True):
        forth = (start, end) in known
        value, variance = known[(start, end) if forth else (end, start)]
        total.append(value if forth else -value)
        variances.append(variance)
    error = math.sqrt(math.fsum(variances)) if all(map(math.isfinite, variances)) else None
    return CycleClosure(nodes, math.fsum(total), error)


def _badness(closure: CycleClosure) -> float:
    return -1.0 if closure.z is None else abs(closure.z)
