"""experimaestro's own features on our types: every block of docs/experimaestro.md is run, by processes of their own."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import patience
import pytest
import yaml
from places import ROOT

from xpm_alchem.campaign.records import CampaignRecords

TRUSTED = ["dummy_protocol", "recording_protocol"]
BLOCK = re.compile(r"^```python\n# file: (\S+)\n(.*?)^```", re.MULTILINE | re.DOTALL)

Run = Callable[..., str]


def documented() -> dict[str, str]:
    """Return the Python blocks of docs/experimaestro.md by file name."""
    return dict(BLOCK.findall((ROOT / "docs" / "experimaestro.md").read_text()))


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """Return a directory with the files of the docs, a network of two legs and its campaign.yaml."""
    import dummy_protocol as dummy
    from recording_protocol import RecordingProtocol

    from xpm_alchem import gufe_seam as seam

    place = tmp_path / "lab"
    place.mkdir()
    for name, text in documented().items():
        (place / name).write_text(text)
    protocol = RecordingProtocol(dummy.DummySettings())
    network = dummy.dummy_network([(0, 1)], environments=("vacuum", "solvent"))
    legs = [seam.Transformation(t.stateA, t.stateB, protocol, None, name=t.name) for t in network.edges]
    seam.save(seam.AlchemicalNetwork(edges=legs, name="lab"), place / "network.json")
    (place / "modules.sh").write_text("echo loading; export LAB_MODULE=cuda-12.4\n")
    write_campaign(place)
    return place


def write_campaign(place: Path, **changes: Any) -> None:
    plan = {
        "name": "lab",
        "network": "network.json",
        "workspace": "./workspace",
        "launcher": {"slots": 2},
        "strategy": {"name": "uniform", "settings": {"repeats": 1}},
        "trusted_modules": TRUSTED,
        **changes,
    }
    (place / "campaign.yaml").write_text(yaml.safe_dump(plan))


@pytest.fixture
def run(lab: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs ``python ARGUMENTS`` in the lab's directory and returns what it printed."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(lab), os.environ["PYTHONPATH"]]))
    monkeypatch.setenv("TRUSTED", " ".join(TRUSTED))

    def call(*arguments: object, cwd: Path = lab) -> str:
        command = [sys.executable, *map(str, arguments)]
        done = patience.run(command, cwd=cwd, seconds=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return call


def environments(workspace: Path) -> list[dict[str, str]]:
    """Return what the setup units saw, one entry for each task."""
    files = sorted(workspace.glob("jobs/xpm_alchem.run/*/results/*.json"))
    return [found for path in files if (found := _environment(json.loads(path.read_text())))]


def _environment(content: Any) -> dict[str, str] | None:
    """Find the recorded environment in a result, in whatever way this gufe nests it."""
    if isinstance(content, dict) and isinstance(content.get("environment"), dict):
        return content["environment"]
    parts = content.values() if isinstance(content, dict) else content if isinstance(content, list) else ()
    return next((found for part in parts if (found := _environment(part))), None)


def statuses(place: Path) -> list[str]:
    """Return the status of each task of the lab's campaign."""
    from xpm_alchem.campaign.records import CampaignRecords

    return [str(task.status) for task in CampaignRecords.open(place).state().tasks.values()]


def test_every_python_block_is_a_file_that_a_test_runs():
    text = (ROOT / "docs" / "experimaestro.md").read_text()
    assert text.count("```python\n") == len(documented())
    here = Path(__file__).read_text()
    imported = {"lab.py", "launchers.py", "lab_experiment.py"}
    assert all(name in imported or f'run("{name}")' in here for name in documented())


def test_a_submit_hook_gives_every_attempt_the_environment_of_a_prologue(lab: Path, run: Run):
    run("run_with_prologue.py")
    found = environments(lab / "workspace")
    assert [each["LAB_MODULE"] for each in found] == ["cuda-12.4"] * 2
    assert all(each["PATH"] for each in found)


def test_a_submit_hook_is_no_part_of_the_identity(lab: Path, run: Run):
    run("run_with_prologue.py")
    before = sorted(lab.glob("workspace/jobs/*/*"))
    write_campaign(lab, name="again")
    run("-c", "from xpm_alchem.client import Campaign; Campaign.create('campaign.yaml').run()")
    assert sorted(lab.glob("workspace/jobs/*/*")) == before
    assert statuses(lab / "workspace" / "campaigns" / "again") == ["complete"] * 2


def test_init_tasks_of_a_campaign_run_in_every_attempt_and_leave_the_tasks_the_same(lab: Path, run: Run):
    run("run_with_init_task.py")
    assert [each["LAB_SCRATCH"] for each in environments(lab / "workspace")] == ["/scratch"] * 2
    campaign = lab / "workspace" / "campaigns" / "lab"
    assert statuses(campaign) == ["complete"] * 2
    directories = {lab / "workspace" / task.directory for task in CampaignRecords.open(campaign).state().tasks.values()}
    assert directories == set(lab.glob("workspace/jobs/*/*"))


def test_an_experiment_of_ones_own_gets_dynamic_outputs_init_tasks_and_cached_methods(lab: Path, run: Run):
    said = run("own_experiment.py").splitlines()
    assert {"unit setup: 1/1", "complete: 1/1"} == set(said)
    assert [said.count(line) >= 2 for line in sorted(set(said))] == [True, True]
    workspace = lab / "own-workspace"
    assert [each["LAB_SCRATCH"] for each in environments(workspace)] == ["/scratch"] * 2
    assert len(list(workspace.glob("config/lab.KeptTransformation/*/transformation.json"))) == 2


def test_experimaestro_lists_the_tasks_of_a_campaign_by_their_tags(lab: Path, run: Run):
    run("-m", "xpm_alchem", "run", "campaign.yaml", "--quiet")
    said = sorted(run("show_tags.py").splitlines())
    assert said == ["done ligand_0->ligand_1 solvent 1", "done ligand_0->ligand_1 vacuum 1"]


@pytest.mark.parametrize(
    ("duration", "queue", "attempts_have_a_limit"), [("10 min", "short", False), ("2h", "long", True)]
)
def test_find_launcher_answers_a_requirement(
    lab: Path, run: Run, own_home: Path, duration: str, queue: str, attempts_have_a_limit: bool
):
    folder = own_home / ".config" / "experimaestro"
    folder.mkdir(parents=True)
    (lab / "launchers.py").rename(folder / "launchers.py")
    write_campaign(lab, launcher=f"duration={duration} & cpu(cores=1)")
    run("-m", "xpm_alchem", "run", "campaign.yaml", "--quiet")
    found = environments(lab / "workspace")
    assert [each["LAB_QUEUE"] for each in found] == [queue] * 2
    assert all(each["PATH"] for each in found)
    scripts = [path.read_text() for path in lab.glob("workspace/jobs/*/*/run.py")]
    assert [("limit_this_process" in script) for script in scripts] == [attempts_have_a_limit] * 2


@pytest.mark.parametrize("file", ["lab_experiment.py", "experiment.py"])
def test_run_experiment_drives_a_campaign_in_its_workspace(lab: Path, run: Run, tmp_path: Path, file: str):
    source = lab / file if file == "lab_experiment.py" else ROOT / "experiments" / "hydration" / file
    (lab / "experiment.py").write_text(source.read_text())
    settings = yaml.safe_load((ROOT / "experiments" / "hydration" / "experiment.yaml").read_text())
    (lab / "experiment.yaml").write_text(yaml.safe_dump(settings))
    workspace = tmp_path / "elsewhere"
    run("-m", "experimaestro", "run-experiment", "--workdir", workspace, "experiment.yaml")
    assert statuses(workspace / "campaigns" / "lab") == ["complete"] * 2
    assert (workspace / "experiments" / settings["id"]).is_dir()
    assert not (lab / "workspace").exists()


def test_a_campaign_of_another_workspace_is_not_driven_in_an_experiment(lab: Path, run: Run):
    said = run(
        "-c",
        "from experimaestro import experiment\n"
        "from xpm_alchem.client import Campaign\n"
        "from xpm_alchem.base.errors import CampaignError\n"
        "campaign = Campaign.create('campaign.yaml')\n"
        "with experiment('other', 'mine', no_environmental_impact=True) as xp:\n"
        "    try:\n"
        "        campaign.run(running=xp)\n"
        "    except CampaignError as error:\n"
        "        print(error)\n",
    )
    assert "workspace" in said and str(lab / "other") in said
    assert statuses(lab / "workspace" / "campaigns" / "lab") == []
