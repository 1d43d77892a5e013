"""The report: sections, figures that plotly takes, nothing loaded, every name escaped; empty, partial, and large."""

from __future__ import annotations

import re

import attrs
import plotly.graph_objects
import pytest
from filled_campaign import filled_campaign, network_index, random_network, scattered, tyk2_repeats
from report_pages import ReportPage

from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.client import Campaign
from xpm_alchem.network.loading import load_network
from xpm_alchem.report.file import report_page
from xpm_alchem.report.material import Material

SECTIONS = ["", "overview", "values", "network", "checks", "course", "cost", "failures", "provenance"]
CYCLE = [("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")]
GRAPH = "edges by standard error and state"
EVIL = "<script>alert(1)</script>"


def report(records: CampaignRecords) -> str:
    campaign = Campaign(records)
    return "".join(report_page(Material.of(records, campaign.summary(), campaign.budget())))


def read(records: CampaignRecords) -> ReportPage:
    """Return the report of a campaign, of which what holds for every report has been checked."""
    page = ReportPage.of(report(records))
    assert list(page.text) == SECTIONS
    for name, figure in page.figures.items():
        plotly.graph_objects.Figure(figure)  # knows every property
        assert name
    return page


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> ReportPage:
    """The report of a campaign with three repeats of everything, measured values, and tasks in every state."""
    path = tmp_path_factory.mktemp("measured")
    (path / "measured.csv").write_text("ligand,value\na,-9\nb,-8\nc,-8.5\n")
    index = network_index(CYCLE)
    ids = {record.name: record.id for record in index.transformations}
    more = {ids["complex_a_b"]: "waiting", ids["solvent_b_c"]: "running", ids["solvent_c_d"]: "error"}
    plan = {"budget": {"total": "100 gpu-h"}}
    options = {"more": more, "plan": plan, "experimental": path / "measured.csv"}
    return read(filled_campaign(path / "c", index, scattered(index, 3), **options))


def test_nothing_is_loaded_from_anywhere(measured):
    assert [link for link in measured.links if not link.startswith("#")] == []
    assert "url(" not in measured.styles and "@import" not in measured.styles
    assert not {"link", "img", "iframe", "base", "object", "embed"} & measured.tags.keys()
    assert "default-src 'none'" in measured.policy and "http" not in measured.policy
    assert 'plotlyServerURL: "", modeBarButtons: [buttons]' in measured.scripts[-1]
    assert sum(len(script) > 1_000_000 for script in measured.scripts) == 1  # plotly.js, once


def test_the_index_leads_to_every_section(measured):
    assert [link.removeprefix("#") for link in measured.links] == SECTIONS[1:]


def test_the_head_says_how_the_campaign_stands(measured):
    assert "filled running" in measured.text[""]
    overview = measured.text["overview"]
    for words in (
        "8 of 8 transformations",
        "repeats complete 24",
        "repeats running 1",
        "repeats error 1",
        "cost 24 gpu-h",
        "cost of a result 1 gpu-h",
        "budget 100 gpu-h",
        "lost work 1.6 gpu-h",
    ):
        assert words in overview, overview


def test_values_stand_beside_experiment(measured):
    values = measured.text["values"]
    for words in ("against experiment, complex - solvent", "Kendall's tau", "on exp. scale", "a -> b"):
        assert words in values
    ligands = measured.figures["ligands against experiment, complex - solvent"]
    assert [trace.get("name") for trace in ligands["data"]] == ["equal", "± 0.5", "± 1", None]
    assert len(ligands["data"][-1]["x"]) == 3
    assert len(measured.figures["edges against experiment, complex - solvent"]["data"][-1]["x"]) == 3
    forest = measured.figures["ligands, complex - solvent"]["data"]
    assert [len(trace["x"]) for trace in forest] == [4, 3]
    assert forest[0]["x"] == sorted(forest[0]["x"])


def test_the_network_draws_states_and_tells_of_legs(measured):
    data = measured.figures[GRAPH]["data"]
    lines = [trace for trace in data if trace["mode"] == "lines"]
    drawn = {(trace["name"], trace["line"]["dash"]) for trace in lines}
    assert drawn == {("complete", "solid"), ("running", "dash"), ("waiting", "solid"), ("error", "dot")}
    assert {trace["line"]["width"] for trace in lines if trace["name"] == "waiting"} == {1.0}
    marks = [trace for trace in data if trace["mode"] == "markers" and trace.get("name") == "error"]
    assert [(trace["marker"]["symbol"], len(trace["x"])) for trace in marks] == [("x-thin", 1)]
    assert "On an edge a cross: error." in measured.text["network"]
    hover = next(text for trace in data for text in trace.get("text", ()) if "a -&gt; b" in text)
    for words in ("complex - solvent: ", "complex_a_b (complex): 3 complete, 1 waiting", "cost 3"):
        assert words in hover, hover


def test_checks_course_cost_and_failures_are_told(measured):
    assert "closures of 1 independent cycle(s)" in measured.text["checks"]
    assert "no experimental value for d" in measured.text["checks"]
    assert {"repeats over time", "cost over time", "standard errors over repeats"} <= measured.figures.keys()
    over_time = measured.figures["repeats over time"]["data"]
    assert over_time[0]["y"][-1] == 27 and over_time[1]["y"][-1] == 24 and len(over_time[2]["x"]) == 24
    allocation = measured.figures["repeats of each transformation over time"]["data"][0]
    assert [row[-1] for row in allocation["z"]] == [3] * 8 and allocation["z"][0][0] == 0
    assert measured.figures["cost over time"]["data"][0]["y"][-1] == pytest.approx(24)
    legs = measured.figures["cost by leg"]["data"]
    assert [sum(trace["x"]) for trace in legs] == pytest.approx([22.4, 1.6])
    assert "1. RuntimeError: <b>NaN</b>" in measured.text["failures"]
    assert "xpm-alchem restarts add" in measured.text["failures"]


def test_the_provenance_names_versions_plan_network_and_hosts(measured):
    provenance = measured.text["provenance"]
    for words in ("0.0.9 (26)", "1.6.1 (26)", "node<7> 26", "26 attempt(s) on 1 host(s)", "total: 100 gpu-h"):
        assert words in provenance, provenance
    assert "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a" in provenance  # of '{}'
    assert "DummyProtocol (8 transformations)" in provenance and "complex_c_d" in provenance


@pytest.mark.parametrize("repeats", [0, 1, 2])
@pytest.mark.parametrize("environments", [("vacuum",), ("solvent", "complex"), ("vacuum", "solvent", "complex")])
def test_nothing_and_little_is_reported_as_well(tmp_path, repeats, environments):
    index = network_index(CYCLE, environments)
    values = {t: one for t, one in scattered(index, repeats).items() if t != index.transformations[0].id}
    page = read(filled_campaign(tmp_path / "c", index, values))
    assert GRAPH in page.figures
    assert ("not finished" if repeats else "not begun") in page.text[""]
    assert ("values of the ligands over repeats" in " ".join(page.figures)) == (repeats > 1 and len(environments) > 1)


def test_a_network_without_ligands_is_drawn_by_its_systems(tmp_path):
    index = network_index(CYCLE, ("vacuum",))
    systems = [
        attrs.evolve(r, kind="absolute", ligand_a_id="", ligand_b_id="", system_a=f"in {r.ligand_a}", system_b="out")
        for r in index.transformations
    ]
    systems = [attrs.evolve(r, system_a_id=f"s {r.system_a}", system_b_id="s out") for r in systems]
    systems[0] = attrs.evolve(systems[0], kind="none", system_b="in a", system_b_id="s in a")  # to itself
    index = attrs.evolve(index, transformations=tuple(systems))
    page = read(filled_campaign(tmp_path / "c", index, scattered(index, 2)))
    assert "chemical systems (squares), 3 edges" in page.text["network"]
    names = page.figures[GRAPH]["layout"]["annotations"]
    assert sorted(name["text"] for name in names) == ["in a", "in b", "in c", "out"]
    assert "No legs of this network are paired" in page.text["values"]


def test_every_name_is_text(tmp_path):
    (tmp_path / "m.csv").write_text(f'ligand,value\n"{EVIL}",1\nb,2\n')
    index = network_index([(EVIL, "b"), ("b", "${x}&amp;</script>"), (EVIL, "${x}&amp;</script>")], name=EVIL)
    ids = [record.id for record in index.transformations]
    options = {"more": dict(zip(ids, ["error", "running"], strict=False)), "experimental": tmp_path / "m.csv"}
    text = report(filled_campaign(tmp_path / "c", index, scattered(index, 3), **options))
    page = ReportPage.of(text)
    assert EVIL not in text and text.count("<script") == text.count("</script>") == page.tags["script"]
    assert list(page.text) == SECTIONS and EVIL in page.text["values"] and EVIL in page.text["provenance"]

    def texts(value: object) -> list[str]:
        if isinstance(value, str):
            return [value]
        parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return [text for part in parts for text in texts(part)]

    shown = [one for figure in page.figures.values() for one in texts(figure)]
    assert any("&lt;script&gt;" in one for one in shown)
    assert set(re.findall(r"<[^>]*>", " ".join(shown))) <= {"<b>", "</b>", "<br>"}


def test_a_thousand_transformations_fit_on_a_page_and_their_names_are_left_to_the_pointer(tmp_path):
    index = random_network(ligands=400, edges=500)
    page = read(filled_campaign(tmp_path / "c", index, scattered(index, 1), histories=False))
    nodes, figures = page.figures[GRAPH]["data"][-1], page.figures
    assert len(nodes["x"]) == len(nodes["text"]) == 400 and figures[GRAPH]["layout"]["annotations"] == []
    assert figures["ligands, complex - solvent"]["layout"]["yaxis"]["showticklabels"] is False
    assert all(figure["layout"]["height"] <= 1000 for figure in figures.values())
    assert "ddG (kcal/mol): 500 rows" in page.text["values"]
    assert max(len(script) for script in page.scripts) > 1_000_000


@pytest.mark.data
def test_tyk2_has_its_statistics_and_its_worst_cycle(tmp_path, tyk2, data):
    index = load_network(tyk2).index
    repeats = tyk2_repeats(index, data("tyk2_per_repeat_pymbar3.csv"))
    experimental = data("tyk2_experimental_binding_data.json")
    page = read(filled_campaign(tmp_path / "c", index, repeats, experimental=experimental))
    values = page.text["values"]
    for words in ("0.59 [", "0.80 [", "0.68 ["):  # RMSE, R2, tau: test_unit_analysis.TYK2_STATISTICS
        assert words in values
    assert "ejm_31 -> ejm_42 -> ejm_43 -> ejm_44 -> ejm_31" in page.text["checks"]
    assert len(page.figures[GRAPH]["data"][-1]["x"]) == 16
    assert len(page.figures["edges against experiment, complex - solvent"]["data"][-1]["x"]) == 22


def test_a_page_without_javascript_says_so(measured):
    assert "The figures need JavaScript; the numbers are in the tables." in measured.text[""]
