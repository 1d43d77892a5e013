"""The Python face: ``from xpm_alchem.client import Campaign, Workspace``."""

from __future__ import annotations

from xpm_alchem.client.campaign import Campaign
from xpm_alchem.client.workspace import Workspace

__all__ = ["Campaign", "Workspace"]
