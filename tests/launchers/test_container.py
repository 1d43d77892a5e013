"""A profile's container: what it may say, the command of each runtime, word by word, and the attempt's side."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest

from xpm_alchem.base.errors import CampaignError, FormatError
from xpm_alchem.execution.processes import HOST
from xpm_alchem.launchers import container as module
from xpm_alchem.launchers.choose import choose_launcher
from xpm_alchem.launchers.container import RUNTIMES, Container
from xpm_alchem.launchers.inside_container import INSIDE, STARTED, pids
from xpm_alchem.launchers.slurm.batch import Batch
from xpm_alchem.launchers.slurm.profile import SlurmProfile
from xpm_alchem.launchers.workers.pool import Offer, Pool, new_task

COMMAND = ["/env/bin/python", "-P", "/ws/jobs/t/1/run.py"]
SECRET = {"MY_TOKEN": "hush", "PATH": "/usr/bin", "LD_LIBRARY_PATH": "/cuda", "BASH_FUNC_m%%": "() {\n}"}
KINDS = ("local", "slurm", "workers")


def parse(**given: Any) -> Container:
    return Container.parse({"image": "openfe", "python": "/opt/bin/python", **given}, "here")


def refusal(given: Any) -> str:
    with pytest.raises(CampaignError) as caught:
        Container.parse(given, "here")
    return str(caught.value)


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a directory with all that is bound, and nothing else: no group, no Python path."""
    for name in ("ws", "here", "scratch", "home", "env/bin", "base", "package/xpm_alchem/launchers"):
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "env"))
    monkeypatch.setattr(sys, "base_prefix", str(tmp_path / "base"))
    monkeypatch.setattr(sys, "path", [str(tmp_path / "env" / "bin"), "/usr/lib", ""])
    monkeypatch.setattr(module, "__file__", str(tmp_path / "package/xpm_alchem/launchers/container.py"))
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    monkeypatch.setattr(os, "getgid", lambda: 100)
    monkeypatch.setattr(os, "getgroups", lambda: [100, 2000])
    return tmp_path


def command(container: Container, places: Path, **more: str) -> str:
    """Return the runtime's command, with the test's directory as ROOT."""
    environment = {"TMPDIR": str(places / "scratch"), "HOME": str(places / "home"), **SECRET, **more}
    made, _ = container.started(COMMAND, environment, workspace=places / "ws")
    assert made[:2] == ["/bin/sh", "-c"] and f"export {STARTED}" in made[2]
    assert "hush" not in str(made)
    return " ".join(made[4:]).replace(str(places), "ROOT")


# --------------------------------------------------------------------------------------------------------- the command
@pytest.mark.parametrize("runtime", ["apptainer", "singularity"])
def test_the_command_of_apptainer(places: Path, runtime: str) -> None:
    container = attrs.evolve(parse(runtime=runtime, options=["--nv"], binds=["/data:/mnt:ro"]), python=None)
    assert command(container, places) == (
        f"{runtime} exec --bind /data:/mnt:ro --bind ROOT/ws --bind ROOT/here --bind ROOT/scratch --bind ROOT/env "
        "--bind ROOT/base --bind ROOT/package --pwd ROOT/here --nv openfe /env/bin/python -P /ws/jobs/t/1/run.py"
    )


def test_the_command_of_podman(places: Path) -> None:
    container = parse(runtime="podman", options=["--device", "nvidia.com/gpu=all"], binds=["/data"])
    assert command(container, places) == (
        "podman run --pid=host --uts=host --ipc=host --network=host --rm --log-driver=none --entrypoint= "
        "--userns=keep-id --workdir ROOT/here --volume /data:/data --volume ROOT/ws:ROOT/ws "
        "--volume ROOT/here:ROOT/here --volume ROOT/scratch:ROOT/scratch --volume ROOT/home:ROOT/home --env HOME "
        f"--env MY_TOKEN --env PYTHONNOUSERSITE --env TMPDIR --env {INSIDE} --env {STARTED} "
        "--device nvidia.com/gpu=all openfe /opt/bin/python -P /ws/jobs/t/1/run.py"
    )


def test_the_command_of_docker(places: Path) -> None:
    made = command(parse(runtime="docker", options=["--gpus", "all"]), places)
    assert made.startswith(
        "docker run --pid=host --uts=host --ipc=host --network=host --rm --log-driver=none --entrypoint= "
        "--user=1000:100 --group-add=2000 --workdir ROOT/here --volume ROOT/ws:ROOT/ws "
    )
    assert made.endswith(" --gpus all openfe /opt/bin/python -P /ws/jobs/t/1/run.py")


def test_what_a_path_leads_to_is_bound_too_and_nothing_of_the_system(places: Path) -> None:
    (places / "link").symlink_to(places / "base")
    made = command(
        parse(binds=[str(places / "env")]), places, PYTHONPATH=f"{places}/link:/usr/lib:{places}/env/bin::/no"
    )
    assert made.startswith(
        "apptainer exec --bind ROOT/env --bind ROOT/ws --bind ROOT/here --bind ROOT/scratch --bind ROOT/link "
        "--bind ROOT/base --pwd "
    )


def test_nothing_is_bound_for_a_directory_of_the_system(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/usr")
    made = command(parse(), places)
    assert "--pwd" not in made and "/usr" not in made


# ------------------------------------------------------------------------------------------------------------ the keys
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("x.sif", "here: 'x.sif' is not a mapping"),
        ({}, "here: needs 'image'"),
        ({"image": "x", "imgae": 1}, "did you mean 'image'?"),
        ({"image": 5}, "here.image: 5 is not a text"),
        ({"image": "/no/x.sif"}, "here.image: there is no /no/x.sif"),
        ({"image": "x.sif"}, "x.sif. Give an image by its whole path"),
        ({"image": "x", "runtime": "rkt"}, "here.runtime: 'rkt' is not one of apptainer, singularity, podman, docker"),
        ({"image": "x", "options": "--nv"}, "here.options: '--nv' is not a list"),
        ({"image": "x", "options": [5]}, "here.options: 5 is not a text"),
        ({"image": "x", "options": ["--nv", "--containall"]}, "'--containall' cannot be given"),
        ({"image": "x", "runtime": "docker", "options": ["--pid=container:x"]}, "'--pid' cannot be given"),
        ({"image": "x", "runtime": "podman", "options": ["-it"]}, "'-t' cannot be given"),
        ({"image": "x", "binds": ["data"]}, "here.binds: 'data' is no whole path"),
        ({"image": "x", "python": "python3"}, "here.python: 'python3' is no whole path"),
    ],
)
def test_what_cannot_be_used_is_refused(given: Any, said: str) -> None:
    assert said in refusal(given)


def test_a_python_of_the_system_must_be_one_of_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "base_prefix", "/usr")
    assert "this Python is of /usr, which cannot be bound" in refusal({"image": "x"})
    assert Container.parse({"image": "x", "binds": ["/usr"]}, "here").binds == ("/usr",)
    assert parse().python == "/opt/bin/python"


def test_a_path_is_made_whole_and_a_name_is_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.sif").touch()
    assert parse(image="x.sif").image == str(tmp_path / "x.sif")
    assert parse(image="docker://registry.example.org/a/b:1.sif").image == "docker://registry.example.org/a/b:1.sif"
    assert parse().runtime == "apptainer" and parse(runtime=None, options=None, binds=None) == parse()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_launcher_has_it(kind: str, tmp_path: Path) -> None:
    given = {"image": "openfe:1", "runtime": "podman", "python": "/opt/bin/python"}
    launcher = choose_launcher({"kind": kind, "container": given}, {})
    assert "in openfe:1 (podman)" in launcher.describe()
    script = launcher.launcher_info_code()
    assert script.index("settle()") < script.index("limits" if kind != "local" else "name_this_launch")
    if kind != "workers":
        assert "podman run --pid=host" in launcher.script(tmp_path)
    with pytest.raises(CampaignError, match=r"container: unknown key 'imag'; did you mean 'image'\?"):
        choose_launcher({"kind": kind, "container": {"imag": "x"}}, {})
    assert "container" not in choose_launcher({"kind": kind}, {}).launcher_info_code()


def test_a_runtime_that_is_not_here_is_said_before_anything_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/none")
    launcher = choose_launcher({"container": {"image": "x", "python": "/p"}}, {})
    with pytest.raises(CampaignError, match="apptainer is not on PATH"):
        launcher.check()


# --------------------------------------------------------------------------------------------------------- the records
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_batches_and_offers_hand_it_on(tmp_path: Path, runtime: str) -> None:
    container = parse(runtime=runtime, options=["--nv"], binds=["/data"])
    batch = Batch.make(
        tmp_path / "slurm", "c", [f"{tmp_path}/jobs/t/1/run.py"], margin=1.0, limit=None, container=container
    )
    batch.write("")
    assert Batch.read(batch.path) == batch
    pool, task = Pool(tmp_path, "main"), new_task(0)
    pool.make()
    offer = Offer(script="s", launch="l", campaign="c", margin=1.0, container=container)
    pool.offer(offer, task)
    assert pool.look_at(task)[0] == offer
    assert SlurmProfile(container=container).pool != SlurmProfile().pool


def test_a_damaged_record_runs_nothing_outside(tmp_path: Path) -> None:
    batch = Batch.make(tmp_path / "slurm", "c", [f"{tmp_path}/jobs/t/1/run.py"], margin=1.0, limit=None)
    for wrong in ({"image": 5}, {"image": "x", "runtime": "sh"}, {"image": "x", "runtime": "podman", "options": [1]}):
        batch.write("")
        content = json.loads((batch.path / "batch.json").read_text())
        (batch.path / "batch.json").write_text(json.dumps({**content, "container": wrong}))
        with pytest.raises(FormatError, match="damaged"):
            Batch.read(batch.path)
        with pytest.raises((ValueError, AttributeError)):
            Container.from_record(wrong)


# --------------------------------------------------------------------------------------------------- the attempt's side
SETTLED = """
import os, sys
from xpm_alchem.launchers.inside_container import settle
settle()
print(os.getsid(0) == os.getpid(), sorted(os.sched_getaffinity(0)), "XPM_ALCHEM_CONTAINER" in os.environ, flush=True)
sys.stdin.read()
"""


def settled(told: dict[str, Any], started: int) -> subprocess.Popen[str]:
    environment = {**os.environ, INSIDE: json.dumps(told), STARTED: str(started)}
    return subprocess.Popen(
        [sys.executable, "-c", SETTLED],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_a_process_inside_leads_a_session_on_its_cores_and_ends_with_the_one_outside() -> None:
    core = min(os.sched_getaffinity(0))
    outside = subprocess.Popen(["sleep", "600"])
    process = settled({"host": HOST, "pids": pids(), "cores": [core]}, outside.pid)
    assert process.stdout is not None
    assert process.stdout.readline() == f"True [{core}] False\n"
    outside.kill()
    outside.wait()
    assert process.wait() == -9  # its standard input is open: at its end it would end by itself
    process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("wrong", [{"host": "elsewhere"}, {"pids": "pid:[1]"}])
def test_a_container_that_counts_or_names_otherwise_is_refused(wrong: dict[str, str]) -> None:
    process = settled({"host": HOST, "pids": pids(), "cores": [0], **wrong}, os.getpid())
    _, said = process.communicate()
    assert process.returncode == 1 and "processes with numbers of its own" in said
