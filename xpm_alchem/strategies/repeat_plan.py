"""How many repeats every leg of a network should have, planned one repeat after another from what is known."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincinv

from xpm_alchem.estimation.blas_threads import one_blas_thread
from xpm_alchem.estimation.covariance import Covariance
from xpm_alchem.estimation.node_values import Legs, NodeValues, edge_weights, fit_nodes, floor_errors
from xpm_alchem.estimation.repeat_variances import GUESSED_VARIANCE, PROTOCOL_VARIANCE, VariancePrior, fit_prior
from xpm_alchem.strategies.legs import NetworkLegs
from xpm_alchem.strategies.observations import Observation

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_VARIANCE_LEVELS = (np.arange(4) + 0.5) / 4  # quantiles of what a variance may be
_NEXT_SQUARES = 2.0 * gammaincinv(0.5, np.array([0.25, 0.75]))  # of chi-square with one degree of freedom,
_NEXT_SQUARES /= _NEXT_SQUARES.mean()  # scaled to its mean: how far the next repeat may be from the truth
_FLOOR_MARGIN = 1.1  # a node whose floor is above the target is left alone this close to its floor
_NAMED = 5  # of a long list, in a remark
_ROUNDS = 50  # beyond so many repeats ahead several are planned at once


class Limits(Protocol):
    """When to stop, and how far to plan ahead: `AOptimalStrategySettings`, which says what each is."""

    @property
    def target_standard_error(self) -> float | None: ...
    @property
    def least_gain(self) -> float | None: ...
    @property
    def pilot(self) -> int: ...
    @property
    def max_runs(self) -> int | None: ...
    @property
    def batch(self) -> float: ...
    @property
    def tau(self) -> float | None: ...
    @property
    def costs(self) -> Mapping[str, float]: ...


class AllocationState:
    """A network with so many repeats of every leg, the latest of them not computed yet.

    Attributes
    ----------
    counts
        Repeats of each leg, shape (M,).
    costs
        Of one more repeat, shape (M,).
    weights
        Of the edges, (kcal/mol)^-2, shape (E,).
    nodes
        How much the variance of each node counts, shape (K,).
    own, gains
        b^T C b of each edge, and the sum of (C b)^2 over the nodes that count, shape (E,).
    squared_errors
        The expected squared standard error of each node, (kcal/mol)^2, shape (K,).
    """

    def __init__(self, legs: Legs, fit: NodeValues, counts: Floats, costs: Floats) -> None:
        self.nodes = np.ones(fit.covariance.topology.nodes)
        self.legs, self.tau, self.counts, self.costs = legs, fit.tau, counts.copy(), costs
        self.topology = fit.covariance.topology
        self.variances, self._mean = fit.variances.plug_in, fit.variances.mean
        self._degrees = fit.variances.degrees + counts - legs.counts
        self.weights = edge_weights(self.topology, legs, counts, self.variances, self.tau)
        self.covariance = Covariance(self.topology, self.weights)
        edges = len(self.weights)
        expected = self.tau**2 + legs.edge_sums(self._mean / np.maximum(counts, 1.0), edges)
        self.own = self.covariance.own()
        self.gains = self.covariance.gains(np.arange(self.topology.nodes), self.nodes)
        self.squared_errors = self.covariance.spread(self.weights**2 * expected)
        self._diagonal = self.covariance.variances()
        self._possible = self._quantiles(np.arange(len(counts)))

    def _quantiles(self, legs: NDArray[np.int64]) -> Floats:
        """Return what the variance of a repeat of these legs may be, shape (m, 4)."""
        degrees = self._degrees[legs, None]
        chi_square = 2.0 * gammaincinv(degrees / 2.0, _VARIANCE_LEVELS)
        return np.asarray(self.variances[legs, None] * degrees / chi_square)

    def expected_drop(self) -> Floats:
        """Return by how much one more repeat of each leg is expected to lower the sum of the nodes' variances.

        In (kcal/mol)^2, shape (M,); of the nodes that count. The rest of the network gives the difference along an edge
        with the variance R = h / (1 - w h), h = b^T C b. The edge itself, with variance v and weight p = R / (R + v')
        for an estimate v' of v, lowers it to p^2 v + (1 - p)^2 R, and the sum by |C b|^2 / h^2 times as much. Here v is
        integrated over its posterior, and v' after the repeat over what the repeat may say of it.
        """
        edges, n = self.legs.edges, np.maximum(self.counts, 1.0)
        weights, own = self.weights[edges], np.maximum(self.own[edges], 1e-300)
        rest_of_network = (own / (1.0 - np.minimum(weights * own, 1.0 - 1e-9)))[:, None]
        of_mean = self.variances / n
        others = self.legs.edge_sums(of_mean, len(self.weights))[edges] - of_mean
        others = (self.tau**2 + np.maximum(others, 0.0))[:, None]
        now = self._left(rest_of_network, others + of_mean[:, None], others + self._possible / n[:, None])
        sums = self.variances * self._degrees
        drop = np.zeros(len(n))
        for square in _NEXT_SQUARES:
            after = (sums[:, None] + square * self._possible) / (self._degrees[:, None] + 1.0)
            next_n = n[:, None] + 1.0
            left = self._left(rest_of_network, others + after / next_n, others + self._possible / next_n)
            drop += (now - left).mean(axis=1) / len(_NEXT_SQUARES)
        return np.where(weights > 0, self.gains[edges] / own**2 * drop, 0.0)

    @staticmethod
    def _left(rest_of_network: Floats, estimated: Floats, actual: Floats) -> Floats:
        share = rest_of_network / (rest_of_network + estimated)
        return np.asarray(share**2 * actual + (1.0 - share) ** 2 * rest_of_network)

    def count_only(self, nodes: Floats) -> None:
        """Let only some nodes count from now on."""
        changed, counted = np.flatnonzero(nodes != self.nodes), np.flatnonzero(nodes)
        if len(changed) < len(counted):
            self.gains = np.maximum(self.gains + self.covariance.gains(changed, (nodes - self.nodes)[changed]), 0.0)
        elif len(changed):
            self.gains = self.covariance.gains(counted, nodes[counted])
        self.nodes = nodes

    def apart(self, order: Ints, most: int) -> Ints:
        """Return the first of some legs, no two of which share a node: what one gains changes little of the others."""
        chosen: list[int] = []
        taken: set[int] = set()
        for leg in order:
            ends = {int(end[self.legs.edges[leg]]) for end in (self.topology.heads, self.topology.tails)}
            if taken.isdisjoint(ends):
                taken |= ends
                chosen.append(int(leg))
                if len(chosen) == most:
                    break
        return np.array(chosen, dtype=np.int64)

    @one_blas_thread
    def add(self, legs: Ints) -> None:
        """Add a repeat of some legs, of different edges: as if it had said what is expected."""
        edges = self.legs.edges[legs]
        self.counts[legs] += 1.0
        self._degrees[legs] += 1.0
        self._possible[legs] = self._quantiles(legs)
        of_mean = self.legs.edge_sums(self.variances / np.maximum(self.counts, 1.0), len(self.weights))[edges]
        weights = 1.0 / (self.tau**2 + np.maximum(of_mean, 1e-9))
        columns, reach, factor = self.covariance.change(edges, weights - self.weights[edges], self.nodes)
        self.weights[edges] = weights
        along, far = self.topology.differences(columns), self.topology.differences(reach)
        counted = columns.T @ (self.nodes[:, None] * columns)
        scaled = along @ factor
        self.own -= np.einsum("ij,ij->i", scaled, along)
        self.gains -= 2.0 * np.einsum("ij,ij->i", scaled, far) - np.einsum("ij,ij->i", scaled, scaled @ counted)
        lost = np.einsum("ij,ij->i", columns @ factor, columns)
        kept = np.clip(1.0 - lost / np.maximum(self._diagonal, 1e-300), 0.0, 1.0)
        self.squared_errors *= kept
        self._diagonal *= kept


class RepeatPlan:
    """The repeats every leg should have, given those that are known.

    Parameters
    ----------
    legs
        The network.
    spreads
        NetBFE's guess of each leg's scatter, shape (M,).
    known
        What is known of each leg, in the order of `legs.keys`.
    repeats
        The same as numbers; see `repeats_of`.
    limits
        When to stop.
    scores
        How good one more repeat of each leg is, per cost: shape (M,).

    Attributes
    ----------
    targets
        Repeats that each leg should have, those in flight among them.
    finished
        Why no more repeats are wanted of any leg; None while some are.
    fit
        Node values from what is known.
    floor
        Standard errors that no number of repeats goes below, kcal/mol, shape (K,).
    """

    def __init__(
        self,
        legs: NetworkLegs,
        spreads: Floats,
        known: Sequence[Observation],
        repeats: Legs,
        limits: Limits,
        scores: Callable[[AllocationState], Floats],
    ) -> None:
        self.legs, self.known, self.limits = legs, known, limits
        self.counts = repeats.counts
        self.costs = _costs(legs, known, limits.costs)
        self._spreads = spreads
        self._blocked = np.array([one.blocked or one.silent >= limits.pilot for one in known], dtype=bool)
        self.repeats = repeats
        self.fit = fit_nodes(legs.topology, self.repeats, limits.tau)
        usable = self.repeats.edge_sums((self._blocked & (self.counts == 0)).astype(float), len(self.fit.weights)) == 0
        self.floor = floor_errors(legs.topology, usable, self.fit.tau)
        self.finished: str | None = None
        self.targets = self._targets(scores)

    @property
    def wanted_errors(self) -> Floats:
        """The standard error each node should have, kcal/mol, shape (K,): the target, or a little above the floor."""
        target = self.limits.target_standard_error or 0.0
        return np.maximum(target, _FLOOR_MARGIN * self.floor)

    def _targets(self, scores: Callable[[AllocationState], Floats]) -> NDArray[np.int64]:
        piloted = np.where(self._blocked, self.counts, np.maximum(self.counts, float(self.limits.pilot)))
        missing = int(np.sum(piloted - self.counts))
        ahead = math.ceil(self.limits.batch * len(self.counts)) - missing
        if ahead <= 0:
            return np.asarray(piloted, dtype=np.int64)
        state = AllocationState(self.repeats, self.fit, piloted, self.costs)
        picked, at_once = 0, max(1, ahead // _ROUNDS)
        while picked < ahead:
            imprecise = self._imprecise(state.squared_errors)
            state.count_only(imprecise)
            if not imprecise.any():
                reason = f"every value has a standard error of {self.limits.target_standard_error:g} kcal/mol or less"
                break
            open_legs = ~self._blocked & (state.counts < (self.limits.max_runs or math.inf))
            found = np.where(open_legs, _without_noise(scores(state)), -math.inf)
            best = float(found.max())
            if not best > 0:
                reason = f"no transformation may get more repeats (max_runs {self.limits.max_runs}, or in error)"
                break
            least = (self.limits.least_gain or 0.0) * self.legs.topology.nodes
            if best < least:
                reason = f"no repeat gains {self.limits.least_gain:g} (kcal/mol)^2 per cost any more"
                break
            order = np.argsort(-found, kind="stable")
            chosen = state.apart(order[(found[order] > 0) & (found[order] >= least)], min(at_once, ahead - picked))
            state.add(chosen)
            picked += len(chosen)
        else:
            return np.asarray(state.counts, dtype=np.int64)
        if not picked and not missing:
            self.finished = reason
        return np.asarray(state.counts, dtype=np.int64)

    def _imprecise(self, squared_errors: Floats) -> Floats:
        """Return 1.0 for each node that is not as precise as it should be, shape (K,); all, if there is no target."""
        if self.limits.target_standard_error is None:
            return np.ones(len(squared_errors))
        return (np.sqrt(squared_errors) > self.wanted_errors).astype(float)

    def weight(self, leg: int, counted: int) -> float | None:
        """Return how many repeats a leg with so many, in flight or done, should get now; None: never any more."""
        most = self.limits.max_runs
        if self.finished is not None or self._blocked[leg] or (most is not None and self.counts[leg] >= most):
            return None
        missing = float(max(0, int(self.targets[leg]) - counted))
        if missing and counted < self.limits.pilot:  # those that are likely to scatter most begin
            return missing * (1.0 - 1e-6 * (1.0 - self._spreads[leg] / self._spreads.max()))
        return missing

    def reason(self, leg: int) -> str:
        """Return in words why a leg gets what it gets."""
        seen = self.known[leg]
        spread = math.sqrt(self.fit.variances.plug_in[leg])
        if self._blocked[leg]:
            return "gets no repeats: a task is in error, or its results have no estimate"
        if self.finished is not None:
            return f"gets no more: {self.finished}"
        if seen.known < self.limits.pilot:
            return f"the pilot: {self.limits.pilot} repeats before its scatter is believed"
        if self.limits.max_runs is not None and seen.known >= self.limits.max_runs:
            return f"gets no more: max_runs is {self.limits.max_runs}"
        about = f"one repeat scatters by about {spread:.2g} kcal/mol"
        more = int(self.targets[leg]) - seen.known
        if more > 0:
            return f"{more} more lower(s) the variance most for its cost ({about})"
        return f"others lower the variance more for their cost ({about})"

    def remarks(self) -> list[str]:
        """Return what is to be said of the whole network."""
        names, errors = self.legs.node_names, self.fit.standard_errors
        said = []
        measured = np.bincount(self.fit.covariance.parts, minlength=1)[self.fit.covariance.parts] > 1
        if not measured.any():
            return ["no difference between ligands is measured yet"]
        worst = int(np.argmax(np.where(measured, errors, -1.0)))
        line = f"standard errors: median {np.median(errors[measured]):.3f}, largest {errors[worst]:.3f} kcal/mol "
        said.append(f"{line}({names[worst]}); an edge's own error tau is {self.fit.tau:.2f} kcal/mol")
        if cut_off := [name for name, known in zip(names, measured, strict=True) if not known]:
            said.append(f"not connected to the others by results yet: {_list(cut_off)}")
        target = self.limits.target_standard_error
        if target is not None and (hopeless := [k for k in np.argsort(-self.floor) if self.floor[k] > target]):
            edges = dict.fromkeys(edge for edges in self._limiting_edges(hopeless) for edge in edges)
            said.append(
                f"a standard error of {target:g} kcal/mol is not reachable by repeats for "
                f"{_list([f'{names[k]} (not below {self.floor[k]:.2f})' for k in hopeless])}: add edges to these. "
                f"Limited most by {_list([self.legs.edge_name(edge) for edge in edges])}"
            )
        if self.finished is not None:
            said.append(f"finished: {self.finished}")
        return said

    def _limiting_edges(self, nodes: Sequence[int]) -> Iterator[list[int]]:
        """Yield for each node the edges whose own errors make up most of its floor, the worst first."""
        weights = np.where(self.fit.weights > 0, 1.0, 0.0)
        covariance = Covariance(self.legs.topology, weights)
        for node in nodes:
            unit = np.zeros(self.legs.topology.nodes)
            unit[node] = 1.0
            shares = weights * self.legs.topology.differences(covariance.apply(unit)) ** 2
            yield [int(edge) for edge in np.argsort(-shares, kind="stable")[:2] if shares[edge] > 0]


def _without_noise(numbers: Floats) -> Floats:
    """Return numbers to nine digits: of legs that are equally good the first is chosen, however it was reckoned."""
    mantissas, exponents = np.frexp(numbers)
    return np.asarray(np.ldexp(np.round(mantissas * 2.0**30) / 2.0**30, exponents))


def _list(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def repeats_of(legs: NetworkLegs, spreads: Floats, known: Sequence[Observation]) -> Legs:
    """Return the repeats of every leg as numbers, with the prior of their variances, fitted to each kind of leg."""
    counts = np.array([one.known for one in known], dtype=float)
    squares = np.array([one.squares for one in known])
    given = np.log([one.given_variance for one in known])
    degrees, scales = np.zeros(len(known)), np.zeros(len(known))
    for group in range(int(legs.groups.max(initial=-1)) + 1):
        mine = legs.groups == group
        if np.isfinite(given[mine]).any():
            prior = fit_prior(counts[mine], squares[mine], given[mine], PROTOCOL_VARIANCE)
        else:
            prior = fit_prior(counts[mine], squares[mine], 2.0 * np.log(spreads[mine]), GUESSED_VARIANCE)
        degrees[mine], scales[mine] = prior.degrees, prior.scales
    return Legs(
        edges=legs.edges,
        counts=counts,
        means=legs.signs * np.array([one.mean for one in known]),
        squares=squares,
        prior=VariancePrior(degrees, scales),
    )


def _costs(legs: NetworkLegs, known: Sequence[Observation], given: Mapping[str, float]) -> Floats:
    """Return the cost of one more repeat of each leg: measured, or as its kind's, or as given, or like the others."""
    costs = np.array([one.cost for one in known], dtype=float)
    guess = np.array([given.get(environment, math.nan) for environment in legs.environments])
    both = np.isfinite(costs) & np.isfinite(guess)
    guess *= np.mean(costs[both] / guess[both]) if both.any() else 1.0
    for group in range(int(legs.groups.max(initial=-1)) + 1):
        mine = legs.groups == group
        measured = np.isfinite(costs) & mine
        missing = mine & ~np.isfinite(costs)
        costs[missing] = costs[measured].mean() if measured.any() else guess[missing]
    known_costs = costs[np.isfinite(costs)]
    return np.where(np.isfinite(costs), costs, known_costs.mean() if len(known_costs) else 1.0)
