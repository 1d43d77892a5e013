"""The networks of a workspace by their Scopes: campaigns that the client has made, and those made from files."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from xpm_alchem.alchemiscale.scope import Scope
from xpm_alchem.alchemiscale.scoped_key import ScopedKey
from xpm_alchem.base.errors import XpmAlchemError
from xpm_alchem.base.stamps import Stamp, stamp_of
from xpm_alchem.campaign.records import SCOPE_FILE, CampaignRecords, list_campaigns
from xpm_alchem.campaign.scope_record import ScopeRecord
from xpm_alchem.client import Campaign
from xpm_alchem.gufe_seam.keyed_chain import keys_in
from xpm_alchem.network.index import TransformationRecord

FILES = "local"  # the org of campaigns made from files


class ScopedNetwork:
    """A campaign as the network of a Scope.

    gufe's keys differ between its versions: all keys here are those of the installed one.

    Attributes
    ----------
    records
        The campaign's.
    scope
        Where it belongs.
    """

    def __init__(self, records: CampaignRecords, scope: Scope, made: ScopeRecord | None) -> None:
        self.records, self.scope, self._made = records, scope, made

    @property
    def campaign(self) -> Campaign:
        """The campaign's Python face."""
        return Campaign(self.records)

    @cached_property
    def _is_as_made(self) -> bool:
        """Whether the installed gufe has written its file, whose keys are its own then: the file need not be read."""
        from xpm_alchem import gufe_seam

        is_first = self.records.network_path.name == "network.json"  # it has not grown since
        return self._made is not None and self._made.gufe == gufe_seam.GUFE_VERSION and is_first

    @cached_property
    def _keys(self) -> dict[str, str]:
        """Keys by those in the file."""
        network = self.records.network
        in_file = {entry[0]: entry[0] for entry in network.chain}
        if self._is_as_made:
            return in_file
        try:
            return network.keys
        except XpmAlchemError as error:  # its protocol is not installed, say: it can be looked at all the same
            warnings.warn(f"{self.records.path}: its keys are its file's, not this gufe's: {error}", stacklevel=2)
            return in_file

    @cached_property
    def key(self) -> ScopedKey:
        """The network's."""
        if self._made is not None and self._is_as_made:
            return ScopedKey.of(self._made.network, self.scope)
        return ScopedKey.of(self._keys[self.records.network.chain[-1][0]], self.scope)

    def is_called(self, key: ScopedKey) -> bool:
        """Return whether a key is the network's, or was when it was made: it may have grown since."""
        made = self._made is not None and self._made.network == str(key.gufe_key)
        return key.scope == self.scope and (made or key == self.key)

    @cached_property
    def transformations(self) -> dict[ScopedKey, TransformationRecord]:
        """The transformations by key."""
        found = self.records.index.transformations
        keys = {} if self._is_as_made else self._keys
        return {ScopedKey.of(keys.get(record.key, record.key), self.scope): record for record in found}

    @cached_property
    def key_of(self) -> dict[str, ScopedKey]:
        """The transformations' keys by stable id."""
        return {record.id: key for key, record in self.transformations.items()}

    @cached_property
    def _entries(self) -> dict[str, dict[str, Any]]:
        return {entry[0]: entry[1] for entry in self.records.network.chain}

    @cached_property
    def systems(self) -> dict[ScopedKey, str]:
        """The keys of the ChemicalSystems, those without a transformation too, with those in the file."""
        entries = self._entries
        nodes = [key for key, content in entries.items() if content["__qualname__"] == "ChemicalSystem"]
        return {ScopedKey.of(self._keys[key], self.scope): key for key in nodes}

    @cached_property
    def ends(self) -> dict[ScopedKey, tuple[ScopedKey, ...]]:
        """The ChemicalSystems of every transformation: that of stateA, then that of stateB, or the only one."""
        found = {}
        for key, record in self.transformations.items():
            content = self._entries[record.key]
            names = ("system",) if record.kind == "none" else ("stateA", "stateB")
            ends = [next(keys_in(content[name])) for name in names]
            found[key] = tuple(ScopedKey.of(self._keys[end], self.scope) for end in ends)
        return found

    def name_of_system(self, key: ScopedKey) -> str:
        """Return a ChemicalSystem's name."""
        return str(self._entries[self.systems[key]].get("name") or "")

    @cached_property
    def objects(self) -> dict[ScopedKey, str]:
        """The keys of all gufe objects of the network, with those in the file."""
        return {ScopedKey.of(made, self.scope): key for key, made in self._keys.items()}

    def gufe_object(self, key: ScopedKey) -> Any:
        """Return one of its gufe objects."""
        return self.records.network.object(self.objects[key])


class Catalogue:
    """All networks of a workspace; looked up anew whenever it is asked.

    Parameters
    ----------
    workspace
        Its directory.
    name
        What it is called in the Scopes of campaigns made from files.
    """

    def __init__(self, workspace: Path, name: str) -> None:
        self.workspace, self._name = workspace, name
        self._known: dict[Path, tuple[tuple[Stamp, ...], ScopedNetwork]] = {}

    def networks(self, scope: Scope | None = None) -> list[ScopedNetwork]:
        """Return the networks in a Scope, None for all, by the names of their campaigns.

        A campaign whose own files cannot be read is left out with a warning.
        """
        there = (network for network in self._all() if scope is None or scope.is_superset(network.scope))
        return [network for network in there if _has_key(network)]

    def network(self, key: ScopedKey | str) -> ScopedNetwork | None:
        """Return the network of a key, None if there is none."""
        wanted = ScopedKey.from_str(str(key))
        if wanted.qualname != "AlchemicalNetwork":
            return None
        return next((network for network in self.networks(wanted.scope) if network.is_called(wanted)), None)

    def with_transformation(self, key: ScopedKey | str) -> list[tuple[ScopedNetwork, TransformationRecord]]:
        """Return the networks of a transformation's Scope that have it, with what each knows of it."""
        wanted = ScopedKey.from_str(str(key))
        found = ((network, network.transformations.get(wanted)) for network in self.networks(wanted.scope))
        return [(network, record) for network, record in found if record is not None]

    def with_object(self, key: ScopedKey | str) -> ScopedNetwork | None:
        """Return a network that has a gufe object, None if none has."""
        wanted = ScopedKey.from_str(str(key))
        return next((network for network in self.networks(wanted.scope) if wanted in network.objects), None)

    def _all(self) -> Iterator[ScopedNetwork]:
        for records in list_campaigns(self.workspace):
            stamps = tuple(stamp_of(records.path / name) for name in ("index.json", SCOPE_FILE))
            known = self._known.get(records.path)
            if known is None or known[0] != stamps:
                try:
                    known = self._known[records.path] = (stamps, self._scoped(records))
                except (XpmAlchemError, ValueError) as error:
                    warnings.warn(f"left out: {error}", stacklevel=2)
                    continue
            yield known[1]

    def _scoped(self, records: CampaignRecords) -> ScopedNetwork:
        made = records.scope()
        if made is not None:
            return ScopedNetwork(records, Scope.from_str(made.scope), made)
        return ScopedNetwork(records, Scope(FILES, level_from(self._name), level_from(records.name)), None)


def _has_key(network: ScopedNetwork) -> bool:
    """Return whether a network can be read."""
    try:
        return bool(network.key)
    except (XpmAlchemError, ValueError) as error:
        warnings.warn(f"left out: {error}", stacklevel=2)
        return False


def level_from(text: str) -> str:
    """Return a part of a Scope that is made from any text."""
    return re.sub(r"[^A-Za-z0-9_]+", "_", text).strip("_") or "unnamed"
