"""What a strategy's choice of repeats gains, on networks with the scatter that was measured on real ones.

    python bench/allocation.py [DATA.csv.gz] [--json] [--quick]

The table holds free energies of every repeat of the solvent and the complex leg of many edges. For each system with at
least 10 edges: the true variance of every edge is drawn from its posterior given the measured repeats, true node values
are 0, and an edge's tasks are Normal(bias, s), the same samples for every policy. After a pilot on every edge, batches
of a quarter of the edges go where the policy says, by way of the shipped strategies' `propose` and the shipped
strategist's iteration, until there are 6 tasks an edge. Node values come from the shipped estimator for every policy.

gain            mean squared error of the node values, uniform's over the policy's: geometric mean over systems
p10, p90        of the systems' gains
tasks_to_match  tasks with which the policy reaches uniform's error at 6 an edge, over uniform's: median (never: null)
cost_to_match   the same in GPU cost (one complex repeat costs 5.9 solvent repeats)
calibration     predicted over actual variance of the node values
regret          mean squared error over that of the policy that knows the true variances, minus 1
propose_ms      milliseconds of one iteration
against_plain   gain against uniform with plain shrinkage (two degrees of freedom, one scale) as estimator
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import math
import os
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import attrs
import networkx as nx
import numpy as np
from common import ROOT, print_table
from scipy.special import digamma, polygamma

from xpm_alchem.estimation.node_values import Legs, fit_nodes
from xpm_alchem.estimation.repeat_variances import VariancePrior
from xpm_alchem.plan.strategy import StrategyPlan
from xpm_alchem.strategies.a_optimal import AOptimalStrategy, AOptimalStrategySettings
from xpm_alchem.strategies.connectivity import ConnectivityStrategy, ConnectivityStrategySettings
from xpm_alchem.strategies.legs import NetworkLegs, network_legs
from xpm_alchem.strategies.observations import Observation, observe
from xpm_alchem.strategies.radial_growth import RadialGrowthStrategy, RadialGrowthStrategySettings
from xpm_alchem.strategies.repeat_plan import AllocationState, repeats_of
from xpm_alchem.strategies.uniform import UniformStrategy, UniformStrategySettings
from xpm_alchem.strategy import Counts, StrategyState, iterate

DATA = ROOT.parent / "shared" / "data" / "industry2024_per_repeat_pymbar3.csv.gz"
TASKS_AN_EDGE = 6
LEAST_EDGES = 10
MOST_SAMPLES = 600
COMPLEX_COST = 5.9  # of one solvent repeat
ENDLESS = 10**6
SEED = 20241

Floats = Any


@attrs.frozen(eq=False)
class System:
    """One system: its edges, each with three repeats of dG and of MBAR's error, of both legs, (E, 3, 2)."""

    name: str
    ligands: tuple[str, ...]
    edges: tuple[tuple[str, str], ...]
    values: Floats
    errors: Floats


# ------------------------------------------------------------------------------------------------------------ the data
def read_systems(path: Path) -> list[System]:
    """Return the systems with enough edges: one edge a ligand pair, all repeats finite, the largest connected part."""
    repeats: dict[str, dict[tuple[str, str], list[list[float]]]] = defaultdict(lambda: defaultdict(list))
    columns = ("dg_solvent", "dg_complex", "err_solvent", "err_complex")
    with gzip.open(path, "rt") if path.suffix == ".gz" else open(path) as lines:
        rows = csv.DictReader(lines)
        if missing := [
            c for c in ("group", "system", "ligandA", "ligandB", *columns) if c not in (rows.fieldnames or ())
        ]:
            raise ValueError(f"lacks the column(s) {', '.join(missing)}")
        for row in rows:
            numbers = [float(row[column] or "nan") for column in columns]
            repeats[f"{row['group']}/{row['system']}"][row["ligandA"], row["ligandB"]].append(numbers)
    systems = []
    for name, edges in repeats.items():
        graph: nx.Graph[str] = nx.Graph()
        for (a, b), rows in edges.items():
            complete = [row for row in rows if all(map(math.isfinite, row[:2]))]
            if a != b and len(complete) >= 3 and len(complete) == len(rows) and not graph.has_edge(a, b):
                graph.add_edge(a, b, edge=(a, b))
        if graph:
            graph = graph.subgraph(max(nx.connected_components(graph), key=len))
        if graph.number_of_edges() >= LEAST_EDGES:
            kept = tuple(sorted(edge for _, _, edge in graph.edges(data="edge")))
            table = np.array([edges[edge][:3] for edge in kept])
            systems.append(System(name, tuple(sorted(graph)), kept, table[:, :, :2], np.nan_to_num(table[:, :, 2:])))
    return systems


def moments(variances: Floats) -> tuple[float, float]:
    """Return (d0, s0^2) of the prior of variances of three repeats by moments of their logarithms (limma)."""
    logs = np.log(np.maximum(variances, 1e-6))
    centred = logs - digamma(1.0)
    excess = float(centred.var(ddof=1) - polygamma(1, 1.0))
    degrees = 2.0 * np.exp(np.linspace(np.log(0.2), np.log(5e3), 20000))
    half = degrees / 2
    d0 = float(np.interp(max(excess, 1e-4), polygamma(1, half)[::-1], degrees[::-1]))
    return d0, float(np.exp(centred.mean() + digamma(d0 / 2) - np.log(d0 / 2)))


def draw(system: System, rng: np.random.Generator, tau: float, *, legs: bool) -> tuple[Floats, Floats]:
    """Return true variances (M,) and samples (M, n) of every leg (of every edge, if legs are not told apart)."""
    parts = [system.values[:, :, 0], system.values[:, :, 1]] if legs else [system.values @ np.array([-1.0, 1.0])]
    variances, samples = [], []
    for number, part in enumerate(parts):
        measured = np.maximum(part.var(axis=1, ddof=1), 1e-6)
        d0, s0 = moments(measured)
        true = np.clip((d0 * s0 + 2 * measured) / rng.chisquare(d0 + 2, len(measured)), 1e-4, 25.0)
        bias = tau * rng.standard_normal(len(measured)) if number == len(parts) - 1 else np.zeros(len(measured))
        variances.append(true)
        noise = rng.standard_normal((len(measured), MOST_SAMPLES))
        samples.append(bias[:, None] + np.sqrt(true)[:, None] * noise)
    return np.concatenate(variances), np.concatenate(samples)


def make_network(system: System, *, legs: bool) -> tuple[Any, list[str]]:
    """Return a gufe network and the keys of its transformations: all edges, or all solvent legs, then all complex."""
    import dummy_protocol as dummy

    from xpm_alchem import gufe_seam as seam

    protocol = dummy.DummyProtocol(dummy.DummySettings())
    molecules = {name: dummy.small_molecule(name) for name in system.ligands}
    others = [{}, {"solvent": seam.SolventComponent()}] if legs else [{}]  # two environments
    made = []
    for number, other in enumerate(others):
        states = {n: seam.ChemicalSystem({"ligand": m, **other}, name=f"{n} {number}") for n, m in molecules.items()}
        made += [seam.Transformation(states[a], states[b], protocol, None, name=f"{a} {b}") for a, b in system.edges]
    return seam.AlchemicalNetwork(edges=made), [str(t.key) for t in made]


@attrs.define
class Result:
    """A ProtocolResult as openfe's: the repeats with MBAR's errors."""

    values: Floats
    errors: Floats
    cost: float
    to_come: int = 0

    @property
    def n_protocol_dag_results(self) -> int:
        return len(self.values) + self.to_come

    def get_individual_estimates(self) -> list[tuple[float, float]]:
        return list(zip(self.values.tolist(), self.errors.tolist(), strict=True))


# --------------------------------------------------------------------------------------------------------- the policies
class DOptimal(AOptimalStrategy):
    """Largest gain of log det of the information."""

    def scores(self, state: AllocationState) -> Floats:
        edges, n = state.legs.edges, state.counts
        variance = 1.0 / state.weights[edges]
        gained = 1.0 / (variance - state.variances / (n * (n + 1.0))) - state.weights[edges]
        return np.log1p(gained * state.own[edges]) / state.costs


class VarianceGreedy(AOptimalStrategy):
    """The largest variance of an edge's mean next."""

    def scores(self, state: AllocationState) -> Floats:
        return state.variances / state.counts / state.costs


class Oracle(AOptimalStrategy):
    """Knows the true variances."""

    true: Floats = None

    def repeats(self, legs: NetworkLegs, spreads: Floats, known: Sequence[Observation]) -> Legs:
        made = super().repeats(legs, spreads, known)
        return attrs.evolve(made, prior=VariancePrior(np.full(len(known), 1e9), self.true))


def policies(*, legs: bool, pilot: int, tau: float) -> dict[str, tuple[Any, str]]:
    """Return strategies, each with the normalisation of its weights."""

    def settings(pilot: int) -> AOptimalStrategySettings:
        return AOptimalStrategySettings(
            target_standard_error=None, least_gain=1e-12, max_runs=None, pilot=pilot, tau=tau, batch=0.25
        )

    if legs:
        return {
            "uniform": (UniformStrategy(UniformStrategySettings(repeats=ENDLESS)), "max"),
            "a-optimal-legs": (AOptimalStrategy(settings(pilot)), "max"),
            "oracle-legs": (Oracle(settings(pilot)), "max"),
        }
    connectivity = ConnectivityStrategy(ConnectivityStrategySettings(max_runs=ENDLESS))
    return {
        "uniform": (UniformStrategy(UniformStrategySettings(repeats=ENDLESS)), "max"),
        "connectivity-sum": (connectivity, "sum"),
        "connectivity-max": (connectivity, "max"),
        "radial-growth": (RadialGrowthStrategy(RadialGrowthStrategySettings(max_runs=TASKS_AN_EDGE)), "max"),
        "variance-greedy": (VarianceGreedy(settings(pilot)), "max"),
        "d-optimal": (DOptimal(settings(pilot)), "max"),
        "a-optimal": (AOptimalStrategy(settings(pilot)), "max"),
        "oracle": (Oracle(settings(pilot)), "max"),
    }


# ------------------------------------------------------------------------------------------------------------- one run
@attrs.frozen
class Point:
    """What was spent, the mean squared error of the node values, what was predicted, and that of plain shrinkage."""

    cost: float
    tasks: float
    error: float
    predicted: float
    plain: float


class Run:
    """One draw of one system under one policy."""

    def __init__(self, system: System, network: Any, keys: list[str], samples: Floats, *, legs: bool) -> None:
        self.network, self.samples = network, samples
        self.paired = network_legs(network)
        self.place = {key: number for number, key in enumerate(keys)}
        edges = len(system.edges)
        squared = system.errors**2
        errors = squared.transpose(2, 0, 1).reshape(-1, 3) if legs else squared.sum(axis=2)
        self.errors = np.sqrt(errors)
        self.costs = np.repeat([1.0, COMPLEX_COST], edges) if legs else np.full(edges, 1.0 + COMPLEX_COST)
        self.order = np.array([self.place[key] for key in self.paired.keys])

    def results(self, counts: Floats) -> dict[str, Result]:
        """Return what is known after so many repeats."""
        made = {}
        for key, leg in self.place.items():
            n = int(counts[leg])
            made[key] = Result(self.samples[leg, :n], self.errors[leg, np.arange(n) % 3], float(self.costs[leg]))
        return made

    def seen(self, counts: Floats) -> list[Observation]:
        """Return the same as the strategies see it, in the order of the paired legs."""
        results = self.results(counts)
        return [observe(results[key]) for key in self.paired.keys]

    def measure(self, counts: Floats, tau: float) -> Point:
        """Return how good the node values are after so many repeats."""
        seen = self.seen(counts)
        repeats = repeats_of(self.paired, np.ones(len(seen)), seen)
        fit = fit_nodes(self.paired.topology, repeats, tau)
        per_count = repeats.squares / np.maximum(repeats.counts - 1, 1)
        scales = np.zeros(len(seen))
        for group in set(self.paired.groups.tolist()):
            mine = self.paired.groups == group
            scales[mine] = 1.5 * np.exp(np.log(np.maximum(per_count[mine], 1e-4)).mean())
        plain = attrs.evolve(repeats, prior=VariancePrior(np.full(len(seen), 2.0), scales))
        values = fit_nodes(self.paired.topology, plain, tau, iterations=0).values
        return Point(
            cost=float(self.costs @ counts),
            tasks=float(counts.sum()),
            error=float(np.mean(fit.values**2)),
            predicted=float(np.mean(fit.standard_errors**2)),
            plain=float(np.mean(values**2)),
        )

    def step(self, strategy: Any, normalization: str, counts: Floats, tasks: int) -> tuple[list[int], float]:
        """Return the legs that get a task each in the next batch, and the milliseconds that this took."""
        plan = StrategyPlan(normalization=normalization, max_tasks_per_transformation=20)
        results = self.results(counts)

        def propose(to_come: Mapping[str, int]) -> Mapping[str, float | None]:
            with_more = {key: attrs.evolve(result, to_come=to_come[key]) for key, result in results.items()}
            return strategy.propose(self.network, with_more).weights

        began = time.perf_counter()
        state = {key: Counts(complete=int(counts[leg])) for key, leg in self.place.items()}
        proposal = iterate(plan, StrategyState(), state, propose, 0.0)
        took = (time.perf_counter() - began) * 1000
        if proposal.state.exception is not None:
            raise RuntimeError(proposal.state.traceback)
        return [self.place[key] for key in proposal.create[:tasks]], took


@attrs.frozen
class Curve:
    """One draw of one policy, batch by batch, with the milliseconds of each iteration."""

    points: list[Point]
    milliseconds: list[float]


def run_system(
    system: System, *, tau: float, pilot: int, draws: int, legs: bool, number: int
) -> dict[str, list[Curve]]:
    """Return a curve for every draw of every policy."""
    network, keys = make_network(system, legs=legs)
    curves: dict[str, list[Curve]] = defaultdict(list)
    for seed in range(draws):
        true, samples = draw(system, np.random.default_rng([SEED, number, seed]), tau, legs=legs)
        run = Run(system, network, keys, samples, legs=legs)
        total = float(np.sum(run.costs)) * TASKS_AN_EDGE
        batch = max(1, len(keys) // 4)
        for name, (strategy, normalization) in policies(legs=legs, pilot=pilot, tau=tau).items():
            if isinstance(strategy, Oracle):
                strategy.true = true[run.order]
            counts = np.full(len(keys), pilot)
            spent, points, milliseconds = float(run.costs @ counts), [run.measure(counts, tau)], []
            while spent < total - 1e-6:
                if name == "uniform":  # round robin
                    strategy = UniformStrategy(UniformStrategySettings(repeats=int(counts.min()) + 1))
                chosen, took = run.step(strategy, normalization, counts, batch)
                milliseconds.append(took)
                for leg in chosen:
                    spent += run.costs[leg]
                    if spent > total + 1e-6:  # what is left does not pay for it
                        break
                    counts[leg] += 1
                points.append(run.measure(counts, tau))
            curves[name].append(Curve(points, milliseconds))
    return curves


# ---------------------------------------------------------------------------------------------------------- the figures
def mean_curve(curves: Sequence[Curve], steps: int = 48) -> dict[str, Floats]:
    """Return the mean over draws at equal costs."""
    first = curves[0].points[0].cost
    last = max(point.cost for curve in curves for point in curve.points)
    costs = np.linspace(first, last, steps + 1)
    means = {"cost": costs}
    for field in ("tasks", "error", "predicted", "plain"):
        values = [
            np.interp(costs, [p.cost for p in curve.points], [getattr(p, field) for p in curve.points])
            for curve in curves
        ]
        means[field] = np.mean(values, axis=0)
    return means


def to_match(mine: Mapping[str, Floats], uniform: Mapping[str, Floats], unit: str) -> float:
    """Return what a policy spends until its error is uniform's last one, over what uniform has spent."""
    wanted, error = uniform["error"][-1], mine["error"]
    below = np.flatnonzero(error <= wanted)
    if not len(below):
        return math.inf
    i = int(below[0])
    if i == 0:
        return float(mine[unit][0] / uniform[unit][-1])
    share = (error[i - 1] - wanted) / (error[i - 1] - error[i])
    return float((mine[unit][i - 1] + share * (mine[unit][i] - mine[unit][i - 1])) / uniform[unit][-1])


def geometric(values: Sequence[float]) -> float:
    """Return the geometric mean."""
    return float(np.exp(np.mean(np.log(values))))


def figures(systems: Sequence[Mapping[str, list[Curve]]], name: str, oracle: str) -> dict[str, float]:
    """Return the figures of a policy over all systems."""
    found: dict[str, list[float]] = defaultdict(list)
    for curves in systems:
        uniform, mine, best = (mean_curve(curves[which]) for which in ("uniform", name, oracle))
        found["gain"].append(uniform["error"][-1] / mine["error"][-1])
        found["plain"].append(uniform["plain"][-1] / mine["error"][-1])
        found["calibration"].append(mine["predicted"][-1] / mine["error"][-1])
        found["regret"].append(mine["error"][-1] / best["error"][-1])
        found["tasks"].append(to_match(mine, uniform, "tasks"))
        found["cost"].append(to_match(mine, uniform, "cost"))
        found["ms"] += [ms for curve in curves[name] for ms in curve.milliseconds]
    return {
        "gain": geometric(found["gain"]),
        "p10": float(np.quantile(found["gain"], 0.1)),
        "p90": float(np.quantile(found["gain"], 0.9)),
        "tasks_to_match": float(np.median(found["tasks"])),
        "cost_to_match": float(np.median(found["cost"])),
        "calibration": geometric(found["calibration"]),
        "regret": geometric(found["regret"]) - 1.0,
        "propose_ms": float(np.median(found["ms"])),
        "against_plain": geometric(found["plain"]),
    }


def measure_all(systems: Sequence[System], *, tau: float, pilot: int, draws: int) -> dict[str, dict[str, float]]:
    """Return the figures of every policy."""
    found: dict[str, dict[str, float]] = {}
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for legs, oracle in ((False, "oracle"), (True, "oracle-legs")):
            running = [
                pool.submit(run_system, system, tau=tau, pilot=pilot, draws=draws, legs=legs, number=number)
                for number, system in enumerate(systems)
            ]
            curves = [each.result() for each in running]
            for name in curves[0]:
                if not (legs and name == "uniform"):
                    found[name] = figures(curves, name, oracle)
    return found


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path, default=DATA, help="a table of repeats (see above)")
    parser.add_argument("--json", action="store_true", help="print JSON; only tau 0 and a pilot of 3")
    parser.add_argument("--draws", type=int, default=24, help="of every system")
    parser.add_argument("--quick", action="store_true", help="few systems and draws: does it run at all")
    given = parser.parse_args()
    if not given.data.is_file():
        print(f"{given.data}: there is no such table.", file=sys.stderr)
        return 2
    try:
        systems = read_systems(given.data)
    except (OSError, ValueError, TypeError) as error:  # no table, or not a number where one should be
        print(f"{given.data}: cannot be used: {error}", file=sys.stderr)
        return 2
    if not systems:
        print(f"{given.data}: has no system with {LEAST_EDGES} connected edges.", file=sys.stderr)
        return 2
    draws = 2 if given.quick else given.draws
    systems = systems[:2] if given.quick else systems
    if given.json:
        found = measure_all(systems, tau=0.0, pilot=3, draws=draws)
        print(json.dumps({"policies": {n: {k: _finite(v) for k, v in f.items()} for n, f in found.items()}}, indent=1))
        return 0
    print(f"{len(systems)} systems, {sum(len(s.edges) for s in systems)} edges, {draws} draws each")
    for tau in (0.0, 0.17):
        for pilot in (3, 2):
            found = measure_all(systems, tau=tau, pilot=pilot, draws=draws)
            head = ["policy", *next(iter(found.values()))]
            rows = [(name, *(f"{value:.3f}" for value in values.values())) for name, values in found.items()]
            print_table(f"tau {tau:g} kcal/mol, pilot {pilot}", head, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
