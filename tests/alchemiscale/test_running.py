"""Results, failures and restarts through the client, and what is asked while a driver is at work: real processes."""

from __future__ import annotations

from pathlib import Path

import pytest
from campaigns import held
from dummy_protocol import DummyResult
from scoped import SCOPE, ScopedWorkspace

from xpm_alchem import gufe_seam
from xpm_alchem.alchemiscale import AlchemiscaleClientError, ResultFormat, Scope, ScopedKey
from xpm_alchem.base.errors import MissingPackageError

pytestmark = pytest.mark.slow
OTHER = Scope("my_org", "my_campaign", "other_project")
NO_NETWORK = ScopedKey.from_str(f"AlchemicalNetwork-0123-{SCOPE}")
NO_TRANSFORMATION = ScopedKey.from_str(f"Transformation-0123-{SCOPE}")


@pytest.fixture
def here(tmp_path: Path) -> ScopedWorkspace:
    return ScopedWorkspace(tmp_path)


def test_what_is_actioned_is_computed_and_comes_out_as_gufes_objects(here: ScopedWorkspace) -> None:
    asc, network = here.asc, here.create([(0, 1), (1, 2)])
    one, two = asc.get_network_transformations(network)
    assert asc.get_network_results(network) == {one: None, two: None}
    assert asc.get_network_results(network, return_as="ProtocolResults") == {one: [], two: []}
    tasks, left = asc.create_tasks(one, count=2), asc.create_tasks(two)
    assert asc.get_task_results(tasks[0]) == []
    asc.action_tasks(tasks, network)
    here.run()
    assert asc.get_tasks_status([*tasks, *left]) == ["complete", "complete", "waiting"]
    assert asc.get_network_actioned_tasks(network) == []
    assert asc.action_tasks([*tasks, *left], network) == [None, None, *left]
    assert asc.cancel_tasks([*tasks, *left], network) == [None, None, *left]
    assert asc.set_tasks_status(tasks, "waiting") == [None, None]  # what is complete stays so

    result = asc.get_transformation_results(one)
    assert isinstance(result, DummyResult)
    dags = asc.get_transformation_results(one, return_as=ResultFormat.PROTOCOL_DAG_RESULTS)
    assert all(isinstance(dag, gufe_seam.ProtocolDAGResult) and gufe_seam.dag_ok(dag) for dag in dags)
    assert asc.get_transformation(one).gather(dags).get_estimate() == result.get_estimate()
    each = asc.get_transformation_results(one, return_as="ProtocolResults", compress=False, visualize=False)
    assert sum(part.get_estimate() for part in each) / 2 == pytest.approx(result.get_estimate())
    assert [asc.get_task_results(task) for task in tasks] == [[dag] for dag in dags]
    with pytest.warns(DeprecationWarning, match="return_as"):
        assert asc.get_transformation_results(one, return_protocoldagresults=True) == dags
    found = asc.get_network_results(network)
    assert list(found) == [one, two] and found[two] is None
    assert found[str(one)].get_estimate() == result.get_estimate()  # type: ignore[index]
    assert asc.get_network_results(network, return_as="ProtocolDAGResults") == {one: dags, two: []}
    assert asc.get_network_failures(network) == {one: [], two: []}

    asc.set_tasks_status(tasks[:1], "invalid")  # what is set aside counts no more
    assert asc.get_transformation_results(one).get_estimate() == each[1].get_estimate()
    assert asc.get_task_results(tasks[0]) == []
    for wrong in (asc.get_transformation_results, asc.get_transformation_failures):
        with pytest.raises(AlchemiscaleClientError, match="no Transformation"):
            wrong(NO_TRANSFORMATION)
    for wrong_too in (asc.get_network_results, asc.get_network_failures):
        with pytest.raises(AlchemiscaleClientError, match="no AlchemicalNetwork"):
            wrong_too(NO_NETWORK)
    with pytest.raises(AlchemiscaleClientError, match="'Results'"):
        asc.get_transformation_results(one, return_as="Results")  # type: ignore[arg-type]


def test_what_one_network_computes_is_there_for_another_of_its_scope(here: ScopedWorkspace) -> None:
    asc = here.asc
    first, second = here.create([(0, 1), (1, 2)]), here.create([(1, 2), (2, 3)])
    (shared,) = {*asc.get_network_transformations(first)} & {*asc.get_network_transformations(second)}
    tasks = asc.create_tasks(shared, count=2)
    asc.action_tasks(tasks, second)
    here.run()
    assert asc.get_tasks_status(tasks) == ["complete", "complete"]
    assert asc.get_networks_status([first, second]) == [{"complete": 2}] * 2
    results = [asc.get_network_results(network)[shared] for network in (first, second)]
    assert results[0].get_estimate() == results[1].get_estimate()
    (child,) = asc.create_tasks(shared, extends=tasks[0])  # where it was created is not where its root was computed
    asc.action_tasks([child], first)
    here.run()
    assert asc.get_tasks_status([child]) == ["complete"]
    assert attempts_in(here) == 3  # nothing was computed twice


def test_what_two_networks_of_a_scope_want_at_once_is_computed_once(here: ScopedWorkspace) -> None:
    asc, networks = here.asc, [here.create([(1, 2)]), here.create([(1, 2), (2, 3)])]
    (shared,) = asc.get_network_transformations(networks[0])
    tasks = asc.create_tasks(shared, count=6)
    for network in networks:
        assert asc.action_tasks(tasks, network) == tasks
    here.run()
    assert asc.get_tasks_status(tasks) == ["complete"] * 6
    assert asc.get_network_actioned_tasks(networks[1]) == []
    assert attempts_in(here) == 6


def attempts_in(here: ScopedWorkspace) -> int:
    """Return how many attempts there were, in all campaigns."""
    files = (here.path / "jobs").rglob("attempts.jsonl")
    return sum(line.count('"event": "start"') for path in files for line in path.read_text().splitlines())


class TestFailures:
    SCRIPT = {"simulate 0": {"do": "raise", "message": "CUDA is gone", "times": 2}}  # noqa: RUF012

    def test_every_failed_attempt_tells_what_was_raised(self, here: ScopedWorkspace) -> None:
        asc = here.asc
        network = here.create([(0, 1)], script=self.SCRIPT)
        (task,) = here.all_tasks(network)
        (edge,) = asc.get_network_transformations(network)
        here.run(code=1)
        assert asc.get_tasks_status([task]) == ["error"]
        assert asc.get_network_tasks(network, status="error") == [task]
        assert asc.get_transformation_results(edge) is None
        (failed,) = asc.get_transformation_failures(edge)
        assert asc.get_task_failures(task) == [failed]
        assert asc.get_network_failures(network) == {edge: [failed]}
        assert isinstance(failed, gufe_seam.ProtocolDAGResult) and not gufe_seam.dag_ok(failed)
        (unit,) = failed.protocol_unit_failures
        assert "CUDA is gone" in unit.traceback and "RuntimeError" in unit.traceback
        assert "CUDA is gone" in str(unit.exception)
        assert len(failed.protocol_unit_results) == 2  # and the unit before it, which was finished
        # again, as the guide does
        assert asc.get_network_actioned_tasks(network) == [task]
        assert asc.set_tasks_status(asc.get_network_tasks(network, status="error"), "waiting") == [task]
        assert asc.get_tasks_status([task]) == ["waiting"]
        here.run(code=1)
        assert len(asc.get_task_failures(task)) == 2
        asc.set_tasks_status([task], "waiting")
        here.run()
        assert asc.get_tasks_status([task]) == ["complete"]
        assert asc.get_transformation_results(edge) is not None
        failures = asc.get_task_failures(task)
        assert len(failures) == 2 and not any(map(gufe_seam.dag_ok, failures))

    def test_a_task_in_error_can_be_cancelled_and_actioned_again(self, here: ScopedWorkspace) -> None:
        network = here.create([(0, 1)], script=self.SCRIPT)
        tasks = here.all_tasks(network)
        here.run(code=1)
        assert here.asc.cancel_tasks(tasks, network) == tasks
        assert here.asc.get_network_actioned_tasks(network) == []
        assert here.asc.get_tasks_status(tasks) == ["error"]
        here.asc.set_tasks_status(tasks, "waiting")
        assert here.asc.get_tasks_status(tasks) == ["waiting"]
        here.run()
        assert here.asc.get_tasks_status(tasks) == ["waiting"]  # nobody wants it
        assert here.asc.action_tasks(tasks, network) == tasks

    def test_patterns_have_tasks_run_again(self, here: ScopedWorkspace) -> None:
        asc = here.asc
        network = here.create([(0, 1)], script={"simulate 0": {"do": "raise", "message": "CUDA is gone", "times": 3}})
        tasks = here.all_tasks(network)
        assert asc.get_task_restart_patterns(network) == {}
        assert asc.add_task_restart_patterns(network, [r"RuntimeError: CUDA .+", "MemoryError"], 1) == network
        assert asc.get_task_restart_patterns(network) == {r"RuntimeError: CUDA .+": 1, "MemoryError": 1}
        here.run(code=1)
        assert len(asc.get_task_failures(tasks[0])) == 2
        asc.set_task_restart_patterns_allowed_restarts(network, [r"RuntimeError: CUDA .+"], 5)  # in error, too
        assert asc.get_tasks_status(tasks) == ["waiting"]
        here.run()
        assert asc.get_tasks_status(tasks) == ["complete"]
        assert len(asc.get_task_failures(tasks[0])) == 3
        asc.remove_task_restart_patterns(network, ["MemoryError", "never there"])
        assert asc.get_task_restart_patterns(network) == {r"RuntimeError: CUDA .+": 5}
        asc.clear_task_restart_patterns(network)
        assert asc.get_task_restart_patterns(network) == {}


def test_patterns_that_make_no_sense_are_refused(here: ScopedWorkspace) -> None:
    asc, network = here.asc, here.create([(0, 1)])
    asc.add_task_restart_patterns(network, ["a"], 1)
    for patterns, allowed in ((["b", "("], 1), ([""], 1), (["b"], 0), (["b"], -1), (["b"], 1.5), (["b"], "many")):
        with pytest.raises(AlchemiscaleClientError):
            asc.add_task_restart_patterns(network, patterns, allowed)  # type: ignore[arg-type]
    for patterns, allowed in ((["a"], 0), (["a"], 1.5), (["b"], 1)):
        with pytest.raises(AlchemiscaleClientError):
            asc.set_task_restart_patterns_allowed_restarts(network, patterns, allowed)  # type: ignore[arg-type]
    assert asc.get_task_restart_patterns(network) == {"a": 1}
    for verb in (asc.get_task_restart_patterns, asc.clear_task_restart_patterns):
        with pytest.raises(AlchemiscaleClientError, match="no AlchemicalNetwork"):
            verb(NO_NETWORK)
    for verb_too in (asc.remove_task_restart_patterns, lambda key, some: asc.add_task_restart_patterns(key, some, 1)):
        with pytest.raises(AlchemiscaleClientError, match="no AlchemicalNetwork"):
            verb_too(NO_NETWORK, ["a"])


def test_what_is_asked_while_a_driver_is_at_work_is_seen_by_the_next_call(here: ScopedWorkspace) -> None:
    asc = here.asc
    network = here.create([(0, 1), (1, 2)], script=held(times=1), noise=0.1)
    one, two = asc.get_network_transformations(network)
    first = asc.create_tasks(one)
    asc.action_tasks(first, network)
    with here.driver():
        here.wait_for_status(first, "running")
        made = asc.create_transformations_tasks([two, two, one])
        assert asc.get_tasks_status(made) == ["waiting"] * 3
        assert asc.set_tasks_priority(made[:2], 1) == made[:2]
        assert asc.get_tasks_priority(made) == [1, 1, 10]
        assert asc.set_tasks_status(made[1:2], "deleted") == made[1:2]
        assert asc.get_tasks_status(made) == ["waiting", "deleted", "waiting"]
        assert asc.set_network_weight(network, 0.9) == network
        assert asc.get_network_weight(network) == 0.9
        asc.add_task_restart_patterns(network, ["never"], 2)
        assert asc.get_task_restart_patterns(network) == {"never": 2}
        assert asc.action_tasks(made, network, weight=0.8) == [made[0], None, made[2]]
        assert asc.get_network_actioned_tasks(network, task_weights=True)[made[2]] == 0.8  # type: ignore[call-overload]
        assert asc.cancel_tasks(first, network) == first  # it ends at its next checkpoint
        assert first[0] not in asc.get_network_actioned_tasks(network)
        here.wait_for_status([made[0], made[2]], "complete")
        other = here.create([(0, 1)], OTHER)  # a network that comes while it runs
        tasks = here.all_tasks(other)
        assert asc.set_network_state(network, "inactive") == network
        assert asc.get_network_state(network) == "inactive"
        here.wait_for_status(tasks, "complete")


def test_tasks_of_more_weight_begin_first(here: ScopedWorkspace) -> None:
    asc, network = here.asc, here.create([(0, 1)])
    tasks = asc.create_tasks(asc.get_network_transformations(network)[0], count=4)
    asc.set_tasks_priority(tasks[1:2], 1)
    asc.action_tasks(tasks, network, weight=[0.1, 0.2, 0.9, 0.5])
    here.run()
    (campaign,) = here.campaigns
    began = [event["task"][-1] for event in campaign.events() if event["event"] == "submitted"]
    assert began == ["2", "3", "4", "1"]


class TestArchives:
    @pytest.mark.skipif(gufe_seam.IS_GUFE_0_4, reason="gufe 0.4 has no AlchemicalArchive")
    def test_an_archive_holds_network_results_and_metadata(self, here: ScopedWorkspace) -> None:
        asc, network = here.asc, here.create([(0, 1), (1, 2)])
        one, two = asc.get_network_transformations(network)
        asc.action_tasks(asc.create_tasks(one, count=2), network)
        here.run()
        archive = asc.get_network_archive(network, metadata={"doi": "10.5281/zenodo.1234567"})
        assert archive.network == asc.get_network(network)
        assert archive.metadata == {"doi": "10.5281/zenodo.1234567"}
        results = dict(archive.transformation_results)
        dags = asc.get_transformation_results(one, return_as="ProtocolDAGResults")
        assert {*results[asc.get_transformation(one)]} == {*dags}
        assert not results.get(asc.get_transformation(two))
        archive.to_json(file=here.path / "archive.json")
        assert type(archive).from_json(file=here.path / "archive.json") == archive
        assert asc.get_network_archive(str(NO_NETWORK)) is None
        found = asc.get_network_archives([NO_NETWORK, str(network)], metadata=[None, {"a": 1}])
        assert found[0] is None and found[1].metadata == {"a": 1}

    @pytest.mark.skipif(not gufe_seam.IS_GUFE_0_4, reason="newer versions of gufe have one")
    def test_an_old_gufe_has_none_and_says_so(self, here: ScopedWorkspace) -> None:
        with pytest.raises(MissingPackageError, match="AlchemicalArchive"):
            here.asc.get_network_archive(here.create([(0, 1)]))

    def test_what_cannot_be_archived_is_refused(self, here: ScopedWorkspace) -> None:
        asc, network = here.asc, here.create([(0, 1)])
        for networks, metadata, said in (
            ([network, str(network)], None, "more than once"),
            ([network], [], "1 and 0 entries"),
            ([network], [{"a": object()}], "cannot be written"),
            ([network], [["a"]], "cannot be written"),
        ):
            with pytest.raises(ValueError, match=said):
                asc.get_network_archives(networks, metadata=metadata)  # type: ignore[arg-type]
