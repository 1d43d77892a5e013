"""Gathered ProtocolResults: gathered once, one file at a time, kept in memory and on disk within bounds."""

from __future__ import annotations

import gc
import hashlib
import json
import shutil
import weakref
from pathlib import Path

import pytest
from dummy_protocol import DummyProtocol, dummy_network

from xpm_alchem import gufe_seam as seam
from xpm_alchem.base.errors import FormatError
from xpm_alchem.campaign.task_state import CampaignState
from xpm_alchem.execution.dag_run import TaskSpec, run
from xpm_alchem.execution.directory import TaskDirectory
from xpm_alchem.network.loading import load_network
from xpm_alchem.plan.campaign_yaml import Plan
from xpm_alchem.plan.strategy import StrategyPlan
from xpm_alchem.results.protocol_results import ProtocolResults, ResultsByKey
from xpm_alchem.strategies.strategist import Strategist
from xpm_alchem.strategy import DORMANT, ERROR, StrategyState

TRUSTED = ("dummy_protocol",)
REPEATS = 3


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A workspace in which three repeats of each of three transformations are complete, and their estimates."""
    path = tmp_path_factory.mktemp("finished")
    seam.save(dummy_network([(0, 1), (0, 2), (0, 3)]), path / "network.json")
    network = load_network(path / "network.json", TRUSTED)
    estimates = {}
    for record in network.index.transformations:
        for repeat in range(1, REPEATS + 1):
            spec = TaskSpec(record.id, repeat, lambda n=record.id: network.transformation(n), trusted=TRUSTED)
            estimates[record.id, repeat] = run(path / "jobs" / f"{record.id}-{repeat}", spec).estimate
    return path, estimates


class Case:
    """The workspace, the tasks that are complete, and what is read."""

    def __init__(self, workspace: Path, estimates: dict, reads: list[str]) -> None:
        self.workspace, self.reads = workspace, reads
        self.network = load_network(workspace / "network.json", TRUSTED)
        self.ids = [record.id for record in self.network.index.transformations]
        self.cache = workspace / "campaigns" / "test" / "cache"
        self.estimates = estimates
        self.state = CampaignState()
        self.complete(*estimates)

    def complete(self, *tasks: tuple[str, int]) -> None:
        for transformation, repeat in tasks:
            task = f"{transformation}-{repeat}"
            created = {"transformation": transformation, "repeat": repeat, "directory": f"jobs/{task}"}
            self.state.apply({"event": "created", "task": task, **created})
            estimate = self.estimates[transformation, repeat]
            self.state.apply({"event": "status", "task": task, "status": "complete", "estimate": estimate})

    def keep(self, **counts: int) -> None:
        """Let only so many repeats of each transformation be complete."""
        self.state = CampaignState()
        self.complete(*((t, r) for t, r in self.estimates if r <= counts.get(f"n{self.ids.index(t)}", 0)))

    def tasks(self, transformation: str) -> list:
        return [task for task in self.state.tasks.values() if task.transformation == transformation]

    def results(self, **options) -> ProtocolResults:
        """Return what a new process would have."""
        return ProtocolResults(self.network, self.workspace, TRUSTED, **{"cache": self.cache, **options})

    def all(self, results: ProtocolResults) -> list:
        return [results.of(name, self.tasks(name), 0) for name in self.ids]

    def read(self) -> list[str]:
        """Return which results were read since the last call."""
        found = list(self.reads)
        self.reads.clear()
        return found

    def mean(self, number: int, count: int = REPEATS) -> float:
        return pytest.approx(sum(self.estimates[self.ids[number], r] for r in range(1, count + 1)) / count)

    def entry(self, number: int = 0) -> Path:
        return self.cache / f"{self.ids[number]}.cached"


@pytest.fixture
def case(finished, tmp_path, monkeypatch) -> Case:
    workspace = tmp_path / "workspace"
    shutil.copytree(finished[0], workspace)
    reads: list[str] = []
    load = seam.load

    def noted(path, *arguments):
        reads.append(path.parent.name)
        return load(path, *arguments)

    monkeypatch.setattr(seam, "load", noted)
    return Case(workspace, finished[1], reads)


def same(one, other) -> bool:
    return (str(one.key), one.get_estimate(), one.n_protocol_dag_results, one.data) == (
        str(other.key),
        other.get_estimate(),
        other.n_protocol_dag_results,
        other.data,
    )


# ------------------------------------------------------------------------------------------------- gathered only once
def test_a_transformation_is_gathered_again_only_when_it_has_a_new_result(case):
    case.keep(n0=1, n1=2)
    results = case.results()
    first, second, third = case.all(results)
    assert (first.get_estimate(), second.get_estimate(), third) == (case.mean(0, 1), case.mean(1, 2), None)
    assert sorted(case.read()) == sorted([f"{case.ids[0]}-1", f"{case.ids[1]}-1", f"{case.ids[1]}-2"])
    case.all(results)
    assert case.read() == []
    case.complete((case.ids[0], 2))
    first, second, _ = case.all(results)
    assert (first.get_estimate(), first.n_protocol_dag_results) == (case.mean(0, 2), 2)
    assert case.read() == [f"{case.ids[0]}-1", f"{case.ids[0]}-2"]


def test_what_was_gathered_outlives_the_process_and_is_the_same(case):
    before = case.all(case.results())
    case.read()
    shutil.rmtree(case.workspace / "jobs")
    after = case.all(case.results())
    assert case.read() == []
    assert all(map(same, before, after))
    assert [result.n_protocol_dag_results for result in after] == [REPEATS] * 3


def test_only_what_is_new_is_gathered_after_a_restart(case):
    case.keep(n0=3, n1=2, n2=3)
    case.all(case.results())
    case.read()
    case.complete((case.ids[1], 3))
    assert case.all(case.results())[1].get_estimate() == case.mean(1)
    assert case.read() == [f"{case.ids[1]}-{repeat}" for repeat in (1, 2, 3)]
    assert len(list(case.cache.iterdir())) == 3  # what was made of fewer results is gone


def test_the_order_of_tasks_does_not_matter(case):
    results = case.results()
    name = case.ids[0]
    first = results.of(name, case.tasks(name), 0)
    assert results.of(name, reversed(case.tasks(name)), 0) is first


def test_a_task_that_was_removed_and_run_again_is_gathered_again(case):
    case.all(case.results())
    case.read()
    task = case.tasks(case.ids[0])[0]
    task.estimate += 1.0
    case.all(case.results())
    assert case.read() == [f"{case.ids[0]}-{repeat}" for repeat in (1, 2, 3)]


@pytest.mark.parametrize("status", ["invalid", "deleted"])
def test_a_result_that_was_set_aside_is_left_out_also_of_what_was_gathered_before(case, status):
    case.all(results := case.results())
    case.state.apply({"event": "status", "task": f"{case.ids[0]}-3", "status": status, "by": "user"})
    case.read()
    for known in (results, case.results()):
        gathered = known.of(case.ids[0], case.tasks(case.ids[0]), 0)
        assert (gathered.get_estimate(), gathered.n_protocol_dag_results) == (case.mean(0, 2), 2)
    assert f"{case.ids[0]}-3" not in case.read()
    for repeat in (1, 2):
        case.state.apply({"event": "status", "task": f"{case.ids[0]}-{repeat}", "status": status, "by": "user"})
    assert results.of(case.ids[0], case.tasks(case.ids[0]), 0) is None


def test_another_gufe_gathers_for_itself(case, monkeypatch):
    case.all(case.results())
    case.read()
    monkeypatch.setattr(seam, "GUFE_VERSION", "99.0")
    case.all(case.results())
    assert len(case.read()) == 3 * REPEATS
    case.all(case.results())
    assert case.read() == []


def test_results_to_come_are_counted_beside_what_was_gathered(case):
    case.keep(n0=2)
    for results in (case.results(), case.results(), case.results(cache=None)):
        more = results.of(case.ids[0], case.tasks(case.ids[0]), 2)
        assert (more.n_protocol_dag_results, more.get_estimate()) == (4, case.mean(0, 2))
        assert results.of(case.ids[0], case.tasks(case.ids[0]), 0).n_protocol_dag_results == 2
        assert results.of(case.ids[1], [], 1).n_protocol_dag_results == 1


def test_without_a_cache_nothing_is_written(case):
    case.all(case.results(cache=None))
    assert not case.cache.parent.exists()
    case.all(case.results(read_only=True))
    assert not case.cache.parent.exists()


# -------------------------------------------------------------------------------------------------------- the bounds
def test_dag_results_are_in_memory_one_at_a_time(case, monkeypatch):
    alive: list[weakref.ref] = []
    most = 0
    load = seam.load

    def watched(path, *arguments):
        nonlocal most
        gc.collect()
        most = max(most, sum(reference() is not None for reference in alive))
        loaded = load(path, *arguments)
        alive.append(weakref.ref(loaded))
        return loaded

    monkeypatch.setattr(seam, "load", watched)
    case.all(case.results())
    gc.collect()
    assert len(alive) == 3 * REPEATS
    assert most <= 1  # while the next one is read, a loop still holds the last
    assert not any(reference() for reference in alive)


def test_a_protocol_may_count_its_results_take_some_and_go_through_them_twice(case, monkeypatch):
    def gather(self, dag_results):
        last, rest = dag_results[-1], dag_results[:-1]
        assert (len(dag_results), len(rest), len(list(dag_results)), len(list(dag_results))) == (3, 2, 3, 3)
        return {"dgs": [r.outputs["dg"] for d in (*rest, last) for r in d.protocol_unit_results if r.name == "analyse"]}

    monkeypatch.setattr(DummyProtocol, "_gather", gather)
    assert case.all(case.results())[0].get_estimate() == case.mean(0)


def test_memory_keeps_the_most_recently_used_within_its_bound(case):
    size = max(len(seam.to_text(result)) for result in case.all(case.results())) + 100
    results = case.results(cache=None, memory_bound_bytes=2 * size)
    for number in (0, 1, 0, 2):  # 1 is the least recently used
        results.of(case.ids[number], case.tasks(case.ids[number]), 0)
    case.read()
    results.of(case.ids[0], case.tasks(case.ids[0]), 0)
    results.of(case.ids[2], case.tasks(case.ids[2]), 0)
    assert case.read() == []
    results.of(case.ids[1], case.tasks(case.ids[1]), 0)
    assert len(case.read()) == REPEATS


def test_what_does_not_fit_into_memory_is_read_from_the_cache(case):
    results = case.results(memory_bound_bytes=10)
    before = case.all(results)
    references = [weakref.ref(result) for result in before]
    case.read()
    assert all(map(same, before, case.all(results)))
    assert case.read() == []
    del before
    gc.collect()
    assert not any(reference() for reference in references)


def test_the_cache_keeps_its_bound(case):
    case.all(case.results())
    size = max(path.stat().st_size for path in case.cache.iterdir())
    shutil.rmtree(case.cache)
    results = case.results(disk_bound_bytes=int(2.5 * size))
    for _ in range(3):
        case.all(results)
        assert 0 < sum(path.stat().st_size for path in case.cache.iterdir()) <= 2.5 * size


# ------------------------------------------------------------------------------- entries that are not what we wrote
def rewrite(path: Path, text: str | None = None, **made_of) -> None:
    """Write an entry as someone would who knows its format."""
    header, _, old = path.read_text().partition("\n")
    record = json.loads(header)
    record["made_of"] |= made_of
    text = old if text is None else text
    record["sha256"] = hashlib.sha256(text.encode()).hexdigest()
    path.write_text(f"{json.dumps(record)}\n{text}")


def body(path: Path) -> list[str]:
    """Return the key and the gufe JSON of an entry."""
    return path.read_text().split("\n")[1:]


def untrusted(path: Path, case: Case) -> None:
    key, text = body(path)
    rewrite(path, f"{key}\n{text.replace('dummy_protocol', 'evil_protocol')}")


def another_class(path: Path, case: Case) -> None:
    network = case.network.alchemical_network
    rewrite(path, f"{network.key}\n{seam.to_text(network)}")


def other_numbers(path: Path, case: Case) -> None:
    key, text = body(path)
    chain = json.loads(text)
    chain[-1][1]["data"]["dgs"][0] = 99.0
    rewrite(path, f"{key}\n{json.dumps(chain)}")


def of_another_transformation(path: Path, case: Case) -> None:
    shutil.copy(case.entry(1), path)


DAMAGES = {
    "cut": lambda path, case: path.write_bytes(path.read_bytes()[:-20]),
    "empty": lambda path, case: path.write_bytes(b""),
    "noise": lambda path, case: path.write_bytes(bytes(range(256)) * 9),
    "no gufe JSON": lambda path, case: rewrite(path, "key\nnothing"),
    "no key": lambda path, case: rewrite(path, "nothing"),
    "another gufe": lambda path, case: rewrite(path, gufe="0.0"),
    "other tasks": lambda path, case: rewrite(path, results="0" * 64),
    "untrusted": untrusted,
    "another class": another_class,
    "other numbers": other_numbers,
    "another transformation": of_another_transformation,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_an_entry_that_is_not_what_was_written_is_made_again_silently(case, damage, tmp_path, monkeypatch):
    (tmp_path / "evil_protocol.py").write_text(f"open({str(tmp_path / 'trace')!r}, 'w').close()\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    before = case.all(case.results())
    whole = case.entry().read_bytes()
    damage(case.entry(), case)
    assert case.entry().read_bytes() != whole
    case.read()
    assert all(map(same, before, case.all(case.results())))
    assert case.read() == [f"{case.ids[0]}-{repeat}" for repeat in (1, 2, 3)]
    assert case.entry().read_bytes() == whole
    assert not (tmp_path / "trace").exists()


def test_an_entry_as_it_is_rewritten_here_is_taken(case):
    """Otherwise the damages above would say nothing."""
    case.all(case.results())
    case.read()
    rewrite(case.entry())
    case.all(case.results())
    assert case.read() == []


def test_a_cache_that_cannot_be_written_only_costs_time(case):
    case.cache.parent.mkdir(parents=True)
    case.cache.write_text("in the way")
    results = case.results()
    assert case.all(results)[0].get_estimate() == case.mean(0)
    case.read()
    case.all(results)
    assert case.read() == []
    assert case.all(case.results())[0].get_estimate() == case.mean(0)


# -------------------------------------------------------------------------------------------- what protocols gather
def test_gathered_unit_results_are_kept_as_they_are(case, monkeypatch):
    """As openfe's protocols gather: unit results themselves, with all that they were made of."""
    gather = DummyProtocol._gather

    def whole(self, dag_results):
        units = [unit for dag in dag_results for unit in dag.protocol_unit_results if unit.name == "analyse"]
        return {**gather(self, dag_results), "units": {str(n): [unit] for n, unit in enumerate(units)}}

    monkeypatch.setattr(DummyProtocol, "_gather", whole)
    before = case.all(case.results())[0]
    key, units = str(before.key), {n: (str(u.key), u.outputs) for n, [u] in before.data["units"].items()}
    del before
    gc.collect()  # gufe would find an object again that is still there
    case.read()
    after = case.all(case.results())[0]
    assert case.read() == []
    assert str(after.key) == key
    assert {n: (str(u.key), u.outputs) for n, [u] in after.data["units"].items()} == units


@pytest.mark.parametrize("odd", [{1: "a key that is no text"}, {"deep": [{"a tuple": (1, 2)}]}], ids=["key", "tuple"])
def test_what_would_be_read_as_something_else_is_kept_in_memory_only(case, monkeypatch, odd):
    gather = DummyProtocol._gather
    monkeypatch.setattr(DummyProtocol, "_gather", lambda self, dags: {**gather(self, dags), "odd": odd})
    results = case.results()
    assert case.all(results)[0].data["odd"] == odd
    case.read()
    assert case.all(results)[0].data["odd"] == odd
    assert case.read() == [] and not case.cache.exists()
    assert case.all(case.results())[0].data["odd"] == odd
    assert len(case.read()) == 3 * REPEATS


@pytest.mark.skipif(not seam.IS_GUFE_0_4, reason="since 1.0 gufe gathers nothing that it cannot write")
def test_what_cannot_be_written_is_kept_in_memory_only(case, monkeypatch):
    gather = DummyProtocol._gather
    monkeypatch.setattr(DummyProtocol, "_gather", lambda self, dags: {**gather(self, dags), "odd": 1j})
    results = case.results()
    case.all(results)
    case.read()
    assert case.all(results)[0].get_estimate() == case.mean(0)
    assert case.read() == [] and not case.cache.exists()


def test_a_result_that_is_gone_is_an_error_with_its_name(case):
    TaskDirectory(case.workspace / "jobs" / f"{case.ids[0]}-2").result.unlink()
    with pytest.raises(FormatError, match=r"result\.json: the result of a complete task is gone"):
        case.all(case.results())


# -------------------------------------------------------------------------------------------------------- by gufe key
def test_results_by_key_are_made_when_they_are_asked_for():
    made = []
    results = ResultsByKey(["a", "b"], lambda key: made.append(key) or key.upper())
    assert ("a" in results, "c" in results, len(results), list(results), made) == (True, False, 2, ["a", "b"], [])
    assert (results["a"], results.get("b"), results.get("c"), results.get("c", 1)) == ("A", "B", None, 1)
    assert dict(results) == {"a": "A", "b": "B"}
    with pytest.raises(KeyError):
        results["c"]


def test_a_key_error_while_gathering_is_not_taken_for_a_missing_result():
    results = ResultsByKey(["a"], lambda key: {}["lacking"])
    with pytest.raises(KeyError, match="lacking"):
        results.get("a")


LOOKING = """
class Settings:
    __attrs_attrs__ = ()
class Looking:
    def __init__(self, settings): pass
    @classmethod
    def default_settings(cls): return Settings()
    def propose(self, network, results):
        self.seen = {key: result.get_estimate() for key, result in results.items()}
        self.weights = dict.fromkeys(results)
        return self
"""


@pytest.fixture
def looking(case, tmp_path, monkeypatch):
    (tmp_path / "strategy_that_looks.py").write_text(LOOKING)
    monkeypatch.syspath_prepend(str(tmp_path))
    strategy = StrategyPlan(name="strategy_that_looks:Looking")
    trusted = (*TRUSTED, "strategy_that_looks")
    plan = Plan("test", case.network.path, strategy=strategy, trusted_modules=trusted)
    return lambda **options: Strategist(plan, case.network, case.workspace, **options)


def test_a_strategist_that_starts_again_gathers_nothing_again(case, looking):
    seen = []
    for _ in range(2):
        strategist = looking(cache=case.cache)
        state = strategist.iterate(StrategyState(), case.state, 0.0).state
        assert state.status == DORMANT, state.traceback
        seen.append((strategist.strategy.seen, len(case.read())))
    assert seen == [(seen[0][0], 3 * REPEATS), (seen[0][0], 0)]
    assert {case.network.id_of_key[key]: estimate for key, estimate in seen[0][0].items()} == {
        name: case.mean(n) for n, name in enumerate(case.ids)
    }


def test_a_protocol_that_cannot_gather_is_an_error_of_the_strategy(case, looking, monkeypatch):
    monkeypatch.setattr(DummyProtocol, "_gather", lambda self, dag_results: {"dgs": {}["lacking"]})
    state = looking(cache=case.cache).iterate(StrategyState(), case.state, 0.0).state
    assert state.status == ERROR and "lacking" in state.exception
