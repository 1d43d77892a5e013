"""The JSON file that ``openfe quickrun`` writes, and what it says. No gufe is needed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from xpm_alchem.base.energies import LARGEST_ENERGY, is_energy
from xpm_alchem.base.errors import FormatError, InputError, WorkspaceError
from xpm_alchem.base.files import read_bytes
from xpm_alchem.base.values import short
from xpm_alchem.gufe_seam.keyed_chain import Chain, flatten, is_object, modules_in
from xpm_alchem.network.energy_units import kcal_per_mol_of
from xpm_alchem.network.index import content_ids
from xpm_alchem.network.origin import Origin, origin_of

_KEYS = ("estimate", "uncertainty", "protocol_result", "unit_results")


@attrs.frozen(eq=False)
class QuickrunFile:
    """A result of ``openfe quickrun``. Energies in kcal/mol.

    Attributes
    ----------
    content
        The file's bytes.
    estimate, uncertainty
        None for a run that failed.
    simulations
        Estimate and error of each simulation inside the run, where the file tells of them.
    identity
        Tells the run apart, also from a copy of the file that was written in another way.
    units
        Keys of the units that were run.
    origins
        What the inputs of the units say that was run.
    """

    path: Path
    content: bytes
    estimate: float | None
    uncertainty: float | None
    simulations: tuple[tuple[float, float], ...]
    identity: str
    units: tuple[str, ...]
    origins: tuple[Origin, ...]
    modules: frozenset[str]

    @property
    def sha256(self) -> str:
        """Of the file."""
        return hashlib.sha256(self.content).hexdigest()


def looks_like_one(path: Path) -> bool:
    """Return whether a file begins as quickrun's do; `openfe gather` looks at no more."""
    try:
        if not path.is_file():
            return False
        with open(path, "rb") as lines:
            return b"estimate" in lines.read(20)
    except OSError:
        return False


def read_quickrun_file(path: Path) -> QuickrunFile:
    """Read a file.

    Raises
    ------
    InputError
        It is not there, damaged, or not what quickrun writes.
    """
    try:
        content = read_bytes(path)
        document = json.loads(content)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file.") from None
    except (FormatError, WorkspaceError) as error:  # a directory, a pipe, not to be read by this user
        raise InputError(str(error)) from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid JSON, probably cut short or damaged ({error}).") from None
    if not isinstance(document, dict) or any(key not in document for key in _KEYS):
        raise InputError(f"{path}: not a result of `openfe quickrun`: it lacks {', '.join(_lacking(document))}.")
    result, units = document["protocol_result"], document["unit_results"]
    if not is_object(result) or not isinstance(units, dict):
        raise InputError(f"{path}: damaged: 'protocol_result' or 'unit_results' is not what quickrun writes.")
    failed = document["estimate"] is None
    keys = sorted(str(key) for key in units)
    identity = "\n".join(keys).encode() if keys else content
    try:
        chain = flatten(result)
        ids = content_ids(chain)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path}: damaged ({type(error).__name__}: {error}).") from None
    return QuickrunFile(
        path=path,
        content=content,
        estimate=None if failed else _energy(document["estimate"], f"{path}: 'estimate'"),
        uncertainty=None
        if document["uncertainty"] is None
        else _energy(document["uncertainty"], f"{path}: 'uncertainty'"),
        simulations=tuple(_simulations(result.get("data"))),
        identity=hashlib.sha256(identity).hexdigest(),
        units=tuple(sorted({str(unit.get("source_key")) for unit in units.values() if isinstance(unit, dict)})),
        origins=tuple(sorted(set(_origins(chain, ids)), key=repr)),
        modules=frozenset(modules_in(result)),
    )


def _lacking(document: Any) -> list[str]:
    return [f"'{key}'" for key in _KEYS if not isinstance(document, dict) or key not in document]


def _energy(given: Any, where: str) -> float:
    """Return a quantity as gufe writes it (or a number, taken as kcal/mol) in kcal/mol."""
    value, unit = (given.get("magnitude"), given.get("unit")) if isinstance(given, dict) else (given, "kcal/mol")
    factor = kcal_per_mol_of(unit) if isinstance(unit, str) else None
    if factor is None or not is_energy(value):
        raise InputError(
            f"{where} is {short(given)}, not an energy in kcal/mol or kJ/mol (none is beyond {LARGEST_ENERGY:.0e})."
        )
    return float(value) * factor


def _simulations(data: Any) -> Iterator[tuple[float, float]]:
    """Yield what openfe's protocols say of each simulation."""
    for units in data.values() if isinstance(data, Mapping) else ():
        outputs = units[0].get("outputs") if isinstance(units, list) and units and isinstance(units[0], dict) else None
        if isinstance(outputs, dict) and "unit_estimate" in outputs and "unit_estimate_error" in outputs:
            yield (
                _energy(outputs["unit_estimate"], "unit_estimate"),
                _energy(outputs["unit_estimate_error"], "its error"),
            )


def _origins(chain: Chain, ids: Mapping[str, str]) -> Iterator[Origin]:
    """Yield what the inputs of units name as states, protocol and mapping."""
    for _, content in chain:
        inputs = content.get("inputs")
        if isinstance(inputs, dict) and "stateA" in inputs and "stateB" in inputs:
            yield origin_of(inputs, ids)
