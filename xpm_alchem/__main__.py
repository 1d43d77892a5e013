"""``python -m xpm_alchem``."""

from __future__ import annotations

from xpm_alchem.cli import main

if __name__ == "__main__":
    main()
