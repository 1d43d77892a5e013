"""A profile's `container`: an image in which attempts run, and the command that starts one in it.

Whatever the runtime, processes have the node's numbers and its name inside, so that what an attempt notes of itself is
true outside; inside_container.py is the attempt's side.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs

from xpm_alchem.base import checks
from xpm_alchem.base.errors import CampaignError
from xpm_alchem.base.near_miss import check_keys
from xpm_alchem.base.values import is_text, short
from xpm_alchem.execution.processes import HOST
from xpm_alchem.launchers.inside_container import INSIDE, STARTED, pids

_SINGULARITY, _DOCKER = ("apptainer", "singularity"), ("podman", "docker")
RUNTIMES = (*_SINGULARITY, *_DOCKER)
_KEYS = ("image", "runtime", "options", "binds", "python")
# what takes the attempt's numbers, name, directory or environment from it
_REFUSED = {
    **dict.fromkeys(
        _SINGULARITY,
        ("--pid", "-p", "--containall", "-C", "--cleanenv", "-e", "--uts", "--hostname", "--pwd", "--cwd"),
    ),
    **dict.fromkeys(
        _DOCKER,
        ("--pid", "--uts", "--hostname", "-h", "--workdir", "-w", "--detach", "-d", "--tty", "-t", "--sig-proxy"),
    ),
}
# the node's own would hide the image's
_SYSTEM = {
    *("/", "/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/opt", "/proc", "/run", "/sbin", "/sys"),
    *("/usr", "/usr/bin", "/usr/lib", "/usr/local", "/var"),
}
_OF_THE_IMAGE = ("PATH", "LD_LIBRARY_PATH", "LD_PRELOAD", "HOSTNAME")  # as Apptainer has it
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_START = f'{STARTED}=$$; export {STARTED}; exec "$@"'  # `exec` keeps the number


@attrs.frozen
class Container:
    """Where an attempt runs, if not on the node itself.

    Attributes
    ----------
    image
        A file, a directory, or a name that the runtime knows.
    runtime
        One of `RUNTIMES`.
    options
        More options of the runtime's ``exec`` or ``run``.
    binds
        Paths of the node that are to be seen inside too, as the runtime writes them (``/data``, ``/data:/mnt:ro``).
    python
        The Python of the image, which has xpm-alchem; None: the one that starts the attempt, bound with its packages.
    """

    image: str
    runtime: str = RUNTIMES[0]
    options: tuple[str, ...] = ()
    binds: tuple[str, ...] = ()
    python: str | None = None

    @classmethod
    def parse(cls, given: Any, where: str) -> Container:
        """Check a profile's 'container'.

        Raises
        ------
        CampaignError
            Says which key cannot be used, and what would do.
        """
        if not isinstance(given, Mapping):
            raise CampaignError(
                f"{where}: {short(given)} is not a mapping. Give for example {{image: /images/openfe.sif, options: "
                "[--nv]}."
            )
        check_keys(given, _KEYS, where)
        if given.get("image") is None:
            raise CampaignError(f"{where}: needs 'image', a file, or a name that the runtime knows.")
        runtime = RUNTIMES[0]
        if given.get("runtime") is not None:
            runtime = checks.one_of(given["runtime"], f"{where}.runtime", RUNTIMES)
        options = _words(given.get("options"), f"{where}.options")
        for word in options:
            if (refused := _is_refused(word, runtime)) is not None:
                raise CampaignError(
                    f"{where}.options: '{refused}' cannot be given: the numbers of processes, the name of the node, "
                    "the directory and the environment of an attempt are those of its node."
                )
        binds = _words(given.get("binds"), f"{where}.binds")
        for bind in binds:
            if not bind.startswith("/"):
                raise CampaignError(f"{where}.binds: {short(bind)} is no whole path; it should begin with '/'.")
        python = given.get("python")
        if python is not None and not checks.text(python, f"{where}.python").startswith("/"):
            raise CampaignError(f"{where}.python: {short(python)} is no whole path of a Python in the image.")
        if python is None and (lacking := _unbindable(binds)):
            raise CampaignError(
                f"{where}: this Python is of {lacking}, which cannot be bound without hiding the image's own. Give "
                "'python', one of the image that has xpm-alchem, or run from an environment of conda's."
            )
        return cls(_image(given["image"], f"{where}.image"), runtime, options, binds, python and python.strip())

    @classmethod
    def from_record(cls, record: Mapping[str, Any] | None) -> Container | None:
        """Return what was written as JSON with attrs' asdict; None for none.

        Raises
        ------
        ValueError
            It is damaged: to run an attempt elsewhere would not do.
        """
        if record is None:
            return None
        words = [
            record.get("image"),
            record.get("runtime"),
            *(record.get("options") or []),
            *(record.get("binds") or []),
        ]
        if not all(map(is_text, words)) or record["runtime"] not in RUNTIMES:
            raise ValueError(f"'container' is {short(dict(record))}")
        return cls(
            record["image"],
            record["runtime"],
            tuple(record.get("options") or ()),
            tuple(record.get("binds") or ()),
            record.get("python"),
        )

    def started(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        workspace: Path,
        directory: Path | None = None,
        cores: Collection[int] = (),
    ) -> tuple[list[str], dict[str, str]]:
        """Return command and environment that start a command of this Python in the container.

        No value of a variable is on the command line.

        Parameters
        ----------
        command
            As `base.interpreter.python` makes it.
        environment
            What the command is to have.
        workspace
            What it works in.
        directory
            Where it is to be started; None: in the current one.
        cores
            Those that it may use; empty: as many as this process.
        """
        told = {"host": HOST, "pids": pids(), "cores": sorted(cores or os.sched_getaffinity(0))}
        given = {**environment, INSIDE: json.dumps(told)}
        if self.python is not None:
            given["PYTHONNOUSERSITE"] = "1"  # those packages are for the node's Python
        return ["/bin/sh", "-c", _START, "container", *self.words(command, given, workspace, directory)], given

    def words(
        self, command: Sequence[str], environment: Mapping[str, str], workspace: Path, directory: Path | None
    ) -> list[str]:
        """Return the runtime's command."""
        here = _here(directory)
        binds = self._bound(environment, workspace, here)
        inside = [command[0] if self.python is None else self.python, *command[1:]]
        if self.runtime in _SINGULARITY:
            given = [word for path in binds for word in ("--bind", path)]
            given += ["--pwd", here] if here else []
            return [self.runtime, "exec", *given, *self.options, self.image, *inside]
        given = [f"--{kind}=host" for kind in ("pid", "uts", "ipc", "network")]
        given += ["--rm", "--log-driver=none", "--entrypoint="]
        given += self._user()
        given += ["--workdir", here] if here else []
        for path in binds:
            given += ["--volume", path if ":" in path else f"{path}:{path}"]
        for name in sorted({*environment, STARTED}):
            given += ["--env", name] if _NAME.fullmatch(name) and name not in _OF_THE_IMAGE else []
        return [self.runtime, "run", *given, *self.options, self.image, *inside]

    def _user(self) -> list[str]:
        """Return the options by which what is written is the user's."""
        if self.runtime == "podman":
            return ["--userns=keep-id"] if os.getuid() else []
        groups = sorted({*os.getgroups()} - {os.getgid()})
        return [f"--user={os.getuid()}:{os.getgid()}", *(f"--group-add={group}" for group in groups)]

    def _bound(self, environment: Mapping[str, str], workspace: Path, here: str) -> list[str]:
        """Return what is bound: the user's paths, and those of the attempt that are in none of them."""
        paths = [str(workspace), here, environment.get("TMPDIR") or "/tmp"]
        paths += [environment.get("CUDA_MPS_PIPE_DIRECTORY", "")]
        paths += environment.get("PYTHONPATH", "").split(os.pathsep)
        if self.runtime in _DOCKER:  # Apptainer binds it by itself
            paths.append(environment.get("HOME", ""))
        if self.python is None:
            paths += [sys.prefix, sys.base_prefix, *sys.path, str(Path(__file__).parents[2])]
        plain = [bind for bind in self.binds if ":" not in bind]
        return [*self.binds, *_outermost(_existing(paths), plain)]

    def __str__(self) -> str:
        return f"in {self.image} ({self.runtime})"


def describe(container: Container | None) -> str:
    """Return where attempts run as the end of a sentence, '' for on the node itself."""
    return "" if container is None else f", {container}"


def shown_words(container: Container | None, command: Sequence[str], workspace: Path) -> list[str]:
    """Return the command of a task for a dry run; of its environment only what says that it is in a container."""
    return [*command] if container is None else container.words(command, {INSIDE: ""}, workspace, None)


def settle_code(container: Container | None) -> str:
    """Return the lines of an attempt's script that come before all others which tell it how it was started."""
    if container is None:
        return ""
    return "    from xpm_alchem.launchers.inside_container import settle\n    settle()\n"


def check_runtime(container: Container | None, where: str) -> None:
    """Raise CampaignError where a container's runtime is not on PATH."""
    if container is not None and shutil.which(container.runtime) is None:
        raise CampaignError(
            f"{where}: {container.runtime} is not on PATH. Install it, load its module, or name another 'runtime' "
            f"({', '.join(RUNTIMES)})."
        )


def workspace_of(script: Path) -> Path:
    """Return the workspace of a task's script."""
    return script.absolute().parents[3]


def _words(value: Any, where: str) -> tuple[str, ...]:
    if isinstance(value, str):
        raise CampaignError(f"{where}: {short(value)} is not a list. Give for example [{short(value)}].")
    return tuple(checks.text(item, where) for item in checks.items(value, where))


def _is_refused(word: str, runtime: str) -> str | None:
    """Return the option that a word is, or has in it, and that cannot be given."""
    name = word.partition("=")[0]
    if name in _REFUSED[runtime]:
        return name
    letters = word[1:] if re.fullmatch(r"-[A-Za-z]+", word) else ""
    return next((f"-{letter}" for letter in letters if f"-{letter}" in _REFUSED[runtime]), None)


def _image(value: Any, where: str) -> str:
    """Return an image; a path is made whole, and must be there."""
    image = os.path.expanduser(checks.text(value, where))  # noqa: PTH111 - a name of a registry is no path
    if "://" in image or not (image.startswith(("/", "./", "../")) or image.endswith((".sif", ".img", ".sqsh"))):
        return image
    path = Path(image).absolute()
    if not path.exists():
        raise CampaignError(f"{where}: there is no {path}. Give an image by its whole path, or by its name.")
    return str(path)


def _unbindable(binds: Sequence[str]) -> str | None:
    """Return the directory of the system that this Python is in, unless the user has it bound."""
    for prefix in (sys.prefix, sys.base_prefix):
        if prefix in _SYSTEM and not any(_is_in(prefix, bind) for bind in binds):
            return prefix
    return None


def _here(directory: Path | None) -> str:
    """Return a directory, or the current one; '' where it cannot be the same inside."""
    with suppress(OSError):  # it was removed
        here = str(directory or Path.cwd())
        return "" if here in _SYSTEM else here
    return ""


def _existing(paths: Iterable[str]) -> list[str]:
    """Return those that are there and may be bound, under their own names and under those that links lead to."""
    found: dict[str, None] = {}
    for path in filter(None, paths):
        whole = Path(path).absolute()
        if whole.is_dir():
            found |= dict.fromkeys(map(str, (whole, whole.resolve())))
    return [path for path in found if path not in _SYSTEM]


def _outermost(paths: Sequence[str], bound: Sequence[str]) -> list[str]:
    """Return those that are in none of the others, and in nothing that is bound already."""
    return [path for path in paths if not any(_is_in(path, other) for other in [*paths, *bound] if other != path)]


def _is_in(path: str, other: str) -> bool:
    return Path(path).is_relative_to(other)
