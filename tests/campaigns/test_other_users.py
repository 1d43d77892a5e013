"""Workspaces of others, users without a name or a home, and workspaces behind links: no tracebacks."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from campaigns import SmallCampaign
from fuzzed_campaign import name_with
from ordinary_user import needs_root

OWNER = 65534
POWERS = "-dac_override,-dac_read_search,-fowner,-chown"  # root without them is somebody who owns nothing here
LOOKING = ("status", "show", "summary", "results", "failures", "doctor")
ALL_AT_ONCE = """
import sys
sys.path.insert(0, sys.argv[1])
from test_other_users import say_all
say_all()
"""


def say_all() -> None:
    """Run the commands that stdin holds as JSON, one after another; print what each said, and its code."""
    from xpm_alchem.cli import main

    said = []
    for arguments in json.load(sys.stdin):
        out, err, code = io.StringIO(), io.StringIO(), 0
        with redirect_stdout(out), redirect_stderr(err):
            try:
                main(arguments, prog_name="xpm-alchem")
            except SystemExit as end:
                code = int(end.code or 0)
            except BaseException as error:
                code, _ = 99, err.write(f"Traceback: {error!r}")
        said.append((arguments, code, out.getvalue(), err.getvalue()))
    json.dump(said, sys.stdout)


@pytest.fixture
def campaign(standing_campaign: Path, tmp_path: Path) -> SmallCampaign:
    """Return a campaign of another user, with tasks in every state."""
    needs_root()
    shutil.copytree(standing_campaign, tmp_path / "c", symlinks=True)
    for path in [tmp_path / "c", *(tmp_path / "c").rglob("*")]:
        os.chown(path, OWNER, OWNER, follow_symlinks=False)
    return SmallCampaign.at(tmp_path / "c")


Said = list[tuple[list[str], int, str, str]]


def somebody_says(commands: list[list[object]], home: Path) -> Said:
    """Return what commands say to somebody who owns nothing here."""
    program = ["setpriv", f"--bounding-set={POWERS}", f"--inh-caps={POWERS}", "--clear-groups", sys.executable, "-c"]
    done = subprocess.run(
        [*program, ALL_AT_ONCE, str(Path(__file__).parent)],
        cwd="/",
        env={**os.environ, "HOME": str(home)},
        input=json.dumps([[str(word) for word in command] for command in commands]),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return [tuple(each) for each in json.loads(done.stdout)]


def commands_for(campaign: SmallCampaign, given: Path, tmp_path: Path) -> list[list[object]]:
    """Return commands of every kind."""
    task = f"{name_with(campaign, 'error')}:1"
    return [
        *([command, given] for command in LOOKING),
        ["list", "--workspace", campaign.path / "workspace"],
        ["why", given, task],
        ["logs", given, task],
        ["strategy", "show", given],
        ["strategy", "explain", given],
        ["budget", "show", given],
        ["restarts", "list", given],
        ["tasks", "list", given],
        ["report", given, "--out", tmp_path / "home/r.html"],
        ["export", given, "--format", "csv", "--out", tmp_path / "home/tables"],
        ["export", given, "--format", "openfe-results", "--out", tmp_path / "home/results"],
        ["import", given, tmp_path / "home"],
        ["retry", given, task],
        ["cancel", given, task],
        ["stop", given],
        ["run", campaign.file],
        ["run", campaign.file, "--dry-run"],
        ["run", campaign.file, "--detach"],
    ]


@pytest.mark.parametrize(
    "closed",
    [
        "workspace",
        "workspace/campaigns",
        "workspace/campaigns/NAME",
        "workspace/campaigns/NAME/tasks.jsonl",
        "workspace/campaigns/NAME/campaign.yaml",
        "workspace/campaigns/NAME/network.json",
        "workspace/jobs",
        "campaign.yaml",
        "network.json",
        "EVERYTHING",
    ],
)
def test_what_another_user_has_closed_is_told_in_a_sentence(
    campaign: SmallCampaign, tmp_path: Path, own_home: Path, closed: str
) -> None:
    commands = commands_for(campaign, campaign.file, tmp_path)
    if closed == "EVERYTHING":  # as it is made under umask 077
        for path in campaign.path.rglob("*"):
            if not path.is_symlink():
                path.chmod(0o700 if path.is_dir() else 0o600)
        campaign.file.chmod(0o644)
    else:
        path = campaign.path / closed.replace("NAME", campaign.plan["name"])
        path.chmod(0o700 if path.is_dir() else 0o600)
    for arguments, code, _, err in somebody_says(commands, own_home):
        assert "Traceback" not in err, (arguments, err)
        assert code in (0, 1, 2), (arguments, err)
        if code == 2:
            assert err.startswith("Error: "), (arguments, err)
            assert err.strip().count("\n") == 0, (arguments, err)


def test_a_workspace_that_may_not_be_looked_into_is_not_called_empty_or_new(
    campaign: SmallCampaign, tmp_path: Path, own_home: Path
) -> None:
    (campaign.path / "workspace").chmod(0o700)
    show, status, listed = somebody_says(
        [["show", campaign.file], ["status", campaign.records.path], ["list", "-w", campaign.path / "workspace"]],
        own_home,
    )
    for _, code, out, err in (show, status, listed):
        assert code == 2 and out == ""
        assert "Permission denied" in err and "workspace" in err


def test_the_right_advice_is_given_where_a_workspace_cannot_be_written(
    campaign: SmallCampaign, tmp_path: Path, own_home: Path
) -> None:
    ((_, code, _, err),) = somebody_says([["run", campaign.file]], own_home)
    assert code == 2
    assert "Permission denied" in err and "Ask its owner" in err and "Free some space" not in err


# ------------------------------------------------------------------------------------------- users without name or home
@pytest.fixture
def open_place() -> Iterator[Path]:
    """Return a directory that everybody may reach and write to."""
    needs_root()
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o777)
        yield Path(place)


@pytest.fixture
def nameless(open_place: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs a command as a user id that no passwd knows; it may read what lies below /root."""
    powers = "+dac_read_search"

    def run(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {k: v for k, v in os.environ.items() if k not in ("HOME", "USER", "LOGNAME", "XPM_WORKDIR")}
        command = ["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups"]
        command += [f"--inh-caps={powers}", f"--ambient-caps={powers}", sys.executable, "-m", "xpm_alchem"]
        return subprocess.run(
            [*command, *map(str, arguments)],
            cwd=open_place,
            env={**environment, **variables},
            capture_output=True,
            text=True,
        )

    return run


@pytest.mark.parametrize("home", [None, "/proc/1", "/no such place", "relative", ""], ids=str)
def test_a_user_without_a_name_or_a_home_runs_a_campaign_and_looks_at_it(open_place: Path, nameless, home) -> None:
    campaign = SmallCampaign(open_place / "c", edges=[(0, 1)])
    campaign.path.chmod(0o777)
    variables = {} if home is None else {"HOME": home}
    done = nameless("run", campaign.file, **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    for command in (["show", campaign.file], ["list", "--workspace", campaign.path / "workspace"]):
        looked = nameless(*command, **variables)
        assert looked.returncode == 0, looked.stderr
    asked = nameless("show", "a-name", **variables)  # needs settings.yaml, which there is none of
    assert asked.returncode == 2 and "Traceback" not in asked.stderr
    other = nameless("list", "--workspace", "~nobody-of-that-name/x", **variables)
    assert other.returncode == 2 and "is not known here" in other.stderr


# ------------------------------------------------------------------------------------------------------ behind a link
def test_paths_stay_as_they_were_given_also_through_links(tmp_path: Path) -> None:
    campaign = SmallCampaign(tmp_path / "target" / "c", edges=[(0, 1)])
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "target")
    through = link / "c" / "campaign.yaml"
    done = campaign.call("run", through)
    assert done.returncode == 0, done.stderr
    assert f"in {link}/c/workspace/campaigns/" in done.stdout
    for file in (campaign.path / "workspace/jobs").glob("*/*/*"):
        if file.name in ("run.py", "params.json", "run.pid"):
            assert str(tmp_path / "target") not in file.read_text(), file
    (script,) = (campaign.path / "workspace/jobs").glob("*/*/run.py")
    assert str(link) in script.read_text()


@pytest.mark.parametrize("way", ["settings by id", "settings by path", "option", "working directory"])
def test_a_workspace_behind_a_link_keeps_its_link_whichever_way_it_is_named(
    tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    campaign = SmallCampaign(tmp_path / "target" / "c", edges=[(0, 1)])
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "target")
    options: list[object] = ["run", campaign.file, "--dry-run"]
    if way.startswith("settings"):
        settings = own_home / ".config/experimaestro/settings.yaml"
        settings.parent.mkdir(parents=True)
        settings.write_text(f"workspaces:\n- {{id: lab, path: {link}/ws}}\n")
        options += ["--workspace", "lab" if way.endswith("id") else f"{link}/ws"]
    elif way == "option":
        options += ["--workspace", f"{link}/other/../ws"]
        (link / "other").mkdir()
    else:
        monkeypatch.setenv("PWD", str(link / "c"))
        options[1] = "campaign.yaml"
    done = campaign.call(*options)
    assert done.returncode == 0, done.stderr
    assert f" {link}/" in done.stdout
    assert str(tmp_path / "target") not in done.stdout


def test_a_campaign_known_by_its_target_is_the_same_through_a_link(tmp_path: Path) -> None:
    campaign = SmallCampaign(tmp_path / "target" / "c", edges=[(0, 1)])
    assert campaign.run().returncode == 0
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "target")
    campaign.write_plan(strategy={"name": "uniform", "settings": {"repeats": 2}})
    again = campaign.call("run", link / "c" / "campaign.yaml")
    assert again.returncode == 0, again.stderr
    assert {task.repeat: task.attempts for task in campaign.records.state().tasks.values()} == {1: 1, 2: 1}


def test_a_parent_directory_is_the_one_that_the_system_means(tmp_path: Path) -> None:
    (tmp_path / "far/inner").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "far/inner")
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1)])
    done = campaign.call("run", campaign.file, "--dry-run", "--workspace", tmp_path / "link/../ws")
    assert f" {tmp_path}/far/ws/" in done.stdout  # not beside the link
