"""Attempts as SLURM jobs. A node imports only what it needs: the launcher is imported when it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xpm_alchem.launchers.slurm.launcher import SlurmAttempt as SlurmAttempt


def __getattr__(name: str) -> Any:
    if name == "SlurmAttempt":  # named by experimaestro's entry point, since 0.1
        from xpm_alchem.launchers.slurm.launcher import SlurmAttempt

        return SlurmAttempt
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
