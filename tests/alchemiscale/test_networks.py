"""Networks in Scopes: created, found again, their contents, states and weights; nothing runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from campaigns import SmallCampaign
from click.testing import CliRunner
from dummy_protocol import DummyProtocol, DummySettings, dummy_network, small_molecule
from scoped import LOCAL, SCOPE, ScopedWorkspace

from xpm_alchem import gufe_seam
from xpm_alchem.alchemiscale import AlchemiscaleClient, AlchemiscaleClientError, NetworkStateEnum, Scope, ScopedKey
from xpm_alchem.cli import main
from xpm_alchem.client import Campaign

OTHER = Scope("my_org", "my_campaign", "other_project")
NOWHERE = ScopedKey.from_str(f"AlchemicalNetwork-0123-{SCOPE}")


@pytest.fixture
def here(tmp_path: Path) -> ScopedWorkspace:
    return ScopedWorkspace(tmp_path)


def test_a_network_goes_in_and_comes_out(here: ScopedWorkspace) -> None:
    network = here.network([(0, 1), (1, 2)])
    key = here.asc.create_network(network, SCOPE, compress=9, visualize=False)
    assert str(key) == f"{network.key}-my_org-my_campaign-my_project"
    again = AlchemiscaleClient(str(here.path))  # another session
    assert again.get_network(key) == again.get_network(str(key), compress=False, visualize=False) == network
    assert again.query_networks() == [key]
    assert again.check_exists(key) and again.check_exists(str(key))
    assert again.get_scoped_key(network, SCOPE) == key
    assert again.get_network_tasks(key) == []  # no strategy makes any


def test_the_same_network_in_the_same_scope_is_the_same(here: ScopedWorkspace) -> None:
    network = here.network([(0, 1)])
    key = here.asc.create_network(network, SCOPE)
    assert here.asc.create_network(network, SCOPE) == key
    assert len(here.campaigns) == 1
    other = here.asc.create_network(network, OTHER)
    assert other != key and other.gufe_key == key.gufe_key
    assert len(here.campaigns) == 2


def test_the_campaign_of_a_network_says_what_it_is_of(here: ScopedWorkspace) -> None:
    here.create([(0, 1)])
    (records,) = here.campaigns
    assert records.name.startswith("dummy-my_org-my_campaign-my_project-")
    record = json.loads((records.path / "alchemiscale.json").read_text())
    assert (record["format"], record["format_version"]) == ("xpm-alchem alchemiscale", 1)
    assert record["scope"] == "my_org-my_campaign-my_project"
    plan = records.plan()
    assert (plan.strategy.name, plan.launcher) == (None, LOCAL)
    assert CliRunner().invoke(main, ["list", "--workspace", str(here.path)]).output.count("dummy-my_org") == 1


def test_a_network_without_a_name_is_taken(here: ScopedWorkspace) -> None:
    named = here.network([(0, 1)])
    key = here.asc.create_network(gufe_seam.AlchemicalNetwork(edges=named.edges), SCOPE)
    assert here.asc.get_network(key).edges == named.edges
    assert here.campaigns[0].name.startswith("network-")


@pytest.mark.parametrize("scope", [Scope(), Scope("my_org"), Scope("my_org", "my_campaign")])
def test_a_scope_with_wildcards_takes_no_network(here: ScopedWorkspace, scope: Scope) -> None:
    with pytest.raises(AlchemiscaleClientError, match="not specific"):
        here.asc.create_network(here.network([(0, 1)]), scope)
    with pytest.raises(AlchemiscaleClientError, match="not specific"):
        here.asc.get_scoped_key(here.network([(0, 1)]), scope)


def test_what_cannot_be_run_is_refused_and_makes_nothing(here: ScopedWorkspace) -> None:
    system = gufe_seam.ChemicalSystem({"ligand": small_molecule("ligand_0")}, name="ligand_0")
    loop = gufe_seam.Transformation(system, system, DummyProtocol(DummySettings()), None, name="loop")
    with pytest.raises(AlchemiscaleClientError, match="stateA is stateB"):
        here.asc.create_network(gufe_seam.AlchemicalNetwork(edges=[loop], name="loop"), SCOPE)
    with pytest.raises(AlchemiscaleClientError, match="no AlchemicalNetwork"):
        here.asc.create_network(system, SCOPE)
    with pytest.raises(AlchemiscaleClientError, match="active, inactive, invalid, deleted"):
        here.asc.create_network(here.network([(0, 1)]), SCOPE, state="sleepy")
    assert here.campaigns == []


def test_what_is_not_there_is_none_or_an_error(here: ScopedWorkspace) -> None:
    assert here.asc.query_networks() == []
    key = here.create([(0, 1)])
    asc = here.asc
    assert not asc.check_exists(NOWHERE)
    assert asc.get_networks_state([NOWHERE, key]) == [None, "active"]
    assert asc.get_networks_weight([NOWHERE, key]) == [None, 0.5]
    assert asc.set_networks_state([key, NOWHERE], ["inactive", "inactive"]) == [key, None]
    assert asc.set_networks_weight([NOWHERE, key], [0.2, 0.3]) == [None, key]
    assert asc.get_network_state(NOWHERE) is asc.get_network_weight(NOWHERE) is None
    assert asc.set_network_state(NOWHERE, "inactive") is asc.set_network_weight(NOWHERE, 0.1) is None
    assert asc.get_network_transformations(NOWHERE) == asc.get_network_chemicalsystems(NOWHERE) == []
    for get, kind in (
        (asc.get_network, "AlchemicalNetwork"),
        (asc.get_transformation, "Transformation"),
        (asc.get_chemicalsystem, "ChemicalSystem"),
    ):
        with pytest.raises(AlchemiscaleClientError, match=f"there is no {kind}"):
            get(f"{kind}-0123-{SCOPE}")
    with pytest.raises(AlchemiscaleClientError, match="there is no"):
        asc.get_transformation(key)  # of another kind


def test_networks_are_found_by_name_scope_and_state(here: ScopedWorkspace) -> None:
    first = here.create([(0, 1)])
    tyk2 = gufe_seam.AlchemicalNetwork(edges=here.network([(0, 1), (1, 2)]).edges, name="tyk2 [1]")
    second = here.asc.create_network(tyk2, OTHER)
    query = here.asc.query_networks
    assert {*query()} == {first, second}
    assert query(name="dummy") == query(name="dum.*") == query(name=".*mm.*") == [first]
    assert query(name="tyk2 [1]") == query(name=r"tyk2 \[\d\]") == [second]
    assert query(name="dum") == query(name="nothing") == []
    assert query(scope=SCOPE) == query(scope=Scope.from_str(str(SCOPE))) == [first]
    assert {*query(scope=Scope("my_org"))} == {*query(scope=Scope("my_org", "my_campaign"))} == {first, second}
    assert query(scope=Scope("another")) == []
    assert here.asc.set_network_state(first, "inactive") == first
    assert query() == [second]
    assert query(state=NetworkStateEnum.inactive) == query(state="inactive") == [first]
    assert {*query(state=None)} == {*query(state="inactive|active")} == {first, second}
    assert query(state="nonsense") == []
    with pytest.raises(AlchemiscaleClientError, match="regular expression"):
        query(name="(")


def test_states_and_weights_are_kept_and_checked(here: ScopedWorkspace) -> None:
    asc, keys = here.asc, [here.create([(0, 1)]), here.create([(0, 2)])]
    for state in ("inactive", NetworkStateEnum.invalid, "deleted", "active"):
        assert asc.set_network_state(keys[0], state) == keys[0]
        assert asc.get_networks_state(keys) == [str(getattr(state, "value", state)), "active"]
    assert asc.set_networks_state(keys, ["deleted", "inactive"]) == keys
    assert [asc.get_network_state(key) for key in keys] == ["deleted", "inactive"]
    assert asc.create_network(here.network([(0, 1)]), SCOPE) == keys[0]  # as it is made again
    assert asc.get_network_state(keys[0]) == "active"
    assert [asc.get_network_weight(key) for key in keys] == [0.5, 0.5]
    assert asc.set_network_weight(keys[0], 0.9) == keys[0]
    assert asc.set_networks_weight(keys, [1.0, 0]) == keys
    assert asc.get_networks_weight(keys, batch_size=1) == [1.0, 0.0]
    for wrong in (-0.1, 1.1, "heavy"):
        with pytest.raises(AlchemiscaleClientError, match="from 0"):
            asc.set_networks_weight(keys, [0.3, wrong])  # type: ignore[list-item]
    assert asc.get_networks_weight(keys) == [1.0, 0.0]  # nothing was changed
    with pytest.raises(AlchemiscaleClientError, match="active"):
        asc.set_network_state(keys[0], "sleepy")
    with pytest.raises(AlchemiscaleClientError, match="2 and 1 entries"):
        asc.set_networks_state(keys, ["active"])
    with pytest.raises(AlchemiscaleClientError, match="2 and 3 entries"):
        asc.set_networks_weight(keys, [0.1, 0.2, 0.3])
    fresh = here.asc.create_network(here.network([(3, 4)]), SCOPE, state="inactive")
    assert asc.get_network_state(fresh) == "inactive"


class TestContents:
    """Two networks of one Scope share a transformation and its systems, a third lies in another Scope."""

    @pytest.fixture
    def three(self, here: ScopedWorkspace) -> tuple[ScopedWorkspace, list[ScopedKey]]:
        return here, [here.create([(0, 1), (1, 2)]), here.create([(1, 2), (2, 3)]), here.create([(0, 1)], OTHER)]

    def test_objects(self, three: tuple[ScopedWorkspace, list[ScopedKey]]) -> None:
        here, (one, *_) = three
        network = here.asc.get_network(one)
        found = here.asc.get_network_transformations(one)
        assert {*map(here.asc.get_transformation, found)} == {*network.edges}
        assert {key.scope for key in found} == {SCOPE}
        systems = here.asc.get_network_chemicalsystems(one)
        assert {*map(here.asc.get_chemicalsystem, systems)} == {*network.nodes}
        for edge in network.edges:
            key = here.asc.get_scoped_key(edge, SCOPE)
            ends = here.asc.get_transformation_chemicalsystems(key)
            assert list(map(here.asc.get_chemicalsystem, ends)) == [edge.stateA, edge.stateB]
            assert all(here.asc.check_exists(here.asc.get_scoped_key(part, SCOPE)) for part in (edge, edge.stateA))
            assert here.asc.check_exists(here.asc.get_scoped_key(edge.protocol, SCOPE))
            assert not here.asc.check_exists(here.asc.get_scoped_key(edge, Scope("a", "b", "c")))

    def test_what_is_shared_is_one_in_its_scope(self, three: tuple[ScopedWorkspace, list[ScopedKey]]) -> None:
        here, (one, two, other) = three
        asc = here.asc
        shared = {*asc.get_network_transformations(one)} & {*asc.get_network_transformations(two)}
        assert len(shared) == 1
        (edge,) = shared
        assert {*asc.get_transformation_networks(edge)} == {one, two}
        assert asc.get_transformation_networks(asc.get_network_transformations(other)[0]) == [other]
        assert len(asc.query_transformations(scope=SCOPE)) == len({*asc.query_transformations(scope=SCOPE)}) == 3
        assert len(asc.query_transformations()) == 4
        assert asc.query_transformations(name="ligand_1_ligand_2_vacuum") == [edge]
        assert len(asc.query_transformations(name="ligand_0_.*")) == 2
        assert len(asc.query_chemicalsystems(scope=SCOPE)) == 4
        assert len(asc.query_chemicalsystems()) == 6
        (system,) = asc.query_chemicalsystems(name="vacuum_ligand_2")
        assert {*asc.get_chemicalsystem_networks(system)} == {one, two}
        assert len(asc.get_chemicalsystem_transformations(system)) == 2
        assert edge in asc.get_chemicalsystem_transformations(system)
        assert asc.get_chemicalsystem_networks(ScopedKey.from_str(f"ChemicalSystem-0-{SCOPE}")) == []

    def test_a_transformation_of_one_system_has_one_end(self, here: ScopedWorkspace) -> None:
        system = gufe_seam.ChemicalSystem({"ligand": small_molecule("ligand_0")}, name="ligand_0")
        edge = gufe_seam.NonTransformation(system, DummyProtocol(DummySettings()), name="plain")
        alone = gufe_seam.ChemicalSystem({"ligand": small_molecule("ligand_9", "CCO")}, name="alone")
        network = gufe_seam.AlchemicalNetwork(edges=[edge], nodes=[alone], name="plain")
        key = here.asc.create_network(network, SCOPE)
        (found,) = here.asc.get_network_transformations(key)
        assert here.asc.get_transformation(found) == edge
        ends = here.asc.get_transformation_chemicalsystems(found)
        assert list(map(here.asc.get_chemicalsystem, ends)) == [system]
        assert len(here.asc.get_network_chemicalsystems(key)) == 2  # one without a transformation, too


def test_a_campaign_made_from_a_file_is_a_network_too(tmp_path: Path) -> None:
    made = SmallCampaign(tmp_path / "small", edges=[(0, 1)], plan={"name": "my-first.campaign"})
    Campaign.create(made.file)
    asc = AlchemiscaleClient(tmp_path / "small" / "workspace")
    (key,) = asc.query_networks()
    assert key.scope == Scope("local", "workspace", "my_first_campaign")
    assert asc.get_network(key) == gufe_seam.load(made.path / "network.json", lambda module: None)
    (edge,) = asc.get_network_transformations(key)
    assert asc.get_transformation(edge).name == "ligand_0_ligand_1_vacuum"
    assert asc.get_network_strategy(key) is not None
    assert asc.query_networks(scope=Scope("local")) == [key]
    assert len(asc.create_tasks(edge, count=2)) == 2


def test_a_campaign_that_cannot_be_read_keeps_no_other_from_being_found(here: ScopedWorkspace) -> None:
    good, bad = here.create([(0, 1)]), here.create([(0, 2)])
    (path,) = [one.path for one in here.campaigns if one.scope().network == str(bad.gufe_key)]  # type: ignore[union-attr]
    before = (path / "alchemiscale.json").read_text()
    for text in ("{", before.replace('"scope"', '"where"'), before.replace('"my_org-', '"')):
        (path / "alchemiscale.json").write_text(text)
        with pytest.warns(UserWarning, match="left out"):
            assert AlchemiscaleClient(here.path).query_networks() == [good]
    (path / "alchemiscale.json").write_text(before)
    network = (path / "network.json").read_text()
    (path / "network.json").write_text("[")
    damaged = AlchemiscaleClient(here.path)
    assert {*damaged.query_networks()} == {good, bad}
    with pytest.raises(AlchemiscaleClientError, match=r"network\.json"):
        damaged.get_network(bad)
    (path / "network.json").write_text(network)
    assert {*AlchemiscaleClient(here.path).query_networks()} == {good, bad}


class TestWorkspace:
    """Which workspace a client is of."""

    @pytest.fixture
    def settings(self, own_home: Path, tmp_path: Path) -> Any:
        path = own_home / ".config" / "experimaestro" / "settings.yaml"
        path.parent.mkdir(parents=True)

        def write(**ours: Any) -> Path:
            workspaces = [{"id": "main", "path": str(tmp_path / "main")}, {"id": "two", "path": str(tmp_path / "two")}]
            path.write_text(yaml.safe_dump({"workspaces": workspaces, **({"xpm_alchem": ours} if ours else {})}))
            return path

        return write

    def test_it_is_named_by_id_directory_or_url(self, settings: Any, tmp_path: Path) -> None:
        settings(alchemiscale={"https://api.alchemiscale.org": "two", "https://b.org": str(tmp_path / "b")})
        for given, path in (
            ("two", "two"),
            (str(tmp_path / "any"), "any"),
            (tmp_path / "any", "any"),
            ("https://api.alchemiscale.org", "two"),
            ("https://api.alchemiscale.org/", "two"),
            ("https://b.org", "b"),
            (None, "main"),
        ):
            assert AlchemiscaleClient(given).workspace == tmp_path / path
        client = AlchemiscaleClient("https://b.org", "me", "secret", verify=False, cache_directory=tmp_path)
        assert repr(client) == "AlchemiscaleClient('https://b.org')"
        assert "secret" not in repr(vars(client))

    def test_the_environment_may_name_it(self, settings: Any, monkeypatch: Any, tmp_path: Path) -> None:
        settings(alchemiscale={"https://a.org": "two", "https://b.org": "main"})
        monkeypatch.setenv("ALCHEMISCALE_URL", "https://a.org")
        assert AlchemiscaleClient().workspace == tmp_path / "two"
        with pytest.warns(UserWarning, match="ALCHEMISCALE_URL"):
            assert AlchemiscaleClient("https://b.org").workspace == tmp_path / "main"

    def test_an_url_that_is_not_known_says_what_to_write(self, settings: Any) -> None:
        path = settings()
        with pytest.raises(AlchemiscaleClientError) as raised:
            AlchemiscaleClient("https://api.alchemiscale.org", "me", "secret")
        said = str(raised.value)
        assert str(path) in said and "secret" not in said
        example = said[said.index("'") + 1 : said.index("', where")]
        assert yaml.safe_load(example) == {
            "xpm_alchem": {"alchemiscale": {"https://api.alchemiscale.org": "WORKSPACE"}}
        }

    def test_a_section_that_is_no_mapping_is_refused(self, settings: Any) -> None:
        settings(alchemiscale=["https://a.org"])
        with pytest.raises(AlchemiscaleClientError, match="mapping of URLs to workspaces"):
            AlchemiscaleClient("https://a.org")


def test_everybody_has_all_scopes(here: ScopedWorkspace) -> None:
    assert here.asc.list_scopes() == here.asc.get_scopes() == [Scope()]


def test_a_dummy_network_has_the_same_key_in_any_process() -> None:
    assert dummy_network([(0, 1)]).key == dummy_network([(0, 1)]).key


def test_a_network_that_grows_has_another_key_and_answers_to_the_old_one(here: ScopedWorkspace) -> None:
    asc, first = here.asc, here.create([(0, 1), (1, 2)])
    one, two = asc.get_network_transformations(first)
    tasks = asc.create_transformations_tasks([one, two])
    grown = here.network([(1, 2), (2, 3)])
    Campaign(here.campaigns[0]).grow(grown)
    (key,) = asc.query_networks()
    assert key == asc.get_scoped_key(grown, SCOPE) != first
    assert asc.get_network(key) == asc.get_network(first) == grown
    left = [task for task, edge in zip(tasks, (one, two), strict=True) if edge in asc.get_network_transformations(key)]
    assert asc.get_network_tasks(first) == asc.query_tasks() == left and len(left) == 1  # what is gone has none
    assert asc.create_network(grown, SCOPE) == key
    with pytest.raises(AlchemiscaleClientError, match="has grown"):
        asc.create_network(here.network([(0, 1), (1, 2)]), SCOPE)
    assert len(here.campaigns) == 1
