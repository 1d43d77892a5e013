"""Where a report is written, what is never overwritten, and the command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from filled_campaign import filled_campaign, network_index, scattered

from xpm_alchem.base.errors import WorkspaceError
from xpm_alchem.cli import main
from xpm_alchem.client import Campaign
from xpm_alchem.report.file import ReportFile


@pytest.fixture
def campaign(tmp_path: Path) -> Campaign:
    index = network_index([("a", "b")])
    return Campaign(filled_campaign(tmp_path / "c", index, scattered(index, 1)))


def call(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["report", *map(str, arguments)])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def test_the_command_writes_a_file_and_says_where(campaign, tmp_path):
    out = tmp_path / "report.html"
    assert call(campaign.path, "--out", out) == (0, f"{out}: written; open it in a browser\n")
    assert out.read_text().startswith("<!DOCTYPE html>")
    assert [path.name for path in tmp_path.glob("*report*")] == ["report.html"]


def test_from_python_relative_to_where_one_is(campaign, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert campaign.report("r.html") == tmp_path / "r.html" and (tmp_path / "r.html").is_file()


def test_an_earlier_report_is_overwritten_and_nothing_else(campaign, tmp_path):
    out = tmp_path / "report.html"
    campaign.report(out)
    before = out.stat().st_ino
    campaign.report(out)
    assert out.stat().st_ino != before
    other = tmp_path / "notes.html"
    other.write_text("<p>mine, with a report of xpm-alchem</p>")
    code, said = call(campaign.path, "--out", other)
    assert code == 2 and f"{other}: exists already and is no report of xpm-alchem; --force overwrites it." in said
    assert "mine" in other.read_text()
    assert call(campaign.path, "--out", other, "--force")[0] == 0 and "<!DOCTYPE html>" in other.read_text()


def test_where_it_cannot_be_written_is_said_in_a_sentence(campaign, tmp_path):
    code, said = call(campaign.path, "--out", tmp_path)
    assert code == 2 and f"{tmp_path}: a directory; give the name of a file, for example" in said
    code, said = call(campaign.path, "--out", tmp_path / "no" / "where" / "r.html")
    assert code == 2 and f"there is no directory {tmp_path / 'no' / 'where'}. Make it, or give another name." in said
    code, said = call(campaign.path, "--out", f"{tmp_path / 'c' / 'workspace'}/{'x' * 300}.html")
    assert code == 2 and "cannot be written (File name too long)" in said
    os.mkfifo(tmp_path / "pipe")
    code, said = call(campaign.path, "--out", tmp_path / "pipe")
    assert code == 2 and "pipe: not a file. Give another name." in said
    assert call(tmp_path / "nothing", "--out", tmp_path / "r.html")[0] == 2


def test_a_directory_that_goes_away_meanwhile_is_said(tmp_path):
    with pytest.raises(WorkspaceError, match=r"r\.html: cannot be written \(No such file or directory\)\."):
        ReportFile(tmp_path / "gone" / "r.html").write("<p>")


def test_other_commands_wait_neither_for_plotly_nor_for_jinja2():
    code = "import sys; from xpm_alchem.cli import look, report; print({'plotly', 'jinja2'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
