"""The only file that knows gufe's versions.

PyPI has only gufe 0.4 (our test vehicle); users have gufe >= 1.6 from conda-forge. Everything that differs between
them is here, behind one interface. What exists for 0.4 alone stands between ``# --- gufe 0.4 only`` and
``# --- end of gufe 0.4 only`` and can be deleted in one go.

Every object is written as a *keyed chain* (gufe's JSON since 1.1): a list of ``[key, dict]`` in which a dict names
earlier entries by ``{":gufe-key:": key}``. The older form, nested dicts, is read too.
"""

from __future__ import annotations

import contextvars
import copy
import inspect
import json
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any

import networkx as nx

with warnings.catch_warnings():  # pydantic and openff warn at import about things no user can change
    warnings.simplefilter("ignore")
    import gufe
    from gufe.protocols.protocoldag import ProtocolDAG, ProtocolDAGResult
    from gufe.protocols.protocolunit import Context, ProtocolUnit, ProtocolUnitResult
    from gufe.tokenization import JSON_HANDLER, GufeKey, GufeTokenizable

from xpm_alchem import files_of_gufe_0_4
from xpm_alchem.base.errors import FormatError, MissingPackageError, XpmAlchemError
from xpm_alchem.base.files import atomic_write, read_bytes
from xpm_alchem.base.quiet import quiet
from xpm_alchem.base.values import text
from xpm_alchem.keyed_chain import Chain, flatten

GUFE_VERSION: str = str(getattr(gufe, "__version__", "unknown"))
IS_GUFE_0_4 = not hasattr(GufeTokenizable, "to_json")  # keyed-chain JSON came with 1.1

AlchemicalNetwork = gufe.AlchemicalNetwork
ChemicalSystem = gufe.ChemicalSystem
NonTransformation = gufe.transformations.transformation.NonTransformation
SmallMoleculeComponent = gufe.SmallMoleculeComponent
SolventComponent = gufe.SolventComponent
Transformation = gufe.Transformation

CheckModule = Callable[[str], None]
Relocate = Callable[[Path], Path]

# The number of the repeat a DAG is created for. gufe does not hand it to a protocol; a protocol whose seeds
# are to be reproducible reads it here while its `_create` runs.
_REPEAT: contextvars.ContextVar[int | None] = contextvars.ContextVar("repeat", default=None)


def current_repeat() -> int | None:
    """Return the repeat whose DAG is being created by `create_dag`, or None outside of it."""
    return _REPEAT.get()


# ------------------------------------------------------------------------------------------- reading and writing
def to_chain(obj: Any) -> list[list[Any]]:
    """Return the keyed chain of a gufe object as plain Python data."""
    order: dict[str, list[Any]] = {}

    def visit(node: Any) -> None:
        if str(node.key) in order:
            return
        shallow = node.to_shallow_dict()
        for child in _gufe_objects(shallow):
            visit(child)
        order.setdefault(str(node.key), [str(node.key), node.to_keyed_dict()])

    visit(obj)
    return list(order.values())


def _gufe_objects(value: Any) -> Iterator[Any]:
    if isinstance(value, GufeTokenizable):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _gufe_objects(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _gufe_objects(item)


def save(obj: Any, path: Path, *, exclusive: bool = False) -> None:
    """Write a gufe object as keyed-chain JSON, atomically; FileExistsError if `exclusive` and the file exists."""
    with atomic_write(path, exclusive=exclusive) as out:
        json.dump(to_chain(obj), out, cls=JSON_HANDLER.encoder, sort_keys=True)


def to_text(obj: Any) -> str:
    """Return what `save` writes; `parse` and `decode` read it."""
    return json.dumps(to_chain(obj), cls=JSON_HANDLER.encoder, sort_keys=True)


def load(path: Path, check_module: CheckModule, relocate: Relocate | None = None) -> Any:
    """Read one gufe object.

    Parameters
    ----------
    path
        A file written by `save` or by gufe.
    check_module
        Called with the name of every Python module the file names, before anything is imported; raises to refuse.
    relocate
        Called with every path in the file; returns what stands for it now.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    FormatError
        It is damaged, or the installed gufe (or its protocol) cannot read it.
    WorkspaceError
        It cannot be read (now, or by this user).
    XpmAlchemError
        Whatever `check_module` raised.
    """
    content = read_bytes(path)
    try:
        chain = parse(content.decode(), check_module)
        return decode(chain if relocate is None else _relocated(chain, relocate))
    except XpmAlchemError:
        raise
    except Exception as error:  # whatever gufe and its protocols raise when they decode what is not what they wrote
        said = f"{type(error).__name__}: {' '.join(text(str(error)).split())[:200]}"
        if isinstance(error, UnicodeDecodeError | json.JSONDecodeError):
            raise FormatError(path, f"damaged: not valid JSON ({said}).", broken=True) from None
        raise FormatError(path, f"damaged, or gufe {GUFE_VERSION} cannot read it ({said}).") from error


def _relocated(value: Any, relocate: Relocate) -> Any:
    if isinstance(value, PurePath):
        return relocate(Path(value))
    if isinstance(value, dict):
        return {key: _relocated(item, relocate) for key, item in value.items()}
    if isinstance(value, list):
        return [_relocated(item, relocate) for item in value]
    return value


def parse(content: str, check_module: CheckModule | None) -> list[list[Any]]:
    """Return the keyed chain in `content`, with gufe's own value types (paths, arrays, settings) decoded.

    Raises
    ------
    ValueError
        It is not JSON, or not a gufe object.
    """

    class Checked(JSON_HANDLER.decoder):  # type: ignore[name-defined,misc]
        def object_hook(self, dct: dict[str, Any]) -> Any:
            if check_module is not None and isinstance(dct.get("__module__"), str):
                check_module(dct["__module__"])
            return super().object_hook(dct if IS_GUFE_0_4 else files_of_gufe_0_4.value(dct))

    with quiet("pymbar"):  # protocols' modules are imported here
        return flatten(json.loads(content, cls=Checked))


def decode(chain: Chain) -> Any:
    """Return the last object of a keyed chain."""
    objects = decode_all(chain)
    return objects[chain[-1][0]]


def decode_all(chain: Chain) -> dict[str, Any]:
    """Return every object of a keyed chain under the key it has *in the chain*.

    gufe's keys change between versions, so an object's own ``key`` may differ from the one it is filed under.
    """
    objects: dict[str, Any] = {}

    def resolve(value: Any) -> Any:
        if isinstance(value, dict):
            if ":gufe-key:" in value:
                return objects[value[":gufe-key:"]]
            return {key: resolve(item) for key, item in value.items()}
        if isinstance(value, list):
            return [resolve(item) for item in value]
        return value

    with quiet("pymbar"):  # and molecules warn each time they are read
        for key, content in chain:
            if IS_GUFE_0_4:
                content = _for_gufe_0_4(content)
            elif ":version:" not in content:
                objects[key] = files_of_gufe_0_4.read(resolve(content))
                continue
            objects[key] = GufeTokenizable.from_shallow_dict(resolve(content))
    return objects


# ------------------------------------------------------------------------------------------------- making a DAG
def create_dag(transformation: Any, *, repeat: int | None = None, extends: Any = None, name: str | None = None) -> Any:
    """Create the ProtocolDAG of one repeat of a transformation.

    Parameters
    ----------
    transformation
        A gufe Transformation or NonTransformation.
    repeat
        Number of the repeat; protocols that want reproducible seeds read it through `current_repeat`.
    extends
        The ProtocolDAGResult that this one continues.
    """
    token = _REPEAT.set(repeat)
    try:
        if "extends" in inspect.signature(transformation.create).parameters:
            return transformation.create(extends=extends, name=name)
        return _create_dag_0_4(transformation, extends, name)
    finally:
        _REPEAT.reset(token)


def edge_graph(network: Any) -> nx.MultiDiGraph[Any]:
    """Return the network as a MultiDiGraph of ChemicalSystems, each Transformation under ``data['object']``."""
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    graph.add_nodes_from(sorted(network.nodes))
    for transformation in sorted(network.edges):
        graph.add_edge(transformation.stateA, transformation.stateB, object=transformation)
    return graph


def subgraphs(network: Any) -> list[Any]:
    """Return the connected parts of a network, each as an AlchemicalNetwork, largest first."""
    parts = []
    graph = edge_graph(network)
    for nodes in nx.weakly_connected_components(graph):
        edges = [data["object"] for _, _, data in graph.subgraph(nodes).edges(data=True)]
        parts.append(AlchemicalNetwork(edges=edges, nodes=nodes))
    return sorted(parts, key=lambda part: (-len(part.nodes), str(part.key)))


# ---------------------------------------------------------------------------------------------------- executing
try:
    from gufe.protocols.errors import ExecutionInterrupt  # since 1.3
except ImportError:  # --- gufe 0.4 only

    class ExecutionInterrupt(BaseException):  # type: ignore[no-redef]
        """Unwinds a unit without making a ProtocolUnitFailure of it (gufe >= 1.3 brings its own)."""

    # --- end of gufe 0.4 only


def make_context(shared: Path, scratch: Path, stdout: Path | None = None, stderr: Path | None = None) -> Any:
    """Return gufe's Context; directories it does not know (stdout and stderr before 1.7) are left out."""
    given = {"shared": shared, "scratch": scratch, "stdout": stdout, "stderr": stderr}
    known = inspect.signature(Context).parameters
    return Context(**{key: value for key, value in given.items() if key in known})


def execute_unit(unit: Any, context: Any, inputs: Mapping[str, Any]) -> Any:
    """Execute one ProtocolUnit; return its ProtocolUnitResult or ProtocolUnitFailure."""
    if "context" in inspect.signature(unit.execute).parameters:
        return unit.execute(context=context, raise_error=False, **inputs)
    return unit.execute(shared=context.shared, scratch=context.scratch, **inputs)


def resolve_inputs(unit: Any, results: Mapping[str, Any]) -> dict[str, Any]:
    """Return a unit's inputs with every ProtocolUnit replaced by its result in ``results[unit key]``."""

    def resolve(value: Any) -> Any:
        if isinstance(value, ProtocolUnit):
            return results[str(value.key)]
        if isinstance(value, dict):
            return {key: resolve(item) for key, item in value.items()}
        if isinstance(value, list):
            return [resolve(item) for item in value]
        return value

    return {key: resolve(value) for key, value in unit.inputs.items()}


def is_result_of(result: Any, unit: Any) -> bool:
    """Return whether an object that was read is the result of a unit that succeeded, with all a result has."""
    parts = [getattr(result, name, None) for name in ("inputs", "outputs")]
    sound = isinstance(result, ProtocolUnitResult) and isinstance(result.key, str)
    return sound and all(isinstance(part, Mapping) for part in parts) and str(result.source_key) == str(unit.key)


def is_dag(dag: Any) -> bool:
    """Return whether an object that was read is a ProtocolDAG whose units' keys can name files."""
    return isinstance(dag, ProtocolDAG) and all(Path(str(u.key)).name == str(u.key) for u in dag.protocol_units)


def is_dag_result(result: Any) -> bool:
    """Return whether an object that was read is a ProtocolDAGResult."""
    return isinstance(result, ProtocolDAGResult)


def make_dag_result(dag: Any, results: Iterable[Any]) -> Any:
    """Return the ProtocolDAGResult of the unit results of a DAG, failures included."""
    given = {
        "name": dag.name,
        "protocol_units": dag.protocol_units,
        "protocol_unit_results": list(results),
        "transformation_key": getattr(dag, "transformation_key", None),
        "extends_key": getattr(dag, "extends_key", None),
    }
    known = inspect.signature(ProtocolDAGResult.__init__).parameters
    return ProtocolDAGResult(**{key: value for key, value in given.items() if key in known})


def dag_ok(result: Any) -> bool:
    """Return whether every unit of a ProtocolDAGResult has a result (0.4's own ``ok`` is wrong on failures)."""
    good = {str(unit_result.source_key) for unit_result in result.protocol_unit_results if unit_result.ok()}
    return all(str(unit.key) in good for unit in result.protocol_units)


# ---------------------------------------------------------------------------------------------------- gathering
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


def mapping_of(transformation: Any) -> Any:
    """Return the one LigandAtomMapping of a Transformation, or None."""
    mapping = getattr(transformation, "mapping", None)  # a NonTransformation has none
    if isinstance(mapping, Mapping):  # --- gufe 0.4 only
        mapping = list(mapping.values())
    if isinstance(mapping, list | tuple):
        mapping = mapping[0] if len(mapping) == 1 else None
    return mapping if hasattr(mapping, "componentA_unique") else None


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


def write_archive(network: Any, results: Iterable[tuple[Any, list[Any]]], metadata: dict[str, Any], path: Path) -> None:
    """Write an AlchemicalArchive of a network and the ProtocolDAGResults of its transformations.

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
    archive = AlchemicalArchive(network, [(one, list(found)) for one, found in results], metadata)
    save(archive, path)


# ------------------------------------------------------------- base classes of a protocol that runs on both versions
class _NoDefaults:
    """`_defaults` is an instance method in 0.4 and a classmethod since 1.0: a classmethod serves both."""

    @classmethod
    def _defaults(cls) -> dict[str, Any]:
        return {}


if not IS_GUFE_0_4:
    from gufe.settings import SettingsBaseModel as SettingsBase

    ProtocolBase: Any = gufe.Protocol
    ProtocolResultBase: Any = gufe.ProtocolResult
    ProtocolUnitBase: Any = ProtocolUnit
else:  # --- gufe 0.4 only
    _KEYS = ("_key", "source_key")

    def _for_gufe_0_4(content: dict[str, Any]) -> dict[str, Any]:
        """0.4 knows no ``:version:`` and wants its keys as GufeKey."""
        return {
            key: GufeKey(value) if key in _KEYS and isinstance(value, str) else value
            for key, value in content.items()
            if key != ":version:"
        }

    def _create_dag_0_4(transformation: Any, extends: Any, name: str | None) -> Any:
        return transformation.protocol.create(
            transformation.stateA,
            transformation.stateB,
            getattr(transformation, "mapping", None),
            extend_from=extends,
            name=name or str(transformation.key),
        )

    class SettingsBase(_NoDefaults, GufeTokenizable):  # type: ignore[no-redef]
        """Annotated class attributes with defaults, written as for pydantic."""

        def __init__(self, **values: Any) -> None:
            for key in self.__annotations__:
                setattr(self, key, values.pop(key) if key in values else getattr(type(self), key))
            if values:
                raise ValueError(f"unknown settings {sorted(values)}; known: {sorted(self.__annotations__)}")

        def _to_dict(self) -> dict[str, Any]:
            return {key: getattr(self, key) for key in self.__annotations__}

        @classmethod
        def _from_dict(cls, dct: dict[str, Any]) -> Any:
            return cls(**dct)

    class ProtocolBase(_NoDefaults, gufe.Protocol):  # type: ignore[no-redef]
        """A subclass writes `_create` with the signature of gufe >= 1."""

        __eq__, __hash__ = GufeTokenizable.__eq__, GufeTokenizable.__hash__

        def __init_subclass__(cls, **kwargs: Any) -> None:
            super().__init_subclass__(**kwargs)
            create = cls.__dict__.get("_create")
            if create is not None and "extends" in inspect.signature(create).parameters:

                def _create(self: Any, stateA: Any, stateB: Any, mapping: Any = None, extend_from: Any = None) -> Any:
                    return create(self, stateA, stateB, mapping, extends=extend_from)

                cls._create = _create

    class ProtocolResultBase(_NoDefaults, gufe.ProtocolResult):  # type: ignore[no-redef]
        """Adds what 0.4 demands and reads back what it writes."""

        def get_rate_of_convergence(self) -> None:
            return None

        @classmethod
        def _from_dict(cls, dct: dict[str, Any]) -> Any:
            return cls(**dct["data"])

    class ProtocolUnitBase(_NoDefaults, ProtocolUnit):  # type: ignore[no-redef]
        """A ProtocolUnit for both versions."""

    # --- end of gufe 0.4 only

__all__ = [
    "GUFE_VERSION",
    "AlchemicalNetwork",
    "ChemicalSystem",
    "ExecutionInterrupt",
    "NonTransformation",
    "ProtocolBase",
    "ProtocolDAG",
    "ProtocolDAGResult",
    "ProtocolResultBase",
    "ProtocolUnitBase",
    "ProtocolUnitResult",
    "SettingsBase",
    "SmallMoleculeComponent",
    "SolventComponent",
    "Transformation",
    "create_dag",
    "current_repeat",
    "dag_ok",
    "decode",
    "decode_all",
    "edge_graph",
    "execute_unit",
    "gather",
    "in_kcal_per_mol",
    "individual_estimates",
    "is_dag",
    "is_dag_result",
    "is_result_of",
    "load",
    "load_quickrun_result",
    "make_context",
    "make_dag_result",
    "mapping_of",
    "merged",
    "parse",
    "resolve_inputs",
    "save",
    "subgraphs",
    "to_chain",
    "to_text",
    "with_count",
    "with_results_to_come",
    "write_archive",
    "write_quickrun_result",
]
