"""Units of energy in files of others, as numbers in kcal/mol."""

from __future__ import annotations

KCAL_IN_KJ = 4.184

_NAMES = {
    "kcal/mol": 1.0,
    "kilocalorie_per_mole": 1.0,
    "kilocalories_per_mole": 1.0,
    "kilocalorie / mole": 1.0,
    "kj/mol": 1.0 / KCAL_IN_KJ,
    "kilojoule_per_mole": 1.0 / KCAL_IN_KJ,
    "kilojoules_per_mole": 1.0 / KCAL_IN_KJ,
    "kilojoule / mole": 1.0 / KCAL_IN_KJ,
}


def kcal_per_mol_of(unit: str) -> float | None:
    """Return what one of the unit is in kcal/mol, None if it is no unit of energy that is known."""
    return _NAMES.get(unit.strip().lower())
