"""The command that prints what a task printed, also while it prints."""

from __future__ import annotations

import codecs
import io
from typing import Any

import click

from xpm_alchem.base.errors import InputError
from xpm_alchem.base.values import printable
from xpm_alchem.cli.options import campaign_argument, json_option, output_json, put, say, workspace_option
from xpm_alchem.client import Campaign
from xpm_alchem.execution.task_logs import LogFile, tail
from xpm_alchem.views.log import STREAMS

_LINES = "100"
_UNIT_LOGS = 5  # unless they are asked for


def _number(ctx: click.Context, param: click.Parameter, value: str) -> int | None:
    """Return a number of lines, None for 'all'."""
    if value == "all":
        return None
    if value.isascii() and value.isdigit():
        return int(value)
    raise click.BadParameter(f"{value!r} is neither a number of lines nor 'all'.")


@click.command("logs")
@campaign_argument
@click.argument("task", metavar="TRANSFORMATION:REPEAT")
@click.option("-f", "--follow", is_flag=True, help="Go on until the task has ended, also over its restarts.")
@click.option("--stream", type=click.Choice([*STREAMS, "all"]), default="all", show_default=True)
@click.option(
    "-n", "--lines", callback=_number, default=_LINES, show_default=True, metavar="LINES|all", help="Last lines."
)
@click.option("--attempt", type=click.IntRange(min=0), help="An earlier attempt's (default: the latest).")
@workspace_option
@json_option
def logs_command(
    campaign: str,
    task: str,
    follow: bool,
    stream: str,
    lines: int | None,
    attempt: int | None,
    workspace: str | None,
    as_json: bool,
) -> None:
    """What a task printed: stdout and stderr of its attempt, logs of its units, and what its SLURM job printed.

    Ctrl-C ends --follow; the task goes on.
    """
    if follow and (attempt is not None or as_json):
        raise InputError("--follow goes with neither --attempt nor --json: it shows what is printed now.")
    made = Campaign.open(campaign, workspace=workspace)
    if follow:
        _follow(made, task, stream, lines)
        return
    view = made.logs(
        task, stream=stream, attempt=attempt, most_unit_logs=_UNIT_LOGS if stream == "all" and not as_json else None
    )
    if as_json:
        output_json(view)
        return
    _print(view, lines)


class _Printed:
    """What tasks printed, on stdout: it moves no cursor and colours nothing; what overwrote a line is its own line."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        self._decoder = io.IncrementalNewlineDecoder(decoder, translate=True)

    def write(self, data: bytes) -> None:
        """Print what comes next of a log."""
        self._put(self._decoder.decode(data))

    def line(self, text: str) -> None:
        """Print a line of ours; another log begins."""
        self._put(self._decoder.decode(b"", final=True))
        self._begin()
        self._put(printable(text) + "\n")

    def _put(self, text: str) -> None:
        put(printable(text, keep="\n\t"))


def _print(view: dict[str, Any], lines: int | None) -> None:
    out = _Printed()
    logs = [LogFile.from_view(log) for log in view["logs"]]
    for log in logs:
        if log.size or len(logs) == 1:
            out.line(log.title)
            for chunk in tail(log.path, lines):
                out.write(chunk)
            out.line("")
    if not any(log.size for log in logs):
        say(f"attempt {view['attempt']} has printed nothing" + (" yet" if view["status"] == "running" else ""))
    if view["older_unit_logs"]:
        say(f"there are {view['older_unit_logs']} more logs of units: --stream unit shows all", err=True)
    if earlier := [number for number in view["attempts_kept"] if number != view["attempt"]]:
        say(f"other attempts have printed too: --attempt {', '.join(map(str, earlier))}", err=True)


def _follow(campaign: Campaign, task: str, stream: str, lines: int | None) -> None:
    out = _Printed()
    shown: LogFile | None = None
    try:
        for piece in campaign.follow_logs(task, stream=stream, lines=lines):
            if piece.log is None:
                out.line(f"--- {piece.data.decode(errors='replace')}")
                shown = None
            else:
                if shown is None or (shown.path, shown.attempt) != (piece.log.path, piece.log.attempt):
                    out.line(piece.log.title)
                shown = piece.log
                out.write(piece.data)
    except KeyboardInterrupt:
        out.line("")
        out.line("--- left; the task goes on")
