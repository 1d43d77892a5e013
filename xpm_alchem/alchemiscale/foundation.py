"""What the methods of the client share: where the workspace is, and how something is asked of a campaign."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from xpm_alchem.alchemiscale.catalogue import Catalogue, ScopedNetwork
from xpm_alchem.alchemiscale.errors import AlchemiscaleClientError, AlchemiscaleConnectionError
from xpm_alchem.alchemiscale.scope import Scope
from xpm_alchem.alchemiscale.scoped_key import ScopedKey
from xpm_alchem.alchemiscale.tasks_of_scopes import TaskBook
from xpm_alchem.base.errors import CampaignError, CampaignLockedError, InputError
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.workspace import UserSettings, find_workspace, read_settings, settings_path
from xpm_alchem.requests.inbox import wait_until_taken

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://.")
_URL_VARIABLE = "ALCHEMISCALE_URL"


class Foundation:
    """The client's workspace."""

    _catalogue: Catalogue
    _patience: float
    _launcher: Any

    def _book(self) -> TaskBook:
        return TaskBook(self._catalogue)

    def _network(self, key: ScopedKey | str) -> ScopedNetwork:
        """Return the network of a key.

        Raises
        ------
        AlchemiscaleClientError
            There is none.
        """
        found = self._catalogue.network(key)
        if found is None:
            raise AlchemiscaleClientError(
                f"{self._catalogue.workspace}: there is no AlchemicalNetwork '{key}'. query_networks(state=None) lists "
                "those there are."
            )
        return found

    def _settle(self, records: CampaignRecords, later: bool) -> None:
        """Wait until a driver has done what was asked, if one is to do it."""
        if later:
            wait_until_taken(records, self._patience)


@contextmanager
def translated() -> Iterator[None]:
    """Raise errors of ours as the client's."""
    try:
        yield
    except CampaignLockedError as error:
        raise AlchemiscaleConnectionError(str(error)) from error
    except InputError as error:
        if isinstance(error, AlchemiscaleClientError):
            raise
        raise AlchemiscaleClientError(str(error)) from error


def check_lengths(first: list[Any], second: list[Any], what: str) -> None:
    """Refuse two lists that do not belong together."""
    if len(first) != len(second):
        raise AlchemiscaleClientError(
            f"{what}: the lists have {len(first)} and {len(second)} entries; give one for each."
        )


def as_scope(scope: Scope | str | None) -> Scope | None:
    """Return a Scope that was given as one, as a text, or not at all."""
    return Scope.from_str(scope) if isinstance(scope, str) else scope


def find(api_url: str | Path | None) -> tuple[Path, str]:
    """Return the directory and the name of a workspace.

    Parameters
    ----------
    api_url
        A directory, the id of a workspace of settings.yaml, or an URL that settings.yaml has under
        ``xpm_alchem: alchemiscale:``. None: the environment variable ALCHEMISCALE_URL, else the first workspace of
        settings.yaml.

    Raises
    ------
    AlchemiscaleClientError
        There is none: says which key is missing.
    """
    known = os.environ.get(_URL_VARIABLE)
    given = None if api_url is None else str(api_url)
    if given is None:
        given = known
    elif known is not None and known != given and _URL.match(given):
        warnings.warn(f"api_url is {given}, but {_URL_VARIABLE} is {known}: the first counts.", stacklevel=3)
    with translated():
        settings = read_settings()
        if given is not None and _URL.match(given):
            given = _workspace_of(given, settings)
        found = find_workspace(given, settings)
    return Path(found.path), str(found.id or Path(found.path).name)


def _workspace_of(url: str, settings: UserSettings) -> str:
    workspaces = {key.rstrip("/"): value for key, value in settings.alchemiscale.items()}
    if url.rstrip("/") not in workspaces:
        raise CampaignError(
            f'{settings_path()}: names no workspace for {url}. Add it: \'xpm_alchem: {{alchemiscale: {{"{url}": '
            "WORKSPACE}}', where WORKSPACE is the id of a workspace or a directory."
        )
    return workspaces[url.rstrip("/")]
