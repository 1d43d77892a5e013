"""What networks are made of: their transformations and chemical systems, and which belong to which."""

from __future__ import annotations

from typing import Any

from xpm_alchem.alchemiscale.errors import AlchemiscaleClientError
from xpm_alchem.alchemiscale.foundation import Foundation, as_scope, translated
from xpm_alchem.alchemiscale.networks import is_called, unique
from xpm_alchem.alchemiscale.scope import Scope
from xpm_alchem.alchemiscale.scoped_key import ScopedKey
from xpm_alchem.alchemiscale.tasks_of_scopes import name_of


class ContentMethods(Foundation):
    """Transformations and chemical systems; one that is in several networks of a Scope is one there."""

    def get_scopes(self) -> list[Scope]:
        """Return the Scopes there are for this user: any, who may write to the workspace."""
        return [Scope()]

    def list_scopes(self) -> list[Scope]:
        """Return the Scopes there are for this user; the same as `get_scopes`."""
        return self.get_scopes()

    def get_scoped_key(self, obj: Any, scope: Scope) -> ScopedKey:
        """Return the key that a gufe object has, or would have, in a Scope; whether it is there is not looked up.

        Raises
        ------
        AlchemiscaleClientError
            The Scope has wildcards.
        """
        where = as_scope(scope)
        if where is None or not where.specific():
            raise AlchemiscaleClientError(f"the Scope '{scope}' is not specific: give it without '*'.")
        return ScopedKey.of(obj.key, where)

    def check_exists(self, scoped_key: ScopedKey | str) -> bool:
        """Return whether there is something of this key: a network, anything that one is made of, or a task."""
        key = ScopedKey.from_str(str(scoped_key))
        if key.qualname == "AlchemicalNetwork":
            return self._catalogue.network(key) is not None
        if key.qualname == "Task" and name_of(key) is not None:
            return self._book().find(key) is not None
        return self._catalogue.with_object(key) is not None

    def query_transformations(self, name: str | None = None, scope: Scope | None = None) -> list[ScopedKey]:
        """Return the keys of transformations; `name`: a name, or a regular expression that the whole name matches."""
        networks = self._catalogue.networks(as_scope(scope))
        found = (pair for network in networks for pair in network.transformations.items())
        return unique(key for key, record in found if is_called(record.name, name))

    def query_chemicalsystems(self, name: str | None = None, scope: Scope | None = None) -> list[ScopedKey]:
        """Return the keys of chemical systems; `name`: a name, or a regular expression that the whole name matches."""
        found = ((network, key) for network in self._catalogue.networks(as_scope(scope)) for key in network.systems)
        return unique(key for network, key in found if is_called(network.name_of_system(key), name))

    def get_network_transformations(self, network: ScopedKey) -> list[ScopedKey]:
        """Return the keys of a network's transformations."""
        found = self._catalogue.network(network)
        return [] if found is None else list(found.transformations)

    def get_transformation_networks(self, transformation: ScopedKey) -> list[ScopedKey]:
        """Return the keys of the networks that have a transformation."""
        return [network.key for network, _ in self._catalogue.with_transformation(transformation)]

    def get_network_chemicalsystems(self, network: ScopedKey) -> list[ScopedKey]:
        """Return the keys of a network's chemical systems."""
        found = self._catalogue.network(network)
        return [] if found is None else list(found.systems)

    def get_chemicalsystem_networks(self, chemicalsystem: ScopedKey) -> list[ScopedKey]:
        """Return the keys of the networks that have a chemical system."""
        key = ScopedKey.from_str(str(chemicalsystem))
        return [network.key for network in self._catalogue.networks(key.scope) if key in network.systems]

    def get_transformation_chemicalsystems(self, transformation: ScopedKey) -> list[ScopedKey]:
        """Return the keys of stateA and stateB of a transformation, of a NonTransformation that of its only one."""
        for network, _ in self._catalogue.with_transformation(transformation):
            return list(network.ends[ScopedKey.from_str(str(transformation))])
        return []

    def get_chemicalsystem_transformations(self, chemicalsystem: ScopedKey) -> list[ScopedKey]:
        """Return the keys of the transformations that begin or end with a chemical system."""
        key = ScopedKey.from_str(str(chemicalsystem))
        networks = self._catalogue.networks(key.scope)
        return unique(one for network in networks for one, ends in network.ends.items() if key in ends)

    def get_transformation(self, transformation: ScopedKey | str, compress: bool = True, visualize: bool = True) -> Any:
        """Return a gufe Transformation or NonTransformation.

        Raises
        ------
        AlchemiscaleClientError
            There is none of this key.
        """
        return self._object(transformation, "Transformation")

    def get_chemicalsystem(self, chemicalsystem: ScopedKey | str, compress: bool = True, visualize: bool = True) -> Any:
        """Return a gufe ChemicalSystem.

        Raises
        ------
        AlchemiscaleClientError
            There is none of this key.
        """
        return self._object(chemicalsystem, "ChemicalSystem")

    def _object(self, key: ScopedKey | str, kind: str) -> Any:
        wanted = ScopedKey.from_str(str(key))
        with translated():
            found = self._catalogue.with_object(wanted) if wanted.qualname.endswith(kind) else None
            if found is None:
                raise AlchemiscaleClientError(f"{self._catalogue.workspace}: there is no {kind} '{key}'.")
            return found.gufe_object(wanted)
