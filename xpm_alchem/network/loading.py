"""Load a gufe AlchemicalNetwork and check it. gufe's objects are made only when they are asked for."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

from xpm_alchem.base.errors import NetworkError
from xpm_alchem.base.files import is_directory, read_bytes
from xpm_alchem.base.values import text
from xpm_alchem.gufe_seam.keyed_chain import Chain, flatten, modules_in, subchain
from xpm_alchem.network.index import Index, index_chain
from xpm_alchem.network.trust import check_module, require_packages


class Network:
    """A network file: its index, and on demand its gufe objects.

    Attributes
    ----------
    path
        The file.
    content
        Its bytes.
    index
        What is in it.
    chain
        Its keyed chain as plain JSON.
    trusted
        Packages that the user trusts.
    """

    def __init__(self, path: Path, content: bytes, chain: Chain, index: Index, trusted: tuple[str, ...]) -> None:
        self.path, self.content, self.index, self.chain = path, content, index, chain
        self.trusted = trusted

    def at(self, path: Path) -> Network:
        """Return the same network as it is in another file; what was decoded is kept."""
        other = copy.copy(self)
        other.path = path
        return other

    @cached_property
    def _objects(self) -> dict[str, Any]:
        return _decode(self.chain, self.path, self.trusted)

    @property
    def alchemical_network(self) -> Any:
        """The gufe AlchemicalNetwork.

        Raises
        ------
        MissingPackageError, NetworkError
            A package the network needs is not installed, or this gufe cannot read it.
        """
        return self._objects[self.chain[-1][0]]

    @cached_property
    def keys(self) -> dict[str, str]:
        """The gufe key that each object has under the installed gufe, by the key under which the file holds it."""
        return {key: str(made.key) for key, made in self._objects.items()}

    def object(self, key: str) -> Any:
        """Return the gufe object that the file holds under a key; only what it is made of is decoded."""
        if "_objects" in self.__dict__:
            return self._objects[key]
        return _decode(subchain(self.chain, key), self.path, self.trusted)[key]

    @cached_property
    def id_of_key(self) -> dict[str, str]:
        """Stable id by the gufe key that a transformation has under the installed gufe."""
        return {str(self._objects[r.key].key): r.id for r in self.index.transformations}

    def transformation(self, stable_id: str) -> Any:
        """Return the gufe Transformation of a stable id; only what it is made of is decoded."""
        return self.object(self.index.by_id[stable_id].key)


def load_transformation(path: Path, key: str, trusted: Iterable[str] = ()) -> Any:
    """Return one gufe Transformation of a network file that was checked before; nothing else of it is decoded.

    Parameters
    ----------
    key
        The key under which the file holds it (`TransformationRecord.key`).

    Raises
    ------
    NetworkError
        The file is missing or damaged, or does not hold it.
    """
    try:
        chain = subchain(flatten(json.loads(read_network(path))), key)
    except (ValueError, RecursionError, KeyError) as error:
        raise NetworkError(f"{path}: damaged, or does not hold '{key}' ({type(error).__name__}: {error}).") from None
    return _decode(chain, path, tuple(trusted))[key]


def load_network(path: Path, trusted: Iterable[str] = ()) -> Network:
    """Read, check and index a network file.

    Parameters
    ----------
    path
        JSON of a gufe AlchemicalNetwork, as gufe and ``openfe plan-rbfe-network`` write it.
    trusted
        Packages the user trusts beside those of `xpm_alchem.network.trust`.

    Raises
    ------
    NetworkError
        The file is missing, damaged, no AlchemicalNetwork, empty, or has transformations that cannot be run.
    UntrustedModuleError
        It names a Python module that is not trusted.
    """
    return network_of(read_network(path), path, trusted)


def network_of(content: bytes, path: Path, trusted: Iterable[str] = ()) -> Network:
    """Check and index the content of a network file; `path` and what is raised are as for `load_network`."""
    trusted = tuple(trusted)
    try:
        document = json.loads(content)
    except json.JSONDecodeError as error:
        raise NetworkError(
            f"{path}: not valid JSON, probably cut short or damaged (line {error.lineno}, column {error.colno} of "
            f"{len(content)} bytes: {error.msg}). Write it again or copy it again."
        ) from None
    except (ValueError, RecursionError):  # not UTF-8, an integer of thousands of digits
        raise NetworkError(f"{path}: not JSON. Give the JSON file that gufe or openfe wrote.") from None
    try:
        chain = flatten(document)
    except (ValueError, RecursionError) as error:
        raise NetworkError(
            f"{path}: JSON, but not an AlchemicalNetwork as gufe writes it: {error}. "
            "Give the file that `openfe plan-rbfe-network` or AlchemicalNetwork.to_json() wrote."
        ) from None
    modules = modules_in(document)
    check = check_module(str(path), trusted)
    for module in sorted(modules):
        check(module)
    return Network(path, content, chain, index_chain(chain, path, modules), trusted)


def read_network(path: Path) -> bytes:
    """Return the bytes of a network file.

    Raises
    ------
    NetworkError
        There is none.
    FormatError, WorkspaceError
        It is no file; it cannot be read.
    """
    if is_directory(path):
        raise NetworkError(f"{path}: a directory; give the network's JSON file in it.")
    try:
        return read_bytes(path)
    except FileNotFoundError:
        raise NetworkError(f"{path}: there is no such network file.") from None


def _decode(chain: Chain, path: Path, trusted: tuple[str, ...]) -> dict[str, Any]:
    require_packages(modules_in([entry[1] for entry in chain]), str(path))
    from xpm_alchem import gufe_seam

    try:
        content = json.dumps(chain)
        return gufe_seam.decode_all(gufe_seam.parse(content, check_module(str(path), trusted)))
    except NetworkError:
        raise
    except Exception as error:
        said = " ".join(text(str(error)).split())[:200]
        raise NetworkError(
            f"{path}: the installed gufe {gufe_seam.GUFE_VERSION} cannot read this network "
            f"({type(error).__name__}: {said}). It was probably written with another version of gufe or of its "
            "protocol: install that version, or write the network again with this one."
        ) from error
