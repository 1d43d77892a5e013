"""Results gathered by their protocol, and written as other programs want them."""

from __future__ import annotations

import copy
import json
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from xpm_alchem.base.errors import MissingPackageError
from xpm_alchem.base.files import atomic_write, read_bytes
from xpm_alchem.gufe_seam.dags import dag_ok
from xpm_alchem.gufe_seam.installed import GUFE_VERSION, IS_GUFE_0_4, JSON_HANDLER
from xpm_alchem.gufe_seam.keyed_chain import flatten
from xpm_alchem.gufe_seam.objects import CheckModule, decode, parse, save


def gather(transformation: Any, dag_results: Collection[Any]) -> Any:
    """Return the ProtocolResult of the ProtocolDAGResults of a transformation.

    They are handed on as they are given: a collection that makes each one when it is asked for is never all in memory.
    """
    return with_count(transformation.gather(dag_results), len(dag_results))


def with_count(result: Any, count: int) -> Any:
    """Return a ProtocolResult that says of how many ProtocolDAGResults it was made, as gufe 0.4's do not."""
    if IS_GUFE_0_4:
        result = copy.copy(result)  # equal ones are one object
        result.n_protocol_dag_results = count
    return result


def with_results_to_come(protocol: Any, result: Any, to_come: int) -> Any:
    """Return a ProtocolResult that counts `to_come` results beside those of `result` (which may be None)."""
    if to_come == 0:
        return result
    count = to_come if result is None else result.n_protocol_dag_results + to_come
    if IS_GUFE_0_4:
        return with_count(protocol.result_cls() if result is None else result, count)
    return protocol.result_cls(n_protocol_dag_results=count, **({} if result is None else result.data))


def in_kcal_per_mol(value: Any) -> float:
    """Return an energy (a quantity with units, or a number taken as kcal/mol) as a float in kcal/mol."""
    if hasattr(value, "m_as"):
        return float(value.m_as("kilocalorie_per_mole"))
    return float(value)


def individual_estimates(result: Any) -> list[list[float]]:
    """Return estimate and error (kcal/mol) of each simulation of a ProtocolResult that tells them apart, else none."""
    try:
        return [[in_kcal_per_mol(value), in_kcal_per_mol(error)] for value, error in result.get_individual_estimates()]
    except Exception:  # few protocols have it, and some tell of the parts of a cycle
        return []


# ----------------------------------------------------------------------------------------- files for other programs
def write_quickrun_result(transformation: Any, dag_result: Any, path: Path) -> None:
    """Write the JSON that ``openfe quickrun`` (1.12) writes of one run of a transformation."""
    result = gather(transformation, [dag_result])
    good = dag_ok(dag_result)
    content = {  # in this order: `openfe gather` looks for "estimate" at the beginning
        "estimate": result.get_estimate() if good else None,
        "uncertainty": result.get_uncertainty() if good else None,
        "protocol_result": result.to_dict(),
        "unit_results": {str(unit.key): unit.to_keyed_dict() for unit in dag_result.protocol_unit_results},
    }
    with atomic_write(path) as out:
        json.dump(content, out, cls=JSON_HANDLER.encoder)


def load_quickrun_result(path: Path, check_module: CheckModule) -> Any:
    """Return the ProtocolResult in a file that ``openfe quickrun`` wrote; it holds no ProtocolDAGResult."""
    chain = flatten(json.loads(read_bytes(path))["protocol_result"])  # before arrays are decoded: they look alike
    return decode(parse(json.dumps(chain), check_module))


def merged(protocol: Any, results: Collection[Any]) -> Any:
    """Return one ProtocolResult of several, None if that cannot be told from outside.

    It can where their data have no key in common, as those of openfe, which are keyed by simulation: gathering all
    their ProtocolDAGResults at once gives the same.
    """
    data: dict[str, Any] = {}
    for result in results:
        if data.keys() & result.data.keys():
            return None
        data |= result.data
    count = sum(getattr(result, "n_protocol_dag_results", 1) for result in results)
    if IS_GUFE_0_4:
        return with_count(protocol.result_cls(**data), count)
    return protocol.result_cls(n_protocol_dag_results=count, **data)


def archive_class() -> Any:
    """Return gufe's AlchemicalArchive.

    Raises
    ------
    MissingPackageError
        The installed gufe has none.
    """
    try:
        from gufe.archival import AlchemicalArchive  # since 1.8
    except ImportError:
        raise MissingPackageError(
            f"the installed gufe {GUFE_VERSION} has no AlchemicalArchive; it needs gufe >= 1.8 (conda-forge). "
            "The other formats work with any gufe."
        ) from None
    return AlchemicalArchive


def make_archive(network: Any, results: Iterable[tuple[Any, list[Any]]], metadata: dict[str, Any]) -> Any:
    """Return an AlchemicalArchive of a network and the ProtocolDAGResults of its transformations.

    Raises
    ------
    MissingPackageError
        The installed gufe has none.
    """
    return archive_class()(network, [(one, list(found)) for one, found in results], metadata)


def write_archive(network: Any, results: Iterable[tuple[Any, list[Any]]], metadata: dict[str, Any], path: Path) -> None:
    """Write an AlchemicalArchive; see `make_archive`."""
    save(make_archive(network, results, metadata), path)
