"""A campaign from a network in memory: no file is written by hand, and what is made is as from a file."""

from __future__ import annotations

import subprocess
import sys

import pytest
import yaml
from dummy_protocol import dummy_network
from places import python_path
from proposals import NEEDS_STRATOCASTER

from xpm_alchem import Campaign, gufe_seam
from xpm_alchem.base.errors import CampaignError, InputError, UntrustedModuleError
from xpm_alchem.plan.campaign_yaml import read_plan
from xpm_alchem.plan.restart_patterns import RestartPattern
from xpm_alchem.strategies.connectivity import ConnectivityStrategy, ConnectivityStrategySettings

EDGES = [(0, 1), (1, 2)]


@pytest.fixture
def network():
    return dummy_network(EDGES)


@pytest.fixture
def create(network, tmp_path):
    """Return a function that makes the campaign of the network."""
    return lambda **options: Campaign.create(**{"network": network, "workspace": tmp_path / "work", **options})


def plan_in_force(campaign: Campaign) -> dict:
    return yaml.safe_load((campaign.path / "campaign.yaml").read_text())


def test_it_runs_to_its_results(create, network):
    campaign = create(strategy="uniform", launcher={"kind": "local", "slots": 2})
    assert campaign.name == "dummy"
    campaign.set_network_strategy("uniform", {"repeats": 1})
    assert campaign.run() == 0
    rows = campaign.results()["transformations"]
    assert {row["transformation"]: len(row["repeats"]) for row in rows} == {t.name: 1 for t in network.edges}


def test_it_is_there_for_the_commands(create):
    campaign = create(strategy={"name": "uniform", "settings": {"repeats": 1}}, launcher={"kind": "local", "slots": 2})
    ran = subprocess.run(
        [sys.executable, "-m", "xpm_alchem", "run", "-q", str(campaign.path / "campaign.yaml")],
        capture_output=True,
        text=True,
        cwd="/",
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert campaign.status()["tasks"]["complete"] == len(EDGES)
    assert [row["campaign"] for row in Campaign.list_all(str(campaign.path.parent.parent))["campaigns"]] == ["dummy"]


def test_the_same_again_opens_it_and_another_plan_comes_into_force(create, network):
    first = create()
    before = (first.path / "campaign.yaml").read_bytes()
    again = create()
    assert (again.path / "campaign.yaml").read_bytes() == before
    assert again.path == first.path
    create(max_retries=7, strategy={"name": "uniform", "mode": "full"})
    assert read_plan(first.path / "campaign.yaml").max_retries == 7
    assert read_plan(first.path / "campaign.yaml").strategy.mode == "full"


def test_what_commands_have_changed_stays_when_it_is_opened_again(create):
    create().set_network_strategy("connectivity")
    assert create().get_network_strategy()["name"] == "connectivity"


def test_a_copy_of_the_network_is_the_same_network(create, network):
    path = create().path
    copied = gufe_seam.decode(gufe_seam.parse(gufe_seam.to_text(network), None))
    assert create(network=copied).path == path


_WRITE = """
import sys
from dummy_protocol import dummy_network
from places import python_path
from proposals import NEEDS_STRATOCASTER
from xpm_alchem import Campaign
profile = {"kind": "local", "slots": 1}
Campaign.create(network=dummy_network([(0, 1), (1, 2), (2, 3)]), workspace=sys.argv[1], launcher=[profile, profile])
"""


def test_the_bytes_depend_on_nothing_but_what_was_given(tmp_path, monkeypatch):
    written = set()
    for seed in ("1", "2", "3"):
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        subprocess.run([sys.executable, "-c", _WRITE, tmp_path / seed], check=True)
        made = tmp_path / seed / "campaigns" / "dummy"
        written.add(tuple((made / name).read_bytes() for name in ("network.json", "campaign.yaml")))
    assert len(written) == 1


def test_a_file_of_a_network_does_as_well(create, network, tmp_path):
    file = tmp_path / "saved.json"
    gufe_seam.save(network, file)
    with pytest.raises(UntrustedModuleError, match="dummy_protocol"):
        create(network=file)
    campaign = create(network=str(file), name="of-file", trusted_modules="dummy_protocol")
    assert (campaign.path / "network.json").read_bytes() == file.read_bytes()
    file.chmod(0o600)
    private = create(network=file, name="private", trusted_modules=["dummy_protocol"])
    assert (private.path / "network.json").stat().st_mode & 0o077 == 0


def test_a_network_in_memory_is_trusted_with_what_its_program_has_imported(create):
    assert plan_in_force(create())["trusted_modules"] == ["dummy_protocol"]


def test_every_section_is_checked_as_that_of_a_file(create, tmp_path):
    measured = tmp_path / "measured.csv"
    measured.write_text("ligand,dg\nligand_0,-1.0\n")
    campaign = create(
        name="all",
        budget={"total": 200},
        restarts=[RestartPattern("CUDA", 5), {"pattern": "x", "allowed": 2}],
        max_retries=2,
        default_restarts=False,
        notify={"command": ["true"]},
    )
    plan = campaign.records.plan()
    assert plan.budget.total == 200 and plan.max_retries == 2 and plan.default_restarts == ()
    assert [one.pattern for one in plan.restarts] == ["CUDA", "x"]
    for wrong, words in (
        ({"budget": {"totl": 3}}, "did you mean 'total'"),
        ({"strategy": "conectivity"}, "did you mean 'connectivity'"),
        ({"strategy": {"name": "uniform", "settings": {"repeats": 0}}}, "repeats"),
        ({"name": "a b"}, "Campaign.create: name: 'a b'"),
        ({"launcher": {"kind": "nowhere"}}, "nowhere"),
        ({"launcher": {"kind": "local", "slots": object()}}, "launcher"),
        ({"network": {}}, "dict is no AlchemicalNetwork"),
        ({"workspace": "nosuchid"}, "./nosuchid"),
        ({"max_retries": -1}, "max_retries"),
    ):
        with pytest.raises(InputError, match=words.replace(".", r"\.")):
            create(**{"name": "wrong", **wrong})
    assert not (campaign.path.parent / "wrong").exists()


def test_secrets_of_a_program_are_nobody_elses(create):
    open_to_all = create(name="open")
    kept = create(name="kept", launcher={"kind": "local", "env": {"TOKEN": "secret"}})
    told = create(name="told")
    create(name="told", notify={"url": "https://example.org/secret"})
    for campaign, is_private in ((open_to_all, False), (kept, True), (told, True)):
        for name in ("campaign.yaml", "given.yaml"):
            assert ((campaign.path / name).stat().st_mode & 0o077 == 0) is is_private, (campaign, name)


def test_a_forecast_changes_nothing(network, tmp_path):
    given = {"network": network, "workspace": tmp_path / "work", "strategy": {"settings": {"repeats": 2}}}
    forecast = Campaign.forecast(**given)
    assert len(forecast.tasks) == 4
    assert repr(forecast).startswith("<4 task(s) to create, 0 in flight, 0 result(s) there; on ")
    assert not (tmp_path / "work").exists()
    with pytest.raises(CampaignError, match="did you mean"):
        Campaign.forecast(**given, restart=[])


def test_a_file_and_a_network_are_not_given_together(create, tmp_path):
    for plan in ({"plan_file": "campaign.yaml"}, {"network": None}):
        with pytest.raises(CampaignError, match="either"):
            create(**plan)
    with pytest.raises(CampaignError, match="strategy"):
        Campaign.create("campaign.yaml", strategy="uniform")


def test_a_network_without_a_name_needs_one(create, network):
    bare = gufe_seam.AlchemicalNetwork(edges=network.edges)
    with pytest.raises(CampaignError, match="has no name"):
        create(network=bare)
    assert create(network=bare, name="mine").name == "mine"


def test_a_strategy_may_be_an_object(create):
    strategy = ConnectivityStrategy(ConnectivityStrategySettings(cutoff=0.2, decay_rate=0.4))
    campaign = create(strategy={"name": strategy, "max_tasks_per_transformation": 2})
    section = plan_in_force(campaign)["strategy"]
    assert section["name"] == "connectivity" and section["max_tasks_per_transformation"] == 2
    assert section["settings"] == {"decay_rate": 0.4, "cutoff": 0.2, "max_runs": None}
    assert campaign.records.plan().strategy == create(strategy={**section}).records.plan().strategy
    campaign.set_network_strategy(ConnectivityStrategy(ConnectivityStrategySettings(max_runs=4)), mode="full")
    view = campaign.get_network_strategy()
    assert (view["mode"], view["settings"]) == ("full", {"decay_rate": 0.5, "cutoff": None, "max_runs": 4})
    with pytest.raises(CampaignError, match="instance"):
        create(name="wrong", strategy=ConnectivityStrategy)


def test_stratocasters_strategies_are_ours_by_name(create):
    strategies = pytest.importorskip("stratocaster.strategies", reason=NEEDS_STRATOCASTER)
    radial = strategies.RadialGrowthStrategy
    settings = radial.default_settings()
    settings.max_runs = 2
    strategy = create(name="radial", strategy=radial(settings)).records.plan().strategy
    assert (strategy.name, strategy.settings["max_runs"]) == ("radial-growth", 2)
    connectivity = strategies.ConnectivityStrategy
    made = create(name="connectivity", strategy=connectivity(connectivity.default_settings())).records.plan().strategy
    assert made.name == "connectivity" and made.settings["max_runs"] == 3


def test_another_strategy_is_named_by_its_module(create, tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(
        "import attrs\n"
        "from xpm_alchem.strategies.uniform import UniformStrategy\n"
        "class Mine(UniformStrategy):\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", python_path(tmp_path))
    import mine

    campaign = create(strategy=mine.Mine(mine.Mine.default_settings()))
    section = plan_in_force(campaign)
    assert section["strategy"] == {"name": "mine:Mine", "settings": {"repeats": 3}}
    assert section["trusted_modules"] == ["dummy_protocol", "mine"]

    class Local(mine.Mine):
        pass

    with pytest.raises(CampaignError, match="class 'Local' is not in a module"):
        create(name="local", strategy=Local(Local.default_settings()))


def test_a_class_of_the_notebook_itself_is_refused(tmp_path):
    program = _WRITE.replace(
        "profile =",
        "import dummy_protocol\nclass Mine(dummy_protocol.DummyProtocol):\n    pass\n"
        "dummy_protocol.DummyProtocol = Mine\nprofile =",
    )
    ended = subprocess.run([sys.executable, "-c", program, tmp_path / "work"], capture_output=True, text=True)
    assert "put the class into a module" in ended.stderr


def test_a_module_that_only_this_program_finds_is_refused(tmp_path):
    program = """
import sys
from pathlib import Path
Path("beside.py").write_text("from dummy_protocol import *\\nclass Beside(DummyProtocol):\\n    pass\\n")
sys.path.insert(0, "")
import beside, dummy_protocol
dummy_protocol.DummyProtocol = beside.Beside
from xpm_alchem import Campaign
network = dummy_protocol.dummy_network([(0, 1)])
"""
    make = "Campaign.create(network=network, workspace='./work')"
    ended = subprocess.run([sys.executable, "-P", "-c", program + make], capture_output=True, text=True, cwd=tmp_path)
    assert "would not find the module 'beside'" in ended.stderr and "PYTHONPATH" in ended.stderr
    assert not (tmp_path / "work" / "campaigns").exists()
    told = "import os; os.environ['PYTHONPATH'] += ':' + os.getcwd(); " + make
    subprocess.run([sys.executable, "-P", "-c", program + told], check=True, cwd=tmp_path)


def test_the_package_stays_light():
    """What imports the package only is not to bring everything that a Campaign needs."""
    program = "import sys, xpm_alchem; print([m for m in sys.modules if 'xpm_alchem.' in m]); xpm_alchem.Campaign"
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed == "[]\n"


def test_a_larger_network_of_the_same_name_lets_it_grow(create, capfd):
    campaign = create()
    larger = create(network=dummy_network([*EDGES, (0, 2)]))
    assert "dummy: network changed: 1 new, 0 gone, 2 the same" in capfd.readouterr().err
    assert larger.path == campaign.path and len(larger.network.edges) == 3
    assert len(Campaign.open(campaign.path).network.edges) == 3
    change = campaign.grow(dummy_network([*EDGES, (2, 3)]))
    assert (len(change.new), len(change.gone), len(change.same)) == (1, 1, 2) and change and not change.later
    assert len(campaign.network.edges) == 3  # as gufe has what is in force
    with pytest.raises(CampaignError, match="another network"):
        create(name="other")
        create(name="other", network=dummy_network([(7, 8)]))


def test_it_is_said_what_another_plan_changes_and_what_stays(create, capfd):
    campaign = create()
    assert capfd.readouterr().err == ""
    create(max_retries=7)
    assert "dummy: plan changed: max_retries: None -> 7" in capfd.readouterr().err
    campaign.set_network_strategy_mode("full")
    create(max_retries=7)
    assert "dummy: stays as commands have set it: strategy.mode: partial -> full" in capfd.readouterr().err


def test_its_own_plan_takes_nothing_back_when_a_command_runs_it(create, network):
    one_each = {"strategy": {"settings": {"repeats": 1}}, "launcher": {"kind": "local", "slots": 2}}
    create(**one_each)
    campaign = create(**one_each, network=dummy_network([*EDGES, (0, 2)]))
    for change, edges in ((None, 3), (dummy_network([*EDGES, (2, 3), (0, 3)]), 4)):
        if change is not None:
            campaign.grow(change)
        command = [sys.executable, "-m", "xpm_alchem", "run", "-q", "--yes", str(campaign.path / "campaign.yaml")]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ran.returncode == 0 and "changed" not in ran.stdout, ran.stdout + ran.stderr
        assert len(campaign.network.edges) == edges == campaign.summary()["with_result"]


def test_what_the_workspace_has_is_counted_for_another_campaign(create, network, tmp_path):
    campaign = create(strategy={"settings": {"repeats": 1}}, launcher={"kind": "local", "slots": 2})
    assert campaign.run(progress=False) == 0
    given = {"network": dummy_network([*EDGES, (0, 2)]), "workspace": tmp_path / "work", "name": "another"}
    forecast = Campaign.forecast(**given, strategy={"settings": {"repeats": 1}})
    assert (forecast.there, len(forecast.tasks)) == (2, 1)
