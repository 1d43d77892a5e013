"""gufe's objects as JSON, written and read.

Every object is written as a *keyed chain* (gufe's JSON since 1.1): a list of ``[key, dict]`` in which a dict names
earlier entries by ``{":gufe-key:": key}``. The older form, nested dicts, is read too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PosixPath, PurePath
from typing import Any

from xpm_alchem.base.errors import FormatError, XpmAlchemError
from xpm_alchem.base.files import atomic_write, read_bytes
from xpm_alchem.base.quiet import quiet
from xpm_alchem.base.values import text
from xpm_alchem.gufe_seam.files_of_gufe_0_4 import read as read_of_gufe_0_4
from xpm_alchem.gufe_seam.installed import GUFE_VERSION, IS_GUFE_0_4, JSON_HANDLER, GufeKey, GufeTokenizable
from xpm_alchem.gufe_seam.keyed_chain import Chain, flatten

CheckModule = Callable[[str], None]
Relocate = Callable[[Path], Path]


def to_chain(obj: Any) -> list[list[Any]]:
    """Return the keyed chain of a gufe object as plain Python data."""
    order: dict[str, list[Any]] = {}

    def visit(node: Any) -> None:
        if str(node.key) in order:
            return
        shallow = node.to_shallow_dict()
        for child in _gufe_objects(shallow):
            visit(child)
        order.setdefault(str(node.key), [str(node.key), node.to_keyed_dict()])

    visit(obj)
    return list(order.values())


def _gufe_objects(value: Any) -> Iterator[Any]:
    if isinstance(value, GufeTokenizable):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _gufe_objects(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _gufe_objects(item)


def save(obj: Any, path: Path, *, exclusive: bool = False) -> None:
    """Write a gufe object as keyed-chain JSON, atomically; FileExistsError if `exclusive` and the file exists."""
    with atomic_write(path, exclusive=exclusive) as out:
        json.dump(to_chain(obj), out, cls=JSON_HANDLER.encoder, sort_keys=True)


def to_text(obj: Any) -> str:
    """Return what `save` writes; `parse` and `decode` read it."""
    return json.dumps(to_chain(obj), cls=JSON_HANDLER.encoder, sort_keys=True)


def load(path: Path, check_module: CheckModule, relocate: Relocate | None = None) -> Any:
    """Read one gufe object.

    Parameters
    ----------
    path
        A file written by `save` or by gufe.
    check_module
        Called with the name of every Python module the file names, before anything is imported; raises to refuse.
    relocate
        Called with every path in the file; returns what stands for it now.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    FormatError
        It is damaged, or the installed gufe (or its protocol) cannot read it.
    WorkspaceError
        It cannot be read (now, or by this user).
    XpmAlchemError
        Whatever `check_module` raised.
    """
    content = read_bytes(path)
    try:
        chain = parse(content.decode(), check_module)
        return decode(chain if relocate is None else _relocated(chain, relocate))
    except XpmAlchemError:
        raise
    except Exception as error:  # whatever gufe and its protocols raise when they decode what is not what they wrote
        said = f"{type(error).__name__}: {' '.join(text(str(error)).split())[:200]}"
        if isinstance(error, UnicodeDecodeError | json.JSONDecodeError):
            raise FormatError(path, f"damaged: not valid JSON ({said}).", broken=True) from None
        raise FormatError(path, f"damaged, or gufe {GUFE_VERSION} cannot read it ({said}).") from error


def _relocated(value: Any, relocate: Relocate) -> Any:
    if isinstance(value, PurePath):
        return relocate(Path(value))
    if isinstance(value, dict):
        return {key: _relocated(item, relocate) for key, item in value.items()}
    if isinstance(value, list):
        return [_relocated(item, relocate) for item in value]
    return value


_TALKATIVE = ("pymbar", "gufekey", "openfe", "openff")  # loggers, with all below them


def parse(content: str, check_module: CheckModule | None) -> list[list[Any]]:
    """Return the keyed chain in `content`, with gufe's own value types (paths, arrays, settings) decoded.

    Raises
    ------
    ValueError
        It is not JSON, or not a gufe object.
    """

    class Checked(JSON_HANDLER.decoder):  # type: ignore[name-defined,misc]
        def object_hook(self, dct: dict[str, Any]) -> Any:
            if check_module is not None and isinstance(dct.get("__module__"), str):
                check_module(dct["__module__"])
            return super().object_hook(_path_of_this_python(dct) if ":is_custom:" in dct else dct)

    with quiet(*_TALKATIVE):  # protocols' modules are imported here
        return flatten(json.loads(content, cls=Checked))


_PATHS = ("Path", "PosixPath")


def _path_of_this_python(content: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON of a path as this gufe on this Python has it: the names of class and module differ by version.

    gufe 0.4 writes Path, later ones PosixPath; the module is pathlib, on Python 3.13 pathlib._local.
    """
    if content.get("__class__") not in _PATHS or str(content.get("__module__")).split(".")[0] != "pathlib":
        return content
    return {**content, "__class__": _PATHS[not IS_GUFE_0_4], "__module__": PosixPath.__module__}


def decode(chain: Chain) -> Any:
    """Return the last object of a keyed chain."""
    objects = decode_all(chain)
    return objects[chain[-1][0]]


def decode_all(chain: Chain) -> dict[str, Any]:
    """Return every object of a keyed chain under the key it has *in the chain*.

    gufe's keys change between versions, so an object's own ``key`` may differ from the one it is filed under.
    """
    objects: dict[str, Any] = {}

    def resolve(value: Any) -> Any:
        if isinstance(value, dict):
            if ":gufe-key:" in value:
                return objects[value[":gufe-key:"]]
            return {key: resolve(item) for key, item in value.items()}
        if isinstance(value, list):
            return [resolve(item) for item in value]
        return value

    with quiet(*_TALKATIVE):  # molecules announce themselves each time they are read
        for key, content in chain:
            if IS_GUFE_0_4:
                content = _for_gufe_0_4(content)
            elif ":version:" not in content:
                objects[key] = read_of_gufe_0_4(resolve(content))
                continue
            objects[key] = GufeTokenizable.from_shallow_dict(resolve(content))
    return objects


# --- gufe 0.4 only
_KEYS = ("_key", "source_key")


def _for_gufe_0_4(content: dict[str, Any]) -> dict[str, Any]:
    """0.4 knows no ``:version:`` and wants its keys as GufeKey."""
    return {
        key: GufeKey(value) if key in _KEYS and isinstance(value, str) else value
        for key, value in content.items()
        if key != ":version:"
    }


# --- end of gufe 0.4 only
