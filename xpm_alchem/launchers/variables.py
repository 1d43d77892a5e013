"""A profile's `env`: environment variables of its attempts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xpm_alchem.base.errors import CampaignError
from xpm_alchem.plan.secrets import hidden_value


def parse_variables(value: Any, where: str) -> dict[str, str]:
    """Check a profile's 'env'; values may be secret, and no message has them.

    Raises
    ------
    CampaignError
        It is no mapping.
    """
    if not isinstance(value, Mapping):
        raise CampaignError(f"{where}: {hidden_value(value)} is not a mapping of names to values.")
    return {str(name): str(one) for name, one in value.items()}
