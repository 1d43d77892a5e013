"""The command ``xpm-alchem``: click commands, one file a group; no logic."""

from __future__ import annotations

import errno
import importlib
import signal
import sys
from typing import Any

import click

from xpm_alchem import __version__
from xpm_alchem.base.errors import XpmAlchemError
from xpm_alchem.base.interpreter import hand_on_no_current_directory
from xpm_alchem.base.paths import ensure_home
from xpm_alchem.base.streams import make_lasting, on_failure
from xpm_alchem.base.values import printable

_COMMANDS = {
    "init": "start",
    "run": "start",
    "attach": "start",
    "watch": "watch",
    "stop": "change",
    "cancel": "change",
    "retry": "change",
    "tasks": "tasks",
    "strategy": "strategy",
    "restarts": "restarts",
    "budget": "budget",
    "network": "network",
    "list": "look",
    "status": "look",
    "show": "look",
    "summary": "look",
    "results": "look",
    "report": "report",
    "export": "transfer",
    "import": "transfer",
    "why": "look",
    "doctor": "doctor",
    "work": "work",
    "workers": "work",
    "failures": "failures",
    "logs": "logs",
}


_DOING = (
    "init",
    "run",
    "work",
    "stop",
    "cancel",
    "retry",
    "export",
    "import",
    "report",
)  # whoever reads what they print
_UNREAD = 128 + signal.SIGPIPE  # the exit code of a program that ends with its reader


class _Group(click.Group):
    """Loads a command when it is called, so that looking does not wait for imports; shows our errors as one line."""

    def main(self, *args: Any, **options: Any) -> Any:
        make_lasting()
        ensure_home()
        hand_on_no_current_directory()
        try:
            return super().main(*args, **options)
        finally:
            on_failure(lambda label, error: None)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        if name not in _DOING:
            on_failure(_end_unread)
        return name, command, rest

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        return getattr(importlib.import_module(f"xpm_alchem.cli.{_COMMANDS[name]}"), f"{name}_command")

    def invoke(self, ctx: click.Context) -> Any:
        try:
            made = super().invoke(ctx)
            _print_all()
            return made
        except SystemExit:
            _print_all()
            raise
        except XpmAlchemError as error:
            raise _Shown(printable(str(error), keep="\n")) from error
        except OSError as error:  # of a file system, in what is done before anything is begun
            if not error.strerror:
                raise
            sentence = f"{error.filename or 'a file'}: cannot be used ({error.strerror})."
            raise _Shown(printable(sentence)) from error
        except click.ClickException as error:
            vars(error)["message"] = printable(error.message, keep="\n")  # it may tell an argument
            raise


def _print_all() -> None:
    """Print what is still to be printed, so that it is heard of here if it cannot be, not when Python ends."""
    if sys.stdout is not None:  # as it is where it was closed
        sys.stdout.flush()


def _end_unread(label: str, error: OSError) -> None:
    """End a command whose output nobody gets: quietly with its reader, else in a sentence.

    Raises
    ------
    click.exceptions.Exit
        Where stdout cannot be written.
    """
    if label != "stdout":
        return
    if error.errno == errno.EPIPE:
        raise click.exceptions.Exit(_UNREAD)
    click.echo(f"Error: stdout cannot be written ({error.strerror}).", err=True)
    raise click.exceptions.Exit(_Shown.exit_code)


class _Shown(click.ClickException):
    exit_code = 2


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="xpm-alchem")
def main() -> None:
    """Run an alchemical free-energy network to the precision you need, on your own cluster, with no servers.

    \b
    xpm-alchem init network.json        look at a network, write campaign.yaml
    xpm-alchem run campaign.yaml        run it; again after any interruption
    xpm-alchem show campaign.yaml       see how it stands, from anywhere
    """
