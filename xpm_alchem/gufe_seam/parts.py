"""gufe objects in several files of one directory, each object written once.

What a unit was given is in its result again, and all results are in that of the DAG: written whole each time, a chain
of units takes quadratic space. A file here leaves out what another one of the directory holds, and names that file:

    {"format": "xpm-alchem gufe parts", "format_version": 1, "root": "..", "parts": ["dag.json", "results/A.json"],
     "chain": [[key, object], ...]}

`parts` are paths relative to `root`, itself relative to the file; `chain` is a keyed chain whose references lead into
them too. A whole keyed chain (as gufe writes, and version 0.1 wrote) is read as a file without parts.
"""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path
from typing import Any

from xpm_alchem.base.errors import FormatError
from xpm_alchem.base.files import replace_file
from xpm_alchem.gufe_seam.json_text import JsonText
from xpm_alchem.gufe_seam.keyed_chain import Document, parts_text
from xpm_alchem.gufe_seam.objects import CheckModule, Relocate, decode, decode_all, encoded, reading


class Parts:
    """The gufe objects in the files of a directory, as far as they were read or written here.

    Parameters
    ----------
    root
        The directory.
    check_module
        Called with the name of every Python module that a file names, before anything is imported; raises to refuse.
    relocate
        Called with every path in a file; returns what stands for it now.
    """

    def __init__(self, root: Path, check_module: CheckModule, relocate: Relocate | None = None) -> None:
        self._root, self._check, self._relocate = root, check_module, relocate
        self._objects: dict[str, Any] = {}
        self._where: dict[str, str] = {}  # which file holds the object of a gufe key
        self._loaded: dict[str, Any] = {}
        self._loading: set[str] = set()
        self._sizes: dict[str, int] = {}

    def save(self, obj: Any, path: Path, *, exclusive: bool = False, whole_up_to: int = 0) -> None:
        """Write an object, without what the files of the directory hold already.

        Parameters
        ----------
        exclusive
            Not over a file that is there.
        whole_up_to
            It is written whole where those files have no more bytes than this: a copy of what is small costs little.

        Raises
        ------
        FileExistsError
            `exclusive`, and the file exists.
        """
        name = self._name(path)
        known: Container[str] = self._where
        if name in self._sizes:  # it is replaced: what it holds is written again
            known = {key for key, where in self._where.items() if where != name}
        if whole_up_to and sum(self._sizes.values()) <= whole_up_to:
            known = ()
        chain, named = encoded(obj, known)
        parts = sorted({self._where[key] for key in named})
        text = parts_text(_up(name).as_posix(), parts, chain) if parts else JsonText("[", chain.values(), "]")
        self._sizes[name] = replace_file(path, text, exclusive=exclusive)
        self._loaded[name] = obj
        for key in chain:
            self._where.setdefault(key, name)

    def load(self, path: Path) -> Any:
        """Return the object in a file; see `load` for what is raised."""
        name = self._name(path)
        if name in self._loaded:
            return self._loaded[name]
        if name in self._loading:
            raise FormatError(path, "damaged: it is a part of itself.", broken=True)
        self._loading.add(name)
        try:
            with reading(path) as read:
                found, self._sizes[name] = read(self._check, self._relocate)
                self._check_parts(path, found)
                for part in found.parts:
                    self._load_part(part)
                obj = self._decoded(name, found)
        finally:
            self._loading.discard(name)
        self._loaded[name] = obj
        return obj

    def forget(self, path: Path) -> None:
        """Forget a file that was set aside: what only it held is written again."""
        name = self._name(path)
        for known in (self._loaded, self._sizes):
            known.pop(name, None)
        self._where = {key: where for key, where in self._where.items() if where != name}

    def _load_part(self, name: str) -> None:
        path = self._root / name
        try:
            self.load(path)
        except FileNotFoundError:
            raise FormatError(path, "missing, and other files name it.", broken=True) from None

    def _check_parts(self, path: Path, found: Document) -> None:
        if found.parts and found.root != _up(self._name(path)).as_posix():
            raise FormatError(path, f"damaged: its root is {found.root!r}.", broken=True)

    def _decoded(self, name: str, found: Document) -> Any:
        if not found.is_chain:  # its keys are its own
            return decode_all(found.chain)[found.chain[-1][0]]
        objects = decode_all(found.chain, self._objects)
        for key, _ in found.chain:
            if str(objects[key].key) == key:  # else another version of gufe wrote it, and names it otherwise
                self._where.setdefault(key, name)
        return objects[found.chain[-1][0]]

    def _name(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()


def load(path: Path, check_module: CheckModule, relocate: Relocate | None = None) -> Any:
    """Read one gufe object.

    Parameters
    ----------
    path
        A file written by `save`, by `Parts` or by gufe.
    check_module
        Called with the name of every Python module the file names, before anything is imported; raises to refuse.
    relocate
        Called with every path in the file; returns what stands for it now.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    FormatError
        It, or a part of it, is damaged, or the installed gufe (or its protocol) cannot read it.
    WorkspaceError
        It cannot be read (now, or by this user).
    XpmAlchemError
        Whatever `check_module` raised.
    """
    with reading(path) as read:
        found, _ = read(check_module, relocate)
        if not found.parts:
            return decode(found.chain)
    root = path.parent if found.root == "." else path.parent.parent
    return Parts(root, check_module, relocate).load(path)


def _up(name: str) -> Path:
    return Path(*[".."] * (len(Path(name).parts) - 1))
