"""``python -m xpm_alchem``."""

from __future__ import annotations

from xpm_alchem.base.interpreter import leave_out_current_directory

leave_out_current_directory()

from xpm_alchem.cli import main  # noqa: E402

if __name__ == "__main__":
    main()
