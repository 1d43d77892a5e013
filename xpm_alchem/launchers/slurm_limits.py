"""Forwards until 0.3: scripts of tasks that 0.1 submitted import this in their job."""

from __future__ import annotations

from xpm_alchem.launchers.slurm.limits import limit_this_job as limit_this_job
