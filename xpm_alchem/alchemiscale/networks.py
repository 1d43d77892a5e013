"""Networks, transformations and chemical systems: created, looked up, and what each gets of the workspace."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Any

from xpm_alchem.alchemiscale.catalogue import ScopedNetwork
from xpm_alchem.alchemiscale.enums import NetworkStateEnum, value_of
from xpm_alchem.alchemiscale.errors import AlchemiscaleClientError
from xpm_alchem.alchemiscale.foundation import Foundation, as_scope, check_lengths, translated
from xpm_alchem.alchemiscale.scope import Scope
from xpm_alchem.alchemiscale.scoped_key import ScopedKey
from xpm_alchem.campaign.scope_record import ScopeRecord
from xpm_alchem.campaign.standing import check_weight
from xpm_alchem.requests import inbox
from xpm_alchem.requests.plan_of_objects import prepare

_BY_HAND = {"name": None, "mode": "disabled"}  # no strategy: tasks are made by the user


class NetworkMethods(Foundation):
    """Networks."""

    def create_network(
        self,
        network: Any,
        scope: Scope,
        state: NetworkStateEnum | str = NetworkStateEnum.active,
        compress: bool | int = True,
        visualize: bool = True,
    ) -> ScopedKey:
        """Make a campaign of an AlchemicalNetwork in a Scope; it has no tasks and no strategy.

        The same network in the same Scope is the same campaign, also if it is made again.

        Parameters
        ----------
        network
            A gufe AlchemicalNetwork.
        scope
            A specific Scope.
        state
            'active', 'inactive', 'invalid' or 'deleted'.
        compress, visualize
            Taken, and of no effect: nothing is sent anywhere.

        Raises
        ------
        AlchemiscaleClientError
            The Scope has wildcards, or the network cannot be used: says why.
        """
        from xpm_alchem import gufe_seam

        where, value = as_scope(scope), value_of(state, NetworkStateEnum, "state")
        if where is None or not where.specific():
            raise AlchemiscaleClientError(f"the Scope '{scope}' is not specific: give it without '*'.")
        if not isinstance(network, gufe_seam.AlchemicalNetwork):
            raise AlchemiscaleClientError(f"{type(network).__name__} is no AlchemicalNetwork: give one of gufe's.")
        key = ScopedKey.of(network.key, where)
        with translated():
            found = self._catalogue.network(key)
            if found is None:
                made = ScopeRecord(str(where), str(network.key), gufe_seam.GUFE_VERSION)
                options = {} if self._launcher is None else {"launcher": self._launcher}
                root, name = self._catalogue.workspace, campaign_name(str(network.name or ""), key)
                prepare(network, name=name, workspace=root, strategy=_BY_HAND, **options).make(made)
                found = self._network(key)
            if found.key != key:
                raise AlchemiscaleClientError(
                    f"the network of this key has grown since it was made: it is '{found.key}' now (campaign "
                    f"'{found.records.name}'). Use that key, or another Scope."
                )
            self._set_state(found, value)
        return key

    def set_network_state(self, network: ScopedKey, state: NetworkStateEnum | str) -> ScopedKey | None:
        """Set a network's state; return its key, None if there is none.

        Of a network that is not active nothing new is started; what runs goes on.
        """
        return self.set_networks_state([network], [state])[0]

    def set_networks_state(
        self, networks: list[ScopedKey], states: list[NetworkStateEnum | str]
    ) -> list[ScopedKey | None]:
        """Set the states of networks, in their order; return their keys, None for one that is not there."""
        check_lengths(networks, states, "set_networks_state")
        values = [value_of(state, NetworkStateEnum, "state") for state in states]
        done = []
        with translated():
            for key, value in zip(networks, values, strict=True):
                found = self._catalogue.network(key)
                if found is not None:
                    self._set_state(found, value)
                done.append(None if found is None else found.key)
        return done

    def get_network_state(self, network: ScopedKey) -> str | None:
        """Return a network's state, None if there is no such network."""
        return self.get_networks_state([network])[0]

    def get_networks_state(self, networks: list[ScopedKey]) -> list[str | None]:
        """Return the states of networks in their order, None for one that is not there."""
        found = map(self._catalogue.network, networks)
        return [None if network is None else state_of(network) for network in found]

    def get_network_weight(self, network: ScopedKey) -> float:
        """Return a network's weight, None if there is no such network.

        Of slots and submissions each active network of a workspace gets a share that follows its weight; of one of
        weight 0 nothing is started.
        """
        return self.get_networks_weight([network])[0]

    def get_networks_weight(self, networks: list[ScopedKey], batch_size: int = 1000) -> list[float]:
        """Return the weights of networks in their order, None for one that is not there."""
        found = map(self._catalogue.network, networks)
        weights: list[Any] = [None if one is None else one.records.state().standing.weight for one in found]
        return weights

    def set_network_weight(self, network: ScopedKey, weight: float) -> ScopedKey | None:
        """Set a network's weight, 0 to 1; return its key, None if there is no such network."""
        return self.set_networks_weight([network], [weight])[0]

    def set_networks_weight(
        self, networks: list[ScopedKey], weights: list[float], batch_size: int = 1000
    ) -> list[ScopedKey | None]:
        """Set the weights of networks, in their order; return their keys, None for one that is not there.

        Raises
        ------
        AlchemiscaleClientError
            A weight is no number from 0 to 1, or there are more or fewer than networks; nothing is changed then.
        """
        check_lengths(networks, weights, "set_networks_weight")
        done = []
        with translated():
            for weight in weights:
                check_weight(weight)
            for key, weight in zip(networks, weights, strict=True):
                found = self._catalogue.network(key)
                if found is not None:
                    self._settle(found.records, inbox.set_standing(found.records, {"weight": weight}))
                done.append(None if found is None else found.key)
        return done

    def get_network(self, network: ScopedKey | str, compress: bool = True, visualize: bool = True) -> Any:
        """Return a gufe AlchemicalNetwork.

        Raises
        ------
        AlchemiscaleClientError
            There is none of this key.
        """
        with translated():
            return self._network(network).records.network.alchemical_network

    def query_networks(
        self,
        name: str | None = None,
        scope: Scope | None = None,
        state: NetworkStateEnum | str | None = NetworkStateEnum.active,
    ) -> list[ScopedKey]:
        """Return the keys of networks.

        Parameters
        ----------
        name
            A regular expression that the whole name matches.
        scope
            Only those within it.
        state
            A regular expression that the whole state matches, such as 'active|inactive'; None for any.
        """
        return [
            network.key
            for network in self._catalogue.networks(as_scope(scope))
            if is_called(network.records.index.name, name) and is_in_state(network, state)
        ]

    def _set_state(self, network: ScopedNetwork, state: str) -> None:
        if state != state_of(network):
            self._settle(network.records, inbox.set_standing(network.records, {"state": state}))


def state_of(network: ScopedNetwork) -> str:
    """Return a network's state."""
    return str(network.records.state().standing.state)


def is_in_state(network: ScopedNetwork, state: object) -> bool:
    """Return whether the whole state of a network matches a regular expression; None is any."""
    return state is None or is_called(state_of(network), str(getattr(state, "value", state)))


def is_called(name: str, wanted: str | None) -> bool:
    """Return whether a name is the one that is wanted, or matches it as a regular expression; None is any.

    Raises
    ------
    AlchemiscaleClientError
        It is no regular expression.
    """
    try:
        return wanted is None or name == wanted or re.fullmatch(wanted, name) is not None
    except re.error as error:
        raise AlchemiscaleClientError(f"{wanted!r} is no regular expression ({error}).") from None


def campaign_name(network: str, key: ScopedKey) -> str:
    """Return the name of the campaign of a network in a Scope: one a person can read, and no other's."""
    digest = hashlib.sha256(str(key).encode()).hexdigest()[:8]
    words = re.sub(r"[^A-Za-z0-9._]+", "_", network).strip("._") or "network"
    return f"{words[:40]}-{re.sub(r'[^A-Za-z0-9._-]+', '_', str(key.scope))[:48]}-{digest}"


def unique(keys: Iterable[ScopedKey]) -> list[ScopedKey]:
    """Return keys, each once, in their order."""
    return list(dict.fromkeys(keys))
