"""alchemiscale.json: in which Scope `xpm_alchem.alchemiscale` has made a campaign, and its network's key."""

from __future__ import annotations

from pathlib import Path

import attrs

from xpm_alchem.base.errors import FormatError
from xpm_alchem.base.files import read_record, write_record

SCOPE, SCOPE_VERSION = "xpm-alchem alchemiscale", 1


@attrs.frozen
class ScopeRecord:
    """Where a network belongs for alchemiscale's client.

    Attributes
    ----------
    scope
        As 'org-campaign-project'.
    network
        The gufe key of the network, as the gufe of `gufe` makes it.
    gufe
        The version of gufe that the campaign's network.json is from.
    """

    scope: str
    network: str
    gufe: str


def read_scope(path: Path) -> ScopeRecord | None:
    """Return what a record says; None without one: the campaign was made from a file.

    Raises
    ------
    FormatError
        It is damaged, or was written by a newer version.
    """
    try:
        found = read_record(path, SCOPE, SCOPE_VERSION)
    except FileNotFoundError:
        return None
    values = [found.get(field.name) for field in attrs.fields(ScopeRecord)]
    if not all(isinstance(value, str) and value.isprintable() for value in values):
        raise FormatError(path, "damaged. Without it the campaign is in the Scope of those made from files.")
    return ScopeRecord(*map(str, values))


def write_scope(path: Path, record: ScopeRecord) -> None:
    """Write a record."""
    write_record(path, SCOPE, SCOPE_VERSION, attrs.asdict(record))
