"""Files for other programs: openfe gather's tables byte by byte, cinnabar's CSV, and what is never overwritten."""

from __future__ import annotations

import hashlib
import json
import math

import pytest
from analyses import analysis, index_of

from xpm_alchem.base.errors import InputError
from xpm_alchem.campaign.experimental import Measured, parse_experimental
from xpm_alchem.exports import target
from xpm_alchem.exports.cinnabar_csv import cinnabar_csv
from xpm_alchem.exports.gather_tables import ddg_table, dg_table, raw_table, rounded


# ----------------------------------------------------------------------------------------------- openfe gather
@pytest.mark.parametrize(
    ("numbers", "texts"),  # openfecli.commands.gather.format_estimate_uncertainty of openfe 1.12.0
    [
        ((12.34567, 0.0123), ("12.35", "0.01")),
        ((1.0, 0.0), ("1.0", "0.0")),
        ((-0.04, 0.06), ("-0.04", "0.06")),
        ((123.456, 12.0), ("120.0", "10.0")),
        ((5.5, 1.0), ("6.0", "1.0")),
        ((0.0233, 0.1456), ("0.0", "0.1")),
        ((-3.25, 0.96), ("-3.2", "1.0")),
        ((7.0, 0.5), ("7.0", "0.5")),
        ((1e-9, 1e-9), ("0.000000001", "0.000000001")),
        ((99.5, 100.0), ("100.0", "100.0")),
    ],
)
def test_numbers_are_rounded_as_openfe_rounds_them(numbers, texts):
    assert rounded(*numbers) == texts


@pytest.mark.data
def test_the_tables_of_tyk2_are_openfe_s_byte_by_byte(tyk2_analysis):
    # made by openfe 1.12.0's own functions (dg: with cinnabar 0.2.3's estimator) from the same numbers
    openfe = {
        "ddg": "2e1d6213265c5a6589e000a7e5878f71fb3736cdea1be64ac7d68366c2f7c856",
        "raw": "95cf6966711537d9b24e1944216d095e1c764bf344ef70342d58012ecc90fc39",
        "dg": "c340999e09e983aa925f66fae0cfb64f1aa5e09cbabc3d62fd928781d79d98d2",
    }
    simulations = {
        result.id: [[pair] for pair in zip(result.repeats, result.uncertainties, strict=True)]
        for result in tyk2_analysis.transformations.values()
    }
    found = {
        "ddg": ddg_table(tyk2_analysis.index, simulations),
        "raw": raw_table(tyk2_analysis.index, simulations, {}),
        "dg": dg_table(tyk2_analysis, simulations),
    }
    assert {name: hashlib.sha256(text.encode()).hexdigest() for name, text in found.items()} == openfe


BINDING = index_of([("A", "B"), ("B", "C")])


def test_the_tables_say_what_failed_in_openfe_s_word():
    index = index_of([("A", "B"), ("B", "C")])
    for record in index.transformations:
        object.__setattr__(record, "kind", "relative")
    simulations = {"AB-solvent": [[(1.0, 0.02)], [(1.2, 0.03)]], "AB-complex": [[(3.0, 0.1), (3.2, 0.2)]]}
    assert raw_table(index, simulations, {"BC-solvent": 2}).splitlines() == [
        "leg\tligand_i\tligand_j\tDG(i->j) (kcal/mol)\tMBAR uncertainty (kcal/mol)",
        "complex\tA\tB\t3.0\t0.1",
        "complex\tA\tB\t3.2\t0.2",
        "solvent\tA\tB\t1.00\t0.02",
        "solvent\tA\tB\t1.20\t0.03",
        "solvent\tB\tC\tError\tError",
        "solvent\tB\tC\tError\tError",
    ]
    assert ddg_table(index, simulations).splitlines() == [
        "ligand_i\tligand_j\tDDG(i->j) (kcal/mol)\tuncertainty (kcal/mol)",
        "A\tB\t2.0\t0.2",
        "B\tC\tError\tError",
    ]
    assert dg_table(analysis(index, {}), simulations).splitlines() == [
        "ligand\tDG(MLE) (kcal/mol)\tuncertainty (kcal/mol)",
        "A\t-1.0\t0.1",
        "B\t1.0\t0.1",
        "C\tError\tError",
    ]


def test_there_is_no_dg_table_of_hydration():
    index = index_of([("A", "B")], ("vacuum", "solvent"))
    assert dg_table(analysis(index, {}), {}) is None


def test_an_edge_with_three_legs_has_both_ddg():
    index = index_of([("A", "B")], ("vacuum", "solvent", "complex"))
    simulations = {f"AB-{leg}": [[(x, 0.1)]] for leg, x in (("vacuum", 1.0), ("solvent", 3.0), ("complex", 7.0))}
    rows = ddg_table(index, simulations).splitlines()[1:]
    assert rows == ["A\tB\t4.0\t0.0", "A\tB\t2.0\t0.0"]


# ---------------------------------------------------------------------------------------------------- cinnabar
def test_cinnabar_s_csv_holds_what_there_is():
    estimates = {"AB-solvent": [1.0, 1.2], "AB-complex": [3.0, 3.0], "BC-solvent": [1.0], "BC-complex": [2.0]}
    (network,) = analysis(BINDING, estimates, {"A": Measured(-9.0, 0.3), "B": Measured(-8.0)}).networks
    text = cinnabar_csv(network)
    assert parse_experimental(text, "x") == {"A": Measured(-9.0, 0.3), "B": Measured(-8.0, 0.0)}
    calculated = [line.split(",") for line in text.split("# Calculated block\n")[1].splitlines()[1:]]
    (row,) = calculated
    assert row[:2] == ["A", "B"] and float(row[4]) == 0.0
    assert [float(x) for x in row[2:4]] == pytest.approx([1.9, math.sqrt(0.02)])


@pytest.mark.parametrize("name", ["a,b", "Experimental 1", "#3", " x"])
def test_a_name_that_cinnabar_would_misread_is_refused(name):
    (network,) = analysis(index_of([("A", name)]), {}).networks
    with pytest.raises(InputError, match=r"would be misread in cinnabar's CSV: rename it\."):
        cinnabar_csv(network)


# ------------------------------------------------------------------------------------------- where it is written
def files(**texts):
    return [(name, lambda path, text=text: target.write_text(path, text)) for name, text in texts.items()]


def test_a_directory_is_written_and_written_again_without_what_is_gone(tmp_path):
    out = tmp_path / "deep" / "out"
    target.check_directory(out, force=False)
    assert target.write_directory(out, "csv", files(a="1", b="2")) == 2
    (out / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="exists already and is not empty; --force writes the export there again"):
        target.check_directory(out, force=False)
    target.check_directory(out, force=True)
    target.write_directory(out, "csv", files(a="3"))
    assert (out / "a").read_text() == "3" and not (out / "b").exists() and (out / "mine.txt").exists()


def test_a_directory_that_is_not_an_export_is_never_written_to(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match=r"not an export of xpm-alchem \(no export\.json in it\)"):
        target.check_directory(tmp_path, force=True)


@pytest.mark.parametrize("listed", [["/etc/passwd"], ["../x"], "abc", [1]])
def test_a_list_that_was_tampered_with_leads_nowhere_else(tmp_path, listed):
    target.write_directory(tmp_path, "csv", files(a="1"))
    record = json.loads((tmp_path / "export.json").read_text())
    (tmp_path / "export.json").write_text(json.dumps(record | {"files": listed}))
    with pytest.raises(InputError, match=r"damaged\. Give another directory"):
        target.check_directory(tmp_path, force=True)


def test_a_file_is_not_overwritten_unless_asked_for_and_a_directory_not_at_all(tmp_path):
    file = tmp_path / "out.csv"
    target.check_file(file, force=False)
    file.write_text("old")
    with pytest.raises(InputError, match=r"out\.csv: exists already; --force overwrites it"):
        target.check_file(file, force=False)
    target.check_file(file, force=True)
    with pytest.raises(InputError, match="a directory; this format is one file"):
        target.check_file(tmp_path, force=True)
    with pytest.raises(InputError, match="a file; this format is a directory of files"):
        target.check_directory(file, force=True)


def raising(path):
    raise RuntimeError("in the middle")


def test_an_export_appears_whole_or_not_at_all(tmp_path):
    out = tmp_path / "to" / "out"
    good = ("a/1.txt", lambda path: path.write_text("1"))
    with pytest.raises(RuntimeError):
        target.write_directory(out, "csv", [good, ("b.txt", raising)])
    assert list(out.parent.iterdir()) == []
    assert target.write_directory(out, "csv", [good]) == 1
    before = sorted(path.name for path in out.rglob("*"))
    with pytest.raises(RuntimeError):
        target.write_directory(out, "csv", [("c.txt", good[1]), ("b.txt", raising)])
    assert sorted(path.name for path in out.rglob("*")) == before == ["1.txt", "a", "export.json"]
    assert target.write_directory(out, "csv", [("c.txt", good[1])]) == 1
    assert sorted(path.name for path in out.iterdir() if path.is_file()) == ["c.txt", "export.json"]
