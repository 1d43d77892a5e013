"""`results` of real campaigns, complete and partial, from the command line and from Python."""

from __future__ import annotations

import json

import pytest
import quickrun_files
from campaigns import SmallCampaign
from places import python_path
from report_pages import ReportPage

from xpm_alchem import gufe_seam
from xpm_alchem.base.errors import InputError, MissingPackageError
from xpm_alchem.client import Campaign
from xpm_alchem.network.loading import load_network

EDGES = [(0, 1), (1, 2), (2, 0), (2, 3)]
LEGS = ("vacuum", "solvent")
MEASURED = "ligand,value,uncertainty,unit\nligand_0,0.1,0.1,kcal/mol\nligand_1,4.184,,kJ/mol\nligand_2,1.9,0.1,\n"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A campaign with three repeats of every leg, and measured values."""
    path = tmp_path_factory.mktemp("finished")
    (path / "measured.csv").write_text(MEASURED)
    plan = {"strategy": {"name": "uniform", "settings": {"repeats": 3}}, "experimental": "measured.csv"}
    campaign = SmallCampaign(path, edges=EDGES, environments=LEGS, n_steps=1, plan=plan)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(path))
        patch.setenv("PYTHONPATH", python_path())
        done = campaign.run("--quiet")
    assert done.returncode == 0, done.stdout + done.stderr
    return campaign


def test_the_tables_of_a_finished_campaign(finished):
    out = finished.call("results", finished.file).stdout
    for words in (
        "small: dG (kcal/mol)",
        "small: ddG (kcal/mol)",
        "small: ligands, solvent - vacuum, relative to their mean (kcal/mol)",
        "closures of 1 independent cycle(s), solvent - vacuum (kcal/mol)",
        "ligand_0 -> ligand_1 -> ligand_2 -> ligand_0",
        "against experiment, 3 ligands, both sides centred (95 % bootstrap intervals):",
        "solvent - vacuum: no experimental value for ligand_3",
    ):
        assert words in out, out
    assert "steadied value +- std. error with the first n repeats" not in out


@pytest.mark.parametrize(
    ("option", "there", "not_there"),
    [
        ("--transformations", ": dG (", ("ddG", "ligands,", "closures")),
        ("--edges", "ddG", (": dG (", "ligands,", "closures")),
        ("--ligands", "ligands,", (": dG (", "ddG", "closures")),
        ("--cycles", "closures", (": dG (", "ddG", "ligands,")),
        ("--all", "with the first n repeats", ()),
    ],
)
def test_one_section_alone(finished, option, there, not_there):
    out = finished.call("results", finished.file, option).stdout
    assert there in out and not any(words in out for words in not_there), out


def test_values_relative_to_a_ligand(finished):
    view = finished.json("results", "--reference", "ligand_1")
    (network,) = view["networks"]
    row = network["ligands"][1]
    assert (row["estimate"], row["uncertainty"], row["steadied_estimate"]) == (0.0, 0.0, 0.0)
    assert network["relative_to"] == view["reference"] == "ligand_1"
    done = finished.call("results", finished.file, "--reference", "ligand1")
    assert done.returncode == 2 and "--reference: unknown ligand 'ligand1'; did you mean 'ligand_1'?" in done.stderr


def test_the_json_holds_everything_and_is_valid(finished):
    done = finished.call("results", finished.file, "--json", "--edges")
    view = json.loads(done.stdout, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert len(view["transformations"]) == 8 and len(view["edges"]) == 4
    assert [one["repeats"] for one in view["transformations"][0]["running"]] == [1, 2, 3]
    assert view["transformations"][0]["repeat_numbers"] == [1, 2, 3]
    assert view["experimental"] == str(finished.path / "measured.csv")
    (network,) = view["networks"]
    assert (network["from"], network["to"], network["parts"]) == ("vacuum", "solvent", 1)
    assert [row["ligand"] for row in network["ligands"]] == [f"ligand_{n}" for n in range(4)]
    assert network["ligands"][1]["experiment"] == pytest.approx(1.0) and network["ligands"][3]["experiment"] is None
    assert [one["repeats"] for one in network["ligands"][0]["running"]] == [1, 2, 3]
    assert network["statistics"]["count"] == 3 and network["edge_statistics"]["count"] == 3
    assert view["missing"]["transformations"] == [] and view["edges"][3]["z"] is None  # on no cycle
    fitted = {row["edge"]: row["fitted"] for row in view["edges"]}
    assert sum(fitted[f"ligand_{a} -> ligand_{b}"] for a, b in EDGES[:3]) == pytest.approx(0, abs=1e-9)


def test_a_report_of_a_finished_campaign(finished):
    out = finished.path / "report.html"
    done = finished.call("report", finished.file, "--out", out)
    assert (done.returncode, done.stdout) == (0, f"{out}: written; open it in a browser\n"), done.stderr
    page = ReportPage.of(out.read_text())
    assert "small satisfied" in page.text[""]
    assert "8 of 8 transformations" in page.text["overview"] and "repeats complete 24" in page.text["overview"]
    assert page.figures["repeats over time"]["data"][1]["y"][-1] == 24
    assert len(page.figures["edges by standard error and state"]["data"][-1]["x"]) == 4
    assert len(page.figures["ligands against experiment, solvent - vacuum"]["data"][-1]["x"]) == 3
    assert "24 attempt(s) on 1 host(s)" in page.text["provenance"]


def test_measured_values_are_read_anew_and_kept(finished):
    file = finished.path / "measured.csv"
    file.write_text(MEASURED + "ligand_3,2.5,,\n")
    try:
        assert finished.json("results")["networks"][0]["statistics"]["count"] == 4
        file.unlink()
        assert finished.json("results")["networks"][0]["statistics"]["count"] == 3  # as it was given
        file.write_text("ligand,value\nligand_0,x\n")
        done = finished.call("results", finished.file)
        assert done.returncode == 2 and "measured.csv, line 2: the value 'x' is not a number." in done.stderr
    finally:
        file.write_text(MEASURED)


def test_a_file_of_measured_values_that_cannot_be_used_stops_a_campaign_before_it_starts(tmp_path):
    campaign = SmallCampaign(tmp_path, edges=[(0, 1)], plan={"experimental": "none.csv"})
    done = campaign.run()
    assert done.returncode == 2 and "none.csv: there is no such file of experimental values" in done.stderr
    assert not (tmp_path / "workspace" / "campaigns").exists()


def test_another_file_of_measured_values_is_taken_from_the_plan(tmp_path):
    campaign = SmallCampaign(tmp_path, edges=[(0, 1)], plan={"strategy": {"name": None, "mode": "disabled"}})
    (tmp_path / "m.csv").write_text("ligand,value\nligand_0,1\n")
    Campaign.create(campaign.file)
    assert campaign.records.experimental() is None
    campaign.write_plan(experimental="m.csv")
    Campaign.create(campaign.file)
    assert campaign.records.experimental() == (tmp_path / "m.csv", "ligand,value\nligand_0,1\n")
    campaign.write_plan(experimental=None)
    Campaign.create(campaign.file)
    assert campaign.records.experimental() is None


def test_partial_results_say_what_is_missing(tmp_path):
    script = {"analyse": {"do": "raise", "times": 3}}
    campaign = SmallCampaign(
        tmp_path,
        edges=[(0, 1), (1, 2)],
        environments=LEGS,
        script=script,
        n_steps=1,
        plan={"max_retries": 0, "launcher": {"kind": "local", "slots": 1}},
    )
    assert campaign.run("--quiet").returncode == 1
    view = campaign.json("results")
    assert len(view["missing"]["transformations"]) == 3 and len(view["missing"]["single_repeats"]) == 1
    assert len(view["missing"]["edges"]) == 2 and len(view["missing"]["ligands"]) == 3
    assert all(row["estimate"] is None and row["part"] is None for row in view["networks"][0]["ligands"])
    out = campaign.call("results", campaign.file).stdout
    assert "3 of 4 transformations have no result yet: " in out and "2 of 2 edges have no ddG yet: " in out
    assert "solvent - vacuum: no value yet for the ligands ligand_0, ligand_1, ligand_2" in out


def test_results_of_a_network_without_paired_legs(tmp_path):
    campaign = SmallCampaign(tmp_path, edges=[(0, 1)], plan={"strategy": {"name": None, "mode": "disabled"}})
    made = Campaign.create(campaign.file)
    view = made.results()
    assert view["networks"] == view["edges"] == [] and list(view["unpaired"]) == ["ligand_0_ligand_1_vacuum"]
    with pytest.raises(InputError, match="there is no ligand 'x': no legs of this network are paired"):
        made.results(reference="x")


# ------------------------------------------------------------------------------------------------------- exports
def test_every_export_of_a_finished_campaign(finished, tmp_path):
    made = Campaign.open(finished.file)
    for what, name in (
        ("csv", "tables"),
        ("json", "all.json"),
        ("openfe-gather", "gather"),
        ("cinnabar", "c.csv"),
        ("openfe-results", "quickrun"),
    ):
        assert made.export(what, tmp_path / name)[0].startswith(str(tmp_path / name))
    repeats = (tmp_path / "tables" / "repeats.csv").read_text().splitlines()
    assert repeats[0] == "transformation,leg,repeat,estimate (kcal/mol),protocol's uncertainty (kcal/mol)"
    assert len(repeats) == 1 + 24
    everything = json.loads((tmp_path / "all.json").read_text())
    assert everything["format"] == "xpm-alchem results" and everything["edges"] == made.results()["edges"]
    (network,) = everything["networks"]
    assert network["covariance"][0][0] == pytest.approx(network["ligands"][0]["uncertainty"] ** 2)
    assert network["steadied_covariance"][0][0] == pytest.approx(network["ligands"][0]["standard_error"] ** 2)
    assert (tmp_path / "gather" / "ddg.tsv").read_text().count("\n") == 5
    results = sorted(path.relative_to(tmp_path) for path in (tmp_path / "quickrun").glob("results_*/*.json"))
    assert len(results) == 24
    text = (tmp_path / results[0]).read_text()
    assert "estimate" in text[:20]  # `openfe gather` knows the files by that
    assert list(json.loads(text)) == ["estimate", "uncertainty", "protocol_result", "unit_results"]
    assert json.loads(text)["protocol_result"]["__qualname__"] == "DummyResult"


def test_exports_that_are_refused(finished, tmp_path):
    def refusal(*arguments):
        done = finished.call("export", finished.file, *arguments)
        assert done.returncode == 2
        return done.stderr

    out = tmp_path / "c.csv"
    assert finished.call("export", finished.file, "--format", "cinnabar", "--out", out).returncode == 0
    assert "c.csv: exists already; --force overwrites it." in refusal("--format", "cinnabar", "--out", out)
    assert "--format: unknown format 'cinabar'; did you mean 'cinnabar'?" in refusal("--format", "cinabar", "-o", "x")
    legs = refusal("--format", "cinnabar", "--out", out, "--force", "--legs", "complex-solvent")
    assert "--legs: unknown legs 'complex-solvent'" in legs


def test_an_archive_needs_a_gufe_that_has_one(finished, tmp_path):
    out = tmp_path / "archive.json"
    if gufe_seam.IS_GUFE_0_4:
        with pytest.raises(MissingPackageError, match=r"has no AlchemicalArchive; it needs gufe >= 1\.8"):
            Campaign.open(finished.file).export("archive", out)
        assert not out.exists()
        return
    from gufe.archival import AlchemicalArchive

    assert Campaign.open(finished.file).export("archive", out) == [f"{out}: 24 result(s) of 8 transformation(s)"]
    archive = AlchemicalArchive.from_json(out)
    assert [len(results) for _, results in archive.transformation_results] == [3] * 8


# ------------------------------------------------------------------------------------------------------- imports
def test_a_running_project_moves_over(tmp_path):
    campaign = SmallCampaign(
        tmp_path, edges=[(0, 1)], n_steps=1, plan={"strategy": {"name": "uniform", "settings": {"repeats": 2}}}
    )
    (record,) = load_network(tmp_path / "network.json", ("dummy_protocol",)).index.transformations
    file = quickrun_files.write(
        tmp_path / "results_0" / "r.json", quickrun_files.document(tmp_path / "network.json", record.key, [1.25])
    )
    done = campaign.call("import", campaign.file, tmp_path / "results_0")  # makes the campaign
    assert (done.returncode, done.stdout) == (0, f"{file}: a repeat of {record.name}\n"), done.stderr
    done = campaign.call("import", campaign.file, file)
    assert (done.returncode, done.stdout) == (1, f"not imported: {file}: imported already, as {record.name}:1.\n")
    assert campaign.run("--quiet").returncode == 0
    (row,) = campaign.json("results")["transformations"]
    assert row["repeat_numbers"] == [1, 2] and row["repeats"][0] == 1.25
    assert [len(attempts) for attempts in campaign.attempts().values()] == [0, 1]
    why = campaign.call("why", campaign.file, f"{record.name}:1").stdout
    assert f"imported from {file}" in why.replace("\n", "")
    made = Campaign.open(campaign.file)
    assert len(made.get_transformation_results(record.name, return_protocoldagresults=True)) == 1
    (result,) = made.get_task_results(f"{record.name}:2")
    assert gufe_seam.dag_ok(result)


def test_a_campaign_that_is_not_there_cannot_take_anything_in(tmp_path):
    campaign = SmallCampaign(tmp_path, edges=[(0, 1)])
    done = campaign.call("import", "nobody", tmp_path / "r.json", "--workspace", tmp_path / "workspace")
    assert done.returncode == 2 and "has no campaign 'nobody'" in done.stderr
