"""What `client.Campaign` does with its network: letting it grow, and its place in the workspace (as alchemiscale)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from xpm_alchem.base.errors import CampaignError
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.network.loading import Network, load_network, network_of
from xpm_alchem.requests import inbox
from xpm_alchem.requests.change import Change, NetworkChange
from xpm_alchem.requests.growth import Growth, growth_by_command, growth_without


class NetworkMethods:
    """The network that is computed; its state and weight: what it gets beside the others of its workspace."""

    _records: CampaignRecords

    def grow(self, network: str | Path | Any, *, anew: bool = False) -> NetworkChange:
        """Put another network in force, also while a driver is at work.

        Transformations that are in both keep all they have; new ones join; those that are not in the new one are gone:
        what is known of them is kept, they get no more tasks, and their results count no more. They are back with all
        they had when a later network has them again.

        Parameters
        ----------
        network
            A gufe AlchemicalNetwork, or the file of one.
        anew
            Whether nothing of the present network need stay.

        Raises
        ------
        NetworkError
            It cannot be used; nothing is changed.
        CampaignError
            Nothing would stay the same, and `anew` is not given.
        """
        given = read_given_network(self._records, network)
        growth = growth_by_command(self._records, given)
        if growth.is_another and not anew:
            raise CampaignError(
                f"{self._records.path}: nothing of the network would stay ({growth.sentence}). Make another campaign, "
                "or give anew=True (--yes) if this is to be its network from now on."
            )
        later = bool(growth.change) and inbox.grow(self._records, given, by="command")
        return _changed(growth, later=later)

    def drop(self, transformations: str | Iterable[str]) -> NetworkChange:
        """Take transformations out of the network, also while a driver is at work; what is known of them is kept.

        They stay out when the file that has them is given to `run` again as it was.

        Parameters
        ----------
        transformations
            Names, ids, or beginnings of ids.

        Raises
        ------
        NetworkError
            One is unknown or gone already, or none would be left; nothing is changed.
        """
        ids = named_transformations(self._records, transformations)
        growth = growth_without(self._records, ids)
        return _changed(growth, later=inbox.drop(self._records, ids))

    def get_network_state(self) -> str:
        """Return 'active', 'inactive', 'invalid' or 'deleted'."""
        return str(self._records.state().standing.state)

    def set_network_state(self, state: str) -> Change:
        """Set the state: of a network that is not active nothing new is started; what runs goes on.

        Raises
        ------
        InputError
            There is no such state.
        """
        return Change(inbox.set_standing(self._records, {"state": str(state)}))

    def get_network_weight(self) -> float:
        """Return the weight, 0 to 1."""
        return self._records.state().standing.weight

    def set_network_weight(self, weight: float) -> Change:
        """Set the weight: the network's part of slots and submissions beside others'; 0 pauses it.

        Raises
        ------
        InputError
            It is not a number from 0 to 1.
        """
        return Change(inbox.set_standing(self._records, {"weight": weight}))


def _changed(growth: Growth, *, later: bool) -> NetworkChange:
    change = growth.change
    new, gone, same = (tuple(growth.named(ids)) for ids in (change.new, change.gone, change.same))
    return NetworkChange(later=later, new=new, gone=gone, same=same, parts=growth.parts[1])


def read_given_network(records: CampaignRecords, network: str | Path | Any) -> Network:
    """Return a network that was given as a file, or as gufe's object, checked in full."""
    trusted = records.plan().trusted_modules
    if isinstance(network, str | Path):
        found = load_network(Path(network), trusted)
    else:
        from xpm_alchem import gufe_seam

        if not isinstance(network, gufe_seam.AlchemicalNetwork):
            wrong = f"network: {type(network).__name__} is no AlchemicalNetwork"
            raise CampaignError(f"{wrong}. Give one of gufe's, or the path of its JSON.")
        found = network_of(gufe_seam.to_text(network).encode(), records.network_path, trusted)
    found.alchemical_network  # noqa: B018 - decoding it is the check
    return found


def named_transformations(records: CampaignRecords, names: str | Iterable[str]) -> list[str]:
    """Return the stable ids of transformations."""
    texts = [names] if isinstance(names, str) else list(names)
    return list(dict.fromkeys(records.in_force.find(text).id for text in texts))
