"""The strategies: ours, stratocaster's, and how a strategy is made and asked about a real network."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import attrs
import pytest
from dummy_protocol import DummyProtocol, DummySettings, dummy_network
from hypothesis import given, settings
from hypothesis import strategies as st
from proposals import NEEDS_STRATOCASTER, counted, edge, network_of, system, weights_by_name

from xpm_alchem import gufe_seam as seam
from xpm_alchem.base.errors import CampaignError, MissingPackageError, UntrustedModuleError
from xpm_alchem.campaign.task_state import CampaignState
from xpm_alchem.execution.dag_run import TaskSpec, run
from xpm_alchem.execution.directory import TaskDirectory
from xpm_alchem.network.loading import load_network
from xpm_alchem.plan.campaign_yaml import Plan
from xpm_alchem.plan.strategy import StrategyPlan
from xpm_alchem.strategies.base import StrategyResult
from xpm_alchem.strategies.choose import BUILT_IN, make_strategy, strategy_class
from xpm_alchem.strategies.connectivity import ConnectivityStrategy, ConnectivityStrategySettings
from xpm_alchem.strategies.strategist import Strategist
from xpm_alchem.strategies.uniform import UniformStrategy, UniformStrategySettings
from xpm_alchem.strategy import DORMANT, ERROR, StrategyState

TRUSTED = ("dummy_protocol",)
THEIRS = "stratocaster.strategies:ConnectivityStrategy"


def connectivity(**values):
    return ConnectivityStrategy(ConnectivityStrategySettings(**values))


# --------------------------------------------------------------------------------------------------------- uniform
def test_uniform_wants_the_same_number_everywhere():
    network = dummy_network([(0, 1), (1, 2), (2, 3)])
    counts = {"ligand_0_ligand_1_vacuum": 2, "ligand_1_ligand_2_vacuum": 1, "ligand_2_ligand_3_vacuum": 5}
    assert weights_by_name(UniformStrategy(UniformStrategySettings(repeats=2)), network, counts) == {
        "ligand_0_ligand_1_vacuum": None,
        "ligand_1_ligand_2_vacuum": 1.0,
        "ligand_2_ligand_3_vacuum": None,
    }
    assert UniformStrategy.default_settings().repeats == 3


# ---------------------------------------------------------------------------------------------------- connectivity
def test_connectivity_on_a_star_with_a_tail():
    network = dummy_network([(0, 1), (0, 2), (0, 3), (3, 4)])  # degrees: 0 has 3, 3 has 2, the rest 1
    counts = {"ligand_0_ligand_2_vacuum": 1, "ligand_0_ligand_3_vacuum": 3}
    assert weights_by_name(connectivity(max_runs=3), network, counts) == {
        "ligand_0_ligand_1_vacuum": 2.0,
        "ligand_0_ligand_2_vacuum": 1.0,
        "ligand_0_ligand_3_vacuum": None,
        "ligand_3_ligand_4_vacuum": 1.5,
    }


def test_connectivity_stops_below_its_cutoff():
    network = dummy_network([(0, 1)])
    for results, weight in [(0, 1.0), (1, 0.25), (2, None)]:
        counts = {"ligand_0_ligand_1_vacuum": results}
        strategy = connectivity(decay_rate=0.25, cutoff=0.1)
        assert weights_by_name(strategy, network, counts) == {"ligand_0_ligand_1_vacuum": weight}


@pytest.mark.parametrize(
    "bad",
    [{}, {"cutoff": None, "max_runs": None}]
    + [{"max_runs": 3, "decay_rate": rate} for rate in (0.0, 1.0, -0.5)]
    + [{"max_runs": 0}, {"max_runs": 1.5}, {"cutoff": 0.0}],
)
def test_connectivity_settings_that_make_no_sense_are_refused(bad):
    with pytest.raises((ValueError, TypeError)):
        ConnectivityStrategySettings(**bad)


@pytest.fixture(scope="module")
def parallel():
    """Two transformations between the same two systems, by protocols with other settings."""
    ends = system(0), system(1)
    return network_of(
        [
            seam.Transformation(*ends, DummyProtocol(DummySettings(n_steps=n)), None, name=f"with {n} steps")
            for n in (4, 5)
        ]
    )


@pytest.fixture(scope="module")
def with_plain_sampling():
    """One transformation, and a NonTransformation of its first system."""
    protocol = DummyProtocol(DummySettings())
    first, second = system(0), system(1)
    return network_of(
        [
            seam.Transformation(first, second, protocol, None, name="edge"),
            seam.NonTransformation(first, protocol, name="sampling"),
        ]
    )


def test_parallel_transformations_each_get_a_weight(parallel):
    counts = {"with 4 steps": 1}
    assert weights_by_name(connectivity(max_runs=3), parallel, counts) == {"with 4 steps": 1.0, "with 5 steps": 2.0}


def test_a_non_transformation_counts_once_for_its_system(with_plain_sampling):
    found = weights_by_name(connectivity(max_runs=3), with_plain_sampling, {})
    assert found == {"edge": 1.5, "sampling": 2.0}


def test_all_zero_weights_are_resolved_to_zero():
    assert StrategyResult({"a": 0.0, "b": 0.0, "c": None}).resolve() == {"a": 0.0, "b": 0.0, "c": None}
    assert StrategyResult({"a": 3.0, "b": 1.0, "c": None}).resolve() == {"a": 0.75, "b": 0.25, "c": None}


# -------------------------------------------------------------------------------- beside stratocaster's own strategy
def theirs(**values):
    pytest.importorskip("stratocaster", reason=NEEDS_STRATOCASTER)
    from stratocaster.strategies import ConnectivityStrategy as Theirs

    return Theirs(type(Theirs.default_settings())(**values))


PAIRS = list(itertools.combinations(range(5), 2))


@settings(deadline=None, derandomize=True, max_examples=25)
@given(
    edges=st.lists(st.sampled_from(PAIRS), unique=True, min_size=1, max_size=7),
    flips=st.integers(0, 127),
    counts=st.lists(st.integers(0, 4), min_size=7, max_size=7),
    values=st.sampled_from(
        [{"max_runs": 3}, {"cutoff": 0.6}, {"max_runs": 2, "cutoff": 0.3, "decay_rate": 0.7}, {"max_runs": 1}]
    ),
)
def test_the_weights_are_stratocaster_s_on_simple_networks(edges, flips, counts, values):
    reference = theirs(**values)
    edges = [(b, a) if flips >> n & 1 else (a, b) for n, (a, b) in enumerate(edges)]
    network = dummy_network(edges)
    known = {f"ligand_{a}_ligand_{b}_vacuum": n for (a, b), n in zip(edges, counts, strict=False)}
    assert weights_by_name(connectivity(**values), network, known) == weights_by_name(reference, network, known)


def test_stratocaster_gives_a_parallel_transformation_no_weight(parallel):
    assert len(weights_by_name(theirs(max_runs=3), parallel, {})) == 1  # ours: two, see above


def test_stratocaster_counts_a_self_loop_twice(with_plain_sampling):
    found = weights_by_name(theirs(max_runs=3), with_plain_sampling, {})
    assert found == {"edge": 2.0, "sampling": 3.0}  # ours: 1.5 and 2.0, see above


def test_stratocaster_cannot_resolve_weights_that_are_all_zero():
    pytest.importorskip("stratocaster", reason=NEEDS_STRATOCASTER)
    from stratocaster.base.strategy import StrategyResult as Theirs

    with pytest.raises(ZeroDivisionError):
        Theirs({"a": 0.0}).resolve()


# --------------------------------------------------------------------------------------------------- make_strategy
def test_a_built_in_strategy_with_a_setting_changed():
    strategy = make_strategy("uniform", {"repeats": 5})
    assert isinstance(strategy, UniformStrategy) and strategy.settings.repeats == 5
    strategy = make_strategy("connectivity", {"decay_rate": 0.9})
    assert (strategy.settings.decay_rate, strategy.settings.max_runs) == (0.9, 3)
    strategy = make_strategy("radial-growth", {"candidacy_max_distance": 2})
    assert (strategy.settings.candidacy_max_distance, strategy.settings.max_runs) == (2, 3)


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_setting_of_a_built_in_strategy_says_what_it_is(name):
    fields = attrs.fields(type(strategy_class(name).default_settings()))
    assert fields and all(field.metadata["description"] for field in fields)


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_built_in_strategy_knows_its_way_around_an_odd_network(name):
    """Two parts, parallel transformations, a loop, an isolated system: all get a weight, none is negative."""
    pairs = [(0, 1), (1, 2), (1, 2, 1), (2, 1), (1, 1), (3, 4), (5, 5)]
    network = seam.AlchemicalNetwork(edges=[edge(*pair) for pair in pairs], nodes=[system(6)])
    strategy = make_strategy(name, {})
    for counts in ({}, {"1-2": 1}, {"1-2": 3, "1-1": 2}, {t.name: 3 for t in network.edges}):
        found = weights_by_name(strategy, network, counts)
        assert set(found) == {t.name for t in network.edges}
        assert all((weight is None) == (counts.get(key, 0) >= 3) for key, weight in found.items())
        assert all(weight is None or weight >= 0 for weight in found.values())
        strategy.propose(network, counted(network, counts)).resolve()


SEEDED = """
import json, sys
from proposals import edge, network_of, weights_by_name
from xpm_alchem.strategies.choose import BUILT_IN, make_strategy
pairs = [tuple(pair) for pair in json.loads(sys.argv[1])]
network = network_of([edge(*pair) for pair in pairs])
counts = json.loads(sys.argv[2])
print(json.dumps([list(weights_by_name(make_strategy(name, {}), network, counts).items()) for name in BUILT_IN]))
print([t.name for t in network.edges])
"""


def test_the_weights_depend_neither_on_the_hash_seed_nor_on_the_order_of_edges():
    pairs = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 0), (2, 6), (6, 7), (7, 8), (2, 6, 1), (6, 6)]
    counts = {"2-6": 1, "2-3": 2, "1-2": 1}
    answers, orders = set(), set()
    for seed, edges in ((1, pairs), (2, pairs[::-1])):
        done = subprocess.run(
            [sys.executable, "-c", SEEDED, json.dumps(edges), json.dumps(counts)],
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            capture_output=True,
            text=True,
            check=True,
        )
        answer, order = done.stdout.splitlines()
        answers.add(answer)
        orders.add(order)
    assert len(orders) == 2  # gufe's networks are sets: the order differs
    assert len(answers) == 1  # the weights do not, nor does their order


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("unifrom", {}, r"strategy\.name: there is no 'unifrom'; did you mean 'uniform'\?"),
        ("best", {}, "known are: a-optimal, connectivity, module:Class, radial-growth, uniform"),
        ("uniform", {"repeat": 3}, r"strategy 'uniform': settings: unknown key 'repeat'; did you mean 'repeats'\?"),
        ("connectivity", {"maxruns": 3}, "did you mean 'max_runs'"),
        ("uniform", {"repeats": 0}, "strategy 'uniform': bad settings"),
        ("uniform", {"repeats": "three"}, "strategy 'uniform': bad settings"),
        ("connectivity", {"decay_rate": 2}, "strategy 'connectivity': bad settings"),
        ("radial-growth", {"decay_rate": 0.5}, "strategy 'radial-growth': settings: unknown key 'decay_rate'"),
        ("radial-growth", {"candidacy_max_distance": 0}, "strategy 'radial-growth': bad settings"),
        ("connectivity", {"decay_rate": "fast"}, "strategy 'connectivity': bad settings"),
        ("connectivity", {"max_runs": None}, "at least one of 'max_runs' and 'cutoff' must be set"),
        ("gufe:NoSuchStrategy", {}, "the module 'gufe' has no 'NoSuchStrategy'"),
        ("gufe:", {}, "the module 'gufe' has no ''"),
        ("gufe:AlchemicalNetwork", {}, "not a stratocaster Strategy"),
        ("gufe:__version__", {}, "not a stratocaster Strategy"),
    ],
)
def test_a_strategy_that_cannot_be_made_says_why(name, values, message):
    with pytest.raises(CampaignError, match=message):
        make_strategy(name, values)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("uniform", {"repeats": "three"}, r"repeats: 'three': 'repeats' must be <class 'int'> \(got 'three' .*\)\.$"),
        ("a-optimal", {"pilot": 3, "target_standard_error": "small"}, r"target_standard_error: 'small': '>' not supp"),
        ("a-optimal", {"pilot": 3, "batch": -1}, r"batch: -1: 'batch' must be > 0: -1$"),
    ],
)
def test_a_bad_setting_is_named_in_one_sentence(name, values, message):
    with pytest.raises(CampaignError, match=f"^there/campaign.yaml: strategy '{name}': bad settings: {message}"):
        make_strategy(name, values, file=Path("there/campaign.yaml"))


def test_settings_that_are_bad_only_together_are_told_as_such():
    ends = {"target_standard_error": None, "max_runs": None}
    with pytest.raises(CampaignError, match="bad settings: set 'target_standard_error', 'least_gain' or 'max_runs'"):
        make_strategy("a-optimal", ends)


def test_a_module_that_cannot_be_imported_is_named():
    with pytest.raises(MissingPackageError, match=r"the module 'gufe\.nothing_here' cannot be imported"):
        make_strategy("gufe.nothing_here:Strategy", {})


def test_an_untrusted_module_is_not_imported(tmp_path, monkeypatch):
    trace = tmp_path / "trace"
    (tmp_path / "my_strategy.py").write_text(f"open({str(trace)!r}, 'w').close()\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UntrustedModuleError, match="strategy 'my_strategy:Mine' names the Python module 'my_strategy'"):
        make_strategy("my_strategy:Mine", {})
    assert not trace.exists()


def test_a_strategy_of_one_s_own_is_used_once_it_is_trusted(tmp_path, monkeypatch):
    (tmp_path / "trusted_strategy.py").write_text(
        "from xpm_alchem.strategies.uniform import UniformStrategy\n"
        "class Mine(UniformStrategy):\n"
        "    def _propose(self, network, results): return {str(t.key): 0.5 for t in network.edges}\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    strategy = make_strategy("trusted_strategy:Mine", {"repeats": 7}, ("trusted_strategy",))
    assert strategy.settings.repeats == 7
    assert set(strategy.propose(dummy_network([(0, 1)]), {}).weights.values()) == {0.5}


def test_stratocaster_s_strategies_are_taken_by_module_and_class():
    pytest.importorskip("stratocaster", reason=NEEDS_STRATOCASTER)
    strategy = make_strategy(THEIRS, {"max_runs": 2})
    assert (type(strategy).__module__.split(".")[0], strategy.settings.max_runs) == ("stratocaster", 2)
    with pytest.raises(CampaignError, match="did you mean 'max_runs'"):
        make_strategy(THEIRS, {"max_run": 2})
    with pytest.raises(CampaignError, match="bad settings"):
        make_strategy(THEIRS, {"decay_rate": 7.0})


# ------------------------------------------------------------------------------- the strategist on a real network
@pytest.fixture
def star(tmp_path):
    """A star of three edges in a file, loaded."""
    seam.save(dummy_network([(0, 1), (0, 2), (0, 3)]), tmp_path / "network.json")
    return load_network(tmp_path / "network.json", TRUSTED)


def strategist(network, workspace: Path, name, values, **plan):
    strategy = StrategyPlan(name=name, settings=values, **plan)
    return Strategist(Plan("test", network.path, strategy=strategy, trusted_modules=TRUSTED), network, workspace)


def campaign_of(*tasks) -> CampaignState:
    """Return a campaign's state with tasks (transformation id, repeat, status, estimate)."""
    state = CampaignState()
    for transformation, repeat, status, estimate in tasks:
        task = f"{transformation}-{repeat}"
        created = {"transformation": transformation, "repeat": repeat, "directory": f"jobs/{task}"}
        state.apply({"event": "created", "task": task, **created})
        state.apply({"event": "status", "task": task, "status": status, "estimate": estimate})
    return state


def run_task(network, workspace: Path, transformation: str, repeat: int) -> float:
    directory = workspace / "jobs" / f"{transformation}-{repeat}"
    spec = TaskSpec(transformation, repeat, lambda: network.transformation(transformation), trusted=TRUSTED)
    return run(directory, spec).estimate


@pytest.mark.parametrize("name", ["connectivity", THEIRS])
def test_a_strategist_drives_a_network_to_its_end(star, tmp_path, name):
    if ":" in name:
        pytest.importorskip("stratocaster", reason=NEEDS_STRATOCASTER)
    asked = strategist(star, tmp_path, name, {"max_runs": 2}, max_tasks_per_transformation=1)
    state, tasks, created = StrategyState(), [], Counter()
    for now in range(10):
        proposal = asked.iterate(state, campaign_of(*tasks), float(now))
        state = proposal.state
        assert state.status != ERROR, state.traceback
        if state.status == DORMANT:
            break
        for transformation in proposal.create:
            created[transformation] += 1
            repeat = created[transformation]
            tasks.append((transformation, repeat, "complete", run_task(star, tmp_path, transformation, repeat)))
    assert state.status == DORMANT
    assert created == {record.id: 2 for record in star.index.transformations}


@pytest.mark.parametrize("name", ["connectivity", THEIRS])
def test_results_to_come_are_counted_by_ours_and_by_stratocaster_s(star, tmp_path, name):
    if ":" in name:
        pytest.importorskip("stratocaster", reason=NEEDS_STRATOCASTER)
    done, running, fresh = (record.id for record in star.index.transformations)
    estimate = run_task(star, tmp_path, done, 1)
    campaign = campaign_of((done, 1, "complete", estimate), (done, 2, "running", None), (running, 1, "running", None))
    proposal = strategist(star, tmp_path, name, {"max_runs": 3}).iterate(StrategyState(), campaign, 0.0)
    assert proposal.state.status != ERROR, proposal.state.traceback
    assert proposal.weights == {done: 0.5, running: 1.0, fresh: 2.0}  # 2.0 x 0.5**(results there and to come)
    assert Counter(proposal.create) == {done: 1, running: 2, fresh: 3}


def test_a_foreign_strategy_sees_the_mean_of_the_repeats(star, tmp_path, monkeypatch):
    (tmp_path / "looking.py").write_text(
        "class Settings:\n"
        "    __attrs_attrs__ = ()\n"
        "class Looking:\n"
        "    def __init__(self, settings): pass\n"
        "    @classmethod\n"
        "    def default_settings(cls): return Settings()\n"
        "    def propose(self, network, results):\n"
        "        assert set(results) == {str(t.key) for t in network.edges}\n"
        "        (self.seen,) = [r.get_estimate() for r in results.values() if r is not None]\n"
        "        self.weights = dict.fromkeys(results)\n"
        "        return self\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    first = star.index.transformations[0].id
    estimates = [run_task(star, tmp_path, first, repeat) for repeat in (1, 2)]
    campaign = campaign_of(*((first, n, "complete", e) for n, e in enumerate(estimates, start=1)))
    plan = Plan("test", star.path, strategy=StrategyPlan(name="looking:Looking"), trusted_modules=(*TRUSTED, "looking"))
    asked = Strategist(plan, star, tmp_path)
    state = asked.iterate(StrategyState(), campaign, 0.0).state
    assert state.status == DORMANT, state.traceback
    assert asked.strategy.seen == pytest.approx(sum(estimates) / 2)


def test_a_result_file_that_is_gone_is_an_error_of_the_strategy_with_its_name(star, tmp_path):
    pytest.importorskip("stratocaster", reason=NEEDS_STRATOCASTER)
    first = star.index.transformations[0].id
    campaign = campaign_of((first, 1, "complete", run_task(star, tmp_path, first, 1)))
    TaskDirectory(tmp_path / "jobs" / f"{first}-1").result.unlink()
    state = strategist(star, tmp_path, THEIRS, {}).iterate(StrategyState(), campaign, 0.0).state
    assert state.status == ERROR and "result.json: the result of a complete task is gone" in state.exception


def test_a_transformation_between_solvated_systems_is_weighed_like_any_other():
    protocol = DummyProtocol(DummySettings())
    edge = seam.Transformation(system(0, solvent=True), system(1, solvent=True), protocol, None, name="edge")
    assert weights_by_name(connectivity(max_runs=1), network_of([edge]), {}) == {"edge": 1.0}
