"""A campaign's network grows: with and without a driver, by a file that has changed and by commands."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from campaigns import SmallCampaign, held
from doctored import wrong
from dummy_protocol import dummy_network
from patience import communicate, wait_for

from xpm_alchem import gufe_seam
from xpm_alchem.campaign.task_state import TaskStatus
from xpm_alchem.client import Campaign

pytestmark = pytest.mark.slow
Edges = list[tuple[int, int]]


def give(campaign: SmallCampaign, edges: Edges, *, changed: Edges = (), file: str = "network.json") -> Path:
    """Write a network file: of edges, some of them with other settings."""
    settings = {"script": str(campaign.script)} if campaign.script.exists() else {}
    network = dummy_network([edge for edge in edges if edge not in changed], **settings)
    others = dummy_network(changed, **{**settings, "n_steps": 5}) if changed else None
    both = [*network.edges, *(others.edges if others is not None else ())]
    path = campaign.path / file
    gufe_seam.save(gufe_seam.AlchemicalNetwork(edges=both, name="dummy"), path)
    return path


def name(a: int, b: int) -> str:
    return f"ligand_{a}_ligand_{b}_vacuum"


def results(campaign: SmallCampaign) -> dict[str, list[float]]:
    """Return the repeats of transformations that have any."""
    return {transformation: repeats for transformation, repeats in campaign.estimates().items() if repeats}


def test_a_file_that_has_changed_lets_the_network_grow(tmp_path: Path) -> None:
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1), (1, 2)])
    assert campaign.run().returncode == 0
    before, number = results(campaign), campaign.records.in_force.number
    give(campaign, [(0, 1), (1, 2), (2, 3)])
    dry = campaign.run("--dry-run")
    assert "network would be changed: 1 new, 0 gone, 2 the same" in dry.stdout
    assert "1 task(s) would be created now" in dry.stdout
    assert campaign.records.in_force.number == number
    done = campaign.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "network changed: 1 new, 0 gone, 2 the same" in done.stdout
    assert f"  new: {name(2, 3)}" in done.stdout
    after = results(campaign)
    assert after.keys() == {*before, name(2, 3)}
    assert all(after[one] == before[one] for one in before)
    assert "network" not in campaign.run().stdout.splitlines()[0]
    counts = [sum(done.values()) for done in campaign.units_done().values()]
    assert len(counts) == 3
    assert len(set(counts)) == 1  # nothing was computed twice
    assert json.loads((campaign.records.path / "index.json").read_text())["format_version"] == 2


def test_what_goes_is_kept_apart_and_comes_back(tmp_path: Path) -> None:
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1), (1, 2), (2, 3)])
    assert campaign.run().returncode == 0
    before = results(campaign)
    give(campaign, [(0, 1), (1, 2)])
    done = campaign.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "network changed: 0 new, 1 gone, 2 the same" in done.stdout
    assert results(campaign).keys() == {name(0, 1), name(1, 2)}
    assert sum(campaign.json("status")["tasks"].values()) == 2
    assert len(campaign.records.state().everything) == 3
    assert name(2, 3) in campaign.call("why", campaign.file, f"{name(2, 3)}:1").stdout
    shown = campaign.json("results", "--gone")
    assert [row["repeats"] for row in shown["gone_transformations"]] == [before[name(2, 3)]]
    assert campaign.json("results")["gone_transformations"] == []
    assert "1 transformation(s) are gone" in "".join(campaign.json("results")["missing"]["sentences"])
    assert "gone from the network" in campaign.call("results", campaign.file, "--gone").stdout
    assert campaign.json("status")["gone_transformations"] == 1
    assert "gone      1 transformation(s)" in campaign.call("status", campaign.file).stdout
    assert [row["transformation"] for row in campaign.json("show", "--gone")["gone_rows"]] == [name(2, 3)]
    assert "c: gone from the network" in campaign.call("show", campaign.file, "--gone").stdout.replace("small", "c")
    assert len(campaign.call("tasks", "list", campaign.file, "--json").stdout.split('"task":')) == 3
    assert "complete, gone" in campaign.call("tasks", "list", campaign.file, "--gone").stdout
    exported = campaign.call("export", campaign.file, "--format", "csv", "-o", "tables", "--gone")
    assert exported.returncode == 0, exported.stderr
    assert name(2, 3) in (campaign.path / "tables" / "gone_transformations.csv").read_text()
    assert name(2, 3) not in (campaign.path / "tables" / "transformations.csv").read_text()
    assert campaign.call("report", campaign.file, "--out", "report.html").returncode == 0
    gathered = Campaign.open(campaign.file).get_transformation_results(name(2, 3))
    assert gathered.get_estimate() is not None
    refused = campaign.call("tasks", "create", campaign.file, name(2, 3))
    assert refused.returncode == 2
    assert "gone from the network" in refused.stderr
    assert "gone from the network" in campaign.call("retry", campaign.file, f"{name(2, 3)}:1").stderr
    give(campaign, [(0, 1), (1, 2), (2, 3)])
    assert "1 new, 0 gone, 2 the same" in campaign.run().stdout
    assert results(campaign) == before


def test_changed_settings_are_another_transformation(tmp_path: Path) -> None:
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1), (1, 2)])
    assert campaign.run().returncode == 0
    before = results(campaign)
    give(campaign, [(0, 1), (1, 2)], changed=[(1, 2)])
    done = campaign.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "network changed: 1 new, 1 gone, 1 the same" in done.stdout
    assert results(campaign).keys() == before.keys()
    names = [campaign.records.name_of(task) for task in campaign.records.state().everything.values()]
    assert len(set(names)) == 3
    assert sum("(gone " in one for one in names) == 1


def test_what_commands_have_dropped_stays_dropped(tmp_path: Path) -> None:
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1), (1, 2), (0, 2)])
    assert campaign.run().returncode == 0
    assert campaign.call("network", "drop", campaign.file, name(0, 2)).returncode == 0
    again = campaign.run()
    assert again.returncode == 0, again.stdout + again.stderr
    assert f"stays as commands have set it: dropped {name(0, 2)}" in again.stdout
    give(campaign, [(0, 1), (1, 2), (0, 2), (2, 3)])
    done = campaign.run()
    assert "network changed: 1 new, 0 gone, 2 the same" in done.stdout
    assert results(campaign).keys() == {name(0, 1), name(1, 2), name(2, 3)}
    dropped = campaign.call("network", "drop", campaign.file, name(1, 2))
    assert "in 2 parts that nothing joins" in dropped.stdout
    refused = campaign.call("network", "drop", campaign.file, name(0, 1), name(2, 3))
    assert refused.returncode == 2
    assert "no transformation would be left" in refused.stderr


def test_another_network_altogether_is_refused_until_it_is_wanted(tmp_path: Path) -> None:
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1)])
    assert campaign.run().returncode == 0
    give(campaign, [(5, 6)])
    for options in ((), ("--dry-run",)):
        refused = campaign.run(*options)
        assert refused.returncode == 2
        assert "another network altogether" in refused.stderr
    assert campaign.records.in_force.number == 1
    assert campaign.run("--yes").returncode == 0
    assert results(campaign).keys() == {name(5, 6)}


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path: path.write_text(path.read_text()[:-40]), "not valid JSON"),
        (lambda path: path.write_text(path.read_text().replace("dummy_protocol", "unheard_of")), "not trusted"),
        (lambda path: path.write_text(path.read_text().replace('"DummyProtocol"', '"NoProtocol"')), "NoProtocol"),
    ],
)
def test_a_network_that_cannot_be_used_changes_nothing(tmp_path: Path, spoil: Callable[[Path], Any], said: str) -> None:
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1)])
    assert campaign.run("-q").returncode == 0
    before = (campaign.records.path / "index.json").read_bytes()
    other = give(campaign, [(0, 1), (1, 2)], file="other.json")
    spoil(other)
    refused = campaign.call("network", "grow", campaign.file, other)
    assert refused.returncode == 2
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr
    assert (campaign.records.path / "index.json").read_bytes() == before
    assert not (campaign.records.path / "networks").exists()


def test_a_network_grows_while_a_driver_is_at_work(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1), (1, 2)], script=held(until=gate))
    driver = campaign.start()
    campaign.wait_until_at_work(2)
    looking = campaign.begin(campaign.command("attach", campaign.file))
    give(campaign, [(1, 2), (2, 3)])
    asked = campaign.run()
    assert asked.returncode == 3, asked.stdout + asked.stderr
    assert "takes the network in within seconds" in asked.stdout
    wait_for(lambda: campaign.records.in_force.number == 2, what="the driver to take the network in")
    wait_for(lambda: len(campaign.records.state().everything) == 3, what="the new task")
    state = campaign.records.state()
    (gone,) = (task for task in state.everything.values() if task.task not in state.tasks)
    assert gone.cancelled_by == "network"
    gate.touch()
    said, _ = communicate(driver, 120)
    assert driver.returncode == 0, said
    seen, _ = communicate(looking, 60)
    assert looking.returncode == 0, seen
    assert f"{name(2, 3)}:1" in seen
    assert results(campaign).keys() == {name(1, 2), name(2, 3)}
    gone = campaign.records.state().everything[gone.task]
    assert gone.status is not TaskStatus.RUNNING  # its attempt has ended at a checkpoint
    assert list((campaign.records.path / "networks").iterdir()) == [campaign.records.path / "networks" / "2.json"]


def test_a_network_grows_while_one_driver_drives_all(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1), (1, 2)], script=held(until=gate))
    other = SmallCampaign(tmp_path / "d", edges=[(5, 6)], plan={"name": "other", "workspace": "../c/workspace"})
    for one in (campaign, other):
        Campaign.create(one.file)
    driver = campaign.begin(campaign.command("run", "--all", "--workspace", campaign.path / "workspace"))
    campaign.wait_until_at_work(2)
    grown = campaign.call("network", "grow", campaign.file, give(campaign, [(1, 2), (2, 3)], file="other.json"))
    assert "the driver takes it in within seconds" in grown.stdout, grown.stdout + grown.stderr
    wait_for(lambda: campaign.records.in_force.number == 2, what="the driver to take the network in")
    gate.touch()
    said, _ = communicate(driver, 120)
    assert driver.returncode == 0, said
    assert results(campaign).keys() == {name(1, 2), name(2, 3)}
    assert Campaign.open(other.path.parent / "c" / "workspace" / "campaigns" / "other").summary()["complete"] == 1


def test_a_task_that_waits_is_taken_up_again_when_its_transformation_is_back(tmp_path: Path) -> None:
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1), (1, 2), (2, 3)], script=held())
    campaign.write_plan(launcher={"kind": "local", "slots": 1})
    driver = campaign.start()
    campaign.wait_until_at_work(1)
    driver.send_signal(signal.SIGINT)
    communicate(driver, 60)
    made = Campaign.open(campaign.file)
    waiting = [t for t in made.records.state().tasks.values() if t.status is TaskStatus.WAITING]
    change = made.drop([waiting[0].transformation, waiting[1].transformation])
    assert (len(change.gone), len(change.same), change.later) == (2, 1, False)
    everything = made.records.state().everything
    assert [everything[task.task].actioned for task in waiting] == [False, False]
    change = made.grow(campaign.path / "network.json")
    assert len(change.new) == 2
    assert all(made.records.state().tasks[task.task].actioned for task in waiting)
    assert campaign.call("stop", campaign.file).returncode == 3


def test_what_others_have_computed_is_taken_over_without_a_slot(tmp_path: Path) -> None:
    first = SmallCampaign(
        tmp_path / "c",
        edges=[(0, 1), (1, 2)],
        plan={"name": "first", "strategy": {"name": "uniform", "settings": {"repeats": 3}}},
    )
    assert first.run("-q").returncode == 0
    units = first.units_done()
    second = SmallCampaign(tmp_path / "d", edges=[(0, 1), (1, 2), (2, 3)], plan={"workspace": "../c/workspace"})
    assert "6 of 7 are there already, 1 to compute" in second.run("--dry-run").stdout
    made = Campaign.create(second.file)
    assert made.set_network_weight(0)  # nothing may be started
    paused = second.run("-q")
    assert paused.returncode == 3
    assert "6 of 7 are there already, 1 to compute, expected cost" in paused.stdout
    assert [len(row["repeats"]) for row in made.results()["transformations"]] == [3, 3, 0]
    assert made.set_network_weight(1)
    assert second.run("-q").returncode == 0
    found = second.json("results")["transformations"]
    assert [len(row["repeats"]) for row in found] == [3, 3, 1]
    assert first.units_done() == units
    begun = second.call(
        "init",
        second.path / "network.json",
        "-o",
        "new.yaml",
        "--trust",
        "dummy_protocol",
        "--workspace",
        tmp_path / "c" / "workspace",
    )
    assert "7 of 9 are there already, 2 to compute" in begun.stdout


def test_who_sits_at_a_terminal_is_asked_before_anything_goes(tmp_path: Path) -> None:
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1), (1, 2)], plan={"strategy": {"mode": "disabled"}})
    assert campaign.run("-q").returncode == 3

    def answered(answer: str, *arguments: object) -> tuple[int, str]:
        here, there = pty.openpty()
        asked = subprocess.Popen(
            campaign.command(*arguments),
            cwd=campaign.path,
            stdin=there,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        os.close(there)
        os.write(here, f"{answer}\n".encode())
        said, _ = communicate(asked, 120)
        os.close(here)
        return asked.returncode, said

    code, said = answered("n", "network", "drop", campaign.file, name(0, 1))
    assert (code, campaign.records.in_force.number) == (2, 1)
    assert "network changed: 0 new, 1 gone, 1 the same" in said
    assert "Their results are kept, and left out unless asked for. Go on?" in said
    give(campaign, [(1, 2)])
    assert answered("n", "run", campaign.file)[0] == 2
    assert campaign.records.in_force.number == 1
    assert answered("y", "run", "-q", campaign.file)[0] == 3
    assert campaign.records.in_force.number == 2
    give(campaign, [(1, 2), (2, 3)])
    code, said = answered("", "run", "-q", campaign.file)
    assert (code, "Go on?" in said) == (3, False)
    assert campaign.records.in_force.number == 3


def test_the_doctor_looks_at_all_network_files(tmp_path: Path) -> None:
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1), (1, 2)])
    assert campaign.run("-q").returncode == 0
    assert campaign.call("network", "drop", campaign.file, name(0, 1)).returncode == 0
    assert wrong(campaign.json("doctor")) == {}
    said = campaign.call("doctor", campaign.file).stdout
    assert "network 2, 1 transformation(s) are gone" in said
    first, second = campaign.records.path / "network.json", campaign.records.path / "networks" / "2.json"
    content = first.read_bytes()
    first.unlink()
    assert wrong(campaign.json("doctor")) == {"network.json": "warning"}
    assert "1 transformation(s) that are gone are lost" in campaign.call("doctor", campaign.file).stdout
    assert campaign.run("-q").returncode == 0
    assert len(campaign.json("results", "--gone")["gone_transformations"]) == 1
    first.write_bytes(content)
    second.unlink()
    done = campaign.call("doctor", campaign.file)
    assert done.returncode == 1
    assert f"{second}: there is no such network file" in done.stdout.replace("\n", "").replace("  ", "")
    refused = campaign.run("-q")
    assert refused.returncode == 2
    assert "networks/2.json: there is no such network file" in refused.stderr
