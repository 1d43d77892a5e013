"""The errors a user can meet. Every message says what is wrong, where, and what to do."""

from __future__ import annotations

from pathlib import Path


class XpmAlchemError(Exception):
    """Base of all errors that are shown to a user as one message, never as a traceback."""

    def _render_traceback_(self) -> list[str]:
        """Return what a notebook shows: the message, and which line of the user's led to it."""
        import traceback

        frames = traceback.extract_tb(self.__traceback__)
        own = [frame for frame in frames if not Path(frame.filename).is_relative_to(_PACKAGE) and frame.line]
        where = [f"  (line {own[-1].lineno}: {own[-1].line})"] if own else []
        return [f"{type(self).__name__}: {self}", *where]


_PACKAGE = Path(__file__).parents[1]


class InputError(XpmAlchemError, ValueError):
    """Something the user gave cannot be used: an option, a file, a value."""


class NetworkError(InputError):
    """A network file cannot be used."""


class UntrustedModuleError(NetworkError):
    """A file names a Python module that may not be imported.

    Attributes
    ----------
    module
        The module that was refused.
    """

    def __init__(self, module: str, where: str) -> None:
        self.module = module
        top = module.split(".")[0]
        super().__init__(
            f"{where} names the Python module '{module}', which is not trusted and was not imported. "
            f"If you trust it, add '{top}' to 'trusted_modules' in campaign.yaml "
            f"(or give --trust {top})."
        )


class MissingPackageError(XpmAlchemError, ImportError):
    """A Python package that is needed is not installed."""


class CampaignError(InputError):
    """A campaign or its plan (campaign.yaml) cannot be used."""


class WorkspaceError(XpmAlchemError, OSError):
    """The workspace cannot be read or written."""

    def __str__(self) -> str:  # OSError would print an errno tuple
        return str(self.args[0]) if self.args else ""

    def because(self, cause: OSError) -> WorkspaceError:
        """Take over what kind of error it was, which says whether it may pass; return itself."""
        self.errno = cause.errno
        return self


class RecordsError(WorkspaceError):
    """The files of a campaign itself, not of one task, cannot be read or written."""


class FormatError(XpmAlchemError):
    """A file of ours is damaged or was written by a newer version.

    Attributes
    ----------
    path
        The file.
    newer
        Whether it was written by a newer version (and is whole).
    broken
        Whether no version of anything could read it.
    """

    def __init__(self, path: Path, message: str, *, newer: bool = False, broken: bool = False) -> None:
        self.path, self.newer, self.broken = path, newer, broken
        super().__init__(f"{path}: {message}")


class CampaignLockedError(XpmAlchemError):
    """Another driver runs this campaign."""


class SupersededError(XpmAlchemError):
    """An attempt may not work on a task that was given to another one."""


class NodeFaultError(XpmAlchemError):
    """A machine lacks what a launcher's profile says that it has: an attempt can do nothing there."""


class TaskBusyError(XpmAlchemError):
    """Another attempt is at work in the same task directory."""
