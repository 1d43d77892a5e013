"""The settings of the GB hydration protocol."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import Field

from xpm_alchem.gufe_seam import SettingsBase

CHARGE_METHODS = ("stored", "nagl")
MIN_SAMPLES = 10  # of a window: below it a statistical inefficiency means nothing
STEP_TOLERANCE = 1e-6  # relative: 10 ps / 2 fs must be 5000 steps in spite of rounding


class GBHydrationSettings(SettingsBase):
    """Settings of `GBHydrationProtocol`.

    They are checked by `check_settings` when a protocol is made, on every version of gufe alike.
    """

    n_windows: Annotated[int, Field(description="Number of lambda windows, equally spaced from 0 to 1")] = 11
    production_ps: Annotated[float, Field(description="Sampling in each window, in ps")] = 50.0
    equilibration_ps: Annotated[float, Field(description="Discarded at the start of each window, in ps")] = 10.0
    segment_ps: Annotated[float, Field(description="Length of a checkpointed segment, in ps: what a kill loses")] = 10.0
    timestep_fs: Annotated[float, Field(description="Time step, in fs")] = 2.0
    sample_every: Annotated[int, Field(description="Steps from one energy sample to the next")] = 100
    temperature: Annotated[float, Field(description="Temperature, in K")] = 298.15
    friction_per_ps: Annotated[float, Field(description="Friction of the Langevin integrator, in 1/ps")] = 5.0
    hydrogen_mass: Annotated[float, Field(description="Mass of a hydrogen, in amu; heavy: no constraints needed")] = 4.0
    forcefield: Annotated[str, Field(description="SMIRNOFF force field file, without constraints")] = (
        "openff_unconstrained-2.2.1.offxml"
    )
    charge_method: Annotated[str, Field(description="'stored' on the molecules, or computed with 'nagl'")] = "stored"
    nagl_model: Annotated[str, Field(description="NAGL model, used when charge_method is 'nagl'")] = (
        "openff-gnn-am1bcc-1.0.0.pt"
    )


def as_dict(settings: GBHydrationSettings) -> dict[str, Any]:
    """Return the settings as plain values, the same on every version of gufe."""
    return {name: getattr(settings, name) for name in GBHydrationSettings.__annotations__}


def check_settings(settings: GBHydrationSettings) -> None:
    """Check every value, and that they fit each other.

    Raises
    ------
    ValueError
        Names the setting, its value, and what is allowed.
    """
    values = as_dict(settings)
    for name in ("n_windows", "sample_every"):
        least = 2 if name == "n_windows" else 1
        if isinstance(values[name], bool) or not isinstance(values[name], int) or values[name] < least:
            raise ValueError(f"{name} = {values[name]!r}: an integer of at least {least} is expected.")
    for name in ("production_ps", "segment_ps", "timestep_fs", "temperature", "friction_per_ps", "hydrogen_mass"):
        if not _is_number(values[name]) or values[name] <= 0:
            raise ValueError(f"{name} = {values[name]!r}: a positive number is expected.")
    if not _is_number(values["equilibration_ps"]) or values["equilibration_ps"] < 0:
        raise ValueError(f"equilibration_ps = {values['equilibration_ps']!r}: a number, 0 or larger, is expected.")
    for name in ("forcefield", "nagl_model"):
        if not isinstance(values[name], str) or not values[name]:
            raise ValueError(f"{name} = {values[name]!r}: the name of a file is expected.")
    if values["charge_method"] not in CHARGE_METHODS:
        raise ValueError(
            f"charge_method = {values['charge_method']!r}: one of {', '.join(CHARGE_METHODS)} is expected."
        )
    for name in ("production_ps", "equilibration_ps"):
        if not _is_multiple(values[name], values["segment_ps"]):
            raise ValueError(f"{name} = {values[name]} is not a multiple of segment_ps = {values['segment_ps']}.")
    stride_ps = values["sample_every"] * values["timestep_fs"] / 1000
    if not _is_multiple(values["segment_ps"], stride_ps) or values["segment_ps"] < stride_ps * (1 - STEP_TOLERANCE):
        raise ValueError(
            f"segment_ps = {values['segment_ps']} is not a multiple of the {stride_ps:g} ps between two samples "
            f"(sample_every = {values['sample_every']} steps of timestep_fs = {values['timestep_fs']})."
        )
    n_samples = round(values["production_ps"] / stride_ps)
    if n_samples < MIN_SAMPLES:
        raise ValueError(
            f"production_ps = {values['production_ps']} gives {n_samples} samples in a window, and {MIN_SAMPLES} "
            "are the least: make it longer, or sample_every smaller."
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_multiple(length: float, part: float) -> bool:
    count = length / part
    return math.isclose(count, round(count), rel_tol=STEP_TOLERANCE)
