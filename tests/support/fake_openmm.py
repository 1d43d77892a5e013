"""Packages named openmm that stand before the real one: with GPUs that a test breaks, that crash, that hang."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path

from pytest import MonkeyPatch

# Its CUDA fails on the device that BROKEN names, by its place or as CUDA_VISIBLE_DEVICES does, and computes DISTANCE.
WITH_CUDA = """
    import os

    class Platform:
        def __init__(self, name): self.name = name
        def getName(self): return self.name
        @staticmethod
        def getNumPlatforms(): return 2
        @staticmethod
        def getPlatform(number): return Platform(["Reference", "CUDA"][number])
        @staticmethod
        def getPlatformByName(name): return Platform(name)

    class Context:
        def __init__(self, system, integrator, platform, properties):
            self.place = properties.get("DeviceIndex", "0")
            if os.environ.get("BROKEN", "") in (self.place, os.environ.get("CUDA_VISIBLE_DEVICES")):
                raise Exception("Error initializing CUDA: CUDA_ERROR_ECC_UNCORRECTABLE (214)\\n  at CudaContext.cpp:91")
        def setPositions(self, positions): pass
        def getIntegrator(self): return self
        def step(self, number): pass
        def getState(self, **options): return self
        def getPositions(self): return self
        def value_in_unit(self, unit): return (0, 0, 0), (float(os.environ.get("DISTANCE", "0.105")), 0, 0)

    class System:
        def addParticle(self, mass): pass
        def addForce(self, force): pass

    class HarmonicBondForce:
        def addBond(self, *parameters): pass

    class unit:
        nanometer = None

    def VerletIntegrator(step): pass
    def Vec3(*values): pass
"""


_ELSE_THE_REAL_ONE = """
import sys

if sys.argv[0].endswith("platform_trial.py"):
{text}
else:
    sys.path.remove({directory!r})
    del sys.modules["openmm"]
    import openmm

    sys.path.insert(0, {directory!r})  # trials look where their attempt does
"""


def put_openmm(directory: Path, monkeypatch: MonkeyPatch, text: str) -> None:
    """Put a package of some lines before the real one, for trials of platforms; others get the real one: gufe needs it.

    It is on the path of this process and its children.
    """
    package = directory / "openmm"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(
        _ELSE_THE_REAL_ONE.format(text=textwrap.indent(textwrap.dedent(text), "    "), directory=str(directory))
    )
    monkeypatch.setenv("PYTHONPATH", f"{directory}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.syspath_prepend(str(directory))
