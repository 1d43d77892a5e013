"""A directory from which a campaign is submitted to alchemiscale, with alchemiscale's own client."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from xpm_alchem import __version__, gufe_seam
from xpm_alchem.base.errors import FormatError, InputError, MissingPackageError
from xpm_alchem.base.files import one_sentence
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.task_state import TaskStatus
from xpm_alchem.exports import submit_to_alchemiscale
from xpm_alchem.exports.archive import write_archive
from xpm_alchem.exports.hand_over import HandOver
from xpm_alchem.exports.hand_over_readme import readme
from xpm_alchem.exports.results_of_tasks import Groups
from xpm_alchem.exports.target import write_directory, write_text

NETWORK, ARCHIVE = "network.json", "archive.json"

Writer = Callable[[Path], None]


def write_alchemiscale(records: CampaignRecords, tasks: Groups, out: Path) -> list[str]:
    """Write the directory, and say what is in it and what is not."""
    network, keys, old = _network(records)
    with one_sentence(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".export.", suffix=".tmp", dir=out.parent) as directory:
            made = Path(directory) / ARCHIVE
            in_it, without = _archive(records, tasks, made)
            given = HandOver.of(records, tasks, keys, NETWORK)
            given.left_out[:0] = [*old, *without]

            def files() -> Iterator[tuple[str, Writer]]:
                yield NETWORK, network
                yield "hand-over.json", partial(write_text, text=json.dumps(given.to_plain(), indent=1) + "\n")
                yield "submit.py", partial(write_text, text=Path(submit_to_alchemiscale.__file__).read_text())
                if in_it:
                    yield ARCHIVE, partial(_move, made=made)
                versions = f"xpm-alchem {__version__} with gufe {gufe_seam.GUFE_VERSION}"
                yield "README.txt", partial(write_text, text=readme(given, in_it, versions))

            write_directory(out, "alchemiscale", files())
    names = [NETWORK, "hand-over.json", "submit.py", *([ARCHIVE] if in_it else []), "README.txt"]
    said = [f"{out}: {', '.join(names)}", f"`python {out / 'submit.py'} --dry-run` says what it would do"]
    return [*said, *(f"not handed over: {sentence}" for sentence in given.left_out)]


def _network(records: CampaignRecords) -> tuple[Writer, dict[str, str], list[str]]:
    """Return what writes the network, the keys of transformations in it by stable id, and what is wrong with it.

    It is written as it was given, unless only this gufe's JSON can be read by alchemiscale's.
    """
    network = records.network
    keys = {record.id: record.key for record in records.index.transformations}
    is_old = ":version:" not in network.chain[-1][1]  # gufe 0.4 wrote it
    if gufe_seam.IS_GUFE_0_4 or (not is_old and isinstance(json.loads(network.content), list)):
        sentence = (
            "a network that alchemiscale can read: gufe 0.4 wrote it, and alchemiscale takes gufe >= 1.6 "
            "(conda-forge). Write the network with that one"
        )
        return partial(_write_bytes, content=network.content), keys, [sentence] if is_old else []
    keys = {stable_id: key for key, stable_id in network.id_of_key.items()}
    return partial(gufe_seam.save, network.alchemical_network), keys, []


def _write_bytes(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _move(path: Path, made: Path) -> None:
    made.replace(path)


def _archive(records: CampaignRecords, tasks: Groups, path: Path) -> tuple[list[str], list[str]]:
    """Write the archive; return what is to be said of what is in it, and of what is not."""
    if not any(task.status is TaskStatus.COMPLETE for found in tasks.values() for task in found):
        return [], []
    try:
        (_, what), *left_out = (sentence.partition(": ")[::2] for sentence in write_archive(records, tasks, path))
    except (MissingPackageError, InputError, FormatError) as error:  # the rest can be handed over without it
        return [], [f"an archive of the results: {str(error).rstrip('.')}"]
    return [what], [f"from {ARCHIVE}: {sentence}" for _, sentence in left_out]
