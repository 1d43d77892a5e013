"""Files in the layout of `openfe quickrun` (openfe 1.12), made of a network's own JSON; no openfe is needed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def energy(value: float) -> dict[str, Any]:
    """Return a quantity as gufe writes it."""
    registry = {":is_custom:": True, "pint_unit_registry": "openff_units"}
    return {"magnitude": value, "unit": "kilocalorie_per_mole", **registry}


def nested(network: Path, key: str) -> dict[str, Any]:
    """Return an object of a network's keyed chain with all it is made of, as to_dict() gives it."""
    entries = dict(json.loads(network.read_bytes()))

    def expand(value: Any) -> Any:
        if isinstance(value, dict):
            if ":gufe-key:" in value:
                return expand(entries[value[":gufe-key:"]])
            return {name: expand(item) for name, item in value.items()}
        return [expand(item) for item in value] if isinstance(value, list) else value

    return expand(entries[key])


def document(network: Path, key: str, estimates: list[float], *, run: str = "a") -> dict[str, Any]:
    """Return what quickrun writes of a run of a transformation: a setup unit, and an analysis of each simulation."""
    transformation = nested(network, key)
    inputs = {name: transformation[name] for name in ("protocol", "stateA", "stateB")}
    inputs["ligandmapping"] = transformation["mapping"]
    data, units = {}, {}
    for number, estimate in enumerate(estimates):
        setup, analysis = (_unit(f"{kind}-{run}{number}") for kind in ("Setup", "Analysis"))
        setup["inputs"] = inputs
        analysis["inputs"] = {"protocol": transformation["protocol"], "setup_results": setup}
        analysis["outputs"] = {"unit_estimate": energy(estimate), "unit_estimate_error": energy(0.05)}
        data[f"{run}{number}"] = [analysis]
        units |= {unit["_key"]: {"source_key": unit["source_key"]} for unit in (setup, analysis)}
    result = {"__qualname__": "DummyResult", "__module__": "dummy_protocol", ":version:": 1}
    return {
        "estimate": energy(sum(estimates) / len(estimates)),
        "uncertainty": energy(0.0),
        "protocol_result": {"n_protocol_dag_results": 1, "data": data, **result},
        "unit_results": units,
    }


def _unit(name: str) -> dict[str, Any]:
    facts = {"__qualname__": "ProtocolUnitResult", "__module__": "gufe.protocols.protocolunit", ":version:": 1}
    return {
        "name": name,
        "_key": f"ProtocolUnitResult-{name}",
        "source_key": name,
        "inputs": {},
        "outputs": {},
        **facts,
    }


def write(path: Path, content: dict[str, Any], **options: Any) -> Path:
    """Write a file and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, **options))
    return path
