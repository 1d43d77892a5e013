"""Damages to files, the same ones in every run."""

from __future__ import annotations

import copy
import json
import os
import random
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import attrs
import yaml

MEGABYTE = 1 << 20
WRONG_VALUES: dict[str, Any] = {
    "null": None,
    "true": True,
    "-1": -1,
    "0": 0,
    "a fraction": 0.5,
    "a huge integer": 10**30,
    "NaN": float("nan"),
    "Infinity": float("inf"),
    "-1e300": -1e300,
    "an empty text": "",
    "a text": "wrong",
    "a number in a text": "7",
    "a long text": "x" * 5000,
    "a path out": "../../../../../../tmp/out",
    "an absolute path": "/etc/passwd",
    "a null byte": "a\0b",
    "half a surrogate": "\ud800",
    "an empty list": [],
    "a list": ["x", 1, None],
    "a list of lists": [[[]], [["x"]]],
    "an empty mapping": {},
    "a mapping": {"x": 1, "event": "created"},
}
OTHER_JSON = {
    "null": b"null",
    "true": b"true",
    "a number": b"3",
    "a text": b'"x"',
    "an empty list": b"[]",
    "a list": b"[1, [2], {}]",
    "an empty mapping": b"{}",
    "NaN": b"NaN",
    "Infinity": b"-Infinity",
    "an integer of 5000 digits": b"9" * 5000,
    "deep lists": b"[" * 100_000,
    "deep lists that end": b"[" * 900 + b"]" * 900,
    "deep mappings": b'{"a":' * 100_000,
    "a number too many": b"{} {}",
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"format": 1}'.encode("utf-16"),
}


@attrs.frozen
class Damage:
    """Something done to one file; what was there before is put back by `undo`."""

    name: str
    apply: Callable[[Path], object]


def replaced(name: str, content: bytes) -> Damage:
    """Return the damage that gives a file other content."""
    return Damage(name, lambda path: path.write_bytes(content))


# ------------------------------------------------------------------------------------------------------------- bytes
def bytes_damaged(content: bytes, *, cuts: int = 12, flips: int = 24, seed: int = 1) -> Iterator[Damage]:
    """Yield truncations, flipped bits and bytes, and junk of every size."""
    rng = random.Random(seed)
    size = len(content)
    for cut in sorted({0, 1, size - 1, size // 2, *(rng.randrange(size + 1) for _ in range(cuts))} - {size}):
        yield replaced(f"cut at {cut}", content[:cut])
    for at in sorted({rng.randrange(size) for _ in range(flips)} if size else ()):
        flipped = bytearray(content)
        flipped[at] ^= 1 << rng.randrange(8)
        yield replaced(f"bit flipped at {at}", bytes(flipped))
        flipped[at] = rng.randrange(256)
        yield replaced(f"byte changed at {at}", bytes(flipped))
    middle = size // 2
    yield replaced("invalid UTF-8 inside", content[:middle] + b"\xff\xfe\x80" + content[middle:])
    yield replaced("NUL bytes inside", content[:middle] + bytes(64) + content[middle:])
    yield replaced("NUL bytes, as after a crash", bytes(size))
    yield replaced("a part twice", content[:middle] + content[middle // 2 :])
    yield replaced("random bytes", rng.randbytes(2000))
    yield replaced("another line end", content.replace(b"\n", b"\r\n"))


def endless(content: bytes) -> Iterator[Damage]:
    """Yield files of tens of MB, and one that never ends."""
    yield Damage("a pipe", pipe)
    yield replaced("one line of 20 MB", b"x" * (20 * MEGABYTE))
    yield replaced("20 MB of lines", (b"0123456789" * 100 + b"\n") * 20_000)
    yield replaced("20 MB of mappings behind it", content + b'{"x": "%s"}\n' % (b"x" * 1000) * 20_000)
    yield replaced("NUL bytes, 20 MB", bytes(20 * MEGABYTE))


# ------------------------------------------------------------------------------------------------------------- JSON
def json_damaged(document: Any, *, depth: int = 2, most: int = 10_000, seed: int = 1) -> Iterator[Damage]:
    """Yield other JSON, and the document with every key (down to `depth`) removed or given a value of a wrong type."""
    for name, content in OTHER_JSON.items():
        yield replaced(f"other JSON: {name}", content)
    changed = list(_changed(document, depth))
    if len(changed) > most:
        changed = sorted(random.Random(seed).sample(changed, most), key=lambda item: item[0])
    for name, value in changed:
        yield replaced(name, json.dumps(value).encode())


def lines_damaged(content: bytes, *, depth: int = 1, most: int = 10_000, seed: int = 1) -> Iterator[Damage]:
    """Yield a journal with each key of each line damaged, and with lines gone, doubled or in another order."""
    lines = [json.loads(line) for line in content.splitlines() if line]

    def written(records: Iterable[Any]) -> bytes:
        return b"".join(json.dumps(record).encode() + b"\n" for record in records)

    changed: list[tuple[str, bytes]] = []
    for number, line in enumerate(lines):
        before, after = lines[:number], lines[number + 1 :]
        changed.append((f"line {number} gone", written([*before, *after])))
        changed.append((f"line {number} twice", written([*before, line, line, *after])))
        for name, value in OTHER_JSON.items():
            changed.append((f"line {number} is {name}", written(before) + value + b"\n" + written(after)))
        for name, record in _changed(line, depth):
            changed.append((f"line {number}: {name}", written([*before, record, *after])))
    if len(changed) > most:
        changed = sorted(random.Random(seed).sample(changed, most), key=lambda item: item[0])
    for name, text in changed:
        yield replaced(name, text)
    yield replaced("lines in reverse order", written(reversed(lines)))
    yield replaced("no header", written(lines[1:]))
    yield replaced("headers only", written(lines[:1] * 3))


def _changed(document: Any, depth: int) -> Iterator[tuple[str, Any]]:
    """Yield copies of a document, each with one key (or the first and the last item of a list) damaged."""
    if depth == 0:
        return
    if isinstance(document, dict):
        places: list[Any] = list(document)
    elif isinstance(document, list):
        places = sorted({0, len(document) - 1}) if document else []
    else:
        return
    for place in places:
        without = copy.copy(document)
        del without[place]
        yield f"{place} gone", without
        for name, value in WRONG_VALUES.items():
            other = copy.copy(document)
            other[place] = value
            yield f"{place} is {name}", other
        for name, inner in _changed(document[place], depth - 1):
            other = copy.copy(document)
            other[place] = inner
            yield f"{place}.{name}", other


def versions(content: bytes) -> Iterator[Damage]:
    """Yield other versions of the format."""
    for version in ("99", "0", "-1", "1.5", "null", '"1"', "[]", "true", "1e400"):
        text = content.replace(b'"format_version": 1', f'"format_version": {version}'.encode(), 1)
        yield replaced(f"format version {version}", text)
    for kind in ('"other"', "null", "[]", "7"):
        start = content.index(b'"format": ') + len(b'"format": ')
        end = content.index(b'"', start + 1) + 1
        yield replaced(f"format {kind}", content[:start] + kind.encode() + content[end:])


# ------------------------------------------------------------------------------------------------------- gufe's JSON
def modules_named(chain: list[Any], module: str) -> Iterator[Damage]:
    """Yield a keyed chain that names a module, wherever it can name one."""
    for number, (_, content) in enumerate(chain):
        for qualname in (content.get("__qualname__"), "anything", "os.system"):
            other = copy.deepcopy(chain)
            other[number][1] |= {"__module__": module, "__qualname__": qualname}
            yield replaced(f"entry {number} is {module}:{qualname}", json.dumps(other).encode())
        for inner in (
            {"__module__": module, "__qualname__": "x"},
            {"__module__": module, "__class__": "x", ":is_custom:": True},
            [{"deep": [{"__module__": module, "__qualname__": "x.y"}]}],
            {"__module__": [module], "__qualname__": "x"},
            {"__module__": f"gufe..{module}", "__qualname__": "x"},
            {"__module__": f"gufe.{module}", "__qualname__": "x"},
        ):
            other = copy.deepcopy(chain)
            other[number][1]["extra"] = inner
            yield replaced(f"entry {number} holds {json.dumps(inner)}", json.dumps(other).encode())


# ------------------------------------------------------------------------------------------------------- file system
def put_elsewhere(outside: Path) -> Iterator[Damage]:
    """Yield what can happen to a file as a whole; `outside` is a directory that nobody may write to."""

    def link(path: Path, target: Path) -> None:
        path.unlink()
        path.symlink_to(target)

    def linked_out(path: Path) -> None:
        shutil.copy2(path, outside / "content")
        link(path, outside / "content")

    def directory(path: Path) -> None:
        path.unlink()
        path.mkdir()
        (path / "inside").write_text("{}")

    yield Damage("gone", lambda path: path.unlink())
    yield Damage("a directory", directory)
    yield Damage("a symbolic link to its content elsewhere", linked_out)
    yield Damage("a symbolic link to another file", lambda path: link(path, outside / "victim"))
    yield Damage("a dangling symbolic link", lambda path: link(path, outside / "nowhere"))
    yield Damage("a symbolic link to itself", lambda path: link(path, path))
    yield Damage("a symbolic link to a directory", lambda path: link(path, outside))
    if os.getuid() != 0:  # root reads everything
        yield Damage("unreadable", lambda path: path.chmod(0))


def pipe(path: Path) -> None:
    """Put a named pipe in a file's place: to read it is to wait for ever."""
    path.unlink()
    os.mkfifo(path)


def undo(path: Path, content: bytes) -> None:
    """Put a file's content back."""
    if path.is_symlink() or path.is_fifo():
        path.unlink()
    elif path.is_dir():
        shutil.rmtree(path)
    elif path.exists():
        path.chmod(0o644)
    path.write_bytes(content)


# ------------------------------------------------------------------------------------------------------------- YAML
YAML_TEXTS = {
    "runs a command": "name: !!python/object/apply:os.system [touch executed]\nnetwork: network.json\n",
    "makes an object": "name: !!python/object:subprocess.Popen {args: [touch, executed]}\nnetwork: network.json\n",
    "names a module": "name: !!python/module:must_not_be_imported ''\nnetwork: network.json\n",
    "names a thing of a module": "name: !!python/name:must_not_be_imported.x ''\nnetwork: network.json\n",
    "many laughs": "a: &a [x, x, x, x, x, x, x, x, x]\n"
    + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
    "itself": "name: &a [*a]\nnetwork: network.json\n",
    "a mapping as a key": "{name: x}: y\n",
    "a list as a key": "? [a, b]\n: c\n",
    "two documents": "name: a\n---\nname: b\n",
    "a date": "name: 2026-02-30\nnetwork: x\n",
    "tabs": "name:\ta\n\tnetwork: b\n",
    "binary": "name: !!binary x\n",
    "deep": "name: " + "[" * 5000 + "\n",
    "merged": "<<: [1, 2]\nname: x\n",
    "a set": "name: !!set {a, b}\nnetwork: network.json\n",
}


def yaml_damaged(text: str, *, depth: int = 2) -> Iterator[Damage]:
    """Yield other YAML, and the document with every key (down to `depth`) removed or of a wrong type."""
    for name, content in YAML_TEXTS.items():
        yield replaced(f"YAML that is {name}", content.encode())
    for name, value in _changed(yaml.safe_load(text), depth):
        if "surrogate" not in name:  # which YAML cannot hold
            yield replaced(name, yaml.safe_dump(value).encode())
