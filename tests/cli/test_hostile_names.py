"""Names and messages are data in every view: they are no markup, do nothing to the terminal, and are shown whole."""

from __future__ import annotations

import io
import json
import re
import shlex
import subprocess
import unicodedata
from itertools import pairwise
from pathlib import Path
from typing import Any

import attrs
import pytest
from click.testing import CliRunner, Result
from filled_campaign import filled_campaign, network_index, scattered
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from xpm_alchem.base.shell import command_line, quoted
from xpm_alchem.base.values import printable
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.cli import main
from xpm_alchem.execution.directory import TaskDirectory
from xpm_alchem.tables.console import PlainConsole, cell, told
from xpm_alchem.tables.overview import show_table
from xpm_alchem.tables.result import results_table

MARKUP = ["bicyclo[2.2.1]heptane", "x[/bold]", "[@click=app.quit]y", "spiro[4.5\\]", ":smile:", "a[1]b[[2]]"]
ESCAPES = [
    "a\x1b]0;owned\x07",
    "b\x9b2Jc",
    "d\u202egpj.exe",
    "e\nf: complete",
    "g\u200bh\u2066",
    "i\r\x1b[1Aj",
    "k\x7f\x08",
]
NAMES = MARKUP + ESCAPES
MEANT = "\n"
UTF8 = st.text(max_size=20).filter(lambda text: text.encode("utf-8", "ignore").decode() == text)


def moves(text: str) -> list[str]:
    """Return what is in a text that a terminal acts upon, or that nobody sees."""
    kinds = ("Cc", "Cs", "Zl", "Zp")
    order = ("LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI", "BN")
    return [
        one
        for one in text
        if one not in MEANT and (unicodedata.category(one) in kinds or unicodedata.bidirectional(one) in order)
    ]


def call(*arguments: object) -> Result:
    result = CliRunner().invoke(main, list(map(str, arguments)))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> CampaignRecords:
    """A campaign whose ligands have the names, in a directory with brackets; tasks of it printed, and are in error."""
    path = tmp_path_factory.mktemp("hostile") / "[old] data [red]"
    edges = [*pairwise(NAMES), (NAMES[0], NAMES[2])]
    index = network_index(edges)
    ids = [record.id for record in index.transformations]
    more = {ids[0]: "error", ids[2]: "running", ids[5]: "error", ids[len(MARKUP) * 2 + 2]: "error"}
    measured = path.parent / "measured.json"
    measured.write_text(json.dumps({name: {"dg": {"magnitude": -9.0, "unit": "kcal/mol"}} for name in NAMES}))
    records = filled_campaign(path, index, scattered(index, 3), more=more, experimental=measured)
    for task in records.state().tasks.values():
        files = TaskDirectory(records.task_path(task))
        if files.path.exists():
            files.printed("stdout").write_bytes(b"[b]10 %\r\x1b[2J\x1b]52;c;xx\x07100 %\r\n\xe2\x80\xae\xff[/b]\n")
    with records.lock():
        failed = f"{ids[0]}-4"
        said = {"event": "status", "task": failed, "status": "error", "reason": "no [/gpu] \x1b[31mhere\u202e\nrow"}
        records.write(said)
    records.state()
    return records


def tasks_of(records: CampaignRecords) -> list[str]:
    return [f"{task.transformation}:{task.repeat}" for task in records.state().tasks.values()]


@pytest.mark.parametrize(
    "command",
    [
        "status",
        "show",
        "summary",
        "results --all",
        "tasks list",
        "failures",
        "budget show",
        "restarts list",
        "strategy health",
    ],
)
def test_every_view_shows_names_as_they_are(hostile: CampaignRecords, command: str) -> None:
    verb, *options = command.split()
    words = [verb, *options[:1], hostile.path] if verb in ("tasks", "budget", "restarts", "strategy") else [verb]
    words = words if len(words) > 1 else [verb, hostile.path, *options]
    result = call(*words)
    assert moves(result.output) == []
    if command in ("show", "results --all", "tasks list"):
        whole = re.sub(r"[\s│┃]", "", result.output)  # cells may be folded
        for name in NAMES:
            assert re.sub(r"\s", "", printable(name)) in whole, name


def test_a_task_s_history_and_what_it_printed_do_nothing_to_the_terminal(hostile: CampaignRecords) -> None:
    for task in [*tasks_of(hostile)[:12], tasks_of(hostile)[-1]]:
        for command in ("why", "logs"):
            result = call(command, hostile.path, task)
            assert [one for one in moves(result.output) if one != "\t"] == []
    shown = call("logs", hostile.path, tasks_of(hostile)[0]).output
    assert "[b]10 %\n\\x1b[2J\\x1b]52;c;xx\\x07100 %\n\\u202e\\xff[/b]\n" in shown


def test_commands_can_be_copied_whatever_the_path(hostile: CampaignRecords) -> None:
    for task in [task for task in hostile.state().tasks.values() if task.status == "error"]:
        said = call("why", hostile.path, f"{task.transformation}:{task.repeat}").output
        lines = said[said.index("what you can do:") :].splitlines()[1:]
        assert len(lines) == 3
        for line in lines:
            words = shlex.split(line.partition("  # ")[0])
            assert words[0] == "xpm-alchem" and str(hostile.path) in words
            assert words[1] == "retry" or call(*words[1:]).exit_code == 0


def test_json_is_exact_and_harmless(hostile: CampaignRecords) -> None:
    for command in ("show", "results", "failures"):
        text = call(command, hostile.path, "--json").output
        assert moves(text) == []
        assert "\x7f" not in text
    rows = json.loads(call("show", hostile.path, "--json").output)["rows"]
    assert {name for row in rows for name in NAMES if name in row["transformation"]} == set(NAMES)


def test_an_error_that_tells_a_name_is_harmless(hostile: CampaignRecords) -> None:
    result = call("why", hostile.path, "\x1b[31m[/x]:1")
    assert result.exit_code == 2
    assert moves(result.output) == []
    assert "\\x1b[31m[/x]" in result.output
    assert moves(call("sh\x1b[2Jow").output) == []


def test_the_report_turns_no_direction(hostile: CampaignRecords, tmp_path: Path) -> None:
    call("report", hostile.path, "--out", tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text()
    body = text[: text.index("plotly.js")]
    assert [one for one in moves(body) if one != "\t"] == []
    assert "bicyclo[2.2.1]heptane" in body
    assert "d\\u202egpj.exe" in body


@given(st.text(max_size=30))
@example("\x1b]8;;http://x\x1b\\")
@example("\ud800")
def test_a_text_loses_what_acts_and_keeps_the_rest(text: str) -> None:
    shown = printable(text)
    assert moves(shown) == [] and "\n" not in shown
    assert [one for one in shown if one in text] or not [one for one in text if not moves(one) and one not in "\n"]
    assert printable(shown) == shown
    kept = [one for one in text if printable(one) == one]
    rest = iter(shown)
    assert all(one in rest for one in kept)  # in their order


@settings(deadline=None, max_examples=60)
@given(st.lists(st.text(min_size=1, max_size=40), min_size=1, max_size=4), st.booleans())
@example(["[bold]", "[/bold]", ":warning:", "\x1b[2J"], True)
def test_any_name_is_shown_whole_in_any_table(names: list[str], terminal: bool) -> None:
    rows = [
        {"transformation": name, "leg": "solvent", "complete": 1, "running": 0, "waiting": 0, "error": 1}
        | {"estimate": 1.0, "sd": None, "weight": None, "cost": 0.0, "next": name}
        for name in names
    ]
    view = {"campaign": names[0], "unit": "kcal/mol", "cost_unit": "gpu-h", "rows": rows}
    out = io.StringIO()
    console = PlainConsole(file=out, width=400, force_terminal=terminal, color_system="truecolor" if terminal else None)
    console.print(show_table(view))
    console.print(told(*names))
    console.print(cell(names[0]))
    for name in names:
        console.print(f"{name}: said")
    text = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue()) if terminal else out.getvalue()
    assert moves(text) == []
    squeezed = re.sub(r"\s", "", text)
    for name in names:
        assert re.sub(r"\s", "", printable(name)) in squeezed


@settings(deadline=None, max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(UTF8.filter(bool), min_size=3, max_size=4, unique=True))
def test_any_name_goes_through_every_command(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    index = network_index([*pairwise(names), (names[0], names[2])])
    path = tmp_path_factory.mktemp("any") / "c"
    more = {index.transformations[0].id: "error"}
    records = filled_campaign(path, index, scattered(index, 2), more=more)
    for verb in ("status", "show", "summary", "results", "failures"):
        result = call(verb, records.path)
        assert result.exit_code == 0
        assert moves(result.output) == []
    for number, format_ in enumerate(("csv", "json", "openfe-gather")):
        assert call("export", records.path, "--format", format_, "--out", path / str(number)).exit_code == 0


@settings(deadline=None, max_examples=60)
@given(st.lists(UTF8.filter(lambda text: "\0" not in text), min_size=1, max_size=3))
@example(["-r:1", "it's", "\x1b[31m"])
def test_a_command_is_what_a_shell_takes(words: list[str]) -> None:
    line = command_line("why", *words, options=["--workspace", "a b"])
    assert moves(line) == [] and "\n" not in line
    script = f"f() {{ printf '%s\\0' \"$@\"; }}; f {line.removeprefix('xpm-alchem')}"
    said = subprocess.run(["bash", "-c", script], capture_output=True, check=True).stdout.decode().split("\0")[:-1]
    if any(word.startswith("-") for word in words):
        assert said == ["why", "--workspace", "a b", "--", *words]
    else:
        assert said == ["why", *words, "--workspace", "a b"]


def test_words_that_are_plain_stay_plain() -> None:
    assert quoted("lig_1:2") == "lig_1:2"
    assert quoted("[old] data") == "'[old] data'"


def test_a_transformation_may_be_called_like_an_option(tmp_path: Path) -> None:
    index = network_index([("a", "b"), ("b", "c"), ("c", "a")])
    named = attrs.evolve(index.transformations[0], name="-r")
    index = attrs.evolve(index, transformations=(named, *index.transformations[1:]))
    records = filled_campaign(tmp_path / "c", index, scattered(index, 2), more={named.id: "error"})
    view: dict[str, Any] = json.loads(call("why", "--json", "--", records.path, "-r:3").output)
    commands = [one["command"] for one in view["commands"]]
    assert [command.endswith(f" -- {records.path} -r:3") for command in commands] == [True, False, True]
    for command in commands:
        assert call(*shlex.split(command)[1:]).exit_code == 0


def test_what_was_computed_is_in_no_table_as_markup(hostile: CampaignRecords) -> None:
    view = json.loads(call("results", hostile.path, "--json").output)
    out = io.StringIO()
    PlainConsole(file=out, width=300).print(results_table(view))
    assert "bicyclo[2.2.1]heptane" in out.getvalue()
