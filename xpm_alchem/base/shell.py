"""Commands as a user copies them into a shell, whatever the names and paths in them are."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence

from xpm_alchem.base.values import printable


def quoted(word: str) -> str:
    """Return a word as a shell takes it; what cannot be printed as bash and zsh write bytes: ``$'\\x1b'``."""
    if printable(word) == word:
        return shlex.quote(word)
    return f"$'{''.join(map(_escaped, word))}'"


def _escaped(character: str) -> str:
    if character in "\\'":
        return f"\\{character}"
    if printable(character) == character:
        return character
    return "".join(f"\\x{byte:02x}" for byte in character.encode(errors="surrogatepass"))


def command_line(verb: str, *arguments: str, options: Sequence[str] = ()) -> str:
    """Return ``xpm-alchem VERB ARGUMENTS OPTIONS``; what is no option is never taken for one.

    Parameters
    ----------
    verb
        The command, and the one below it.
    """
    words: Iterable[str] = (*arguments, *options)
    if any(argument.startswith("-") for argument in arguments):
        words = (*options, "--", *arguments)
    return " ".join(["xpm-alchem", *verb.split(), *map(quoted, words)])
