"""Tries one of OpenMM's platforms: a program, as a broken driver may crash or hang whoever asks it.

``python platform_trial.py NAMES DEVICES SECONDS`` takes the first of the platforms that OpenMM has, tries it on each of
so many devices, and prints one line of JSON: the platform, and where something is wrong what, and on which device. It
ends with whoever has started it, at the latest after so many seconds. It imports OpenMM, and nothing of ours.
"""

from __future__ import annotations

import ctypes
import json
import math
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

_BOND, _STRETCH = 0.1, 0.01  # nm: two particles that swing about their distance, by less than that for ever
_STEPS = 20
_END_WITH_PARENT = 1  # prctl's PR_SET_PDEATHSIG


def main() -> None:
    """Print what works, or what does not."""
    names, devices, seconds = sys.argv[1].split(","), int(sys.argv[2]), int(sys.argv[3])
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_END_WITH_PARENT, signal.SIGKILL)
    signal.alarm(seconds)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):  # meant for the attempt, which ends this
        signal.signal(number, signal.SIG_IGN)
    sys.stdout.write(json.dumps(_trial(names, devices)) + "\n")
    sys.stdout.flush()
    os._exit(0)  # a driver may crash on the way out, which harms nobody


def _trial(names: Sequence[str], devices: int) -> dict[str, Any]:
    try:
        import openmm
    except Exception as error:  # whatever a package that is broken raises
        return {"platform": names[0], "trouble": f"OpenMM cannot be imported: {error}"}
    there = [openmm.Platform.getPlatform(number).getName() for number in range(openmm.Platform.getNumPlatforms())]
    name = next((name for name in names if name in there), None)
    if name is None:
        trouble = f"OpenMM has no such platform here, only {', '.join(there)}{_not_loaded(openmm, names[0])}"
        return {"platform": names[0], "trouble": trouble}
    for device in range(max(1, devices)):
        try:
            trouble = _swing(openmm, name, device if devices > 1 else None)
        except Exception as error:
            trouble = str(error) or type(error).__name__
        if trouble:
            return {"platform": name, "trouble": trouble, "device": device}
    return {"platform": name}


def _not_loaded(openmm: Any, name: str) -> str:
    """Return why the platform's library could not be loaded, if that was it."""
    for line in openmm.Platform.getPluginLoadFailures():
        library, _, why = str(line).partition(": ")
        if library.endswith(f"OpenMM{name}.so"):
            return f" ({why})"
    return ""


def _swing(openmm: Any, name: str, device: int | None) -> str:
    """Let two particles swing on a device, by its place among those that are seen; return what is wrong, '' if nothing.

    Raises
    ------
    openmm.OpenMMException
        In the driver's words.
    """
    platform = openmm.Platform.getPlatformByName(name)
    properties = {"DeviceIndex": str(device)} if device is not None else {}
    system, bond = openmm.System(), openmm.HarmonicBondForce()
    for _ in range(2):
        system.addParticle(40.0)
    bond.addBond(0, 1, _BOND, 1e5)
    system.addForce(bond)
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform, properties)
    context.setPositions([openmm.Vec3(0, 0, 0), openmm.Vec3(_BOND + _STRETCH, 0, 0)])
    context.getIntegrator().step(_STEPS)
    state = context.getState(getPositions=True, getEnergy=True)
    first, second = state.getPositions().value_in_unit(openmm.unit.nanometer)
    distance = math.dist(first, second)
    if not abs(distance - _BOND) < 1.5 * _STRETCH:  # nor where it is no number
        return f"it computes wrongly: two particles that should stay {_BOND} nm apart are {distance:g} nm"
    return ""


if __name__ == "__main__":
    main()
