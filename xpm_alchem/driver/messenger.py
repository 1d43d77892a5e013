"""A process that carries one message to the user's command and address, beside the driver.

It reads its order as JSON from stdin and prints a line on what became of each part. What did not arrive is left to
another messenger, which tries again later; the exit code is how it went: see `Became`.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import IntEnum
from typing import Any

import attrs

from xpm_alchem.base.interpreter import python
from xpm_alchem.base.passing import scaled_pause
from xpm_alchem.base.paths import expanded
from xpm_alchem.base.values import printable
from xpm_alchem.plan.secrets import without

_LONGEST = 200  # characters of what a command said
_PAUSES = (60.0, 300.0, 1800.0)  # seconds before what did not arrive is tried again
_PASSING_ANSWERS = (408, 425, 429)  # and 500 and above: the others say the same again


class Became(IntEnum):
    """What became of a message."""

    ARRIVED = 0
    TRIED_AGAIN = 3
    GIVEN_UP = 4


@attrs.frozen
class Failure:
    """Why a part of a message did not arrive, in words, and whether it is worth another try."""

    why: str
    may_pass: bool = True


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirected POST becomes a GET without its content, and may lead anywhere."""

    def redirect_request(self, *arguments: Any) -> None:
        return None


def run_command(command: Sequence[str], message: Mapping[str, str], timeout: float) -> Failure | None:
    """Run a command with the sentence on stdin; return what was wrong.

    Parameters
    ----------
    message
        Texts that are also in the environment, as XPM_ALCHEM_CAMPAIGN, ...
    timeout
        Seconds after which it is killed with its children.
    """
    variables = {f"XPM_ALCHEM_{key.upper()}": value for key, value in message.items()}
    program = str(expanded(command[0])) if command[0].startswith("~/") else command[0]
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as printed:
        given.write(f"{message['sentence']}\n".encode())
        given.seek(0)
        try:
            process = subprocess.Popen(
                [program, *command[1:]],
                stdin=given,
                stdout=printed,
                stderr=printed,
                env={**os.environ, **variables},
                start_new_session=True,
            )
        except OSError as error:
            return Failure(f"{program} cannot be run ({error.strerror})")
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return Failure(f"{program} was killed after {timeout:g} s")
        printed.seek(0)
        last = printed.read()[-4096:].decode(errors="replace").strip().splitlines()[-1:]
    said = printable("".join(last))[:_LONGEST] or "no message"
    return None if code == 0 else Failure(f"{program} ended with exit code {code} ({said})")


def post(url: str, message: Mapping[str, str], timeout: float) -> Failure | None:
    """Post a message as JSON; return what was wrong. `text` is what chat services show."""
    body = json.dumps({**message, "text": message["sentence"]}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"}, method="POST")
    try:
        with _within(timeout), urllib.request.build_opener(_NoRedirects).open(request, timeout=timeout):
            return None
    except urllib.error.HTTPError as error:
        may_pass = error.code >= 500 or error.code in _PASSING_ANSWERS
        return Failure(f"the address answered {error.code} {printable(str(error.reason))}", may_pass)
    except (OSError, ValueError, http.client.HTTPException) as error:
        return Failure(f"the address cannot be reached ({printable(str(getattr(error, 'reason', error)))[:_LONGEST]})")


@contextmanager
def _within(seconds: float) -> Iterator[None]:
    """Raise TimeoutError when the block takes longer: a server may answer byte by byte."""

    def too_long(number: int, frame: Any) -> None:
        raise TimeoutError(f"no answer within {seconds:g} s")

    signal.signal(signal.SIGALRM, too_long)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def carry(order: Mapping[str, Any]) -> Iterator[tuple[str, Failure | None]]:
    """Carry out an order; yield what became of each part, 'command' and 'url'."""
    message, timeout = order["message"], float(order["timeout"])
    if order["command"]:
        yield "command", run_command(order["command"], message, timeout)
    if order["url"]:
        yield "url", post(order["url"], message, timeout)


def deliver(order: Mapping[str, Any]) -> Became:
    """Carry out an order, print what became of it, and leave what did not arrive to another messenger."""
    tried, became = int(order.get("tried", 0)), Became.ARRIVED
    left = {**order, "tried": tried + 1, "command": [], "url": None}
    for part, failure in carry(order):
        if failure is None:
            _say(order, "the command was run" if part == "command" else "posted")
            continue
        why = without(failure.why, order["command"], order["url"])
        if failure.may_pass and tried < len(_PAUSES):
            left[part] = order[part]
            _say(order, f"{why}; it is tried again in {_PAUSES[tried] / 60:g} min")
        else:
            _say(order, f"{why}; given up" if failure.may_pass else why)
            became = Became.GIVEN_UP
    if left["command"] or left["url"]:
        send(left, None)
        return Became.TRIED_AGAIN
    return became


def send(order: Mapping[str, Any], log: Any) -> subprocess.Popen[bytes]:
    """Start a messenger that nobody needs to wait for.

    Parameters
    ----------
    order
        'message': texts by name; 'command', 'url', 'timeout': as in the plan; 'tried': how often in vain, default 0.
    log
        File that is told what became of it; None: that of this process.
    """
    messenger = subprocess.Popen(
        python("-c", "from xpm_alchem.driver.messenger import main; main()"),
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    assert messenger.stdin is not None
    with messenger.stdin as stream:
        stream.write(json.dumps(order).encode())  # not an argument: addresses may be secret
    return messenger


def _say(order: Mapping[str, Any], what: str) -> None:
    when = time.strftime("%Y-%m-%d %H:%M:%S")
    sys.stdout.write(f"{when} {order['message']['event']}: {what}\n")
    sys.stdout.flush()


def main() -> None:
    """Carry out the order on stdin."""
    order = json.loads(sys.stdin.buffer.read())
    tried = int(order.get("tried", 0))
    if tried:
        time.sleep(scaled_pause(_PAUSES[tried - 1]))
    sys.exit(deliver(order))
