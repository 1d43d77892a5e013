"""The results of a campaign as an archive, and those of an archive in a campaign: nothing is lost or counted twice."""

from __future__ import annotations

import json
import shutil

import patience
import pytest
from campaigns import SmallCampaign
from places import python_path

from xpm_alchem.client import Campaign

archival = pytest.importorskip("gufe.archival", reason="an AlchemicalArchive takes gufe >= 1.8")

UNIFORM = {"name": "uniform", "settings": {"repeats": 2}}


def campaign_at(path, **plan):
    edges, legs = [(0, 1), (1, 2), (2, 0)], ("vacuum", "solvent")
    return SmallCampaign(path, edges=edges, environments=legs, n_steps=1, plan={"strategy": UNIFORM, **plan})


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A campaign with two repeats of every leg, and the archive of it."""
    path = tmp_path_factory.mktemp("finished")
    campaign = campaign_at(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(path))
        patch.setenv("PYTHONPATH", python_path())
        done = campaign.run("--quiet")
        assert done.returncode == 0, done.stdout + done.stderr
        done = campaign.call("export", campaign.file, "--format", "archive", "--out", path / "archive.json")
        assert done.returncode == 0, done.stderr
    return campaign


def test_an_archive_makes_the_same_campaign_elsewhere_and_nothing_is_left_to_compute(finished, tmp_path):
    again = campaign_at(tmp_path / "again")
    shutil.copy(finished.path / "archive.json", tmp_path)
    done = again.call("import", again.file, tmp_path / "archive.json")  # makes the campaign
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 6 and all(": 2 repeats of ligand_" in line for line in lines)
    assert again.run("--quiet").returncode == 0
    assert [len(attempts) for attempts in again.attempts().values()] == [0] * 12
    before, after = finished.json("results"), again.json("results")
    for key, column in (("transformations", "estimate"), ("edges", "estimate"), ("edges", "standard_error")):
        assert [row[column] for row in after[key]] == pytest.approx([row[column] for row in before[key]], abs=1e-12)
    assert [sorted(row["repeats"]) for row in after["transformations"]] == [
        sorted(row["repeats"]) for row in before["transformations"]
    ]
    assert values(after) == pytest.approx(values(before), abs=1e-9)
    done = again.call("export", again.file, "--format", "archive", "--out", tmp_path / "second.json")
    assert done.stdout == f"{tmp_path / 'second.json'}: 12 result(s) of 6 transformation(s)\n"
    results = [list(sets(campaign)) for campaign in (finished, again)]
    assert results[0] == results[1]


def values(view):
    return {row["ligand"]: row["steadied_estimate"] for network in view["networks"] for row in network["ligands"]}


def sets(campaign):
    for name, results in Campaign.open(campaign.file).get_network_results(return_protocoldagresults=True).items():
        yield name, sorted(str(result.key) for result in results)


def test_a_run_counts_once_from_whatever_file_it_comes(finished, tmp_path):
    finished.call("export", finished.file, "--format", "openfe-results", "--out", tmp_path / "quickrun")
    again = campaign_at(tmp_path / "again")
    assert again.call("import", again.file, finished.path / "archive.json").returncode == 0
    made = Campaign.open(again.file)
    files = sorted((tmp_path / "quickrun").rglob("ligand_*.json"))
    done = [made.import_results([file], transformation=file.stem)[0] for file in files]
    assert len(done) == 12 and all(": imported already, as ligand_" in one.refused for one in done)


def test_what_is_handed_over_to_alchemiscale_has_the_archive_in_it(finished, tmp_path):
    done = finished.call("export", finished.file, "--format", "alchemiscale", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "network.json, hand-over.json, submit.py, archive.json, README.txt" in done.stdout
    assert "12 finished result(s): alchemiscale's client takes none in" in done.stdout
    assert len(archival.AlchemicalArchive.from_json(tmp_path / "out" / "archive.json").transformation_results) == 6
    assert "12 result(s) of 6 transformation(s)" in (tmp_path / "out" / "README.txt").read_text()
    given = json.loads((tmp_path / "out" / "hand-over.json").read_text())
    assert all(one["tasks"] == [] and one["missing"] == 0 for one in given["transformations"])


def test_a_campaign_is_made_from_an_archive_alone(finished, tmp_path):
    archive = archival.AlchemicalArchive.from_json(finished.path / "archive.json")
    archive.to_json(tmp_path / "archive.json")  # as gufe, and alchemiscale's users, write it
    new = SmallCampaign.__new__(SmallCampaign)
    new.path = tmp_path
    done = new.call(
        "init", "archive.json", "--trust", "dummy_protocol", "--workspace", "./workspace", "--name", "small"
    )
    assert done.returncode == 0, done.stderr
    assert "wrote network.json; the results in the archive: xpm-alchem import campaign.yaml archive.json" in done.stdout
    assert new.call("import", "campaign.yaml", "archive.json").returncode == 0
    made = SmallCampaign.at(tmp_path)
    assert made.json("status")["tasks"]["complete"] == 12


def test_its_own_archive_is_passed_over(finished):
    done = finished.call("import", finished.file, finished.path / "archive.json")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"passed over: {finished.path / 'archive.json'}: 12 result(s) are here already.\n"
    assert len(finished.records.state().tasks) == 12


def test_an_imported_repeat_counts_for_the_strategy_and_can_be_extended(finished, tmp_path):
    more = campaign_at(tmp_path / "more", strategy={"name": "uniform", "settings": {"repeats": 3}})
    assert more.call("import", more.file, finished.path / "archive.json").returncode == 0
    name = more.records.index.transformations[0].name
    assert more.call("tasks", "extend", more.file, f"{name}:1").returncode == 0
    assert more.run("--quiet").returncode == 0
    attempts = [len(attempts) for attempts in more.attempts().values()]
    assert sorted(attempts) == [0] * 12 + [1] * 6
    extending = [task for task in more.records.state().tasks.values() if task.extends]
    assert [str(task.status) for task in extending] == ["complete"]


def test_a_driver_that_runs_takes_an_archive_in(tmp_path):
    first = SmallCampaign(tmp_path / "first", edges=[(0, 1)], script={}, n_steps=1, plan={"strategy": UNIFORM})
    assert first.run("--quiet").returncode == 0
    archive = tmp_path / "archive.json"
    assert first.call("export", first.file, "--format", "archive", "--out", archive).returncode == 0
    shutil.copytree(first.path, tmp_path / "second", ignore=shutil.ignore_patterns("workspace"))
    second = SmallCampaign.at(tmp_path / "second")
    second.script = first.script  # the network names it
    go = tmp_path / "go"
    second.script.write_text(json.dumps({"analyse": {"do": "wait", "file": str(go), "times": 2}}))
    driver = second.start("--quiet")
    second.wait_until_at_work(2)
    done = second.call("import", second.file, archive)
    assert done.returncode == 0, done.stderr
    assert ": 2 repeats of ligand_0_ligand_1_vacuum, the driver takes it in within seconds" in done.stdout
    archive.unlink()
    patience.wait_for(lambda: statuses(second).count("complete") == 2, seconds=60, what="the results of the archive")
    go.touch()
    patience.communicate(driver)
    assert driver.returncode == 0
    assert statuses(second) == ["complete"] * 4
    assert sorted(len(attempts) for attempts in second.attempts().values()) == [0, 0, 1, 1]


def statuses(campaign):
    return [str(task.status) for task in campaign.records.state().tasks.values()]
