"""A gufe protocol whose units do next to nothing: side by side, in a chain, or one with a large result."""

from __future__ import annotations

from typing import Any

import numpy as np

from xpm_alchem import gufe_seam as seam


class UnitsSettings(seam.SettingsBase):
    shape: str = "flat"  # flat, chain, floats, array
    size: int = 100  # units, or numbers in the result


class Number(seam.ProtocolUnitBase):
    @staticmethod
    def _execute(ctx: Any, *, number: int, before: Any = None, **inputs: Any) -> dict[str, Any]:
        return {"number": number + (0 if before is None else before.outputs["number"])}


class Large(seam.ProtocolUnitBase):
    @staticmethod
    def _execute(ctx: Any, *, number: int, shape: str, **inputs: Any) -> dict[str, Any]:
        numbers = np.random.default_rng(1).random(number)
        return {"number": number, "large": numbers if shape == "array" else numbers.tolist()}


class UnitsResult(seam.ProtocolResultBase):
    def get_estimate(self) -> float:
        return float(np.mean(self.data["numbers"]))

    def get_uncertainty(self) -> float:
        return 0.0


class UnitsProtocol(seam.ProtocolBase):
    result_cls = UnitsResult
    _settings_cls = UnitsSettings

    @classmethod
    def _default_settings(cls) -> UnitsSettings:
        return UnitsSettings()

    def _create(self, stateA: Any, stateB: Any, mapping: Any = None, extends: Any = None) -> list[Any]:
        shape, size = self.settings.shape, self.settings.size
        if shape in ("floats", "array"):
            return [Large(name="large", number=size, shape=shape)]
        units: list[Any] = []
        for number in range(size):
            before = {"before": units[-1]} if units and shape == "chain" else {}
            units.append(Number(name=f"number {number}", number=number, **before))
        return units

    def _gather(self, protocol_dag_results: Any) -> dict[str, Any]:
        results = [unit for dag in protocol_dag_results for unit in dag.protocol_unit_results]
        return {"numbers": [unit.outputs["number"] for unit in results]}
