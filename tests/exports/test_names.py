"""Names in results and exports: two ligands of one name are told apart; a name is no formula of a spreadsheet."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path

import attrs
import pytest
from click.testing import CliRunner
from filled_campaign import filled_campaign, network_index, scattered
from hypothesis import given
from hypothesis import strategies as st
from report_pages import ReportPage

from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.cli import main
from xpm_alchem.exports.export import export
from xpm_alchem.network.index import Edge, Index, told_apart
from xpm_alchem.views.result import results_view

TWINS = {"twin one": "twin", "twin two": "twin"}
IDS = {"twin one": "c0ffee0123456789", "twin two": "c0ffee9876543210"}  # alike in six digits
SHOWN = ("twin (c0ffee0)", "twin (c0ffee9)")


def renamed(index: Index, names: Mapping[str, str], ids: Mapping[str, str]) -> Index:
    """Return an index whose ligands have other names and ids."""
    records = [
        attrs.evolve(
            record,
            ligand_a=names.get(record.ligand_a, record.ligand_a),
            ligand_b=names.get(record.ligand_b, record.ligand_b),
            ligand_a_id=ids.get(record.ligand_a, record.ligand_a_id),
            ligand_b_id=ids.get(record.ligand_b, record.ligand_b_id),
        )
        for record in index.transformations
    ]
    edges = [Edge(names.get(e.ligand_a, e.ligand_a), names.get(e.ligand_b, e.ligand_b), e.legs) for e in index.edges]
    return attrs.evolve(index, transformations=tuple(records), edges=tuple(edges))


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> CampaignRecords:
    index = network_index([("hub", "twin one"), ("hub", "twin two"), ("twin one", "twin two")])
    path = tmp_path_factory.mktemp("twins")
    (path / "m.json").write_text(
        json.dumps({name: {"dg": {"magnitude": -9 + n, "unit": "kcal/mol"}} for n, name in enumerate(("hub", *SHOWN))})
    )
    index = renamed(index, TWINS, IDS)
    more = {record.id: "error" for record in index.transformations[:0]}
    return filled_campaign(path / "c", index, scattered(index, 3), more=more, experimental=path / "m.json")


def test_two_ligands_of_one_name_are_told_apart_in_every_view(twins: CampaignRecords) -> None:
    view = results_view(twins)
    assert {row["edge"] for row in view["edges"]} == {f"hub -> {one}" for one in SHOWN} | {" -> ".join(SHOWN)}
    ((network),) = view["networks"]
    assert {row["ligand"] for row in network["ligands"]} == {"hub", *SHOWN}
    assert all(row["experiment"] is not None for row in (*network["ligands"], *view["edges"]))
    assert view["missing"]["experimental_names"] == []
    said = CliRunner().invoke(main, ["results", str(twins.path), "--reference", SHOWN[0]])
    assert said.exit_code == 0 and f"hub -> {SHOWN[1]}" in said.output


@pytest.mark.parametrize(
    ("what", "files"), [("csv", ["edges.csv"]), ("openfe-gather", ["ddg.tsv", "raw.tsv", "dg.tsv"]), ("cinnabar", [""])]
)
def test_and_in_every_export(twins: CampaignRecords, tmp_path: Path, what: str, files: list[str]) -> None:
    export(twins, what, tmp_path / "out")
    for name in files:
        text = (tmp_path / "out" / name).read_text()
        assert all(one in text for one in SHOWN), text
        assert "twin," not in text and "twin\t" not in text


def test_and_in_the_report(twins: CampaignRecords, tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["report", str(twins.path), "--out", str(tmp_path / "r.html")])
    assert result.exit_code == 0, result.output
    page = ReportPage.of((tmp_path / "r.html").read_text())
    assert all(one in page.text["values"] for one in SHOWN)
    graph = json.dumps(page.figures["edges by standard error and state"])
    assert all(f"<b>{one}</b>" in graph for one in SHOWN)
    assert f"hub -&gt; {SHOWN[0]}" in graph


def test_ligands_that_are_cut_off_are_told_apart(tmp_path: Path) -> None:
    index = renamed(network_index([("hub", "a"), ("hub", "twin one"), ("hub", "twin two")]), TWINS, IDS)
    more = {record.id: "error" for record in index.transformations if record.ligand_b == "twin"}
    repeats = {key: values for key, values in scattered(index, 2).items() if key not in more}
    records = filled_campaign(tmp_path / "c", index, repeats, more=more)
    said = CliRunner().invoke(main, ["status", str(records.path)]).output
    assert all(f"without it {one} would be cut off" in said for one in SHOWN)


CONTENT_IDS = st.text("0123456789abcdef", min_size=16, max_size=16)


@given(st.dictionaries(CONTENT_IDS, st.sampled_from(["a", "b", "c"]), max_size=9))
def test_no_two_names_are_the_same(names: dict[str, str]) -> None:
    found = told_apart(names)
    assert len(set(found.values())) == len(found) == len(names)
    for content_id, name in names.items():
        alone = list(names.values()).count(name) == 1
        assert found[content_id] == name if alone else found[content_id].startswith(f"{name} ({content_id[:6]}")


FORMULAS = ["=HYPERLINK(1)", "+1", "-2+3", "@SUM(1)", "\t=1", "\r=1"]


def test_a_name_is_no_formula_and_a_number_stays_one(tmp_path: Path) -> None:
    index = network_index([(a, b) for a, b in zip(FORMULAS, [*FORMULAS[1:], FORMULAS[0]], strict=True)])
    transformations = [attrs.evolve(record, name=f"={record.name}") for record in index.transformations]
    index = attrs.evolve(index, transformations=tuple(transformations))
    records = filled_campaign(tmp_path / "c", index, {key: [-1.5, -1.25] for key in index.by_id})
    export(records, "csv", tmp_path / "csv")
    negative = 0
    for file in (tmp_path / "csv").glob("*.csv"):
        with open(file, newline="") as lines:
            for row in csv.reader(lines):
                for cell in row:
                    if cell[:1] in ("=", "+", "-", "@", "\t", "\r"):
                        negative += 1
                        float(cell)
    assert negative
    with open(tmp_path / "csv" / "edges.csv", newline="") as lines:
        assert {row["ligand_a"] for row in csv.DictReader(lines)} == {
            *(f"'{name}" for name in FORMULAS[:4]),
            "\\x09=1",
            "\\x0d=1",
        }


def test_what_other_programs_read_is_left_as_they_want_it(tmp_path: Path) -> None:
    index = network_index([("-a", "=b"), ("=b", "c"), ("c", "-a")])
    records = filled_campaign(tmp_path / "c", index, scattered(index, 2))
    export(records, "openfe-gather", tmp_path / "gather")
    export(records, "cinnabar", tmp_path / "f.csv")
    assert "\n-a\t=b\t" in (tmp_path / "gather" / "ddg.tsv").read_text()
    assert "\n-a,=b," in (tmp_path / "f.csv").read_text()
