"""``python -m xpm_alchem.driver.messenger``: carries one message to the user's command and address, beside the driver.

It reads its order as JSON from stdin and prints a line on what became of it.
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
from typing import Any

from xpm_alchem.base.paths import expanded
from xpm_alchem.base.values import printable
from xpm_alchem.plan.secrets import without

_LONGEST = 200  # characters of what a command said


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirected POST becomes a GET without its content, and may lead anywhere."""

    def redirect_request(self, *arguments: Any) -> None:
        return None


def run_command(command: Sequence[str], message: Mapping[str, str], timeout: float) -> str:
    """Run a command with the sentence on stdin; return what was wrong, '' if nothing.

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
            return f"{program} cannot be run ({error.strerror})"
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return f"{program} was killed after {timeout:g} s"
        printed.seek(0)
        last = printed.read()[-4096:].decode(errors="replace").strip().splitlines()[-1:]
    said = printable("".join(last))[:_LONGEST] or "no message"
    return "" if code == 0 else f"{program} ended with exit code {code} ({said})"


def post(url: str, message: Mapping[str, str], timeout: float) -> str:
    """Post a message as JSON; return what was wrong, '' if nothing. `text` is what chat services show."""
    body = json.dumps({**message, "text": message["sentence"]}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"}, method="POST")
    try:
        with _within(timeout), urllib.request.build_opener(_NoRedirects).open(request, timeout=timeout):
            return ""
    except urllib.error.HTTPError as error:
        return f"the address answered {error.code} {printable(str(error.reason))}"
    except (OSError, ValueError, http.client.HTTPException) as error:
        return f"the address cannot be reached ({printable(str(getattr(error, 'reason', error)))[:_LONGEST]})"


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


def carry(order: Mapping[str, Any]) -> Iterator[str]:
    """Carry out an order; yield what became of each part."""
    message, timeout = order["message"], float(order["timeout"])
    command, url = order["command"], order["url"]
    if command:
        yield without(run_command(command, message, timeout), command, url) or "the command was run"
    if url:
        yield without(post(url, message, timeout), command, url) or "posted"


def main() -> None:
    """Carry out the order on stdin."""
    order = json.loads(sys.stdin.buffer.read())
    for became in carry(order):
        when = time.strftime("%Y-%m-%d %H:%M:%S")
        sys.stdout.write(f"{when} {order['message']['event']}: {became}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
