"""The installed gufe: its version, and its classes under one name whatever the version.

PyPI has only gufe 0.4 (our test vehicle); users have gufe >= 1.6 from conda-forge. What differs between them is known
in this room and nowhere else. What exists for 0.4 alone stands between ``# --- gufe 0.4 only`` and
``# --- end of gufe 0.4 only`` and can be deleted in one go.
"""

from __future__ import annotations

import warnings

with warnings.catch_warnings():  # pydantic and openff warn at import about things no user can change
    warnings.simplefilter("ignore")
    import gufe
    from gufe.protocols.protocoldag import ProtocolDAG, ProtocolDAGResult
    from gufe.protocols.protocolunit import Context, ProtocolUnit, ProtocolUnitResult
    from gufe.tokenization import JSON_HANDLER, GufeKey, GufeTokenizable

GUFE_VERSION: str = str(getattr(gufe, "__version__", "unknown"))
IS_GUFE_0_4 = not hasattr(GufeTokenizable, "to_json")  # keyed-chain JSON came with 1.1

AlchemicalNetwork = gufe.AlchemicalNetwork
ChemicalSystem = gufe.ChemicalSystem
NonTransformation = gufe.transformations.transformation.NonTransformation
SmallMoleculeComponent = gufe.SmallMoleculeComponent
SolventComponent = gufe.SolventComponent
Transformation = gufe.Transformation

# ---------------------------------------------------------------------------------------------------- since gufe 1.3
try:
    from gufe.protocols.errors import ExecutionInterrupt  # since 1.3
except ImportError:  # --- gufe 0.4 only

    class ExecutionInterrupt(BaseException):  # type: ignore[no-redef]
        """Unwinds a unit without making a ProtocolUnitFailure of it (gufe >= 1.3 brings its own)."""

    # --- end of gufe 0.4 only

__all__ = [
    "GUFE_VERSION",
    "IS_GUFE_0_4",
    "JSON_HANDLER",
    "AlchemicalNetwork",
    "ChemicalSystem",
    "Context",
    "ExecutionInterrupt",
    "GufeKey",
    "GufeTokenizable",
    "NonTransformation",
    "ProtocolDAG",
    "ProtocolDAGResult",
    "ProtocolUnit",
    "ProtocolUnitResult",
    "SmallMoleculeComponent",
    "SolventComponent",
    "Transformation",
    "gufe",
]
