"""Which Python modules a file may name. A gufe file names the classes it is made of, and gufe would import them all."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib.util import find_spec

from xpm_alchem.base.errors import MissingPackageError, UntrustedModuleError

TRUSTED = ("gufe", "openfe", "feflow", "stratocaster", "xpm_alchem")
# gufe's own value types (paths, arrays, times, units): decoded by gufe itself, no module is imported for their sake.
VALUE_TYPES = ("pathlib", "numpy", "builtins", "datetime", "uuid", "openff", "pint")


def check_module(where: str, trusted: Iterable[str] = ()) -> Callable[[str], None]:
    """Return a function that raises UntrustedModuleError for a module outside the trusted packages.

    Parameters
    ----------
    where
        What names the module, for the message.
    trusted
        Packages that the user trusts beside `TRUSTED`.
    """
    allowed = {*TRUSTED, *VALUE_TYPES, *trusted}

    def check(module: str) -> None:
        parts = module.split(".")
        runs = any(part.startswith("__") for part in parts)  # a __main__ does something when it is imported
        trusted_by = {".".join(parts[:length]) for length in range(len(parts) if runs else 1, len(parts) + 1)}
        if not trusted_by & allowed:
            raise UntrustedModuleError(module, where)

    return check


def require_packages(modules: Iterable[str], where: str) -> None:
    """Raise MissingPackageError if a top-level package of `modules` is not installed; nothing is imported.

    Parameters
    ----------
    modules
        Names of modules.
    where
        What needs them, for the message.
    """
    for package in sorted({module.split(".")[0] for module in modules}):
        if find_spec(package) is None:
            raise MissingPackageError(
                f"{where} needs the Python package '{package}', which is not installed here. Install it in this "
                f"environment, for example with: conda install -c conda-forge {package} (or put the directory of one "
                "of your own into PYTHONPATH)."
            )
