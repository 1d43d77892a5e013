"""Measured values of ligands, from a file: our CSV, cinnabar's CSV, or the JSON of openfe-benchmarks."""

from __future__ import annotations

import codecs
import csv
import json
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs

from xpm_alchem.base.energies import LARGEST_ENERGY, believed
from xpm_alchem.base.errors import FormatError, InputError, WorkspaceError
from xpm_alchem.base.files import read_bytes
from xpm_alchem.base.values import short
from xpm_alchem.network.energy_units import kcal_per_mol_of

GAS_CONSTANT = 1.987204259e-3  # kcal/(mol K), CODATA 2018
ROOM_TEMPERATURE = 298.15  # K
MOST_BYTES = 1 << 22  # of a file; 100,000 ligands

_MOLAR = {"m": 1.0, "mm": 1e-3, "um": 1e-6, "µm": 1e-6, "μm": 1e-6, "nm": 1e-9, "pm": 1e-12}
_COLUMNS = ("ligand", "value", "uncertainty", "unit", "temperature")
_SEPARATORS = ",;\t"
_SAYS_SEPARATOR = re.compile(r"\s*sep=([,;\t])\s*$", re.IGNORECASE)  # a first line for spreadsheets
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_UNITS = "kcal/mol, kJ/mol, or nM, uM, mM, M of a Ki or IC50"


@attrs.frozen
class Measured:
    """A measured free energy and its uncertainty (None: not given), kcal/mol."""

    value: float
    uncertainty: float | None = None


def read_experimental(path: Path) -> dict[str, Measured]:
    """Read a file of measured values by ligand.

    Raises
    ------
    InputError
        Says the file, the line or ligand, and what to do.
    """
    if path.is_dir():
        raise InputError(f"{path}: a directory; give the file of experimental values in it.")
    try:
        text = read_text(path)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file of experimental values.") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a text in UTF-8 ({error}). Save it so; Excel calls it 'CSV UTF-8'.") from None
    except (FormatError, WorkspaceError) as error:
        raise InputError(str(error)) from None
    return parse_experimental(text, str(path))


def read_text(path: Path) -> str:
    """Return the text of a file of measured values; spreadsheets begin it with a mark that says its encoding.

    Raises
    ------
    FileNotFoundError, FormatError, WorkspaceError
        As `base.files.read_bytes`.
    UnicodeDecodeError
        It is neither UTF-8 nor marked as another one.
    """
    content = read_bytes(path, most=MOST_BYTES)
    encoding = next((encoding for mark, encoding in _MARKS if content.startswith(mark)), "utf-8")
    return content.decode(encoding)


def parse_experimental(text: str, where: str) -> dict[str, Measured]:
    """Return the measured values in a text; `where` is for messages."""
    text = text.removeprefix("\ufeff")  # a copy that 0.1 made
    if text.lstrip()[:1] == "{":
        found = _json_values(text, where)
    elif re.search(r"^#.*(Experiment|Calculate|Relative)", text, re.MULTILINE):
        found = _cinnabar_values(text, where)
    else:
        found = _csv_values(text, where)
    if not found:
        raise InputError(f"{where}: holds no measured values. A line is for example: ligand_1,-9.5,0.2,kcal/mol")
    return found


def _csv_values(text: str, where: str) -> dict[str, Measured]:
    found: dict[str, Measured] = {}
    lines = text.splitlines()
    separator = _separator(lines)
    rows = ((n, row) for n, row in _rows(lines, separator, where) if not row[0].startswith("#"))
    first = next(rows, None)
    if first is None:
        return found
    columns, default = _header(first[1], f"{where}, line {first[0]}")
    for number, row in rows:
        at = f"{where}, line {number}"
        if len(row) > len(columns):
            raise InputError(f"{at}: has {len(row)} fields, the header names {len(columns)}.")
        cells = dict(zip(columns, row, strict=False))
        if separator != ",":  # of a country with a decimal comma
            cells |= {key: _with_point(cells[key]) for key in ("value", "uncertainty", "temperature") if key in cells}
        _add(found, cells.get("ligand", ""), _measured(cells, default, at), at)
    return found


def _header(row: list[str], at: str) -> tuple[list[str], str]:
    """Return the columns, and the unit that the header names for value and uncertainty."""
    columns, units = [], set()
    for cell in row:
        match = re.fullmatch(r"(\w+)\s*(?:[(\[](.+)[)\]])?", cell.lower())
        if match is None or match[1] not in _COLUMNS or match[1] in columns:
            raise InputError(f"{at}: '{cell}' is no column; the first line is: ligand,value,uncertainty,unit")
        columns.append(match[1])
        if match[2] and match[1] in ("value", "uncertainty"):
            units.add(match[2].strip())
    if missing := [name for name in ("ligand", "value") if name not in columns]:
        raise InputError(f"{at}: has no column '{missing[0]}'; the first line is: ligand,value,uncertainty,unit")
    if len(units) > 1:
        raise InputError(f"{at}: names two units ({', '.join(sorted(units))}); give value and uncertainty in one.")
    return columns, units.pop() if units else "kcal/mol"


def _measured(cells: Mapping[str, str], default: str, at: str) -> Measured:
    value = _number(cells.get("value", ""), "value", at)
    given = cells.get("uncertainty", "")
    uncertainty = _number(given, "uncertainty", at) if given else None
    warmth = cells.get("temperature", "")
    temperature = _number(re.sub(r"\s*K$", "", warmth), "temperature", at) if warmth else ROOM_TEMPERATURE
    return in_kcal_per_mol(value, uncertainty, cells.get("unit") or default, temperature, at)


def in_kcal_per_mol(value: float, uncertainty: float | None, unit: str, temperature: float, at: str) -> Measured:
    """Return a measured value in kcal/mol.

    A Ki (or an IC50, which is taken for one as cinnabar does) in nM, uM, mM or M becomes ``R T ln(Ki / 1 M)``, its
    uncertainty ``R T u / Ki``.

    Parameters
    ----------
    temperature
        In K.
    """
    if uncertainty is not None and uncertainty < 0:
        raise InputError(f"{at}: the uncertainty {uncertainty:g} is negative.")
    if (factor := kcal_per_mol_of(unit)) is not None:
        return _checked(value * factor, None if uncertainty is None else uncertainty * factor, at)
    if (molar := _MOLAR.get("M" if unit.strip() == "M" else unit.strip().lower())) is None and unit.strip() != "M":
        raise InputError(f"{at}: '{unit}' is no unit that is known; give {_UNITS}.")
    if value <= 0 or temperature <= 0:
        raise InputError(f"{at}: a concentration and a temperature must be above 0.")
    thermal = GAS_CONSTANT * temperature
    energy = thermal * (math.log(value) + math.log(molar or 1.0))
    return _checked(energy, None if uncertainty is None else thermal * (uncertainty / value), at)


def _checked(value: float, uncertainty: float | None, at: str) -> Measured:
    """Return what was measured, if it can have been."""
    found = believed(value, uncertainty)
    if found.estimate is None:
        numbers = f"{value:.3g}" if uncertainty is None else f"{value:.3g} +- {uncertainty:.3g}"
        raise InputError(f"{at}: {numbers} kcal/mol is no free energy (none is beyond {LARGEST_ENERGY:.0e}).")
    return Measured(found.estimate, found.uncertainty)


def _cinnabar_values(text: str, where: str) -> dict[str, Measured]:
    """Read the experimental block of cinnabar's CSV: kcal/mol, three fields a line."""
    found: dict[str, Measured] = {}
    inside = False
    for number, line in enumerate(text.splitlines(), start=1):
        if "Experiment" in line:
            inside = True
        if "Calculate" in line or "Relative" in line:
            inside = False
        cells = [cell.strip() for cell in line.split(",")]
        if not inside or not line.strip() or line.lstrip().startswith("#"):
            continue
        at = f"{where}, line {number}"
        if len(cells) != 3:
            raise InputError(f"{at}: not 'ligand, value, uncertainty' as in cinnabar's experimental block.")
        value, uncertainty = _number(cells[1], "value", at), _number(cells[2], "uncertainty", at)
        _add(found, cells[0], in_kcal_per_mol(value, uncertainty, "kcal/mol", ROOM_TEMPERATURE, at), at)
    return found


def _json_values(text: str, where: str) -> dict[str, Measured]:
    """Read openfe-benchmarks' layout: ``{ligand: {"dg": {"magnitude": ..., "unit": ...}, ...}}``."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not valid JSON ({error}).") from None
    found: dict[str, Measured] = {}
    for name, entry in content.items():
        at = f"{where}, ligand '{name}'"
        dg = entry.get("dg") if isinstance(entry, dict) else None
        if not isinstance(dg, dict):
            raise InputError(f"{at}: has no 'dg' with 'magnitude' and 'unit', as in the JSON of openfe-benchmarks.")
        value, unit = _quantity(dg, at)
        given = entry.get("uncertainty", entry.get("dg_uncertainty"))
        uncertainty = None
        if isinstance(given, dict):
            uncertainty, other = _quantity(given, at)
            if other != unit:
                raise InputError(f"{at}: value and uncertainty are in different units ({unit}, {other}).")
        _add(found, name, in_kcal_per_mol(value, uncertainty, unit, ROOM_TEMPERATURE, at), at)
    return found


def _quantity(given: Mapping[str, Any], at: str) -> tuple[float, str]:
    if not isinstance(given.get("unit"), str):
        raise InputError(f"{at}: 'unit' is missing; give {_UNITS}.")
    return _number(given.get("magnitude"), "magnitude", at), given["unit"]


def _number(given: Any, what: str, at: str) -> float:
    try:
        value = float(given.replace("\N{MINUS SIGN}", "-") if isinstance(given, str) else given)
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if isinstance(given, bool) or not math.isfinite(value):
        raise InputError(f"{at}: the {what} {short(given)} is not a number.")
    return value


def _add(found: dict[str, Measured], ligand: str, measured: Measured, at: str) -> None:
    if not ligand:
        raise InputError(f"{at}: the ligand has no name.")
    if ligand in found:
        raise InputError(f"{at}: '{ligand}' is there twice; keep one of them.")
    found[ligand] = measured


def _separator(lines: list[str]) -> str:
    """Return what stands between the cells: in the first line that is no remark there is most of it."""
    first = next((line for line in lines if line.strip() and not line.lstrip().startswith("#")), "")
    if match := _SAYS_SEPARATOR.match(first):
        return match[1]
    return max(_SEPARATORS, key=first.count)


def _rows(lines: list[str], separator: str, where: str) -> Iterable[tuple[int, list[str]]]:
    reader = csv.reader(("" if _SAYS_SEPARATOR.match(line) else line for line in lines), delimiter=separator)
    for row in _whole(reader, where):
        cells = [cell.strip() for cell in row]
        while cells and not cells[-1]:  # columns that a spreadsheet once had
            cells.pop()
        if cells:
            yield reader.line_num, cells


def _whole(rows: Iterable[list[str]], where: str) -> Iterable[list[str]]:
    try:
        yield from rows
    except csv.Error as error:
        raise InputError(f"{where}: not a CSV file ({error}).") from None


def _with_point(cell: str) -> str:
    """Return a number with a decimal point."""
    return re.sub(r"^([^.,]*),([^.,]*)$", r"\1.\2", cell)
