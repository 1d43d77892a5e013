"""What of a plan may be secret, and is not shown where a plan is handed on: addresses, arguments, variables. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from xpm_alchem.base.values import short

HIDDEN = "***"
_ADDRESS = re.compile(r"(?i)\b(https?://)[^\s'\"<>]+")
_TELLING = re.compile(r"(?i)token|secret|passw|passphrase|credential|auth|key|webhook|cookie|login")
_OF_NAMES = re.compile(r"[\w.+-]")
_LEAST_CHARACTERS = 6  # of a part of an address or a command that is looked for in what others print


def hidden_address(text: str) -> str:
    """Return a text without what follows the scheme of its http(s) addresses: host, path and query may be a token."""
    return _ADDRESS.sub(rf"\1{HIDDEN}", text)


def hidden_command(words: Sequence[str]) -> list[str]:
    """Return the program of a command, and that it has arguments."""
    return [*words[:1], *[HIDDEN] * bool(words[1:])]


def hidden_variables(variables: Mapping[Any, Any]) -> dict[str, str]:
    """Return the names of environment variables."""
    return {str(name): HIDDEN for name in variables}


def shown_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """Return environment variables for their owner's eyes: without the values of those whose names tell of secrets."""
    return {name: HIDDEN if _TELLING.search(name) else value for name, value in variables.items()}


def hidden_value(value: Any) -> str:
    """Return what cannot be used, for a message: a program, scheme or variable without what follows.

    A path of this machine is no secret.
    """
    if isinstance(value, list):
        first, *others = [*map(hidden_value, value)] or [""]
        return f"[{', '.join([first, *[HIDDEN] * len(others)])}]"
    if not isinstance(value, str):
        return "a mapping" if isinstance(value, dict) else short(value)
    if value.startswith("file:"):
        return short(value)
    end = next((place for place, character in enumerate(value) if not _OF_NAMES.fullmatch(character)), len(value))
    if end == len(value):
        return short(value)
    return short(value[: end + 1] + HIDDEN if value[end] in ":= " else HIDDEN)


def without(text: str, command: Sequence[str], url: str | None) -> str:
    """Return what a program or a server has said, without the parts of a command or an address that it repeats."""
    for secret in sorted({*_parts(command, url)}, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def _parts(command: Sequence[str], url: str | None) -> Iterator[str]:
    """Yield arguments, addresses, and what in them may be a token by itself: words alone are none."""
    for whole in (*command[1:], *([url] if url else [])):
        parts = re.split(r"[/?&=:\s]+", whole)
        yield from (part for part in parts if len(part) >= _LEAST_CHARACTERS and not part.isalpha())
        if len(whole) >= _LEAST_CHARACTERS:
            yield whole
    if url:
        yield from (part for part in re.split(r"[/?&=:]+", url) if len(part) >= _LEAST_CHARACTERS)


# ------------------------------------------------------------------------------------------------------ campaign.yaml
def hidden_text(text: str) -> str:
    """Return the text of a campaign.yaml without secrets; comments and the rest stay as they are."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        spans = dict(_spans(root))
    except (yaml.YAMLError, RecursionError):
        return HIDDEN
    for (start, end), instead in sorted(spans.items(), reverse=True):
        lines_end = "\n" if text[start:end].endswith("\n") else ""  # a block's span ends where the next key begins
        text = text[:start] + instead + lines_end + text[end:]
    return hidden_address(text)


def _spans(root: Any) -> Iterator[tuple[tuple[int, int], str]]:
    """Yield from where to where a secret is, and what is shown instead."""
    for node in _values(root, "notify", "url"):
        yield _span(node), f"'https://{HIDDEN}'"
    for node in _values(root, "notify", "command"):
        if isinstance(node, yaml.SequenceNode):
            yield from ((_span(word), f"'{HIDDEN}'") for word in node.value[1:])
        elif isinstance(node, yaml.ScalarNode):
            program = " ".join(hidden_command(str(node.value).split(maxsplit=1)))
            yield _span(node), "'" + program.replace("'", "''") + "'"
    for node in _values(root, "launcher", "env"):
        if isinstance(node, yaml.MappingNode):
            yield from ((_span(value), f"'{HIDDEN}'") for _, value in node.value)


def _span(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.index, node.end_mark.index


def _values(node: Any, *keys: str) -> Iterator[yaml.Node]:
    """Yield the nodes under a key of a key, also of each of several, or that a merge (``<<``) or an alias brings."""
    if not keys:
        yield node
    elif isinstance(node, yaml.SequenceNode):
        for one in node.value:
            yield from _values(one, *keys)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == keys[0]:
                yield from _values(value, *keys[1:])
            elif key.value == "<<":
                yield from _values(value, *keys)
