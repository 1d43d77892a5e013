"""A Scope: organisation, campaign and project, each of which may be left open."""

from __future__ import annotations

from functools import total_ordering
from typing import Any

from pydantic import BaseModel, ConfigDict, field_validator, model_validator

from xpm_alchem.alchemiscale.errors import InvalidScopeError

WILDCARD = "*"
LEVELS = ("org", "campaign", "project")


@total_ordering
class Scope(BaseModel):  # type: ignore[misc]
    """An org-campaign-project triple; None or '*' stands for any, and then whatever follows is open too.

    Parameters
    ----------
    org, campaign, project
        Texts without '-'.

    Examples
    --------
    >>> str(Scope("my_org", "my_campaign"))
    'my_org-my_campaign-*'
    >>> Scope("my_org").is_superset(Scope.from_str("my_org-my_campaign-my_project"))
    True
    """

    model_config = ConfigDict(frozen=True)

    org: str | None = None
    campaign: str | None = None
    project: str | None = None

    def __init__(self, org: str | None = None, campaign: str | None = None, project: str | None = None) -> None:
        super().__init__(org=org, campaign=campaign, project=project)

    @field_validator(*LEVELS)
    @classmethod
    def _level(cls, value: str | None) -> str | None:
        return None if value == WILDCARD else check_level(value)

    @model_validator(mode="after")
    def _from_left_to_right(self) -> Scope:
        open_at = None
        for level, value in zip(LEVELS, self.to_tuple(), strict=True):
            if value is None:
                open_at = open_at or level
            elif open_at is not None:
                raise InvalidScopeError(f"{level} '{value}' is given though {open_at} is not: begin with the org.")
        return self

    @classmethod
    def from_str(cls, string: str) -> Scope:
        """Return the Scope that 'org-campaign-project' names; '*' stands for any.

        Raises
        ------
        ValueError
            It has not three parts.
        """
        parts = str(string).split("-")
        if len(parts) != len(LEVELS):
            raise InvalidScopeError(f"'{string}' is no Scope: give 'org-campaign-project', where '*' stands for any.")
        return cls(*parts)

    def to_tuple(self) -> tuple[str | None, str | None, str | None]:
        """Return org, campaign and project; None for any."""
        return self.org, self.campaign, self.project

    def to_dict(self) -> dict[str, Any]:
        """Return org, campaign and project by these names."""
        return dict(zip(LEVELS, self.to_tuple(), strict=True))

    def specific(self) -> bool:
        """Return whether nothing of it is open."""
        return None not in self.to_tuple()

    def is_superset(self, other: Scope) -> bool:
        """Return whether all that is in another Scope is in this one too; two equal ones are each other's."""
        return all(mine in (None, theirs) for mine, theirs in zip(self.to_tuple(), other.to_tuple(), strict=True))

    def __str__(self) -> str:
        return "-".join(level or WILDCARD for level in self.to_tuple())

    def __repr__(self) -> str:
        return f"<Scope('{self}')>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Scope) and self.to_tuple() == other.to_tuple()

    def __hash__(self) -> int:
        return hash(str(self))

    def __lt__(self, other: Scope) -> bool:
        return str(self) < str(other)


def check_level(value: str | None) -> str | None:
    """Return a part of a Scope.

    Raises
    ------
    ValueError
        It is empty, or holds a '-'.
    """
    if value is not None and (not value or "-" in value or not value.isprintable()):
        raise InvalidScopeError(f"'{value}' is no part of a Scope: it must be a text without '-'.")
    return value
