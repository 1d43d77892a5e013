"""Files of measured values: three layouts, units, and what is refused."""

from __future__ import annotations

import json
import math

import pytest

from xpm_alchem.base.errors import InputError
from xpm_alchem.campaign.experimental import Measured, parse_experimental, read_experimental

RT = 1.987204259e-3 * 298.15


def parse(text):
    return parse_experimental(text, "m.csv")


def test_our_own_layout():
    assert parse("ligand,value,uncertainty\na,-9.5,0.2\n\n# a remark\nb,-8,\n") == {
        "a": Measured(-9.5, 0.2),
        "b": Measured(-8.0, None),
    }


@pytest.mark.parametrize(
    "text",
    [
        "ligand,value,uncertainty,unit\na,-41.84,4.184,kJ/mol",
        "ligand,value (kJ/mol),uncertainty (kJ/mol)\na,-41.84,4.184",
        "Ligand, Value [kJ/mol], Uncertainty\na, -41.84, 4.184",
    ],
)
def test_kilojoules(text):
    found = parse(text)["a"]
    assert (found.value, found.uncertainty) == (pytest.approx(-10.0), pytest.approx(1.0))


def test_a_line_s_own_unit_comes_first():
    found = parse("ligand,value,unit\na,-10,kcal/mol\nb,-41.84,kJ/mol\nc,-3,\n")
    assert [one.value for one in found.values()] == pytest.approx([-10.0, -10.0, -3.0])


@pytest.mark.parametrize(("value", "unit"), [(10, "nM"), (0.01, "uM"), (0.01, "µM"), (1e-5, "mM"), (1e-8, "M")])
def test_a_ki_becomes_a_free_energy(value, unit):
    found = parse(f"ligand,value,uncertainty,unit\na,{value},{value / 10},{unit}")["a"]
    assert found.value == pytest.approx(RT * math.log(1e-8)) and found.uncertainty == pytest.approx(RT / 10)


def test_a_ki_at_another_temperature():
    found = parse("ligand,value,unit,temperature\na,1,nM,310\nb,1,nM,310 K\n")
    assert found["a"].value == found["b"].value == pytest.approx(1.987204259e-3 * 310 * math.log(1e-9))


def test_cinnabar_s_layout():
    text = (
        "# Experimental block\n# Ligand, expt_DDG, expt_dDDG\nCAT-1, -8.8 , 0.1\n\n# Calculated block\nA,B,1,0.1,0.0\n"
    )
    assert parse(text) == {"CAT-1": Measured(-8.8, 0.1)}


def test_the_json_of_openfe_benchmarks():
    found = parse('{"a": {"dg": {"magnitude": -4.184, "unit": "kilojoule_per_mole"}, "reference": "x"}}')
    assert found == {"a": Measured(pytest.approx(-1.0), None)}
    quantity = '{"magnitude": %s, "unit": "kilocalories_per_mole"}'
    found = parse(f'{{"a": {{"dg": {quantity % -9}, "uncertainty": {quantity % 0.2}}}}}')
    assert found == {"a": Measured(-9.0, 0.2)}


@pytest.mark.data
def test_public_files(data):
    benchmarks = read_experimental(data("tyk2_experimental_binding_data.json"))
    assert len(benchmarks) == 16 and benchmarks["jmc_23"].value == pytest.approx(-11.7, abs=1e-6)
    cinnabar = read_experimental(data("cinnabar_example.csv"))
    assert len(cinnabar) == 36 and cinnabar["CAT-13a"] == Measured(-8.83, 0.1)


HEAD = "ligand,value,uncertainty,unit\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "m.csv: holds no measured values. A line is for example: ligand_1,-9.5,0.2,kcal/mol"),
        ("ligand,value\n", "m.csv: holds no measured values"),
        ("name,value\na,1", "m.csv, line 1: 'name' is no column; the first line is: ligand,value,uncertainty,unit"),
        ("ligand,unit\na,nM", "m.csv, line 1: has no column 'value'"),
        ("ligand,value,value\n", "m.csv, line 1: 'value' is no column"),
        ("ligand,value (nM),uncertainty (uM)\na,1,1", "m.csv, line 1: names two units (nm, um)"),
        (HEAD + "a,-9,0.1,kcal/mol\nb,nine,,", "m.csv, line 3: the value 'nine' is not a number."),
        (HEAD + "a,nan,,", "m.csv, line 2: the value 'nan' is not a number."),
        (HEAD + "a,-9,x,", "m.csv, line 2: the uncertainty 'x' is not a number."),
        (HEAD + "a,-9,-1,", "m.csv, line 2: the uncertainty -1 is negative."),
        (HEAD + "a,-9,1,hartree", "m.csv, line 2: 'hartree' is no unit that is known; give kcal/mol, kJ/mol, or nM"),
        (HEAD + "a,0,,nM", "m.csv, line 2: a concentration and a temperature must be above 0."),
        (HEAD + "a,1,,\na,2,,", "m.csv, line 3: 'a' is there twice; keep one of them."),
        (HEAD + ",1,,", "m.csv, line 2: the ligand has no name."),
        (HEAD + "a,1,,,5", "m.csv, line 2: has 5 fields, the header names 4."),
        ("# Experimental\na,1\n", "m.csv, line 2: not 'ligand, value, uncertainty' as in cinnabar's"),
        ('{"a": 1', "m.csv: not valid JSON"),
        ('{"a": 1}', "m.csv, ligand 'a': has no 'dg' with 'magnitude' and 'unit'"),
        ('{"a": {"dg": {"magnitude": 1}}}', "m.csv, ligand 'a': 'unit' is missing; give kcal/mol"),
        ('{"a": {"dg": {"magnitude": true, "unit": "kcal/mol"}}}', "the magnitude True is not a number."),
    ],
)
def test_what_cannot_be_used_is_said_with_file_and_line(text, message):
    with pytest.raises(InputError) as caught:
        parse(text)
    assert message in str(caught.value)


def test_a_file_that_is_not_there_or_a_directory(tmp_path):
    with pytest.raises(InputError, match=r"none\.csv: there is no such file of experimental values"):
        read_experimental(tmp_path / "none.csv")
    with pytest.raises(InputError, match="a directory; give the file of experimental values in it"):
        read_experimental(tmp_path)


# -------------------------------------------------------------------------------------------- as spreadsheets write it
TABLE = "ligand,value,uncertainty,unit\nlig_1,-9.5,0.2,kcal/mol\nβ-lactam,-8.25,,\n"
FOUND = {"lig_1": Measured(-9.5, 0.2), "β-lactam": Measured(-8.25, None)}


def in_europe(text: str, separator: str) -> str:
    return text.replace(",", separator).replace(".", ",")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    "text",
    [
        TABLE,
        in_europe(TABLE, ";"),
        in_europe(TABLE, "\t"),
        TABLE.replace(",", ";"),
        TABLE.replace(",", "\t"),
        "sep=;\n" + in_europe(TABLE, ";"),
        TABLE.replace("\n", ",,\n"),
        TABLE.replace("-", "\N{MINUS SIGN}").replace("β\N{MINUS SIGN}", "β-"),
        "\n;;;\n" + in_europe(TABLE, ";") + ";;;\n",
    ],
)
def test_a_table_is_read_as_spreadsheets_write_it(tmp_path, text, ends, encoding):
    path = tmp_path / "m.csv"
    path.write_bytes(text.replace("\n", ends).encode(encoding))
    assert read_experimental(path) == FOUND


def test_utf_16_of_the_other_order_and_a_mark_in_a_copy_of_0_1(tmp_path):
    path = tmp_path / "m.csv"
    path.write_bytes(b"\xfe\xff" + TABLE.encode("utf-16-be"))
    assert read_experimental(path) == FOUND
    assert parse("\ufeff" + TABLE) == FOUND
    path.write_bytes(b'\xef\xbb\xbf{"a": {"dg": {"magnitude": -9.5, "unit": "kcal/mol"}}}')
    assert read_experimental(path) == {"a": Measured(-9.5)}


def test_a_text_in_a_code_page_says_how_to_save_it(tmp_path):
    (tmp_path / "m.csv").write_bytes("ligand,value,unit\na,1,µM\n".encode("cp1252"))
    with pytest.raises(InputError, match="Save it so; Excel calls it 'CSV UTF-8'"):
        read_experimental(tmp_path / "m.csv")


@pytest.mark.parametrize("number", ["1.234,5", "9,5,1", "nan", "inf", "1e400", "=1+1"])
def test_what_is_no_number_there_is_refused(number):
    with pytest.raises(InputError, match="is not a number"):
        parse(f"ligand;value\na;{number}\n")


@pytest.mark.parametrize(
    ("value", "uncertainty", "unit", "temperature"),
    [
        ("1e160", "", "kcal/mol", ""),
        ("-1e308", "", "kJ/mol", ""),
        ("-9", "1e300", "", ""),
        ("1e308", "", "M", "1e300"),
        ("1e-300", "1e300", "nM", ""),
        ("1e7", "", "", ""),
    ],
)
def test_what_cannot_have_been_measured_is_refused(value, uncertainty, unit, temperature):
    text = f"ligand,value,uncertainty,unit,temperature\na,{value},{uncertainty},{unit},{temperature}\n"
    with pytest.raises(InputError, match=r"m\.csv, line 2: .* kcal/mol is no free energy"):
        parse(text)


@pytest.mark.parametrize("number", [10**400, 1e160, -1e999, float("nan"), True, "x", None])
def test_absurd_numbers_in_json_are_refused(number):
    with pytest.raises(InputError, match=r"m\.csv, ligand 'a'"):
        parse(json.dumps({"a": {"dg": {"magnitude": number, "unit": "kcal/mol"}}}))


def test_a_very_small_ki_has_a_logarithm():
    assert parse("ligand,value,unit\na,1e-320,pM\n")["a"].value == pytest.approx(
        RT * math.log(1e-308) - RT * math.log(1e24)
    )


def test_a_cell_that_no_reader_takes_is_one_sentence():
    with pytest.raises(InputError, match="not a CSV file"):
        parse(f"ligand,value\n{'a' * 200_000},1\n")
