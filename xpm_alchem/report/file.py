"""Writes the report of a campaign."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import attrs

from xpm_alchem.base.errors import InputError
from xpm_alchem.base.files import atomic_write, one_sentence
from xpm_alchem.base.paths import absolute
from xpm_alchem.base.values import local_time
from xpm_alchem.report.material import Material
from xpm_alchem.report.page import GENERATOR, render
from xpm_alchem.report.sections import sections
from xpm_alchem.report.standing import Standing

_HEAD_BYTES = 2000  # of a page; its generator is named in them


def report_page(material: Material) -> Iterator[str]:
    """Yield the report as HTML, in pieces."""
    name, made = material.status["campaign"], local_time(material.made)
    return render(name, made, Standing.of(material), sections(material))


@attrs.frozen
class ReportFile:
    """Where a report is written.

    Attributes
    ----------
    path
        The file.
    """

    path: Path

    def check(self, *, force: bool) -> None:
        """Check that a report may be written there; an earlier report always is overwritten.

        Parameters
        ----------
        force
            Whether any other file may be too.

        Raises
        ------
        InputError
            It may not.
        WorkspaceError
            What is there cannot be read.
        """
        path = self.path
        with one_sentence(path):
            if path.is_dir():
                raise InputError(f"{path}: a directory; give the name of a file, for example {path / 'report.html'}.")
            if not path.parent.is_dir():
                raise InputError(f"{path}: there is no directory {path.parent}. Make it, or give another name.")
            if path.exists() and not path.is_file():
                raise InputError(f"{path}: not a file. Give another name.")
            if path.exists() and not force and not self._is_report():
                raise InputError(f"{path}: exists already and is no report of xpm-alchem; --force overwrites it.")

    def _is_report(self) -> bool:
        with open(self.path, "rb") as lines:
            return f'content="{GENERATOR}"'.encode() in lines.read(_HEAD_BYTES)

    def write(self, page: Iterable[str]) -> Path:
        """Write the pieces of a page, all or none, and return its absolute path.

        Raises
        ------
        WorkspaceError
            It cannot be written.
        """
        with one_sentence(self.path), atomic_write(self.path, "wb") as out:
            for piece in page:
                out.write(piece.encode("utf-8", "replace"))  # names may hold what no text can
        return absolute(self.path)
