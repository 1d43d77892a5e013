"""Results of transformations without a campaign, and AlchemicalArchives of them, also where gufe has none."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from xpm_alchem import gufe_seam as seam


def dag_result(transformation: Any, directory: Path, *, repeat: int = 1) -> Any:
    """Return the ProtocolDAGResult of one repeat; units are executed until one fails."""
    dag = seam.create_dag(transformation, repeat=repeat)
    results: dict[str, Any] = {}
    for unit in dag.protocol_units:
        places = [directory / place / f"{repeat}-{unit.key}" for place in ("shared", "scratch")]
        for place in places:
            place.mkdir(parents=True, exist_ok=True)
        result = seam.execute_unit(unit, seam.make_context(*places), seam.resolve_inputs(unit, results))
        results[str(unit.key)] = result
        if not result.ok():
            break
    return seam.make_dag_result(dag, results.values())


def chain_of(network: Any, results: Mapping[Any, Sequence[Any]]) -> list[list[Any]]:
    """Return the keyed chain of an archive of a network, its results given by transformation."""
    chain: dict[str, Any] = {}
    for one in (network, *(result for found in results.values() for result in found)):
        chain |= dict(json.loads(seam.to_text(one)))
    archive = {
        "network": {":gufe-key:": str(network.key)},
        "transformation_results": [
            [{":gufe-key:": str(one.key)}, [{":gufe-key:": str(result.key)} for result in found]]
            for one, found in results.items()
        ],
        "metadata": {},
        "version_gufe": "1.12.0",
        "__qualname__": "AlchemicalArchive",
        "__module__": "gufe.archival",
        ":version:": 1,
    }
    return [*([key, content] for key, content in chain.items()), ["AlchemicalArchive-1", archive]]


def write(path: Path, chain: list[list[Any]], **options: Any) -> Path:
    """Write a keyed chain as JSON, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(chain, **options))
    return path
