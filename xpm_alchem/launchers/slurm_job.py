"""Forwards until 0.3: batch scripts of 0.1 that wait in a queue run ``python -m xpm_alchem.launchers.slurm_job``."""

from __future__ import annotations

import sys

from xpm_alchem.launchers.slurm.job import main

if __name__ == "__main__":
    sys.exit(main())
