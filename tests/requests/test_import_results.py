"""Results of `openfe quickrun`: of which transformation they are, what is refused, how they become repeats."""

from __future__ import annotations

import copy
import json

import pytest
import quickrun_files as quickrun
from dummy_protocol import DummyResult, dummy_network

from xpm_alchem import gufe_seam as seam
from xpm_alchem.base.errors import InputError, NetworkError, UntrustedModuleError
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.task_state import TaskStatus, grouped, mean_seconds
from xpm_alchem.client import Campaign
from xpm_alchem.execution.attempt_log import AttemptLog
from xpm_alchem.execution.dag_run import TaskSpec, run
from xpm_alchem.execution.directory import TaskDirectory, TaskSummary
from xpm_alchem.network.loading import load_network
from xpm_alchem.network.quickrun_file import read_quickrun_file
from xpm_alchem.plan.campaign_yaml import parse_plan
from xpm_alchem.requests import inbox
from xpm_alchem.requests.import_results import Importer
from xpm_alchem.results.estimates import transformation_results
from xpm_alchem.strategies.changes import counts_of
from xpm_alchem.views.why import why_view

TRUSTED = ("dummy_protocol",)
PLAN = "name: test\nnetwork: network.json\ntrusted_modules: [dummy_protocol]\n"


def campaign_of(path, network):
    """Return the records of a campaign of a network file, without decoding it."""
    plan = parse_plan(PLAN, path / "campaign.yaml")
    return CampaignRecords.create(path / "workspace", plan, PLAN, load_network(network, TRUSTED))


@pytest.fixture
def network(tmp_path):
    """Two edges in vacuum."""
    seam.save(dummy_network([(0, 1), (1, 2)], n_steps=1), tmp_path / "network.json")
    return tmp_path / "network.json"


@pytest.fixture
def records(tmp_path, network):
    return campaign_of(tmp_path, network)


def result_of(records, name, estimates=(1.5,), run="a"):
    """Return the content of quickrun's file of a transformation."""
    return quickrun.document(records.network_path, records.index.find(name).key, list(estimates), run=run)


FIRST, SECOND = "ligand_0_ligand_1_vacuum", "ligand_1_ligand_2_vacuum"


def refusal(records, path, given=None):
    with pytest.raises(InputError) as caught:
        Importer(records, given).request_for(path)
    return str(caught.value)


# ----------------------------------------------------------------------------------------------- becoming a repeat
def test_a_run_becomes_a_complete_repeat_of_its_transformation(records, tmp_path):
    path = quickrun.write(tmp_path / "r.json", result_of(records, SECOND, [1.0, 2.0]))
    (done,) = Campaign(records).import_results([path])
    assert (done.transformation, done.refused, done.later) == (SECOND, "", False)
    (task,) = records.state().tasks.values()
    assert (task.status, task.repeat, task.estimate, task.uncertainty) == (TaskStatus.COMPLETE, 1, 1.5, 0.0)
    directory = TaskDirectory(records.task_path(task))
    assert directory.quickrun.read_bytes() == path.read_bytes()
    summary = TaskSummary.read(directory.summary)
    assert (summary.status, summary.repeat, summary.estimate) == ("complete", 1, 1.5)
    assert summary.simulations == [[1.0, 0.05], [2.0, 0.05]]
    note = [json.loads(line) for line in directory.attempts.read_text().splitlines()][1]
    assert (note["event"], note["file"], note["sha256"]) == (
        "imported",
        str(path),
        read_quickrun_file(path).sha256,
    )
    assert AttemptLog(directory.attempts).read() == []
    assert why_view(records, f"{SECOND}:1")["imported"] == f"imported from {path}"


def test_repeats_are_numbered_on_and_counted_but_cost_nothing_here_and_cannot_be_extended(records, tmp_path):
    paths = [
        quickrun.write(tmp_path / f"{n}" / "r.json", result_of(records, FIRST, [float(n)], run=f"run {n} "))
        for n in (1, 2, 3)
    ]
    Campaign(records).import_results([tmp_path])
    tasks = grouped(records.state().tasks.values())[records.index.find(FIRST).id]
    assert [task.repeat for task in tasks] == [1, 2, 3] and len(paths) == 3
    result = transformation_results(records.index, {tasks[0].transformation: tasks})[tasks[0].transformation]
    assert (result.repeats, result.sd) == ((1.0, 2.0, 3.0), 1.0)
    counts = counts_of(tasks)
    assert (counts.complete, counts.extendable) == (3, ())
    assert mean_seconds(tasks) is None


def test_while_a_driver_runs_it_takes_the_import_in(records, tmp_path):
    path = quickrun.write(tmp_path / "r.json", result_of(records, FIRST))
    driver = CampaignRecords.open(records.path)
    with driver.lock():
        (done,) = Campaign(records).import_results([path])
        assert done.later and not records.state().tasks
        offset, taken = inbox.apply_inbox(driver, 0)
        assert [request["request"] for request in taken] == ["import"]
        assert inbox.apply_inbox(driver, 0)[1] == []  # a driver that was killed before it noted how far it had read
        assert inbox.apply_inbox(driver, offset)[1] == []
    assert [task.estimate for task in records.state().tasks.values()] == [1.5]


@pytest.mark.parametrize(
    "change",
    [
        {"directory": "campaigns/test/imported/../../other"},
        {"directory": "jobs/elsewhere"},
        {"estimate": "NaN"},
        {"transformation": "unknown"},
    ],
)
def test_a_request_that_makes_no_sense_is_refused(records, tmp_path, change):
    _, request = Importer(records).request_for(quickrun.write(tmp_path / "r.json", result_of(records, FIRST)))
    with pytest.raises(InputError, match="cannot be imported"):
        inbox.import_result(records, {**request, **change})
    assert not records.state().tasks


# --------------------------------------------------------------------------------------------- what is here already
def test_no_run_is_imported_twice_however_it_is_written(records, tmp_path):
    content = result_of(records, FIRST)
    first = quickrun.write(tmp_path / "a.json", content)
    other = quickrun.write(tmp_path / "b.json", content, indent=2)
    done = Campaign(records).import_results([first, other])
    assert [one.refused for one in done] == ["", f"{other}: imported already, as a repeat of {FIRST}."]
    assert refusal(records, other) == f"{other}: imported already, as {FIRST}:1."


def test_a_result_of_the_campaign_itself_is_not_imported_into_it(records, tmp_path):
    record = records.index.find(FIRST)
    spec = TaskSpec(record.id, 1, lambda: records.network.transformation(record.id), trusted=TRUSTED)
    run(records.workspace / "jobs" / "x", spec)
    with records.lock():
        facts = {"transformation": record.id, "repeat": 1, "directory": "jobs/x"}
        records.write({"event": "created", "task": f"{record.id}-1", **facts})
    dag_result = seam.load(records.workspace / "jobs" / "x" / "result.json", lambda module: None)
    seam.write_quickrun_result(records.network.transformation(record.id), dag_result, tmp_path / "own.json")
    assert refusal(records, tmp_path / "own.json", FIRST) == (
        f"{tmp_path / 'own.json'}: the result of {FIRST}:1, which this campaign has computed itself."
    )


# ------------------------------------------------------------------------------------------- of which transformation
def test_other_settings_of_the_protocol_are_another_calculation(records, tmp_path):
    content = result_of(records, FIRST)
    text = json.dumps(content).replace('"n_steps": 1', '"n_steps": 7')
    path = quickrun.write(tmp_path / "r.json", json.loads(text))
    assert f"a run of the chemical systems of '{FIRST}', but with another settings of the protocol" in refusal(
        records, path
    )
    assert Importer(records, FIRST).request_for(path)[0].name == FIRST  # the user knows better


def test_other_chemical_systems_are_of_no_transformation(records, tmp_path):
    seam.save(dummy_network([(5, 6)], n_steps=1), tmp_path / "other.json")
    other = load_network(tmp_path / "other.json", TRUSTED)
    content = quickrun.document(tmp_path / "other.json", other.index.transformations[0].key, [1.0])
    said = refusal(records, quickrun.write(tmp_path / "r.json", content))
    assert "of no transformation of this network: its chemical systems are others" in said
    assert "say which with --transformation NAME, or the JSON file that was given to quickrun" in said


def test_a_file_that_does_not_say_what_it_is_of_needs_the_user_s_word(records, tmp_path):
    content = result_of(records, FIRST)
    content["protocol_result"]["data"] = {}
    path = quickrun.write(tmp_path / "r.json", content)
    assert "does not say which chemical systems it is of" in refusal(records, path)
    assert Importer(records, SECOND).request_for(path)[0].name == SECOND


def test_the_user_s_word_may_be_the_file_that_was_given_to_quickrun(records, tmp_path):
    content = result_of(records, FIRST)
    content["protocol_result"]["data"] = {}
    path = quickrun.write(tmp_path / "r.json", content)
    seam.save(records.network.transformation(records.index.find(FIRST).id), tmp_path / "t.json")
    assert Importer(records, str(tmp_path / "t.json")).request_for(path)[0].name == FIRST
    seam.save(dummy_network([(5, 6)]), tmp_path / "n.json")
    for name, message in (("n.json", "not a transformation of this"), ("r.json", "not the JSON of a gufe")):
        with pytest.raises(InputError, match=message):
            Importer(records, str(tmp_path / name))
    with pytest.raises(NetworkError, match="no transformation is called 'nobody'"):
        Importer(records, "nobody")


def test_the_user_s_word_does_not_stand_against_what_the_file_says(records, tmp_path):
    path = quickrun.write(tmp_path / "r.json", result_of(records, FIRST))
    assert refusal(records, path, SECOND) == f"{path}: a run of '{FIRST}', not of '{SECOND}'."


def test_two_transformations_of_the_same_content_are_not_guessed_between(tmp_path):
    made = dummy_network([(0, 1)], n_steps=1)
    (one,) = made.edges
    other = seam.Transformation(one.stateA, one.stateB, one.protocol, None, name="again")
    seam.save(seam.AlchemicalNetwork(edges=[one, other]), tmp_path / "network.json")
    records = campaign_of(tmp_path, tmp_path / "network.json")
    path = quickrun.write(tmp_path / "r.json", result_of(records, FIRST))
    assert f"fits more than one transformation (again, {FIRST}): say which with --transformation" in refusal(
        records, path
    )
    assert Importer(records, "again").request_for(path)[0].name == "again"


def test_the_other_direction_is_another_transformation(tmp_path):
    seam.save(dummy_network([(0, 1), (1, 0)], n_steps=1), tmp_path / "network.json")
    records = campaign_of(tmp_path, tmp_path / "network.json")
    path = quickrun.write(tmp_path / "r.json", result_of(records, "ligand_1_ligand_0_vacuum"))
    assert Importer(records).request_for(path)[0].name == "ligand_1_ligand_0_vacuum"


@pytest.mark.data
@pytest.mark.parametrize("name", ["openfe_vacuum_benzene_network.json", "tyk2"])
def test_real_transformations_are_found_by_their_content(data, tyk2, tmp_path, name):
    network = tyk2 if name == "tyk2" else data(name)
    records = campaign_of(tmp_path, network)
    importer = Importer(records)
    for record in records.index.transformations[:3]:
        content = quickrun.document(network, record.key, [1.0], run=record.id)
        content["protocol_result"] |= {"__module__": "openfe.protocols"}
        path = quickrun.write(tmp_path / f"{record.id}.json", content)
        assert importer.request_for(path)[0].id == record.id


# -------------------------------------------------------------------------------------------- what cannot be used
def test_what_is_no_result_is_said(records, tmp_path):
    good = result_of(records, FIRST)

    def said(content):
        return refusal(records, quickrun.write(tmp_path / "r.json", content))

    assert "this run failed (its estimate is null): there is nothing to import" in said(good | {"estimate": None})
    lacking = {key: value for key, value in good.items() if key != "unit_results"}
    assert "not a result of `openfe quickrun`: it lacks 'unit_results'." in said(lacking)
    assert "not a result of `openfe quickrun`: it lacks 'estimate', 'uncertainty'" in said([1])
    assert "damaged: 'protocol_result' or 'unit_results'" in said(good | {"protocol_result": {}})
    for wrong in ({"magnitude": 1.0, "unit": "hartree"}, {"magnitude": "x", "unit": "kcal/mol"}, True, float("nan")):
        assert "not an energy in kcal/mol or kJ/mol" in said(good | {"estimate": wrong})
    (tmp_path / "cut.json").write_text(json.dumps(good)[:-100])
    assert "not valid JSON, probably cut short or damaged" in refusal(records, tmp_path / "cut.json")
    assert "there is no such file" in refusal(records, tmp_path / "none.json")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no results of `openfe quickrun`"):
        Campaign(records).import_results([tmp_path / "empty"])


def test_a_file_that_names_a_module_that_is_not_trusted_is_refused(records, tmp_path):
    content = result_of(records, FIRST)
    content["protocol_result"]["__module__"] = "os.path"
    with pytest.raises(UntrustedModuleError, match=r"names the Python module 'os\.path'"):
        Importer(records).request_for(quickrun.write(tmp_path / "r.json", content))


def test_kilojoules_become_kilocalories(records, tmp_path):
    content = result_of(records, FIRST)
    content["estimate"] |= {"magnitude": -4.184, "unit": "kilojoule_per_mole"}
    assert read_quickrun_file(quickrun.write(tmp_path / "r.json", content)).estimate == pytest.approx(-1.0)


# ------------------------------------------------------------------------------------------ what strategies are shown
def imported_campaign(records, tmp_path, *data):
    """Import runs of FIRST whose ProtocolResults have this data, and return the campaign."""
    campaign = Campaign(records)
    for number, one in enumerate(data):
        content = result_of(records, FIRST, [float(number)], run=f"run {number} ")
        content["protocol_result"]["data"] = copy.deepcopy(one)
        content["protocol_result"].pop("n_protocol_dag_results" if seam.IS_GUFE_0_4 else "", None)
        path = quickrun.write(tmp_path / f"{number}.json", content)
        (done,) = campaign.import_results([path], transformation=FIRST)
        assert not done.refused
    return campaign


def test_results_whose_data_have_no_key_in_common_are_put_together(records, tmp_path):
    campaign = imported_campaign(records, tmp_path, {"dgs": [1.0]}, {"others": [2.0]})
    result = campaign.get_transformation_results(FIRST)
    assert isinstance(result, DummyResult) and result.n_protocol_dag_results == 2
    assert dict(result.data) == {"dgs": [1.0], "others": [2.0]}


def test_results_that_cannot_be_put_together_are_counted(records, tmp_path):
    campaign = imported_campaign(records, tmp_path, {"dgs": [1.0]}, {"dgs": [2.0]})
    result = campaign.get_transformation_results(FIRST)
    assert result.n_protocol_dag_results == 2 and dict(result.data) == {"dgs": [1.0]}


def test_a_result_that_this_version_cannot_read_is_counted(records, tmp_path):
    campaign = imported_campaign(records, tmp_path, {"dgs": [1.0]})
    (task,) = records.state().tasks.values()
    TaskDirectory(records.task_path(task)).quickrun.write_text('{"protocol_result": {"nonsense": 1}}')
    assert campaign.get_transformation_results(FIRST).n_protocol_dag_results == 1


def test_the_verbs_say_what_an_import_does_not_hold(records, tmp_path):
    campaign = imported_campaign(records, tmp_path, {"dgs": [1.0]})
    assert campaign.get_network_results()[SECOND] is None
    assert campaign.get_transformation_results(FIRST, return_protocoldagresults=True) == []
    with pytest.raises(InputError, match="was imported: a file of `openfe quickrun` holds no ProtocolDAGResult"):
        campaign.get_task_results(f"{FIRST}:1")
    said = campaign.export("openfe-results", tmp_path / "out")
    assert "1 result(s)" in said[0]
    assert (tmp_path / "out" / "results_1" / f"{FIRST}.json").read_bytes() == (tmp_path / "0.json").read_bytes()
