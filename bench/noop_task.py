"""A task of plain experimaestro that does as little as a task with gufe can."""

from experimaestro import Param, ResumableTask


class NoopTask(ResumableTask):
    """Imports gufe, as every task of ours must, and ends."""

    __xpmid__ = "xpm_alchem.bench.noop"

    number: Param[int]

    def execute(self) -> None:
        """Do nothing with gufe."""
        import gufe  # noqa: F401
