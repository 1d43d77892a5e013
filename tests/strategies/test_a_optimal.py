"""The strategy a-optimal: where it puts repeats, when it stops, and what it says."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import attrs
import numpy as np
import pytest
from dummy_protocol import dummy_network
from places import python_path
from proposals import edge, network_of, system

from xpm_alchem import gufe_seam as seam
from xpm_alchem.estimation import covariance, elimination
from xpm_alchem.estimation.node_values import Legs
from xpm_alchem.estimation.repeat_variances import VariancePrior
from xpm_alchem.results.estimates import CountedResult, TransformationResult
from xpm_alchem.strategies.a_optimal import AOptimalStrategy, AOptimalStrategySettings
from xpm_alchem.strategies.choose import make_strategy
from xpm_alchem.strategies.legs import network_legs
from xpm_alchem.strategies.netbfe import prior_spread
from xpm_alchem.strategies.observations import Observation, Observer, observe


@attrs.define
class Result:
    """A ProtocolResult with its repeats."""

    values: list[float]
    uncertainty: float = 0.1
    to_come: int = 0
    cost: float = math.nan
    blocked: bool = False

    @property
    def n_protocol_dag_results(self) -> int:
        return len(self.values) + self.to_come

    def get_individual_estimates(self) -> list[tuple[float, float]]:
        return [(value, self.uncertainty) for value in self.values]

    def get_estimate(self) -> float | None:
        return float(np.mean(self.values)) if self.values else None

    def get_uncertainty(self) -> float:
        return float(np.std(self.values))


class Known(AOptimalStrategy):
    """With variances of single repeats that are known, by name of the transformation."""

    spread: dict[str, float]

    def repeats(self, legs, spreads, known) -> Legs:
        variances = np.array([self.spread[name] ** 2 for name in legs.names])
        return attrs.evolve(
            super().repeats(legs, spreads, known), prior=VariancePrior(np.full(len(known), 1e9), variances)
        )


def a_optimal(cls=AOptimalStrategy, **values):
    return cls(AOptimalStrategySettings(**{"tau": 0.0, **values}))


def by_name(network, weights):
    names = {str(t.key): t.name for t in network.edges}
    return {names[key]: weight for key, weight in weights.items()}


def propose(strategy, network, results):
    """Return the weights by name, given results by name."""
    keys = {t.name: str(t.key) for t in network.edges}
    answer = strategy.propose(network, {keys[name]: result for name, result in results.items()})
    return by_name(network, answer.weights)


def spread_out(sd: float, n: int = 3, centre: float = 0.0) -> list[float]:
    """Return n values with exactly this mean and standard deviation."""
    values = np.linspace(-1, 1, n)
    return (centre + values * sd / values.std(ddof=1)).tolist()


def allocated(spread, costs=None, edges=None, tasks=4000):
    """Return how many repeats each transformation gets if the variances are known."""
    network = network_of(edges)
    strategy = a_optimal(Known, target_standard_error=None, least_gain=1e-30, max_runs=None, batch=10.0)
    strategy.spread = spread
    counts = {t.name: 3 for t in network.edges}
    while sum(counts.values()) < tasks:
        results = {n: Result([0.0] * c, cost=(costs or {}).get(n, 1.0)) for n, c in counts.items()}
        for name, weight in propose(strategy, network, results).items():
            counts[name] += int(weight or 0)
    return counts


# ------------------------------------------------------------------------------------------------- where repeats go
def test_on_a_tree_repeats_go_with_the_spread_and_the_root_of_the_ligands_behind_over_the_cost():
    spread = {"0-1": 0.2, "1-2": 0.4, "2-3": 0.4, "3-4": 0.8}
    costs = {"0-1": 1.0, "1-2": 1.0, "2-3": 4.0, "3-4": 1.0}
    counts = allocated(spread, costs, [edge(0, 1), edge(1, 2), edge(2, 3), edge(3, 4)])
    behind = {"0-1": 1 * 4 / 5, "1-2": 2 * 3 / 5, "2-3": 3 * 2 / 5, "3-4": 4 * 1 / 5}
    expected = {name: spread[name] * math.sqrt(behind[name] / costs[name]) for name in spread}
    scale = sum(counts.values()) / sum(expected.values())
    assert counts == pytest.approx({name: scale * value for name, value in expected.items()}, rel=0.02)


def test_at_the_optimum_the_gain_is_the_same_on_every_edge_that_is_used():
    edges = [edge(0, 1), edge(1, 2), edge(0, 2), edge(2, 3), edge(0, 3)]
    spread = {"0-1": 0.3, "1-2": 0.5, "0-2": 0.4, "2-3": 0.2, "0-3": 0.6}
    counts = allocated(spread, None, edges)
    ends = {e.name: tuple(map(int, e.name.split("-"))) for e in edges}
    laplacian = np.zeros((4, 4))
    for name, (a, b) in ends.items():
        d = np.eye(4)[a] - np.eye(4)[b]
        laplacian += counts[name] / spread[name] ** 2 * np.outer(d, d)
    c = np.linalg.pinv(laplacian)
    used = [name for name in ends if counts[name] > 10]
    gain = [float(np.sum((c[a] - c[b]) ** 2)) / spread[name] ** 2 for name, (a, b) in ends.items() if name in used]
    assert len(used) >= 3 and max(gain) < 1.03 * min(gain)


def test_two_legs_share_by_their_spread_and_the_root_of_their_cost():
    edges = [
        seam.Transformation(system(0, solvent=s), system(1, solvent=s), edge(0, 1).protocol, None, name=name)
        for s, name in ((False, "vacuum"), (True, "solvent"))
    ]
    counts = allocated({"vacuum": 0.2, "solvent": 0.5}, {"vacuum": 1.0, "solvent": 5.9}, edges)
    assert counts["solvent"] / counts["vacuum"] == pytest.approx(0.5 / 0.2 * math.sqrt(1 / 5.9), rel=0.02)


def test_a_transformation_that_scatters_more_gets_more_than_the_others():
    network = network_of([edge(0, 1), edge(1, 2), edge(2, 3), edge(3, 5)])
    results = {name: Result(spread_out(0.1)) for name in ("0-1", "1-2", "2-3")} | {"3-5": Result(spread_out(1.5))}
    weights = propose(a_optimal(batch=1.0, target_standard_error=0.05), network, results)
    assert weights["3-5"] == max(weights.values()) and sum(weights.values()) == 4


def test_a_transformation_that_scatters_much_gets_nothing_where_the_others_tell_the_same():
    network = network_of([edge(0, 1), edge(1, 2), edge(0, 2)])
    results = {"0-1": Result(spread_out(0.1)), "1-2": Result(spread_out(0.1)), "0-2": Result(spread_out(2.0))}
    weights = propose(a_optimal(batch=1.0, target_standard_error=0.02), network, results)
    assert weights["0-2"] == 0 and weights["0-1"] + weights["1-2"] == 3


def test_under_a_target_repeats_go_to_what_is_not_precise_enough():
    network = network_of([edge(0, 1), edge(1, 2), edge(3, 5)])  # two parts
    results = {"0-1": Result(spread_out(0.5)), "1-2": Result(spread_out(0.5)), "3-5": Result(spread_out(0.5))}
    costs = dict.fromkeys(results, 1.0) | {"3-5": 100.0}
    results = {name: attrs.evolve(result, cost=costs[name]) for name, result in results.items()}
    without = propose(a_optimal(batch=1.0, target_standard_error=None, least_gain=1e-12), network, results)
    assert without["3-5"] == 0 and sum(without.values()) == 3
    many = {**results, "0-1": Result(spread_out(0.5, 25), cost=1.0), "1-2": Result(spread_out(0.5, 25), cost=1.0)}
    under = propose(a_optimal(batch=1.0, target_standard_error=0.1), network, many)
    assert under["3-5"] == 3 and under["0-1"] == under["1-2"] == 0


def test_parallel_transformations_are_told_apart():
    network = network_of([edge(0, 1), edge(0, 1, 1), edge(1, 2)])
    results = {"0-1": Result(spread_out(2.0)), "0-1 1": Result(spread_out(0.1)), "1-2": Result(spread_out(0.1))}
    weights = propose(a_optimal(batch=2.0, target_standard_error=0.02), network, results)
    assert weights["0-1 1"] > 0 and weights["0-1"] == 0


# ---------------------------------------------------------------------------------------------------------- the pilot
def test_the_pilot_comes_first_and_what_is_on_its_way_counts():
    network = network_of([edge(0, 1), edge(1, 2), edge(2, 2)])
    strategy = a_optimal()
    first = propose(strategy, network, {})
    assert first == pytest.approx({"0-1": 3.0, "1-2": 3.0, "2-2": 3.0}, abs=1e-4)
    results = {"0-1": Result([], to_come=3), "1-2": Result([0.1], to_come=1), "2-2": Result(spread_out(9.0))}
    assert propose(strategy, network, results) == pytest.approx({"0-1": 0.0, "1-2": 1.0, "2-2": None}, abs=1e-4)


def test_the_pilot_begins_with_what_is_likely_to_scatter_most():
    network = dummy_network([(0, 1), (1, 2), (2, 3)])
    spreads = {t.name: prior_spread(t) for t in network.edges}
    weights = propose(a_optimal(), network, {})
    assert len(set(spreads.values())) == 3
    assert sorted(spreads, key=spreads.get) == sorted(weights, key=weights.get)


def test_repeats_in_flight_are_not_asked_for_again():
    network = network_of([edge(0, 1), edge(1, 2)])
    known = {"0-1": Result(spread_out(1.0)), "1-2": Result(spread_out(0.2))}
    strategy = a_optimal(batch=2.0, target_standard_error=0.05)
    wanted = propose(strategy, network, known)
    assert sum(wanted.values()) == 4
    on_their_way = {name: attrs.evolve(known[name], to_come=int(wanted[name])) for name in known}
    assert set(propose(strategy, network, on_their_way).values()) == {0.0}


# ----------------------------------------------------------------------------------------------------------- the end
def test_it_ends_when_every_value_is_precise_enough():
    network = network_of([edge(0, 1), edge(1, 2), edge(0, 2)])
    results = {t.name: Result(spread_out(0.05)) for t in network.edges}
    strategy = a_optimal(target_standard_error=0.2)
    assert set(propose(strategy, network, results).values()) == {None}
    assert "standard error of 0.2" in strategy.explain(network, with_keys(network, results)).popitem()[1]
    assert set(propose(a_optimal(target_standard_error=0.001), network, results).values()) != {None}


def with_keys(network, results):
    keys = {t.name: str(t.key) for t in network.edges}
    return {keys[name]: result for name, result in results.items()}


def test_it_ends_when_no_repeat_gains_enough():
    network = network_of([edge(0, 1), edge(1, 2)])
    results = {t.name: Result(spread_out(0.1), cost=3600.0) for t in network.edges}
    little = a_optimal(target_standard_error=None, least_gain=1e-4)
    much = a_optimal(target_standard_error=None, least_gain=1e-12)
    assert set(propose(little, network, results).values()) == {None}
    assert set(propose(much, network, results).values()) != {None}


def test_no_transformation_gets_more_than_max_runs():
    network = network_of([edge(0, 1), edge(1, 2)])
    results = {"0-1": Result(spread_out(2.0, 5)), "1-2": Result(spread_out(0.2, 4))}
    strategy = a_optimal(target_standard_error=0.01, max_runs=5, batch=4.0)
    assert propose(strategy, network, results) == {"0-1": None, "1-2": 1.0}
    results["1-2"] = Result(spread_out(0.2, 5))
    assert propose(strategy, network, results) == {"0-1": None, "1-2": None}


def test_what_repeats_cannot_reach_is_said_with_the_edges_that_limit_it_and_no_repeat_is_wasted_on_it():
    network = network_of([edge(0, 1), edge(1, 2), edge(2, 3), edge(0, 2), edge(1, 3), edge(0, 3), edge(3, 5)])
    results = {t.name: Result(spread_out(0.05, 12)) for t in network.edges}
    strategy = a_optimal(tau=0.5, target_standard_error=0.3)
    (sentence,) = [s for s in strategy.remarks(network, with_keys(network, results)) if "not reachable" in s]
    assert "add edges" in sentence and "s_5" in sentence and "s_3 -> s_5" in sentence and "s_0 (" not in sentence
    assert set(propose(strategy, network, results).values()) == {None}


def test_settings_without_an_end_are_refused():
    with pytest.raises(ValueError, match="never ends"):
        AOptimalStrategySettings(target_standard_error=None, max_runs=None)
    for bad in ({"pilot": 1}, {"batch": 0.0}, {"tau": -1.0}, {"costs": {"complex": 0.0}}, {"max_runs": 2.5}):
        with pytest.raises((ValueError, TypeError)):
            AOptimalStrategySettings(**bad)
    assert isinstance(make_strategy("a-optimal", {"target_standard_error": 0.15}), AOptimalStrategy)
    assert all(field.metadata["description"] for field in attrs.fields(AOptimalStrategySettings))


# ------------------------------------------------------------------------------------------------------- robustness
def test_one_repeat_that_says_it_is_certain_is_not_believed():
    assert observe(Result([1.0], uncertainty=0.0)) == Observation(known=1, mean=1.0)
    network = network_of([edge(0, 1), edge(1, 2)])
    results = {t.name: Result([1.0], uncertainty=0.0) for t in network.edges}
    assert propose(a_optimal(), network, results) == pytest.approx({"0-1": 2.0, "1-2": 2.0}, abs=1e-4)


def test_equal_repeats_are_no_certainty_either():
    network = network_of([edge(0, 1), edge(1, 2), edge(0, 2)])
    results = {"0-1": Result([1.0] * 3), "1-2": Result(spread_out(0.5)), "0-2": Result(spread_out(0.5))}
    strategy = a_optimal(target_standard_error=0.05)
    assert all(np.isfinite(w) for w in propose(strategy, network, results).values())
    assert np.all(strategy.plan(network, with_keys(network, results)).fit.standard_errors > 0.01)


def test_results_without_an_estimate_do_not_make_it_ask_for_ever():
    network = network_of([edge(0, 1), edge(1, 2), edge(0, 2)])
    results = {t.name: Result(spread_out(0.5)) for t in network.edges}

    class Useless:
        n_protocol_dag_results = 3

        def get_estimate(self) -> None:
            return None

        def get_uncertainty(self) -> None:
            return None

    weights = propose(a_optimal(target_standard_error=0.05), network, {**results, "0-1": Useless()})
    assert weights["0-1"] is None and weights["1-2"] is not None


def test_a_transformation_in_error_does_not_hold_up_the_others():
    network = network_of([edge(0, 1), edge(1, 2), edge(0, 2)])
    results = {"0-1": Result([], blocked=True), "1-2": Result(spread_out(0.5)), "0-2": Result(spread_out(0.5))}
    strategy = a_optimal(target_standard_error=0.05)
    weights = propose(strategy, network, results)
    assert weights["0-1"] is None and weights["1-2"] + weights["0-2"] > 0
    said = strategy.explain(network, with_keys(network, results))
    assert any("in error" in sentence for sentence in said.values())


def test_ligands_that_no_result_connects_are_named():
    network = network_of([edge(0, 1), edge(1, 2), edge(2, 3)])
    results = {"0-1": Result(spread_out(0.1)), "1-2": Result(spread_out(0.1)), "2-3": Result([], blocked=True)}
    remarks = a_optimal().remarks(network, with_keys(network, results))
    assert any("not connected" in sentence and "s_3" in sentence for sentence in remarks)
    assert a_optimal().remarks(network, {}) == ["no difference between ligands is measured yet"]


def test_a_result_of_any_protocol_that_has_an_estimate_will_do():
    network = network_of([edge(0, 1), edge(1, 2)])
    assert observe(None) == Observation()

    class Plain:
        n_protocol_dag_results = 4

        def get_estimate(self):
            return 2.0

        def get_uncertainty(self):
            return 0.5

    assert observe(Plain()) == Observation(known=4, mean=2.0, squares=0.75)
    weights = propose(a_optimal(target_standard_error=0.05), network, {"0-1": Plain(), "1-2": Plain()})
    assert sum(weights.values()) == 1


def _weights_of_everything(order):
    edges = [edge(0, 1), edge(1, 2), edge(2, 3), edge(0, 3), edge(0, 2), edge(0, 1, 1), edge(3, 3)]
    edges = edges[::-1] if order == "reversed" else edges
    network = network_of(edges)
    rng = np.random.default_rng(0)
    results = {t.name: Result(rng.normal(size=4).tolist()) for t in sorted(edges, key=lambda t: t.name)}
    results = results if order != "reversed" else dict(reversed(results.items()))
    return propose(a_optimal(batch=2.0, target_standard_error=0.01, tau=None), network, results)


def test_the_order_of_edges_does_not_matter():
    assert _weights_of_everything("") == _weights_of_everything("reversed")


@pytest.mark.slow
def test_the_hash_seed_does_not_matter():
    answers = set()
    for seed in ("1", "2"):
        program = "import json, test_a_optimal as t; print(json.dumps(t._weights_of_everything(''), sort_keys=True))"
        env = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": python_path(Path(__file__).parent)}
        output = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
        answers.add(output.stdout.splitlines()[-1])
    (answer,) = answers
    assert json.loads(answer) == _weights_of_everything("")


# --------------------------------------------------------------------------------------------------------- the legs
def test_legs_of_two_environments_make_edges_between_ligands():
    network = dummy_network([(0, 1), (2, 1)], environments=("vacuum", "solvent"))
    legs = network_legs(network)
    assert sorted(legs.node_names) == ["ligand_0", "ligand_1", "ligand_2"]
    assert sorted(map(legs.edge_name, range(2))) == ["ligand_0 -> ligand_1", "ligand_2 -> ligand_1"]
    assert [(environment, sign) for environment, sign in zip(legs.environments, legs.signs, strict=True)].count(
        ("solvent", 1.0)
    ) == 2
    assert np.bincount(legs.edges).tolist() == [2, 2] and set(legs.signs) == {1.0, -1.0}


def test_a_leg_that_stands_alone_is_an_edge_between_its_systems():
    legs = network_legs(network_of([edge(0, 1), edge(1, 1)]))
    assert set(legs.node_names) == {"s_0", "s_1"}
    assert len(legs.apart) == 1 and len(legs.keys) == 1 and legs.edge_name(0) == "s_0 -> s_1"


def test_a_cheap_leg_is_taken_for_what_it_costs():
    network = dummy_network([(0, 1), (1, 2)], environments=("vacuum", "solvent"))
    results = {t.name: Result(spread_out(0.5), cost=100.0 if "solvent" in t.name else 1.0) for t in network.edges}
    weights = propose(a_optimal(target_standard_error=0.01, batch=3.0), network, results)
    assert all((weight > 0) == ("vacuum" in name) for name, weight in weights.items())
    guessed = {t.name: Result(spread_out(0.5)) for t in network.edges}
    given = a_optimal(target_standard_error=0.01, batch=3.0, costs={"solvent": 100.0, "vacuum": 1.0})
    assert propose(given, network, guessed) == weights


# ----------------------------------------------------------------------------------- one strategy for a whole campaign
def counted(name: str, values: list[float], **more) -> CountedResult:
    """Return what the strategist shows of a transformation, made anew as it does in every iteration."""
    mean = math.fsum(values) / len(values) if values else None
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
    numbers = tuple(range(1, len(values) + 1))
    given = (0.1,) * len(values)
    result = TransformationResult(name, name, "solvent", tuple(values), given, mean, sd, None, numbers, "P")
    return CountedResult(len(values), result, **more)


def some_network(choose: np.random.Generator, nodes: int, chords: int):
    """Return a network of two parts, with cycles and transformations side by side."""
    pairs = [(int(choose.integers(0, n)), n) for n in range(1, nodes) if n != nodes * 2 // 3]
    pairs += [(int(a), int(b)) for a, b in choose.integers(0, nodes, (chords, 2)) if a != b]
    return network_of([edge(a, b, number + 1) for number, (a, b) in enumerate(pairs)])


@pytest.mark.parametrize("kind", ["dense", "sparse"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_results_that_come_one_by_one_lead_where_a_new_strategy_goes(seed, kind, monkeypatch):
    choose = np.random.default_rng(seed)
    network = some_network(choose, 14, 8)
    names = [t.name for t in network.edges]
    scatter = dict(zip(names, choose.lognormal(-1.0, 0.7, len(names)), strict=True))
    values = {name: choose.normal(0.0, scatter[name], choose.integers(0, 4)).tolist() for name in names}
    settings = {"tau": None, "target_standard_error": 0.05, "batch": 0.7, "pilot": 2, "max_runs": 9}
    kept = a_optimal(**settings)
    for step in range(25):
        name = names[int(choose.integers(len(names)))]
        values[name].append(float(choose.normal(0.0, scatter[name])))
        if step % 7 == 3:  # a result that was taken back
            values[names[0]] = values[names[0]][:-1]
        more = {
            name: {"to_come": int(choose.integers(0, 2)), "blocked": bool(choose.random() < 0.05)} for name in names
        }
        shown = {n: counted(n, values[n], **more[n]).with_more(more[n]["to_come"]) for n in names}
        with monkeypatch.context() as patch:
            if kind == "sparse":
                patch.setattr(covariance, "_DENSE_NODES", 0)
                patch.setattr(covariance, "_MOST_CHANGES", 2)
                patch.setattr(elimination, "_FEW", 3)
            found = propose(kept, network, shown)
        expected = propose(a_optimal(**settings), network, shown)
        assert {n for n, w in found.items() if w is None} == {n for n, w in expected.items() if w is None}
        known = [n for n, weight in expected.items() if weight is not None]
        assert [found[n] for n in known] == pytest.approx([expected[n] for n in known], rel=1e-9)
    assert any(found.values())


def test_what_has_not_changed_is_read_once_and_what_has_is_read_again(monkeypatch):
    read = []
    monkeypatch.setattr("xpm_alchem.strategies.observations.observe", lambda one: (read.append(one), observe(one))[1])
    observer = Observer()
    first = observer.known("a", counted("a", [0.1, 0.3]))
    assert observer.known("a", counted("a", [0.1, 0.3]).with_more(4)) is first and len(read) == 1
    assert first == observe(counted("a", [0.1, 0.3]))
    for changed in (counted("a", [0.1, 0.4]), counted("a", [0.1, 0.4], blocked=True), counted("a", [0.1], cost=3.0)):
        assert observer.known("a", changed) == observe(changed)
    assert observer.known("a", None) == Observation() and len(read) == 5
