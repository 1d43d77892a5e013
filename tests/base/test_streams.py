"""stdout and stderr that never fail, tried on real files, pipes and terminals by processes of their own."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

from patience import end_of

BEGINS = """
    import os, sys
    from xpm_alchem.base import streams
    streams.make_lasting()
    notes = open(sys.argv[1], "w", encoding="utf-8")
    """


def start(notes: Path, program: str, **options: Any) -> subprocess.Popen[bytes]:
    """Start a program that has streams of ours; what it finds out it writes to `notes`."""
    text = textwrap.dedent(BEGINS) + textwrap.dedent(program)
    return subprocess.Popen([sys.executable, "-c", text, str(notes)], **options)


def test_a_full_disk_under_both_streams_ends_nothing(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    program = """
        for _ in range(3):
            print("x" * 10000, flush=True)
            print("y", file=sys.stderr)
        print({label: error.errno for label, error in streams.failures().items()}, file=notes)
        print("the last word")
        """
    with open("/dev/full", "wb") as full:
        assert end_of(start(notes, program, stdout=full, stderr=full)) == 0
    assert notes.read_text() == "{'stdout': 28, 'stderr': 28}\n"


def test_a_reader_that_leaves_ends_nothing_and_says_nothing(tmp_path: Path) -> None:
    process = start(
        tmp_path / "notes",
        """
        print("first", flush=True)
        sys.stdin.read()
        for _ in range(100):
            print("x" * 1000)
        print(*streams.failures(), file=notes)
        """,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None and process.stdin is not None and process.stderr is not None
    assert process.stdout.readline() == b"first\n"
    process.stdout.close()
    process.stdin.close()
    assert (process.stderr.read(), end_of(process)) == (b"", 0)
    assert (tmp_path / "notes").read_text() == "stdout\n"
    process.stderr.close()


def test_a_terminal_that_is_closed_ends_nothing(tmp_path: Path) -> None:
    master, terminal = pty.openpty()
    process = start(
        tmp_path / "notes",
        """
        import signal
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        print("first", flush=True)
        sys.stdin.read()
        print("second", flush=True)
        print("third", file=sys.stderr, flush=True)
        print(sorted(streams.failures()), sys.stdout.isatty(), file=notes)
        """,
        stdin=subprocess.PIPE,
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    said = b""
    while not said.endswith(b"first\r\n"):
        said += os.read(master, 100)
    os.close(master)
    assert process.stdin is not None
    process.stdin.close()
    assert end_of(process) == 0
    assert "['stderr', 'stdout']" in (tmp_path / "notes").read_text()


def test_what_an_encoding_lacks_becomes_plain_and_as_wide(tmp_path: Path) -> None:
    line = "a · b → Ångström ± 1 µm … ─┃ “q” Δ 日本"
    program = f"""
        print({line!r})
        print("/data/\\udcff/x")
        print({line!r}, file=sys.stderr)
        """
    process = start(
        tmp_path / "notes",
        program,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
    )
    out, err = process.communicate()
    plain = 'a . b > Angstrom ~ 1 um . -| "q" D ??'.replace("D", "?")
    said = out.decode("ascii").splitlines()
    assert process.returncode == 0
    assert said[0].replace("D ", "? ") == plain and len(said[0]) == len(line)
    assert said[1] == "/data/?/x"
    assert err.decode("ascii").splitlines()[0] == said[0]


def test_undecodable_names_are_printed_to_any_terminal(tmp_path: Path) -> None:
    process = start(
        tmp_path / "notes",
        'print("/data/\\udcff/x · y")',
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONIOENCODING": "utf-8:strict"},
    )
    assert (process.communicate()[0].decode(), process.returncode) == ("/data/?/x · y\n", 0)


def test_a_closed_number_is_not_taken_by_a_file(tmp_path: Path) -> None:
    shell = '"$0" -c "$1" "$2" >&- 2>&-'
    program = textwrap.dedent(BEGINS) + textwrap.dedent(
        """
        print("nowhere")
        os.write(1, b"a child prints")
        os.write(2, b"a child prints")
        print("notes", notes.fileno() > 2, file=notes)
        """
    )
    subprocess.run(["sh", "-c", shell, sys.executable, program, tmp_path / "notes"], check=True)
    assert (tmp_path / "notes").read_text() == "notes True\n"


def test_a_reader_that_does_not_read_is_waited_for_once(tmp_path: Path) -> None:
    program = """
        streams.wait_at_most(0.2)
        for number in range(2000):
            print("x" * 1000, flush=True)
        failure = streams.failures()["stdout"]
        print(type(failure).__name__, file=notes, flush=True)
        sys.stdin.read()
        print("again", flush=True)
        """
    process = start(tmp_path / "notes", program, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None and process.stdout is not None
    while not (tmp_path / "notes").exists() or not (tmp_path / "notes").read_text():
        assert process.poll() is None
    assert (tmp_path / "notes").read_text() == "BlockingIOError\n"
    os.set_blocking(process.stdout.fileno(), False)
    while process.stdout.read():
        pass
    os.set_blocking(process.stdout.fileno(), True)
    process.stdin.close()
    assert (process.stdout.read(), end_of(process)) == (b"again\n", 0)
    process.stdout.close()


def test_all_is_printed_for_a_slow_reader_of_a_pipe_that_never_blocks(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.set_blocking(write, False)  # as a program leaves a terminal that it shares
    process = start(tmp_path / "notes", 'print("x" * 300_000)', stdout=write)
    os.close(write)
    with open(read, "rb") as pipe:
        assert len(pipe.read()) == 300_001
    assert end_of(process) == 0


def test_whoever_wants_to_end_with_its_reader_does(tmp_path: Path) -> None:
    process = start(
        tmp_path / "notes",
        """
        def end(label, error):
            sys.exit(7)
        streams.on_failure(end)
        sys.stdin.read()
        while True:
            print("x" * 1000)
        """,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None and process.stdin is not None and process.stderr is not None
    process.stdout.close()
    process.stdin.close()
    assert (process.stderr.read(), end_of(process)) == (b"", 7)
    process.stderr.close()
