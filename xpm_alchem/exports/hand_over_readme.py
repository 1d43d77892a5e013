"""README.txt of what is handed over to alchemiscale. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from xpm_alchem.exports.hand_over import HandOver

_WIDTH = 100


def readme(given: HandOver, in_archive: Sequence[str], versions: str) -> str:
    """Return the text.

    Parameters
    ----------
    in_archive
        What is in archive.json; empty where there is none.
    versions
        What wrote it.
    """
    title = f"The campaign '{given.campaign}', for alchemiscale"
    files = {
        "network.json": f"the AlchemicalNetwork, {len(given.transformations)} transformations",
        "hand-over.json": "strategy, restart patterns and tasks, as submit.py reads them",
        "submit.py": "submits them with alchemiscale's own client",
        **({"archive.json": f"a gufe AlchemicalArchive: {in_archive[0]}"} if in_archive else {}),
    }
    parts = [
        [title, "=" * len(title), f"Written by {versions}."],
        [f"{name:<16}{what}" for name, what in files.items()],
        _HOW.strip().splitlines(),
        ["What is handed over", *_listed(_handed(given))],
        ["What is not, and why", *_listed(given.left_out)],
        _BACK.format(campaign=given.campaign).strip().splitlines(),
    ]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _handed(given: HandOver) -> Iterator[str]:
    yield f"the network, state {given.state}, weight {given.weight}"
    if given.strategy is not None:
        name, mode = given.strategy["class"].partition(":")[2], given.strategy["arguments"]["mode"]
        told = ", ".join(f"{key} {value}" for key, value in given.strategy["settings"].items())
        yield f"the strategy {name} ({told}), mode {mode}"
    for one in given.restart_patterns:
        yield f"the restart pattern {one['pattern']!r}, {one['allowed']} restart(s)"
    in_flight = sum(len(one.tasks) for one in given.transformations)
    yield f"{in_flight} repeat(s) that wait or run here, with their priorities, weights and what extends them"
    missing = sum(one.missing for one in given.transformations)
    if missing:
        condition = " with --tasks-only" if given.strategy is not None else ""
        yield f"{missing} more repeat(s) that the strategy wants and that are not there yet{condition}"


def _listed(sentences: Iterable[str]) -> Iterator[str]:
    for sentence in sentences:
        yield from textwrap.wrap(sentence, _WIDTH, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False)


_HOW = """
How
1. On a machine with alchemiscale's client, in the server's version of gufe, say what it would do:
       python submit.py --scope ORG-CAMPAIGN-PROJECT --dry-run
2. Name the server, and yourself, and do it:
       export ALCHEMISCALE_URL=https://api.your.server ALCHEMISCALE_ID=you ALCHEMISCALE_KEY=...
       python submit.py --scope ORG-CAMPAIGN-PROJECT
It may be run again, also after an interruption: what is there already is counted first, and nothing
is doubled. What was changed on the server since is left as it is and said; --replace sets it again.
--tasks-only sets no strategy, and creates tasks for the repeats that are missing here.
"""

_BACK = """
And back
    archive = client.get_network_archive(network_key)
    archive.to_json("from-alchemiscale.json")
    xpm-alchem import {campaign} from-alchemiscale.json
Every result counts once, however often that is done; results that are here already are passed over.
"""
