"""The Python face: ``from xpm_alchem.client import Campaign``."""

from __future__ import annotations

from xpm_alchem.client.campaign import Campaign

__all__ = ["Campaign"]
