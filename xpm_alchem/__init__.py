"""xpm-alchem: run an alchemical free-energy network to the precision its user needs, with no servers."""

from __future__ import annotations

__version__ = "0.2.0.dev0"
