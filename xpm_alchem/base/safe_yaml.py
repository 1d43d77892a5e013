"""YAML read safely: no tags that run code, and no key given twice (the last one would win silently)."""

from __future__ import annotations

import re
from typing import Any

import yaml

_MOST_NODES = 100_000


class _Loader(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key '{key.value}' is given twice", key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)


_PLAIN_NUMBERS = {  # YAML 1.1 reads 12:30:00 as the number 45000; here it stays what was written
    "tag:yaml.org,2002:int": r"[-+]?(?:0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)",
    "tag:yaml.org,2002:float": r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?"
    r"|\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))",
}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _PLAIN_NUMBERS]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _tag, _pattern in _PLAIN_NUMBERS.items():
    _Loader.add_implicit_resolver(_tag, re.compile(f"^(?:{_pattern})$"), list("-+0123456789."))


def load(text: str) -> Any:
    """Return the content of a YAML text.

    Raises
    ------
    yaml.YAMLError
        It is not valid, names a tag that is not safe, or gives a key twice.
    ValueError, RecursionError
        It holds an impossible date, is nested too deeply, or repeats parts of itself (``*name``) without bounds.
    """
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if _size(node, {}) > _MOST_NODES:
            raise ValueError("it repeats parts of itself too often")
        return loader.construct_document(node)
    finally:
        loader.dispose()


def what_is_wrong(error: Exception) -> str:
    """Return what an error of `load` says, in one line: 'line 3: ...'."""
    mark = getattr(error, "problem_mark", None)
    said = " ".join(str(getattr(error, "problem", None) or error).split())
    return f"line {mark.line + 1}: {said}" if mark else said


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """Return of how many values a document is, each repeated part counted as often as it is repeated."""
    if id(node) not in known:
        known[id(node)] = _MOST_NODES + 1  # what holds itself has no end
        parts = node.value if isinstance(node, yaml.CollectionNode) else ()
        inner = [item for part in parts for item in (part if isinstance(part, tuple) else (part,))]
        known[id(node)] = 1 + sum(_size(item, known) for item in inner)
    return known[id(node)]
