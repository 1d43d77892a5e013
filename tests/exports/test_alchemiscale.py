"""What is handed over to alchemiscale: the directory, and its script against what a server would hold."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest
import stand_in_alchemiscale as stand_in
import yaml
from dummy_protocol import dummy_network
from places import SUPPORT

from xpm_alchem import gufe_seam as seam
from xpm_alchem.alchemiscale import AlchemiscaleClient, Scope
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.client import Campaign
from xpm_alchem.exports import hand_over, submit_to_alchemiscale
from xpm_alchem.network.loading import load_network
from xpm_alchem.plan.campaign_yaml import parse_plan

NEEDS = "alchemiscale's client is not installed; its documentation says how"
FIRST, SECOND = "ligand_0_ligand_1_vacuum", "ligand_1_ligand_2_vacuum"


class Made:
    """A campaign with tasks in many states, none of which was ever run, and what is exported of it."""

    def __init__(self, path, network=None, **plan):
        self.path = path
        if network is None:
            seam.save(dummy_network([(0, 1), (1, 2)], n_steps=1), path / "network.json")
        else:
            shutil.copy(network, path / "network.json")
        text = yaml.safe_dump(
            {"name": "test", "network": "network.json", "trusted_modules": ["dummy_protocol"], **plan}
        )
        network = load_network(path / "network.json", ("dummy_protocol",))
        self.records = CampaignRecords.create(
            path / "workspace", parse_plan(text, path / "campaign.yaml"), text, network
        )

    def task(self, name, repeat, *, extends=None, **status):
        """Note a task in the journal; `status`: what it became."""
        transformation = self.records.index.find(name).id
        task = f"{transformation}-{repeat}"
        parent = {} if extends is None else {"extends": f"{transformation}-{extends}"}
        facts = {"transformation": transformation, "repeat": repeat, "directory": f"jobs/{task}", **parent}
        with self.records.lock():
            told = {key: status.pop(key) for key in ("priority", "weight") if key in status}
            self.records.write({"event": "created", "task": task, **facts, **told})
            if status:
                self.records.write({"event": "status", "task": task, **status})

    def export(self):
        """Return what was said, and the script, imported from where it was written."""
        said = Campaign(self.records).export("alchemiscale", self.path / "out", force=True)
        spec = importlib.util.spec_from_file_location("submit", self.path / "out" / "submit.py")
        script = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(script)
        return said, script

    def given(self):
        return json.loads((self.path / "out" / "hand-over.json").read_text())


@pytest.fixture(params=["plain", "alchemiscale"])
def server(request):
    """A server, its client, and a scope."""
    if request.param == "plain":
        found = stand_in.Server()
        return SimpleNamespace(server=found, client=found, scope="org-campaign-project")
    alchemiscale = pytest.importorskip("alchemiscale", reason=NEEDS)
    found = stand_in.ModelServer()
    scope = alchemiscale.Scope.from_str("org-campaign-project")
    return SimpleNamespace(server=found, client=stand_in.client_of(found), scope=scope)


def submit(made, server, **options):
    """Run the script against a server; return what it said."""
    _, script = made.export()
    said = []
    given = script.read_hand_over(made.path / "out" / "hand-over.json")
    network = made.records.network.alchemical_network if seam.IS_GUFE_0_4 else script._network(given)
    strategy = options.pop("strategy", None)
    script.submit(server.client, given, network, server.scope, strategy, say=said.append, **options)
    return said


def there(server):
    """Return the tasks on the server: priority, status, whether it extends another, whether it is actioned."""
    actioned = {key for tasks in server.server.actioned.values() for key in tasks}
    return sorted(
        (task.priority, task.status, task.extends is not None, key in actioned)
        for key, task in server.server.tasks.items()
    )


# ------------------------------------------------------------------------------------------------- the directory
def test_the_directory_says_what_is_in_it_and_what_is_not(tmp_path):
    made = Made(tmp_path, budget={"total": "10 h"}, strategy="a-optimal", max_retries=2)
    made.task(FIRST, 1)
    said, _ = made.export()
    names = sorted(path.name for path in (tmp_path / "out").iterdir() if path.is_file())
    assert names == ["README.txt", "export.json", "hand-over.json", "network.json", "submit.py"]
    text = (tmp_path / "out" / "README.txt").read_text()
    left_out = made.given()["left_out"]
    for words in ("strategy 'a-optimal'", "budget: alchemiscale has none", "launcher: ", "max_retries: "):
        assert any(sentence.startswith(words) for sentence in left_out) and f"- {words}" in text
    assert [line.removeprefix("not handed over: ") for line in said[2:]] == left_out
    assert (tmp_path / "out" / "network.json").read_bytes() == made.records.network_path.read_bytes()
    assert all(len(line) <= 110 for line in text.splitlines())


def test_the_script_is_a_program_by_itself_and_says_what_is_impossible_here(tmp_path):
    made = Made(tmp_path)
    made.export()
    command = [sys.executable, "-P", "-c", "import sys; sys.modules['alchemiscale'] = None; " + RUN]
    done = subprocess.run([*command, str(tmp_path / "out" / "submit.py"), "--dry-run"], capture_output=True, text=True)
    assert done.returncode == 1 and not done.stderr
    assert "network: 2 transformations of 'test' into (no --scope given)" in done.stdout
    assert "tasks: 6 of 2 transformations, less those that are there already" in done.stdout
    assert "it could not be done from here: the Python package 'alchemiscale' cannot be imported" in done.stdout


RUN = "import runpy; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"


@pytest.mark.skipif(not seam.IS_GUFE_0_4, reason="gufe reads networks")
def test_gufe_0_4_can_hand_nothing_over(tmp_path, monkeypatch):
    made = Made(tmp_path)
    made.task(FIRST, 1, status="complete", estimate=1.0)
    said, script = made.export()
    assert any("gufe 0.4 wrote it, and alchemiscale takes gufe >= 1.6" in line for line in said)
    assert any("an archive of the results: " in line and "it needs gufe >= 1.8" in line for line in said)
    with pytest.raises(script.Impossible, match=r"gufe \S+ cannot read network.json; alchemiscale takes gufe >= 1\.6"):
        script._network(made.given())


@pytest.mark.skipif(seam.IS_GUFE_0_4, reason="it takes a newer gufe than 0.4 to write its networks anew")
def test_a_network_that_gufe_0_4_wrote_is_written_anew(tmp_path):
    made = Made(
        tmp_path, SUPPORT / "gufe_0_4" / "network.json", strategy={"name": "uniform", "settings": {"repeats": 2}}
    )
    server = stand_in.Server()
    said = submit(made, SimpleNamespace(server=server, client=server, scope="org-campaign-project"))
    count = len(made.records.index.transformations)
    assert f"tasks: {2 * count} created, 0 there already" in said
    found = load_network(tmp_path / "out" / "network.json", ("dummy_protocol",)).index
    assert {record.name for record in found.transformations} == {r.name for r in made.records.index.transformations}


def test_the_script_and_the_export_mean_the_same_file():
    assert (submit_to_alchemiscale.FORMAT, submit_to_alchemiscale.FORMAT_VERSION) == (
        hand_over.FORMAT,
        hand_over.FORMAT_VERSION,
    )


def test_another_file_is_refused(tmp_path):
    _, script = Made(tmp_path).export()
    (tmp_path / "x.json").write_text("{}")
    for name, words in (("x.json", "export the campaign again"), ("none.json", "cannot be read")):
        with pytest.raises(script.Impossible, match=words):
            script.read_hand_over(tmp_path / name)


# -------------------------------------------------------------------------------------------------------- tasks
def test_missing_repeats_are_created_and_actioned_once(tmp_path, server):
    made = Made(tmp_path, strategy={"name": "uniform", "settings": {"repeats": 3}})
    made.task(FIRST, 1, status="complete", estimate=1.0)
    made.task(FIRST, 2, priority=3, weight=0.9)
    made.task(SECOND, 1, status="error")
    made.task(SECOND, 2, status="running")
    said = submit(made, server)
    left_out = made.given()["left_out"]
    for words in ("1 finished result(s): ", "1 task(s) in error: ", "what 1 running task(s) have computed so far: "):
        assert any(line.startswith(words) for line in left_out), left_out
    assert "tasks: 5 created, 0 there already" in said
    new = ("waiting", False, True)
    assert there(server) == [(3, *new), *[(10, *new)] * 4]
    assert sorted(task.weight for task in server.server.tasks.values()) == [0.5] * 4 + [0.9]
    assert "tasks: 0 created, 5 there already" in submit(made, server)
    assert len(server.server.tasks) == 5 and len(server.server.networks) == 1


def test_what_is_there_already_is_counted_whoever_made_it(tmp_path, server):
    made = Made(tmp_path, strategy={"name": "uniform", "settings": {"repeats": 2}})
    submit(made, server)
    first, second, *_ = server.server.tasks.values()
    first.status, second.status = "complete", "invalid"
    assert "tasks: 1 created, 3 there already" in submit(made, server)
    assert len(server.server.tasks) == 5
    assert sum(task.status == "waiting" for task in server.server.tasks.values()) == 3


def test_after_an_interruption_it_goes_on(tmp_path, server):
    made = Made(
        tmp_path, strategy={"name": "uniform", "settings": {"repeats": 2}}, restarts=[{"pattern": "CUDA", "allowed": 3}]
    )
    for changes in range(1, 7):
        server.server.breaks_at, server.server._changes = changes, 0
        try:
            submit(made, server)
        except stand_in.Interrupted:
            continue
    assert there(server) == [(10, "waiting", False, True)] * 4
    (patterns,) = server.server.patterns.values()
    assert patterns == {"CUDA": 3} and len(server.server.networks) == 1


def test_tasks_that_extend_what_is_handed_over_come_with_it(tmp_path, server):
    made = Made(tmp_path, strategy={"name": None, "mode": "disabled"})
    made.task(FIRST, 1)
    made.task(FIRST, 2, extends=1, priority=4)
    made.task(FIRST, 3, extends=2)
    made.task(FIRST, 4)
    made.task(SECOND, 1, status="complete", estimate=1.0)
    made.task(SECOND, 2, extends=1)
    said = submit(made, server)
    assert "tasks: 4 created, 0 there already" in said
    assert there(server) == [
        (4, "waiting", True, True),
        (10, "waiting", False, True),
        (10, "waiting", False, True),
        (10, "waiting", True, True),
    ]
    assert "tasks: 0 created, 4 there already" in submit(made, server)
    assert any(
        line.startswith("1 task(s) that extend what the server does not have") for line in made.given()["left_out"]
    )


def test_what_is_cancelled_or_paused_stays_here(tmp_path, server):
    made = Made(tmp_path, strategy={"name": None, "mode": "disabled"})
    made.task(FIRST, 1)
    with made.records.lock():
        task = next(iter(made.records.state().tasks))
        made.records.write({"event": "cancelled", "task": task, "by": "user"})
    assert "tasks: 0 created, 0 there already" in submit(made, server)
    assert any("cancelled or paused: they stay here" in line for line in made.given()["left_out"])


# ------------------------------------------------------------------------------------------------ all the rest
def test_what_was_changed_on_the_server_is_left_unless_it_is_to_be_replaced(tmp_path, server):
    made = Made(tmp_path, restarts=[{"pattern": "CUDA", "allowed": 3}])
    Campaign(made.records).set_network_weight(0.8)
    submit(made, server)
    (key,) = server.server.networks
    assert (server.server.weights[key], server.server.states[key]) == (0.8, "active")
    server.server.weights[key], server.server.states[key], server.server.patterns[key] = 0.1, "inactive", {"CUDA": 9}
    said = submit(made, server)
    assert "weight: 0.1 on the server is left as it is (0.8 here; --replace sets it)" in said
    assert "state: inactive on the server is left as it is (active here; --replace sets it)" in said
    assert "restart pattern: 'CUDA': 9 on the server is left as it is (3 here; --replace sets it)" in said
    submit(made, server, replace=True)
    assert (server.server.weights[key], server.server.states[key]) == (0.8, "active")
    assert server.server.patterns[key] == {"CUDA": 3}


def test_a_server_that_names_transformations_otherwise_gets_no_tasks(tmp_path, server):
    made = Made(tmp_path)
    server.server.get_network_transformations = lambda network: []
    if server.client is not server.server:
        server.client.get_network_transformations.side_effect = lambda network: []
    with pytest.raises(Exception, match="gufe's keys differ by version"):
        submit(made, server)
    assert not server.server.tasks


CONNECTIVITY, CUTOFF = "ConnectivityStrategy", {"cutoff": 0.1, "max_runs": None}


@pytest.mark.parametrize(
    ("plan", "name", "settings"),
    [
        ({"name": "connectivity", "settings": {"max_runs": 4}}, CONNECTIVITY, {"max_runs": 4, "decay_rate": 0.5}),
        ({"name": "radial-growth"}, "RadialGrowthStrategy", {"max_runs": 3, "candidacy_max_distance": 1}),
        ({"name": f"stratocaster.strategies:{CONNECTIVITY}", "settings": CUTOFF}, CONNECTIVITY, CUTOFF),
    ],
)
def test_a_strategy_of_stratocaster_is_handed_over_as_that(tmp_path, server, plan, name, settings):
    pytest.importorskip("stratocaster", reason="stratocaster is not installed")
    made = Made(tmp_path, strategy={**plan, "mode": "full", "sleep_interval": "90s", "max_tasks_per_transformation": 2})
    made.task(FIRST, 1, status="complete", estimate=1.0)
    made.task(FIRST, 2)
    _, script = made.export()
    strategy = script.strategy_of(made.given())
    said = submit(made, server, strategy=strategy)
    ((found, state),) = server.server.strategies.values()
    assert found == strategy and type(found).__name__ == name and f"strategy: {name} set" in said
    assert {key: getattr(found.settings, key) for key in settings} == settings
    told = (state.mode, state.sleep_interval, state.max_tasks_per_transformation, state.task_scaling)
    assert told == ("full", 90, 2, "exponential")
    assert len(server.server.tasks) == 1  # what is in flight; the strategy sees to the rest
    assert f"strategy: {name}: is set already" in submit(made, server, strategy=strategy)
    state.mode = "disabled"
    assert "another one is set on the server and left" in " ".join(submit(made, server, strategy=strategy))
    left_out = made.given()["left_out"]
    assert any("A strategy there begins from nothing" in line for line in left_out)
    assert any(line.startswith("strategy.normalization 'max'") for line in left_out)
    said = submit(made, server, tasks_only=True)
    most = settings["max_runs"]
    assert f"tasks: {0 if most is None else 2 * most - 2} created, 1 there already" in said


@pytest.mark.slow
def test_the_script_runs_on_our_own_client_too(tmp_path):
    restarts = [{"pattern": "x", "allowed": 2}]
    made = Made(tmp_path, strategy={"name": "uniform", "settings": {"repeats": 2}}, restarts=restarts)
    made.task(FIRST, 1)
    made.task(FIRST, 2, extends=1, priority=4)
    client = AlchemiscaleClient(str(tmp_path / "other"))
    server = SimpleNamespace(client=client, scope=Scope.from_str("org-campaign-project"))
    assert "tasks: 4 created, 0 there already" in submit(made, server)
    assert "tasks: 0 created, 4 there already" in submit(made, server)
    (key,) = client.query_networks()
    tasks = client.get_network_tasks(key)
    assert len(tasks) == 4 and sorted(client.get_tasks_priority(tasks)) == [4, 10, 10, 10]
    assert set(client.get_network_actioned_tasks(key)) == set(tasks)
    assert client.get_task_restart_patterns(key) == {"x": 2}


def test_what_the_client_takes_for_a_scope(tmp_path):
    pytest.importorskip("alchemiscale", reason=NEEDS)
    made = Made(tmp_path)
    _, script = made.export()

    def objects(*arguments):
        return script._objects(made.given(), script._options(arguments))

    scope, network, strategy = objects("--scope", "my_org-my_campaign-p1")
    assert str(scope) == "my_org-my_campaign-p1" and len(network.edges) == 2 and strategy is None
    for given, words in (
        ([], "give --scope"),
        (["--scope", "a-b-*"], "without '\\*'"),
        (["--scope", "a-b"], "not enough values"),
        (["--scope", "1-b-c"], "must either start with"),
    ):
        with pytest.raises(script.Impossible, match=words):
            objects(*given)
    assert script.main(["--dry-run", "--scope", "a-b-c"]) == 0
