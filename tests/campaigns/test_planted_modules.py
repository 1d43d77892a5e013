"""Python files where a user works: whatever their names, nothing of ours imports them, however it is started."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from campaigns import SmallCampaign
from patience import wait_for
from places import ROOT, python_path
from slurm_campaigns import SlurmCampaign

COMMAND = [str(Path(sys.executable).with_name("xpm-alchem"))]
STANDARD = ("random", "json", "typing", "string", "uuid", "logging", "http", "urllib", "tempfile", "shlex", "copy")
PACKAGES = ("yaml", "click", "psutil", "experimaestro", "gufe", "dummy_protocol", "sitecustomize")


def plant(directory: Path, names: tuple[str, ...]) -> None:
    """Put modules into a directory that note who imports them, and break what does."""
    directory.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        file = directory / (f"{name}.py" if number % 2 else f"{name}/__init__.py")
        file.parent.mkdir(exist_ok=True)
        file.write_text(
            "import sys\n"
            f"open({str(directory / 'planted')!r}, 'a').write(__name__ + ' ' + ' '.join(sys.argv) + '\\n')\n"
            f"raise RuntimeError('planted: ' + __name__)\n"
        )


def plant_everywhere(campaign: SmallCampaign, names: tuple[str, ...]) -> list[Path]:
    """Plant modules beside campaign.yaml, in a directory to start from, and in the workspace; return these."""
    directories = [campaign.path, campaign.path / "start", campaign.path / "workspace"]
    for directory in directories:
        plant(directory, names)
    return directories


def imported(directories: list[Path]) -> list[str]:
    """Return which planted modules were imported, and by what."""
    marks = [directory / "planted" for directory in directories]
    return [line for mark in marks if mark.exists() for line in mark.read_text().splitlines()]


@pytest.fixture
def campaign(tmp_path: Path) -> SmallCampaign:
    """Return a campaign that tells of its end by a command."""
    notify = {"command": ["sh", "-c", "cat > $XPM_ALCHEM_PATH/told"]}
    return SmallCampaign(tmp_path / "c", edges=[(0, 1)], plan={"notify": notify})


def was_told(campaign: SmallCampaign) -> bool:
    """Whether the command of `notify` was run."""
    return "satisfied" in (campaign.records.path / "told").read_text() if campaign.is_made else False


@pytest.mark.slow
@pytest.mark.parametrize("start", [COMMAND, [sys.executable, "-m", "xpm_alchem"]], ids=["command", "python -m"])
def test_a_driver_its_attempts_and_its_messenger_import_nothing_that_lies_about(campaign, start) -> None:
    first = ("xpm_alchem",) if start == COMMAND else ()  # `python -m` itself finds it before anything of ours runs
    directories = plant_everywhere(campaign, (*STANDARD, *PACKAGES, *first))
    command = [*start, "run", campaign.file]
    done = subprocess.run(command, cwd=directories[1], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    wait_for(lambda: (campaign.records.path / "told").exists() and was_told(campaign), what="the messenger")
    assert imported(directories) == []


@pytest.mark.slow
@pytest.mark.parametrize("form", [":{}", "{}:", "{}::"])
def test_an_empty_entry_of_pythonpath_is_not_handed_on(tmp_path: Path, monkeypatch, form: str) -> None:
    """`export PYTHONPATH=$PYTHONPATH:/more` makes one, which stands for the current directory, also of a job."""
    notify = {"command": ["sh", "-c", 'echo "$PYTHONPATH" > $XPM_ALCHEM_PATH/told']}
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1)], plan={"notify": notify})
    path = python_path()
    monkeypatch.setenv("PYTHONPATH", form.format(path))
    assert campaign.run().returncode == 0
    told = campaign.records.path / "told"
    wait_for(lambda: told.exists() and told.read_text().endswith("\n"), what="the notice")
    assert told.read_text() == f"{path}\n"


@pytest.mark.slow
def test_a_detached_driver_imports_nothing_that_lies_about(campaign) -> None:
    directories = plant_everywhere(campaign, (*STANDARD, *PACKAGES, "xpm_alchem"))
    command = [*COMMAND, "run", campaign.file, "--detach"]
    done = subprocess.run(command, cwd=directories[1], capture_output=True, text=True)
    assert done.returncode in (0, 3), done.stdout + done.stderr
    wait_for(lambda: (campaign.records.path / "told").exists() and was_told(campaign), what="the end of the campaign")
    wait_for(lambda: campaign.records.holder() is None, what="the end of the driver")
    assert campaign.json("status")["tasks"]["complete"] == 1
    assert imported(directories) == []


@pytest.mark.slow
@pytest.mark.parametrize("command", [["doctor"], ["show"], ["why", "*:1"], ["report", "--out", "r.html"]], ids=str)
def test_what_looks_imports_nothing_that_lies_about(campaign, command) -> None:
    assert campaign.run().returncode == 0
    directories = plant_everywhere(campaign, (*STANDARD, *PACKAGES, "xpm_alchem"))
    name = campaign.json("results")["transformations"][0]["transformation"]
    words = [word.replace("*", name) for word in command]
    words.insert(1, str(campaign.file))
    done = subprocess.run([*COMMAND, *words], cwd=directories[1], capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert imported(directories) == []


@pytest.mark.slow
@pytest.mark.slurm
@pytest.mark.parametrize("profile", [{}, {"tasks_per_job": 2}], ids=["a task each", "a pool"])
def test_a_slurm_job_imports_nothing_that_lies_about(start_cluster, tmp_path: Path, profile) -> None:
    start_cluster(nodes=1)
    campaign = SlurmCampaign(tmp_path / "c", profile=profile)
    directories = plant_everywhere(campaign, (*STANDARD, *PACKAGES, "xpm_alchem"))
    command = [*COMMAND, "run", campaign.file]
    done = subprocess.run(command, cwd=directories[1], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert imported(directories) == []


def names_the_interpreter(file: Path) -> bool:
    nodes = ast.walk(ast.parse(file.read_text()))
    return any(isinstance(node, ast.Attribute) and node.attr == "executable" for node in nodes)


def test_python_is_started_in_one_way() -> None:
    found = {str(file.relative_to(ROOT)) for file in (ROOT / "xpm_alchem").rglob("*.py") if names_the_interpreter(file)}
    prints = {"xpm_alchem/doctor/environment.py", "xpm_alchem/doctor/node_checks.py"}
    assert found == {"xpm_alchem/base/interpreter.py", *prints}
