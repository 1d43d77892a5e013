"""Import of the heavy, optional packages: late, quietly, and with an error that says how to get them."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from xpm_alchem.base.errors import MissingPackageError
from xpm_alchem.base.quiet import quiet

# What to ask for: the name on conda-forge of the package that brings a module.
CONDA_NAMES = {
    "openff.nagl": "openff-nagl",
    "openff.nagl_models": "openff-nagl-models",
    "openff.toolkit": "openff-toolkit",
    "openff.units": "openff-units",
    "openmm": "openmm",
    "pymbar": "pymbar",
    "rdkit": "rdkit",
}
# Not on PyPI, so the extra "pypi" cannot bring it.
ONLY_ON_CONDA = ("openff.nagl",)


def load_package(module: str) -> Any:
    """Import and return a module of an optional package.

    Raises
    ------
    MissingPackageError
        The module, or something it needs, is not installed.
    """
    if module in sys.modules:
        return sys.modules[module]
    try:
        with quiet(module.split(".")[0]):
            return importlib.import_module(module)
    except ImportError as error:
        known = [name for name in CONDA_NAMES if module == name or module.startswith(f"{name}.")]
        name = max(known, key=len, default=module)
        ways = [f"conda install -c conda-forge {CONDA_NAMES.get(name, name)}"]
        if name not in ONLY_ON_CONDA:
            ways.append('without conda: pip install "xpm-alchem[pypi]"')
        raise MissingPackageError(
            f"The package '{name}' cannot be imported ({error}); the hydration protocol needs it. "
            f"Install it with: {'; '.join(ways)}."
        ) from None
