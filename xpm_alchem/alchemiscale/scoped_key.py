"""A ScopedKey: what identifies a gufe object or a task within a Scope."""

from __future__ import annotations

from functools import total_ordering
from typing import Any

from pydantic import BaseModel, ConfigDict, field_validator

from xpm_alchem import gufe_seam
from xpm_alchem.alchemiscale.errors import InvalidGufeKeyError, InvalidScopeError
from xpm_alchem.alchemiscale.scope import LEVELS, WILDCARD, Scope, check_level


@total_ordering
class ScopedKey(BaseModel):  # type: ignore[misc]
    """A gufe key, or that of a task, within a specific Scope; equal to its text, which `from_str` reads.

    Parameters
    ----------
    gufe_key
        As 'Prefix-token'.
    org, campaign, project
        The Scope; none of them is open.

    Examples
    --------
    >>> key = ScopedKey.from_str("Transformation-0123-my_org-my_campaign-my_project")
    >>> key.gufe_key, key.scope
    (<GufeKey('Transformation-0123')>, <Scope('my_org-my_campaign-my_project')>)
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    gufe_key: Any
    org: str
    campaign: str
    project: str

    @field_validator("gufe_key", mode="before")
    @classmethod
    def _key(cls, value: object) -> Any:
        parts = str(value).split("-")
        if len(parts) != 2 or not all(parts):
            raise InvalidGufeKeyError(f"'{value}' is no gufe key: it must be 'Prefix-token'.")
        return gufe_seam.GufeKey(str(value))

    @field_validator(*LEVELS)
    @classmethod
    def _level(cls, value: str) -> str:
        if value == WILDCARD:
            raise InvalidScopeError("the Scope of a ScopedKey must be specific: '*' cannot be in it.")
        return check_level(value) or ""

    @classmethod
    def of(cls, key: object, scope: Scope) -> ScopedKey:
        """Return the ScopedKey of a gufe key in a Scope.

        Raises
        ------
        ValueError
            The Scope is not specific.
        """
        return cls(gufe_key=str(key), **scope.to_dict())

    @classmethod
    def from_str(cls, string: str) -> ScopedKey:
        """Return the ScopedKey that 'Prefix-token-org-campaign-project' names.

        Raises
        ------
        ValueError
            It has not five parts.
        """
        prefix, *rest = str(string).split("-")
        if len(rest) != 1 + len(LEVELS):
            raise InvalidGufeKeyError(f"'{string}' is no ScopedKey: give 'Prefix-token-org-campaign-project'.")
        return cls(gufe_key=f"{prefix}-{rest[0]}", **dict(zip(LEVELS, rest[1:], strict=True)))

    @classmethod
    def from_dict(cls, d: dict[str, Any]) -> ScopedKey:
        """Return the ScopedKey of which `to_dict` was made."""
        return cls(**d)

    def to_dict(self) -> dict[str, Any]:
        """Return its parts by name, as texts."""
        return {"gufe_key": str(self.gufe_key), **self.scope.to_dict()}

    @property
    def scope(self) -> Scope:
        """The Scope."""
        return Scope(self.org, self.campaign, self.project)

    @property
    def qualname(self) -> str:
        """The name of the class of what it identifies."""
        return str(self.gufe_key).partition("-")[0]

    def __str__(self) -> str:
        return f"{self.gufe_key}-{self.org}-{self.campaign}-{self.project}"

    def __repr__(self) -> str:
        return f"<ScopedKey('{self}')>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ScopedKey | str) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def __lt__(self, other: ScopedKey | str) -> bool:
        return str(self) < str(other)
