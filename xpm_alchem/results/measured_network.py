"""The edges of one pair of environments, as measured differences between ligands. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs
import numpy as np
from numpy.typing import NDArray

from xpm_alchem.estimation.covariance import Topology
from xpm_alchem.estimation.node_values import Legs
from xpm_alchem.estimation.repeat_variances import VariancePrior
from xpm_alchem.results.estimates import EdgeResult, TransformationResult
from xpm_alchem.results.scatter import Scatter, squares_of

Floats = NDArray[np.float64]


@attrs.frozen(eq=False)
class MeasuredNetwork:
    """Ligands and the edges between them; those without a result are among them. Energies in kcal/mol.

    Attributes
    ----------
    environments
        The earlier and the later; an edge's value is ddG = dG(later) - dG(earlier).
    ligands
        Their names, K of them, each once.
    edges
        E of them.
    topology
        Which ligands they join: from ligand A (tail) to ligand B (head).
    legs
        Their repeats, two legs for each edge.
    """

    environments: tuple[str, str]
    ligands: tuple[str, ...]
    edges: tuple[EdgeResult, ...]
    topology: Topology
    legs: Legs

    @property
    def name(self) -> str:
        """What an edge's value is, as 'complex - solvent'."""
        return " - ".join(reversed(self.environments))

    @property
    def values(self) -> Floats:
        """ddG of the edges, shape (E,); NaN where a leg has no result."""
        return _or_nan(edge.estimate for edge in self.edges)

    @property
    def sds(self) -> Floats:
        """Deviations between repeats, both legs added in squares, shape (E,); NaN where a leg has fewer than two."""
        return _or_nan(edge.sd for edge in self.edges)


def measured_networks(
    edges: Iterable[EdgeResult], results: Mapping[str, TransformationResult], scatter: Scatter
) -> list[MeasuredNetwork]:
    """Return the networks of edges whose values may be compared: the same two environments, with the same content."""
    groups: dict[tuple[tuple[str, str], tuple[str, str]], list[EdgeResult]] = {}
    for edge in edges:
        groups.setdefault((edge.environments, edge.places), []).append(edge)
    return [_network(environments, group, results, scatter) for (environments, _), group in sorted(groups.items())]


def _network(
    environments: tuple[str, str],
    edges: list[EdgeResult],
    results: Mapping[str, TransformationResult],
    scatter: Scatter,
) -> MeasuredNetwork:
    names: dict[str, str] = {}
    for edge in edges:
        names |= dict(zip(edge.ligand_ids, (edge.ligand_a, edge.ligand_b), strict=True))
    order = sorted(names, key=lambda node: (names[node], node))
    number = {node: position for position, node in enumerate(order)}
    topology = Topology(
        len(order),
        np.array([number[edge.ligand_ids[1]] for edge in edges], dtype=np.int64),
        np.array([number[edge.ligand_ids[0]] for edge in edges], dtype=np.int64),
    )
    ligands = tuple(names[node] for node in order)
    return MeasuredNetwork(environments, ligands, tuple(edges), topology, _legs(edges, results, scatter))


def _legs(edges: list[EdgeResult], results: Mapping[str, TransformationResult], scatter: Scatter) -> Legs:
    legs = [(number, results[stable_id], sign) for number, edge in enumerate(edges) for stable_id, sign in edge.legs]
    priors = [scatter.prior(result.id) for _, result, _ in legs]
    return Legs(
        edges=np.array([number for number, _, _ in legs], dtype=np.int64),
        counts=np.array([len(result.repeats) for _, result, _ in legs], dtype=float),
        means=np.array([sign * (result.estimate or 0.0) for _, result, sign in legs]),
        squares=np.array([squares_of(result) for _, result, _ in legs]),
        prior=VariancePrior(np.array([p.degrees for p in priors]), np.array([p.scale for p in priors])),
    )


def _or_nan(numbers: Iterable[float | None]) -> Floats:
    return np.array([np.nan if number is None else number for number in numbers], dtype=float)
