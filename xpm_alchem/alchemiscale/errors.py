"""The errors of the client, under alchemiscale's names; each is an `InputError` of ours and a ValueError too."""

from __future__ import annotations

from xpm_alchem.base.errors import InputError, XpmAlchemError


class AlchemiscaleBaseClientError(InputError):
    """Something that was asked of the client cannot be done."""


class AlchemiscaleClientError(AlchemiscaleBaseClientError):
    """Something that was asked of the client cannot be done: says what, where and what to do."""


class AlchemiscaleConnectionError(XpmAlchemError):
    """A driver that runs has not taken in for too long what was asked for."""


class InvalidScopeError(ValueError):
    """A text is no Scope."""


class InvalidGufeKeyError(ValueError):
    """A text is no gufe key, or a ScopedKey holds none."""
