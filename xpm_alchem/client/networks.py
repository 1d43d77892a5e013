"""What `client.Campaign` does with its network's place in the workspace; named as alchemiscale's client names it."""

from __future__ import annotations

from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.requests import inbox
from xpm_alchem.requests.change import Change


class NetworkMethods:
    """State and weight of the network: what it gets beside the others of its workspace."""

    _records: CampaignRecords

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
