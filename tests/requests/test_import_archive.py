"""The results of an AlchemicalArchive as repeats of a campaign: each counted once, or a reason why it is not."""

from __future__ import annotations

import copy
import gzip
import json
import random

import archives
import pytest
from dummy_protocol import dummy_network
from places import SUPPORT

from xpm_alchem import gufe_seam as seam
from xpm_alchem.base.errors import InputError, MissingPackageError
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.task_state import TaskStatus
from xpm_alchem.client import Campaign
from xpm_alchem.execution.directory import TaskDirectory, TaskSummary
from xpm_alchem.gufe_seam.keyed_chain import subchain
from xpm_alchem.network.archive_file import read_archive
from xpm_alchem.network.loading import load_network
from xpm_alchem.plan.campaign_yaml import parse_plan
from xpm_alchem.requests import inbox
from xpm_alchem.requests.import_archive import ArchiveImporter
from xpm_alchem.strategies.changes import counts_of

PLAN = "name: test\nnetwork: network.json\ntrusted_modules: [dummy_protocol]\n"
FIRST, SECOND = "ligand_0_ligand_1_vacuum", "ligand_1_ligand_2_vacuum"
needs_keyed_chains = pytest.mark.skipif(seam.IS_GUFE_0_4, reason="gufe 0.4 has no archives")


class Made:
    """A network in a file with two edges, and results of them that no campaign has computed."""

    def __init__(self, path):
        self.path, script = path, path / "script.json"
        self.network = dummy_network([(0, 1), (1, 2)], n_steps=1, n_simulations=2, script=str(script))
        seam.save(self.network, path / "network.json")
        self.first, self.second = sorted(self.network.edges, key=lambda edge: edge.name)
        self.results = [archives.dag_result(self.first, path, repeat=n) for n in (1, 2)]
        self.other = archives.dag_result(self.second, path)
        script.write_text(json.dumps({"analyse": {"do": "raise"}}))
        self.failed = archives.dag_result(self.first, path, repeat=3)
        script.unlink()

    def archive(self, name, results, network=None):
        return archives.write(self.path / name, archives.chain_of(network or self.network, results))


@pytest.fixture
def made(tmp_path):
    return Made(tmp_path)


@pytest.fixture
def records(made):
    plan = parse_plan(PLAN, made.path / "campaign.yaml")
    network = load_network(made.path / "network.json", ("dummy_protocol",))
    return CampaignRecords.create(made.path / "workspace", plan, PLAN, network)


@pytest.mark.skipif(not seam.IS_GUFE_0_4, reason="gufe reads archives")
def test_gufe_0_4_cannot_read_an_archive(made, records):
    path = made.archive("a.json", {made.first: made.results})
    with pytest.raises(MissingPackageError, match=r"gufe \S+ cannot read an AlchemicalArchive; it takes gufe >= 1\.6"):
        Campaign(records).import_results([path])
    assert not records.state().tasks


@needs_keyed_chains
def test_every_result_becomes_a_complete_task_with_its_result(made, records):
    path = made.archive("a.json", {made.first: made.results, made.second: [made.other]})
    campaign = Campaign(records)
    done = campaign.import_results([path])
    assert [(one.transformation, one.is_taken) for one in done] == [(FIRST, True), (FIRST, True), (SECOND, True)]
    tasks = list(records.state().tasks.values())
    assert [task.repeat for task in tasks] == [1, 2, 1] and {task.status for task in tasks} == {TaskStatus.COMPLETE}
    for task, result in zip(tasks, [*made.results, made.other], strict=True):
        assert task.estimate == made.first.gather([result]).get_estimate()
        assert TaskSummary.of(TaskDirectory(records.task_path(task))).estimate == task.estimate
        (found,) = campaign.get_task_results(records.name_of(task))
        assert found == result and [r.outputs for r in found.protocol_unit_results]
    both = campaign.get_transformation_results(FIRST, return_protocoldagresults=True)
    assert both == made.results
    gathered = campaign.get_transformation_results(FIRST)
    assert sorted(gathered.data["dgs"]) == sorted(task.estimate for task in tasks[:2])
    (own,) = counts_of([task for task in tasks if task.transformation == tasks[2].transformation]).extendable
    assert own == tasks[2].task
    assert Campaign.doctor(records.path)["faults"] == 0
    TaskDirectory(records.task_path(tasks[0])).result.write_text("[]")
    assert Campaign.doctor(records.path)["faults"] == 1


@needs_keyed_chains
def test_what_is_here_already_is_passed_over_however_often_it_comes(made, records):
    campaign = Campaign(records)
    campaign.import_results([made.archive("a.json", {made.first: made.results[:1]})])
    again = made.archive("b.json", {made.first: made.results})  # a week later
    second, first = campaign.import_results([again])
    assert first.skipped == f"{again}: 1 result(s) are here already." and second.is_taken
    packed = made.path / "b.json.gz"
    packed.write_bytes(gzip.compress(again.read_bytes()))
    assert not any(one.is_taken or one.refused for one in campaign.import_results([packed, again]))
    assert len(records.state().tasks) == 2


@needs_keyed_chains
def test_what_the_user_has_set_aside_does_not_come_back(made, records):
    campaign, path = Campaign(records), made.archive("a.json", {made.first: made.results})
    campaign.import_results([path])
    campaign.set_tasks_status([f"{FIRST}:1"], "invalid")
    one, rest = campaign.import_results([path])
    assert one.skipped.endswith(f"of '{FIRST}': imported before, as {FIRST}:1, which is invalid.")
    assert rest.skipped == f"{path}: 1 result(s) are here already." and len(records.state().tasks) == 2


@needs_keyed_chains
def test_while_a_driver_runs_it_takes_the_results_in(made, records):
    path = made.archive("a.json", {made.first: made.results})
    driver = CampaignRecords.open(records.path)
    with driver.lock():
        campaign = Campaign(records)
        done = campaign.import_results([path]) + campaign.import_results([path])
        assert [one.later for one in done] == [True] * 4 and not records.state().tasks
        path.unlink()  # its copies are in place
        assert len(inbox.apply_inbox(driver, 0)[1]) == 2  # each once
    assert [task.repeat for task in records.state().tasks.values()] == [1, 2]
    assert len(Campaign(records).get_task_results(f"{FIRST}:2")) == 1


@needs_keyed_chains
def test_after_an_interruption_the_rest_is_imported(made, records, monkeypatch):
    path, real = made.archive("a.json", {made.first: made.results, made.second: [made.other]}), inbox.import_result
    for number in (0, 1, 1):
        left = iter(range(number))  # that are imported before it is killed

        def until_killed(records, request, left=left):
            if next(left, None) is None:
                raise KeyboardInterrupt
            return real(records, request)

        monkeypatch.setattr(inbox, "import_result", until_killed)
        with pytest.raises(KeyboardInterrupt):
            Campaign(records).import_results([path])
    monkeypatch.undo()
    Campaign(records).import_results([path])
    assert sorted(task.repeat for task in records.state().tasks.values()) == [1, 1, 2]


@needs_keyed_chains
def test_what_failed_is_passed_over(made, records):
    path = made.archive("a.json", {made.first: [made.results[0], made.failed]})
    done = Campaign(records).import_results([path])
    assert sorted(one.skipped for one in done)[-1].endswith(": this run failed.")
    assert [one.is_taken for one in done].count(True) == 1 and len(records.state().tasks) == 1


@needs_keyed_chains
def test_results_of_what_is_not_in_the_network_are_refused(made, records):
    other = dummy_network([(1, 2), (5, 6)], n_steps=7)
    one, two = sorted(other.edges, key=lambda edge: edge.name)
    archive = made.archive("a.json", {one: made.results[:1], two: [made.other]}, other)
    done = Campaign(records).import_results([archive])
    assert [one.refused for one in done] == [
        f"{archive}: 1 result(s) of '{SECOND}' not imported: a run of the chemical systems of '{SECOND}', but with "
        "another settings of the protocol.",
        f"{archive}: 1 result(s) of 'ligand_5_ligand_6_vacuum' not imported: of no transformation of this network: its "
        "chemical systems are others.",
    ]
    assert not records.state().tasks


@needs_keyed_chains
def test_results_of_what_is_gone_from_the_network_are_passed_over(made, records):
    campaign = Campaign(records)
    campaign.drop([SECOND])
    archive = made.archive("a.json", {made.first: made.results[:1], made.second: [made.other]})
    first, second = campaign.import_results([archive])
    assert first.is_taken
    assert second.skipped == f"{archive}: 1 result(s) of '{SECOND}' not imported: it is gone from the network."
    campaign.grow(made.path / "network.json")
    taken, here = campaign.import_results([archive])
    assert taken.transformation == SECOND and taken.is_taken and "1 result(s) are here already" in here.skipped


@needs_keyed_chains
def test_a_transformation_that_another_version_wrote_in_another_way_is_the_same(tmp_path):
    plan = parse_plan(PLAN, tmp_path / "campaign.yaml")
    network = load_network(SUPPORT / "gufe_0_4" / "network.json", ("dummy_protocol",))
    old = CampaignRecords.create(tmp_path / "workspace", plan, PLAN, network)
    one = network.transformation(network.index.transformations[0].id)
    results = {one: [archives.dag_result(one, tmp_path)]}
    path = archives.write(tmp_path / "a.json", archives.chain_of(network.alchemical_network, results))
    assert {found.id for found in read_archive(path).transformations}.isdisjoint(old.index.by_id)
    (done,) = Campaign(old).import_results([path])
    assert done.is_taken and done.transformation == network.index.transformations[0].name


@needs_keyed_chains
def test_a_result_that_says_it_is_of_another_transformation_is_refused(made, records):
    chain = archives.chain_of(made.network, {made.first: [made.other], made.second: []})
    (done,) = Campaign(records).import_results([archives.write(made.path / "a.json", chain)])
    assert done.refused.endswith(f"of '{FIRST}': it is a result of '{SECOND}'.")
    assert not records.state().tasks


@needs_keyed_chains
def test_a_module_that_is_not_trusted_is_refused_before_anything_is_decoded(made, records):
    chain = archives.chain_of(made.network, {made.first: made.results})
    chain[0][1]["__module__"] = "antigravity"
    (done,) = Campaign(records).import_results([archives.write(made.path / "a.json", chain)])
    assert "names the Python module 'antigravity', which is not trusted and was not imported" in done.refused
    assert not records.state().tasks


@needs_keyed_chains
def test_a_result_that_cannot_be_decoded_keeps_no_other_out(made, records):
    chain = archives.chain_of(made.network, {made.first: made.results})
    wrong = copy.deepcopy(chain)
    next(content for key, content in wrong if key == str(made.results[0].key))["nonsense"] = 1
    done = Campaign(records).import_results([archives.write(made.path / "a.json", wrong)])
    assert sorted(one.is_taken for one in done) == [False, True]
    assert any("damaged, or gufe" in one.refused for one in done)


@needs_keyed_chains
def test_what_is_no_whole_result_of_the_network_is_refused(made, records):
    chain = archives.chain_of(made.network, {made.first: made.results[:1]})
    system = next(key for key, _ in chain if key.startswith("ChemicalSystem-"))
    chain[-1][1]["transformation_results"][0][1].append({":gufe-key:": system})
    done = Campaign(records).import_results([archives.write(made.path / "a.json", chain)])
    (refused,) = (one.refused for one in done if not one.is_taken)
    assert len(done) == 2 and refused.endswith("not a ProtocolDAGResult.")


@needs_keyed_chains
@pytest.mark.slow
def test_a_damaged_archive_brings_results_or_sentences(made, records):
    chance, chain = random.Random(3), archives.chain_of(made.network, {made.first: made.results})
    taken = refused = 0
    for _ in range(150):
        damaged = copy.deepcopy(chain)
        content = chance.choice(damaged)[1]
        key = chance.choice(sorted(content))
        if chance.random() < 0.3:
            del content[key]
        else:
            content[key] = chance.choice([None, 1, "x", [], {}, [1], {":gufe-key:": "x"}, True, 1e400])
        done = Campaign(records).import_results([archives.write(made.path / "a.json", damaged)])
        taken, refused = taken + sum(one.is_taken for one in done), refused + sum(bool(one.refused) for one in done)
        assert all("\n" not in one.refused for one in done)
    assert taken == len(records.state().tasks) > 0 and refused > 0
    assert Campaign(records).results()["transformations"]


@needs_keyed_chains
def test_a_request_whose_copy_is_gone_is_refused(made, records):
    (found,) = ArchiveImporter(records).results_in(made.archive("a.json", {made.first: made.results[:1]}))
    (records.workspace / found.request["directory"] / "result.json").unlink()
    with pytest.raises(InputError, match="its copy in the campaign is gone"):
        inbox.import_result(records, found.request)


@needs_keyed_chains
def test_a_result_without_an_estimate_is_complete_all_the_same(made, records, monkeypatch):
    from dummy_protocol import DummyResult

    monkeypatch.setattr(DummyResult, "get_estimate", lambda self: None)
    (done,) = Campaign(records).import_results([made.archive("a.json", {made.first: made.results[:1]})])
    (task,) = records.state().tasks.values()
    assert done.is_taken and task.status is TaskStatus.COMPLETE and task.estimate is None
    message = TaskSummary.of(TaskDirectory(records.task_path(task))).message
    assert message.endswith("a.json; complete; this protocol computes no free energy")


@needs_keyed_chains
def test_an_imported_repeat_can_be_extended(made, records):
    campaign = Campaign(records)
    campaign.import_results([made.archive("a.json", {made.first: made.results[:1]})])
    change = campaign.extend_task(f"{FIRST}:1")
    assert len(change.tasks) == 1


@needs_keyed_chains
@pytest.mark.data
def test_the_archive_of_gufe_s_own_tests(data, tmp_path):
    packed = data("gufe_alchemical_archive.json.gz")
    chain = json.loads(gzip.decompress(packed.read_bytes()))
    network = chain[-1][1]["network"][":gufe-key:"]
    content = json.dumps(subchain(chain, network))
    seam.save(seam.decode(seam.parse(content, None)), tmp_path / "network.json")  # by another version of gufe
    assert network not in (tmp_path / "network.json").read_text()
    plan = parse_plan(PLAN, tmp_path / "campaign.yaml")
    made = CampaignRecords.create(tmp_path / "workspace", plan, PLAN, load_network(tmp_path / "network.json"))
    done = Campaign(made).import_results([packed])
    assert len(done) == 12 and all(one.is_taken for one in done)
    tasks = made.state().tasks.values()
    assert {task.transformation for task in tasks} == set(made.index.by_id)
    assert {(task.status, task.estimate) for task in tasks} == {(TaskStatus.COMPLETE, None)}  # of no unit at all
    assert not any(one.is_taken for one in Campaign(made).import_results([packed]))
    results = Campaign(made).get_network_results(return_protocoldagresults=True)
    assert [len(found) for found in results.values()] == [1] * 12
