"""A campaign's network grows: what is on the disk, what the journal tells, and whoever is killed in between."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from click.testing import CliRunner
from dummy_protocol import dummy_network

from xpm_alchem import gufe_seam
from xpm_alchem.base.errors import FormatError, InputError, NetworkError, RecordsError
from xpm_alchem.campaign import network_files
from xpm_alchem.campaign.index_record import FIRST_NETWORK
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.task_state import TaskStatus
from xpm_alchem.cli import main
from xpm_alchem.client import Campaign
from xpm_alchem.execution.fence import Orders
from xpm_alchem.network.loading import load_network
from xpm_alchem.plan.campaign_yaml import parse_plan
from xpm_alchem.requests import growth as growing
from xpm_alchem.requests import inbox
from xpm_alchem.requests.growth import agree_with_network, growth_by_command, growth_by_file, put_in_force
from xpm_alchem.requests.preparation import Preparation

TEXT = "name: one\nnetwork: network.json\nworkspace: ./workspace\nlauncher: local\ntrusted_modules: [dummy_protocol]\n"
Edges = list[tuple[int, int]]


def given(tmp_path: Path, edges: Edges, file: str = "network.json", **settings: Any) -> Path:
    gufe_seam.save(dummy_network(edges, **settings), tmp_path / file)
    return tmp_path / file


@pytest.fixture
def campaign(tmp_path: Path) -> Campaign:
    """A campaign of two transformations, each with a task."""
    (tmp_path / "campaign.yaml").write_text(TEXT)
    plan = parse_plan(TEXT, tmp_path / "campaign.yaml")
    network = load_network(given(tmp_path, [(0, 1), (1, 2)]), plan.trusted_modules)
    made = Campaign(CampaignRecords.create(tmp_path / "workspace", plan, TEXT, network))
    for record in made.records.index.transformations:
        made.create_tasks(record.id)
    return made


def again(campaign: Campaign) -> CampaignRecords:
    """Return the records as another process sees them."""
    return CampaignRecords.open(campaign.path)


def names(records: CampaignRecords) -> set[str]:
    return {f"{r.ligand_a[-1]}{r.ligand_b[-1]}" for r in records.index.transformations}


def loaded(records: CampaignRecords, path: Path):
    return load_network(path, records.plan().trusted_modules)


# ------------------------------------------------------------------------------------------------------ on the disk
def test_a_network_that_never_grew_is_as_0_1_reads_it(campaign):
    record = json.loads((campaign.path / "index.json").read_text())
    assert record["format_version"] == 1
    assert record.keys() == {"format", "format_version", *attrs.asdict(campaign.records.index)}
    assert again(campaign).in_force.number == 1
    assert sorted(path.name for path in campaign.path.iterdir() if path.is_dir()) == []


def test_network_files_are_never_changed(campaign, tmp_path):
    first = (campaign.path / FIRST_NETWORK).read_bytes()
    second = given(tmp_path, [(0, 1), (1, 2), (2, 3)], "more.json").read_bytes()
    campaign.grow(tmp_path / "more.json")
    campaign.drop(campaign.records.index.transformations[0].name)
    assert (campaign.path / FIRST_NETWORK).read_bytes() == first
    assert (campaign.path / "networks" / "2.json").read_bytes() == second
    records = again(campaign)
    assert records.in_force.file == "networks/3.json"
    assert records.network_path == campaign.path / "networks" / "3.json"
    assert names(records) == {"12", "23"}
    (gone,) = records.in_force.gone.values()
    assert gone.file == "networks/2.json"
    assert records.gone_network(gone.record.id).transformation(gone.record.id).name == gone.record.name
    assert {*records.network.index.by_id} == {*records.index.by_id}


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda record: record.update(number=1), "number"),
        (lambda record: record.update(number="2"), "number"),
        (lambda record: record.update(file="../../elsewhere.json"), "no network file"),
        (lambda record: record.update(file="networks/../../x.json"), "no network file"),
        (lambda record: record["gone"][0].update(file="/etc/passwd"), "no network file"),
        (lambda record: record["gone"][0]["transformation"].update(id=record["transformations"][0]["id"]), "gone"),
        (lambda record: record.pop("given"), "given"),
        (lambda record: record.update(given=[1]), "no text"),
    ],
)
def test_an_index_that_was_not_written_so_is_damaged_and_made_again(
    campaign, damage: Callable[[dict[str, Any]], Any], said: str
):
    campaign.drop(campaign.records.index.transformations[0].name)
    path = campaign.path / "index.json"
    before = campaign.records.in_force
    record = json.loads(path.read_text())
    damage(record)
    path.write_text(json.dumps(record))
    with pytest.raises(FormatError, match=said):
        growing_index(path)
    found = again(campaign).in_force  # of the network files
    assert (found.number, found.file, {*found.gone}) == (before.number, before.file, {*before.gone})
    assert {*found.index.by_id} == {*before.index.by_id}


def growing_index(path: Path):
    from xpm_alchem.campaign.index_record import read_network_in_force

    return read_network_in_force(path)


def test_who_may_not_read_the_network_that_was_given_reads_nothing_made_of_it(campaign, tmp_path):
    secret = given(tmp_path, [(0, 1), (1, 2), (2, 3)])
    secret.chmod(0o600)
    Preparation.read(tmp_path / "campaign.yaml").make()
    for number in (2, 3):
        for path in (campaign.path / "networks" / f"{number}.json", campaign.path / "index.json"):
            assert path.stat().st_mode & 0o077 == 0
        campaign.drop("ligand_0_ligand_1_vacuum") if number == 2 else None


# ------------------------------------------------------------------------------------- a file that is given again
def test_a_file_and_commands_together(campaign, tmp_path):
    records = campaign.records
    more = loaded(records, given(tmp_path, [(0, 1), (1, 2), (2, 3)], "more.json"))
    campaign.drop("ligand_0_ligand_1_vacuum")
    growth = growth_by_file(records, more)
    assert growth.sentence == "1 new, 0 gone, 1 the same"
    assert growth.named(growth.dropped_by_commands) == ["ligand_0_ligand_1_vacuum"]
    with records.lock():
        assert put_in_force(records, growth)
    assert names(records) == {"12", "23"}
    assert not growth_by_file(records, more).change
    less = loaded(records, given(tmp_path, [(0, 1), (2, 3)], "less.json"))
    growth = growth_by_file(records, less)
    assert growth.sentence == "0 new, 1 gone, 1 the same"


def test_another_transformation_of_the_same_name_is_said_not_guessed(campaign, tmp_path):
    campaign.grow(given(tmp_path, [(0, 1)], "changed.json", n_steps=7), anew=True)
    records = campaign.records
    other = loaded(records, given(tmp_path, [(0, 1), (1, 2)], "other.json", n_steps=9))
    with pytest.raises(NetworkError, match=r"'ligand_0_ligand_1_vacuum' is not the transformation that a command"):
        growth_by_file(records, other)


def test_what_a_file_gives_that_a_command_gave_before_is_only_remembered(campaign, tmp_path):
    path = given(tmp_path, [(0, 1), (1, 2), (2, 3)])
    campaign.grow(path)
    number = campaign.records.in_force.number
    made = Preparation.read(tmp_path / "campaign.yaml").make()
    assert made.records.in_force.number == number
    assert len(made.records.in_force.given) == 3
    assert not growth_by_file(made.records, loaded(made.records, path)).is_to_be_done(made.records)


# ------------------------------------------------------------------------------------------------ tasks that go
def test_tasks_go_and_come_back_with_their_transformation(campaign):
    records = campaign.records
    first, second = records.state().tasks.values()
    with records.lock():
        records.write({"event": "submitted", "task": first.task, "attempts": 0})
        records.write({"event": "cancelled", "task": second.task, "by": "user"})
    campaign.grow(dummy_network([(5, 6)]), anew=True)
    state = again(campaign).state()
    assert not state.tasks
    gone, cancelled = (state.everything[task.task] for task in (first, second))
    assert (gone.is_to_end, gone.cancelled_by) == (True, "network")
    assert cancelled.cancelled_by == "user"
    assert Orders.read(records.task_path(gone)).stop == growing.GONE
    campaign.grow(dummy_network([(0, 1), (1, 2), (5, 6)]))
    state = again(campaign).state()
    assert {*state.tasks} == {first.task, second.task}
    assert state.tasks[first.task].actioned
    assert not state.tasks[second.task].actioned
    assert not again(campaign).in_force.gone


def test_nothing_is_asked_of_a_task_that_is_gone_but_that_it_end(campaign):
    task = next(iter(campaign.records.state().tasks.values()))
    name = campaign.records.name_of(task)
    with campaign.records.lock():
        campaign.records.write({"event": "submitted", "task": task.task, "attempts": 0})
    campaign.drop(task.transformation)
    for ask in (campaign.action_tasks, campaign.retry_tasks, lambda one: campaign.set_tasks_priority(one, 3)):
        with pytest.raises(InputError, match="gone from the network"):
            ask([name])
    with pytest.raises(InputError, match="gets no more tasks"):
        campaign.create_tasks(task.transformation)
    with pytest.raises(InputError, match="gets no more tasks"):
        campaign.extend_task(name)
    assert campaign.cancel_tasks([name]).tasks == (name,)
    assert campaign.records.state().everything[task.task].cancelled_by == "user"


def test_names_stay_apart_when_one_is_used_again(campaign, tmp_path):
    for steps in (7, 9):
        campaign.grow(given(tmp_path, [(0, 1), (1, 2)], "changed.json", n_steps=steps), anew=True)
        for record in campaign.records.index.transformations:
            campaign.create_tasks(record.id)
    records = again(campaign)
    everything = records.state().everything.values()
    called = [records.name_of(task) for task in everything]
    assert len(set(called)) == len(called) == 6
    assert sum("(gone " in name for name in called) == 4
    for task, name in zip(everything, called, strict=True):
        assert records.in_force.find(name.rpartition(":")[0]).id == task.transformation
        assert records.in_force.find(task.transformation).id == task.transformation
        assert campaign.why(name)["task"] == task.task
    assert records.in_force.find("ligand_0_ligand_1_vacuum").id in records.index.by_id
    with pytest.raises(NetworkError, match="did you mean"):
        records.in_force.find("ligand_0_ligand_1_vacum")


# ------------------------------------------------------------------------------------- others who look meanwhile
def test_who_looks_sees_the_network_grow(campaign):
    looking = again(campaign)
    assert len(looking.state().tasks) == 2
    assert looking.in_force.number == 1
    campaign.grow(dummy_network([(1, 2), (2, 3)]))
    campaign.create_tasks("ligand_2_ligand_3_vacuum")
    state = looking.state()
    assert names(looking) == {"12", "23"}
    assert (len(state.tasks), len(state.everything)) == (2, 3)
    assert [looking.name_of(task) for task in state.everything.values()] == [
        campaign.records.name_of(task) for task in campaign.records.state().everything.values()
    ]
    assert looking.network.index.by_id.keys() == looking.index.by_id.keys()


def test_an_index_that_was_put_back_from_a_backup_is_believed_until_the_network_grows_again(campaign, monkeypatch):
    path = campaign.path / "index.json"
    backup = path.read_bytes()
    campaign.grow(dummy_network([(0, 1), (1, 2), (2, 3)]))
    path.write_bytes(backup)
    looking, reads = again(campaign), []
    read = network_files.read_network_in_force
    monkeypatch.setattr(network_files, "read_network_in_force", lambda path: reads.append(path) or read(path))
    for _ in range(5):
        assert looking.state().network == 2
        assert names(looking) == {"01", "12"}
    assert len(reads) == 1
    made = Campaign(looking)
    made.grow(dummy_network([(1, 2), (3, 4)]))
    assert looking.in_force.number == 3  # a file is never written twice
    assert names(again(campaign)) == {"12", "34"}


def test_a_snapshot_is_of_the_network_it_was_made_with(campaign, monkeypatch):
    from xpm_alchem.campaign import told_state

    monkeypatch.setattr(told_state, "WORTH_LINES", 1)
    campaign.drop("ligand_0_ligand_1_vacuum")
    looking = again(campaign)
    looking.state()
    assert looking.snapshot_path.exists()
    assert looking.agrees_with_snapshot()
    for _ in range(2):
        state = again(campaign).state()
        assert (len(state.tasks), len(state.everything), state.network) == (1, 2, 2)
    campaign.grow(dummy_network([(0, 1), (1, 2)]))  # the same transformations are known, and others are gone
    state = again(campaign).state()
    assert (len(state.tasks), len(state.everything), state.network) == (2, 2, 3)
    assert again(campaign).agrees_with_snapshot()


# ------------------------------------------------------------------------------------------------------ killed
class Killed(BaseException):
    """Stands for the end of a process."""


@pytest.mark.parametrize("at", ["put_network_in_force", "write", "give_orders"])
@pytest.mark.parametrize("by", ["file", "command"])
def test_whoever_is_killed_meanwhile_leaves_what_the_next_one_completes(campaign, tmp_path, monkeypatch, at, by):
    records = campaign.records
    task = next(iter(records.state().tasks.values()))
    with records.lock():
        records.write({"event": "submitted", "task": task.task, "attempts": 0})
    network = loaded(records, given(tmp_path, [(1, 2), (2, 3)], "more.json"))

    def killed(*_: Any, **__: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        place = growing if at == "give_orders" else CampaignRecords
        after = getattr(place, at)
        if at == "put_network_in_force":  # after the file and the index are there
            patch.setattr(place, at, lambda *a, **k: (after(*a, **k), killed()))
        else:
            patch.setattr(place, at, killed)
        with pytest.raises(Killed):
            inbox.grow(records, network, by=by)
    other = again(campaign)
    assert names(other) == {"12", "23"}
    assert len(other.state().tasks) == 1
    with other.lock():
        agree_with_network(other)
        assert not agree_with_network(other)
    state = other.state()
    assert state.network == other.in_force.number == 2
    assert state.everything[task.task].cancelled_by == "network"
    growth = (growth_by_file if by == "file" else growth_by_command)(other, network)
    assert not growth.change
    assert not growth.is_to_be_done(other)


def test_a_request_is_granted_once(campaign, tmp_path):
    records = campaign.records
    network = loaded(records, given(tmp_path, [(1, 2), (2, 3)], "more.json"))
    file = growing.place_for_driver(records, network)
    request = {"request": "grow", "id": "a" * 32, "file": file, "by": "command"}
    with records.lock():
        assert inbox.apply(records, request)
        assert not (campaign.path / file).exists()
        assert not inbox.apply(records, request)
        campaign.drop("ligand_2_ligand_3_vacuum")
        assert not inbox.apply(records, request)
    assert names(records) == {"12"}


@pytest.mark.parametrize(
    "request_",
    [
        {"file": "../../../etc/passwd"},
        {"file": "network.json"},
        {"file": 3},
        {"dropped": "all"},
        {"dropped": [1]},
        {"dropped": ["unknown"]},
        {},
    ],
)
def test_a_request_that_makes_no_sense_changes_nothing(campaign, request_):
    before = (campaign.path / "index.json").read_bytes()
    with campaign.records.lock():
        assert not inbox.apply(campaign.records, {"request": "grow", **request_})
    assert (campaign.path / "index.json").read_bytes() == before
    assert (campaign.path / FIRST_NETWORK).exists()


def test_a_request_whose_file_is_gone_or_damaged_is_refused(campaign, tmp_path):
    network = loaded(campaign.records, given(tmp_path, [(1, 2), (2, 3)], "more.json"))
    file = growing.place_for_driver(campaign.records, network)
    (campaign.path / file).write_text("{")
    campaign.records.ask(request="grow", file=file, by="file", id="b" * 32)
    with campaign.records.lock():
        offset, (taken,) = inbox.apply_inbox(campaign.records, 0)
        assert "not valid JSON" in taken["refused"]
        assert not (campaign.path / file).exists()
        campaign.records.ask(request="grow", file=file, by="file", id="c" * 32)
        _, (taken,) = inbox.apply_inbox(campaign.records, offset)
    assert "no such network file" in taken["refused"]
    assert campaign.records.in_force.number == 1


def test_a_disk_that_is_full_for_a_while_loses_no_request(campaign, tmp_path, monkeypatch):
    network = loaded(campaign.records, given(tmp_path, [(1, 2), (2, 3)], "more.json"))
    file = growing.place_for_driver(campaign.records, network)
    campaign.records.ask(request="grow", file=file, by="file", id="d" * 32)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with campaign.records.lock():
        with monkeypatch.context() as patch:
            patch.setattr(network_files, "write_network_in_force", full)
            with pytest.raises(RecordsError, match="No space left"):
                inbox.apply_inbox(campaign.records, 0)
        assert campaign.records.in_force.number == 1
        _, (taken,) = inbox.apply_inbox(campaign.records, 0)
    assert "refused" not in taken
    assert names(again(campaign)) == {"12", "23"}


# ---------------------------------------------------------------------------------------------------- commands
def test_commands_say_what_changes_and_refuse_what_makes_no_sense(campaign, tmp_path):
    def call(*arguments: object, code: int = 0) -> str:
        done = CliRunner().invoke(main, [str(argument) for argument in arguments])
        assert done.exit_code == code, done.output
        assert "Traceback" not in done.output
        return done.output

    more = given(tmp_path, [(n, n + 1) for n in range(1, 40)], "more.json")
    said = call("network", "grow", campaign.path, more)
    assert "network changed: 38 new, 1 gone, 1 the same" in said
    assert all(len(line) <= 80 for line in said.splitlines())
    assert "more" in said.splitlines()[3]
    assert "this is the network already" in call("network", "grow", campaign.path, more)
    said = call("network", "drop", campaign.path, "ligand_5_ligand_6_vacuum")
    assert "in 2 parts that nothing joins" in said
    assert "already" in call("network", "drop", campaign.path, "ligand_5_ligand_6_vacuum", code=2)
    assert "did you mean" in call("network", "drop", campaign.path, "ligand_5_ligand_7_vacuum", code=2)
    assert "nothing of the network would stay" in call(
        "network", "grow", campaign.path, given(tmp_path, [(50, 51)], "other.json"), code=2
    )
    assert "no such network file" in call("network", "grow", campaign.path, tmp_path / "nowhere.json", code=2)
    with pytest.raises(InputError, match="is no AlchemicalNetwork"):
        campaign.grow(3)
    change = campaign.grow(dummy_network([(1, 2)]))
    assert (change.new, change.same, change.parts, len(change.gone)) == ((), ("ligand_1_ligand_2_vacuum",), 1, 37)
    with pytest.raises(InputError, match="no transformation would be left"):
        campaign.drop("ligand_1_ligand_2_vacuum")
    assert "37 gone" in repr(change)


def test_a_task_that_is_complete_keeps_its_result_when_it_goes(campaign):
    task = next(iter(campaign.records.state().tasks.values()))
    complete = {"event": "status", "task": task.task, "status": "complete", "estimate": 1.5, "uncertainty": 0.1}
    with campaign.records.lock():
        campaign.records.write(complete)
    campaign.drop(task.transformation)
    kept = again(campaign).state().everything[task.task]
    assert (kept.status, kept.estimate, kept.cancelled_by) == (TaskStatus.COMPLETE, 1.5, "")
    assert campaign.results()["transformations"][0]["id"] != task.transformation
    assert campaign.results(gone=True)["gone_transformations"][0]["repeats"] == [1.5]
