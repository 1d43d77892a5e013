"""settings.yaml, workspaces and launchers: what is wrong is said with the file, the key and the nearest name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from experimaestro.launcherfinder import LauncherRegistry

from xpm_alchem.base.errors import CampaignError, WorkspaceError, XpmAlchemError
from xpm_alchem.campaign.workspace import check_writable, find_workspace, read_settings, settings_path
from xpm_alchem.launchers.choose import choose_launcher
from xpm_alchem.launchers.local import LocalLauncher


@pytest.fixture
def write_settings(own_home):
    """Return a function that writes settings.yaml and reads it."""

    def write_and_read(text: str):
        settings_path().parent.mkdir(parents=True, exist_ok=True)
        settings_path().write_text(text)
        return read_settings()

    return write_and_read


def two_workspaces(path: Path) -> str:
    return f"workspaces:\n  - {{id: cluster, path: {path / 'a'}}}\n  - {{id: laptop, path: {path / 'b'}}}\n"


# ---------------------------------------------------------------------------------------------------- settings.yaml
def test_settings_are_in_the_user_s_home(own_home):
    assert settings_path() == own_home / ".config" / "experimaestro" / "settings.yaml"


def test_without_settings_there_are_defaults():
    settings = read_settings()
    assert settings.launchers == {} and settings.experimaestro.workspaces == []


@pytest.mark.parametrize("text", ["{}", "xpm_alchem:\n", "xpm_alchem: {launchers: }\n"])
def test_empty_sections_are_defaults(write_settings, text):
    assert write_settings(text).launchers == {}


def test_our_section_and_experimaestro_s_are_read_together(write_settings, tmp_path):
    settings = write_settings(two_workspaces(tmp_path) + "xpm_alchem:\n  launchers:\n    gpu: {slots: 2}\n")
    assert [workspace.id for workspace in settings.experimaestro.workspaces] == ["cluster", "laptop"]
    assert settings.launchers == {"gpu": {"slots": 2}}


def test_changed_settings_are_read_again(write_settings, tmp_path):
    assert write_settings("{}").experimaestro.workspaces == []
    assert len(write_settings(two_workspaces(tmp_path)).experimaestro.workspaces) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", "cannot be read: line 1: expected"),
        ("\tx: 1", "cannot be read"),
        ("x: 2026-02-30", "cannot be read"),
        ("[" * 1500, "cannot be read"),
        ("x: !!python/object/apply:os.getcwd []", "cannot be read"),
        ("[a, b]", "holds no keys"),
        ("", "holds no keys; delete it"),  # experimaestro would fail on it later
        ("# nothing yet", "holds no keys; delete it"),
        ("just text", "holds no keys"),
        ("xpm_alchem: 3", "xpm_alchem: is not a mapping"),
        ("xpm_alchem: {launcher: {}}", "xpm_alchem: unknown key 'launcher'; did you mean 'launchers'"),
        ("xpm_alchem: {launchers: [gpu]}", r"xpm_alchem\.launchers: is not a mapping of names to profiles"),
        ("workspaces: 3", "workspaces: "),
        ("workspaces: [{id: a}]", r"workspaces\.0.*path"),
    ],
    ids=lambda text: repr(text[:30]),
)
def test_settings_that_cannot_be_used_are_named_with_the_place(write_settings, text, message):
    with pytest.raises(CampaignError, match=rf"(?s)settings\.yaml: .*{message}"):
        write_settings(text)


def test_settings_that_are_no_text(own_home):
    settings_path().parent.mkdir(parents=True)
    settings_path().write_bytes(b"\xff\xfe\0")
    with pytest.raises(CampaignError, match=r"settings\.yaml: cannot be read"):
        read_settings()


def test_settings_that_are_a_directory(own_home):
    settings_path().mkdir(parents=True)
    with pytest.raises(XpmAlchemError, match=r"settings\.yaml: a directory, where a file should be"):
        read_settings()


# --------------------------------------------------------------------------------------------------------- workspaces
def test_a_workspace_is_found_by_id_by_path_or_as_the_first(write_settings, tmp_path):
    settings = write_settings(two_workspaces(tmp_path))
    assert find_workspace("laptop", settings).path == tmp_path / "b"
    assert find_workspace(str(tmp_path / "b"), settings).id == "laptop"
    assert find_workspace(None, settings).id == "cluster"


def test_a_directory_is_a_workspace(write_settings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = write_settings(two_workspaces(tmp_path))
    assert find_workspace("./new", settings).path == tmp_path / "new"
    assert find_workspace("~/work", settings).path == Path.home() / "work"
    assert find_workspace("./b", settings).id == "laptop"  # the same directory by another name
    (tmp_path / "plain").mkdir()
    assert find_workspace("plain", settings).path == tmp_path / "plain"


@pytest.mark.parametrize(
    ("name", "hint"), [("clutser", "did you mean 'cluster'"), ("xyz", "known are: cluster, laptop")]
)
def test_an_unknown_workspace_is_refused_with_the_nearest_or_all(write_settings, tmp_path, name, hint):
    settings = write_settings(two_workspaces(tmp_path))
    with pytest.raises(CampaignError, match=rf"there is no '{name}'; {hint}.*For a directory, write \./{name}"):
        find_workspace(name, settings)


def test_without_any_workspace_one_must_be_given():
    with pytest.raises(CampaignError, match=r"lists none\. Give a directory: --workspace DIR"):
        find_workspace(None, read_settings())
    with pytest.raises(CampaignError, match="there is no 'cluster'"):
        find_workspace("cluster", read_settings())


def test_a_workspace_is_made_and_left_clean(tmp_path):
    check_writable(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_a_workspace_that_cannot_be_made_says_why(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkspaceError, match=r"cannot be used as a workspace \(Not a directory\).*--workspace"):
        check_writable(tmp_path / "file" / "workspace")


def test_a_workspace_that_may_not_be_written_says_why(tmp_path):
    if os.geteuid() == 0:
        path = Path("/proc/xpm-alchem")  # where even root may make nothing
    else:
        path = tmp_path / "locked"
        path.mkdir(mode=0o500)
    with pytest.raises(WorkspaceError, match="cannot be used as a workspace"):
        check_writable(path)


# ---------------------------------------------------------------------------------------------------------- launchers
def test_the_local_launcher_needs_no_profile():
    launcher = choose_launcher("local", {})
    assert isinstance(launcher, LocalLauncher) and launcher.name == "local"
    assert launcher.profile.time_limit is None and launcher.slots >= 1


def test_a_profile_is_read():
    profile = {
        "kind": "local",
        "slots": 3,
        "threads": 2,
        "time_limit": "1h",
        "margin": "30s",
        "grace": 7,
        "env": {"A": 1},
    }
    launcher = choose_launcher("gpu", {"gpu": profile})
    p = launcher.profile
    assert (launcher.name, launcher.slots, p.threads) == ("gpu", 3, 2)
    assert (p.time_limit, p.margin, p.grace) == (3600.0, 30.0, 7.0)
    assert p.env == {"A": "1"}
    assert (launcher.environ["A"], launcher.environ["OMP_NUM_THREADS"]) == ("1", "2")


def test_a_profile_in_place_and_a_profile_called_local():
    assert choose_launcher({"slots": 5}, {}).slots == 5
    assert choose_launcher("local", {"local": {"slots": 4}}).slots == 4


@pytest.mark.parametrize(("name", "hint"), [("gpus", "did you mean 'gpu'"), ("xyz", "known are: gpu, local")])
def test_an_unknown_launcher_is_refused_with_the_nearest_or_all(name, hint):
    with pytest.raises(CampaignError, match=f"launcher: there is no '{name}'; {hint}"):
        choose_launcher(name, {"gpu": {}})


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        (3, "3 is not a mapping of keys to values"),
        (None, "None is not a mapping"),
        ({"slot": 1}, "unknown key 'slot'; did you mean 'slots'"),
        ({"timelimit": "1h"}, "did you mean 'time_limit'"),
        ({"kind": "slrum"}, r"kind: 'slrum' is no kind of launcher; known are: .*local"),
        ({"slots": 0}, r"slots: 0 is not a whole number of at least 1"),
        ({"slots": True}, r"slots: True is not a whole number"),
        ({"gpus": -1}, r"gpus: -1 is not a number of at least 0"),
        ({"gpus": float("inf")}, r"gpus: inf is not a number of at least 0"),
        ({"slots": "two"}, r"slots: 'two' is not a whole number"),
        ({"threads": 1.5}, r"threads: 1\.5 is not a whole number"),
        ({"time_limit": "soon"}, r"time_limit: 'soon' is no duration"),
        ({"margin": -1}, r"margin: -1 is no duration"),
        ({"time_limit": 5}, r"time_limit \(5 s\) must be longer than margin \(10 s\)"),
        ({"time_limit": float("inf")}, "time_limit: inf is no duration"),
        ({"env": ["A"]}, r"env: \['A'\] is not a mapping of names to values"),
    ],
    ids=str,
)
def test_a_profile_that_cannot_be_used_is_named_with_its_key(profile, message):
    with pytest.raises(CampaignError, match=rf"settings\.yaml: xpm_alchem\.launchers\.gpu.*{message}"):
        choose_launcher("gpu", {"gpu": profile})


@pytest.fixture
def launchers_py(own_home, monkeypatch):
    """Return a function that writes the user's launchers.py; experimaestro's registry is a fresh one."""
    monkeypatch.setattr(LauncherRegistry, "CURRENT_CONFIG_DIR", None)
    monkeypatch.setattr(LauncherRegistry, "INSTANCES", {})
    path = own_home / ".config" / "experimaestro" / "launchers.py"
    path.parent.mkdir(parents=True)
    return path.write_text


FINDER = (
    "from experimaestro.launchers.direct import DirectLauncher\n"
    "from experimaestro.connectors.local import LocalConnector\n"
)


def test_a_requirement_is_answered_by_the_user_s_launchers_py(launchers_py):
    launchers_py(
        "from xpm_alchem.launchers.local import LocalLauncher, LocalProfile\n"
        "def find_launcher(requirements, tags=frozenset()):\n"
        "    return LocalLauncher(LocalProfile(slots=7), 'from launchers.py')\n"
    )
    launcher = choose_launcher("duration=2h & cpu(cores=4)", {})
    assert (launcher.name, launcher.slots) == ("from launchers.py", 7)


def test_experimaestro_s_direct_launcher_becomes_ours_with_its_environment(launchers_py):
    launchers_py(
        FINDER + "def find_launcher(requirements, tags=frozenset()):\n"
        "    launcher = DirectLauncher(LocalConnector.instance())\n"
        "    launcher.setenv('A', 'b')\n"
        "    return launcher\n"
    )
    launcher = choose_launcher("duration=2h & cpu(cores=4)", {})
    assert isinstance(launcher, LocalLauncher) and launcher.environ["A"] == "b"
    assert launcher.name == "duration=2h & cpu(cores=4)"


def test_without_a_launchers_py_a_requirement_means_this_machine(launchers_py):
    assert isinstance(choose_launcher("cpu(cores=1)", {}), LocalLauncher)


@pytest.mark.parametrize("answer", ["None", "3", "'local'"])
def test_an_answer_that_is_no_launcher_is_refused(launchers_py, answer):
    launchers_py(f"def find_launcher(requirements, tags=frozenset()):\n    return {answer}\n")
    with pytest.raises(CampaignError, match=r"launcher: .*'cpu\(cores=1\)'"):
        choose_launcher("cpu(cores=1)", {})


@pytest.mark.parametrize("text", ["def find_launcher(", "raise OSError('no cluster here')", "import nothing_like_this"])
def test_a_broken_launchers_py_is_told(launchers_py, text):
    launchers_py(text)
    with pytest.raises(CampaignError, match=r"the requirement 'cpu\(cores=1\)' cannot be used"):
        choose_launcher("cpu(cores=1)", {})


@pytest.mark.parametrize("requirement", ["duration=", "cpu(", "gpus=4", "duration=2h & nonsense(3)", "&"])
def test_a_requirement_that_cannot_be_parsed_is_refused(launchers_py, requirement):
    with pytest.raises(CampaignError, match=r"launcher: the requirement .* cannot be used"):
        choose_launcher(requirement, {})
