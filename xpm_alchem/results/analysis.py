"""Everything that is made of the results of a campaign, at any time. Pure. Energies in kcal/mol."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from xpm_alchem.campaign.experimental import Measured
from xpm_alchem.campaign.task_state import TaskState
from xpm_alchem.network.index import Index
from xpm_alchem.results.comparison import Comparison, compare
from xpm_alchem.results.convergence import running_estimates
from xpm_alchem.results.cycle_closures import CycleClosure, cycle_closures
from xpm_alchem.results.estimates import EdgeResult, TransformationResult, edge_results, transformation_results
from xpm_alchem.results.measured_network import MeasuredNetwork, measured_networks
from xpm_alchem.results.network_estimates import NetworkEstimate, estimate_values, steadied_values
from xpm_alchem.results.outliers import EdgeOutlier, RepeatOutlier, edge_outliers, edge_residuals, repeat_outliers
from xpm_alchem.results.scatter import Scatter

Floats = NDArray[np.float64]


class NetworkAnalysis:
    """What the edges of one pair of environments say together.

    Parameters
    ----------
    measured
        The edges.
    experimental
        Measured values by name of the ligand.

    Attributes
    ----------
    estimate
        The ligands' values as `openfe gather` and cinnabar estimate them.
    steadied
        The same with steadied variances, as `network_estimates.steadied_values`.
    tau
        The edges' own error that it found, kcal/mol.
    variances
        Of the means of the edges' repeats, steadied, (kcal/mol)^2, shape (E,); NaN where a leg has no result.
    experiment, experiment_errors
        Of the ligands, kcal/mol, shape (K,); NaN where there is none.
    """

    def __init__(self, measured: MeasuredNetwork, experimental: Mapping[str, Measured]) -> None:
        self.measured = measured
        topology, values = measured.topology, measured.values
        self.estimate: NetworkEstimate = estimate_values(topology, values, measured.sds)
        self.steadied, fit = steadied_values(topology, measured.legs)
        self.tau = fit.tau
        posterior = measured.legs.prior.posterior(measured.legs.counts, measured.legs.squares)
        of_means = measured.legs.edge_sums(posterior.mean / np.maximum(measured.legs.counts, 1.0), len(values))
        self.variances: Floats = np.where(np.isfinite(values), of_means, np.nan)
        self.experiment, self.experiment_errors = self._measured_values(experimental)

    def _measured_values(self, experimental: Mapping[str, Measured]) -> tuple[Floats, Floats]:
        values, errors = np.full((2, len(self.measured.ligands)), np.nan)
        for number, name in enumerate(self.measured.ligands):
            if (found := experimental.get(name)) is not None:
                values[number] = found.value
                errors[number] = np.nan if found.uncertainty is None else found.uncertainty
        return values, errors

    @cached_property
    def closures(self) -> list[CycleClosure]:
        """The closures of independent cycles, the worst first."""
        return cycle_closures(self.measured.topology, self.measured.values, self.variances)

    @cached_property
    def residuals(self) -> tuple[Floats, Floats]:
        """How far each edge is from what the rest of the network says, kcal/mol, and its z; shape (E,)."""
        return edge_residuals(self.measured.topology, self.measured.values, self.variances + self.tau**2)

    @cached_property
    def edge_outliers(self) -> list[EdgeOutlier]:
        """Edges that do not fit the rest, the worst first."""
        return edge_outliers(self.measured.topology, self.measured.values, self.variances + self.tau**2)

    @property
    def best(self) -> NetworkEstimate:
        """The estimate that is compared with experiment: openfe's convention as soon as it has values."""
        return self.estimate if np.isfinite(self.estimate.values).any() else self.steadied

    @cached_property
    def comparison(self) -> Comparison | None:
        """The ligands' values against experiment: of the largest connected part, as parts cannot be compared."""
        values = np.where(self.best.parts == 0, self.best.values, np.nan)
        return compare(values, self.experiment, centred=True)

    @cached_property
    def edge_comparison(self) -> Comparison | None:
        """ddG of the edges against experiment; correlations would depend on the edges' directions."""
        differences = self.measured.topology.differences(self.experiment)
        return compare(self.measured.values, differences, centred=False, names=("rmse", "mue"))


class Analysis:
    """All results of a campaign.

    Parameters
    ----------
    index
        The network's.
    tasks
        By transformation.
    experimental
        Measured values by name of the ligand.

    Attributes
    ----------
    transformations
        Results by stable id.
    edges
        ddG of every edge.
    networks
        One for each pair of environments.
    """

    def __init__(
        self,
        index: Index,
        tasks: Mapping[str, Iterable[TaskState]],
        experimental: Mapping[str, Measured] | None = None,
    ) -> None:
        self.index, self.experimental = index, dict(experimental or {})
        self.transformations: dict[str, TransformationResult] = transformation_results(index, tasks)
        self.edges: list[EdgeResult] = edge_results(index, self.transformations)
        self._scatter = Scatter(self.transformations)
        measured = measured_networks(self.edges, self.transformations, self._scatter)
        self.networks = [NetworkAnalysis(network, self.experimental) for network in measured]

    @cached_property
    def repeat_outliers(self) -> list[RepeatOutlier]:
        """Repeats far from the others of their transformation, the worst first."""
        return repeat_outliers(self.transformations, self._scatter)

    def running(self, network: NetworkAnalysis) -> dict[int, NetworkEstimate]:
        """Return the ligands' steadied values with the first n repeats of every transformation, by n.

        The variances are those that all repeats tell of, so that only the values move.
        """

        def estimate(results: Mapping[str, TransformationResult]) -> NetworkEstimate:
            edges = edge_results(self.index, results)
            measured = measured_networks(edges, results, self._scatter)
            same = next(
                m for m in measured if m.ligands == network.measured.ligands and m.name == network.measured.name
            )
            return steadied_values(same.topology, same.legs)[0]

        return running_estimates(self.index, self.transformations, estimate)

    @property
    def unknown_ligands(self) -> list[str]:
        """Names in the file of experimental values that no ligand has."""
        known = {ligand for network in self.networks for ligand in network.measured.ligands}
        return sorted(set(self.experimental) - known)
