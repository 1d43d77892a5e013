"""alchemiscale's client over a workspace of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from xpm_alchem.alchemiscale.actioning import ActionMethods
from xpm_alchem.alchemiscale.catalogue import Catalogue
from xpm_alchem.alchemiscale.contents import ContentMethods
from xpm_alchem.alchemiscale.foundation import find
from xpm_alchem.alchemiscale.networks import NetworkMethods
from xpm_alchem.alchemiscale.restarts import RestartMethods
from xpm_alchem.alchemiscale.results import ResultMethods
from xpm_alchem.alchemiscale.statuses import StatusMethods
from xpm_alchem.alchemiscale.strategies import StrategyMethods


class AlchemiscaleClient(
    NetworkMethods,
    ContentMethods,
    StrategyMethods,
    ActionMethods,
    ResultMethods,
    StatusMethods,
    RestartMethods,
):
    """The methods of alchemiscale's client, with a workspace where that has a server.

    ``xpm-alchem run --all`` computes what is actioned, on a cluster or here; it may run before, meanwhile or after.
    What is asked while it runs is done when a method returns.

    Parameters
    ----------
    api_url
        The workspace: its directory, its id in settings.yaml, or the URL of a server that stands for it there (under
        ``xpm_alchem: alchemiscale:``). None: what ALCHEMISCALE_URL says, else the first workspace of settings.yaml.
    identifier, key, cache_directory, cache_size_limit, use_local_cache, retry_base_seconds, verify
        Taken, and of no effect: there is no server.
    max_retries, retry_max_seconds
        Their product is how long (seconds) to wait for a driver that runs and has not done yet what was asked;
        `max_retries` -1: for ever.
    launcher
        Of networks that are created: as `launcher` in campaign.yaml; None: 'local'.

    Raises
    ------
    AlchemiscaleClientError
        There is no such workspace: says which key of settings.yaml is missing.

    Examples
    --------
    >>> asc = AlchemiscaleClient("./workspace")  # doctest: +SKIP
    >>> an_sk = asc.create_network(network, Scope("my_org", "my_campaign", "my_project"))  # doctest: +SKIP
    """

    def __init__(
        self,
        api_url: str | Path | None = None,
        identifier: str | None = None,
        key: str | None = None,
        cache_directory: Path | str | None = None,
        cache_size_limit: int = 1073741824,
        use_local_cache: bool = True,
        max_retries: int = 5,
        retry_base_seconds: float = 2.0,
        retry_max_seconds: float = 60.0,
        verify: bool = True,
        *,
        launcher: Any = None,
    ) -> None:
        self.api_url = api_url
        self._catalogue = Catalogue(*find(api_url))
        self._patience = float("inf") if max_retries < 0 else max(max_retries, 1) * retry_max_seconds
        self._launcher = launcher

    @property
    def workspace(self) -> Path:
        """The workspace's directory."""
        return self._catalogue.workspace

    def __repr__(self) -> str:
        return f"{type(self).__name__}('{self.workspace if self.api_url is None else self.api_url}')"
