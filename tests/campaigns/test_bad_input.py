"""Every kind of bad input gets its one clear message, exit code 2, no traceback, and nothing is started."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from campaigns import SmallCampaign
from dummy_protocol import DummyProtocol, DummySettings, dummy_network, small_molecule
from ordinary_user import needs_root
from patience import communicate, hear
from places import NO_SKIPS, ROOT

from xpm_alchem import gufe_seam

Change = Callable[[SmallCampaign], None]


def plan(**changes: Any) -> Change:
    """Return a change of campaign.yaml."""
    return lambda campaign: campaign.write_plan(**changes)


def yaml_text(text: str) -> Change:
    """Return a replacement of campaign.yaml."""
    return lambda campaign: campaign.file.write_text(text) and None


def network_bytes(change: Callable[[bytes], bytes]) -> Change:
    """Return a change of the network file's bytes."""

    def apply(campaign: SmallCampaign) -> None:
        path = campaign.path / "network.json"
        path.write_bytes(change(path.read_bytes()))

    return apply


def chain(change: Callable[[list[Any]], Any]) -> Change:
    """Return a change of the network's keyed chain."""

    def apply(text: bytes) -> bytes:
        content = json.loads(text)
        changed = change(content)
        return json.dumps(content if changed is None else changed).encode()

    return network_bytes(apply)


def same_states(campaign: SmallCampaign) -> None:
    system = gufe_seam.ChemicalSystem({"ligand": small_molecule("ligand_0")}, name="ligand_0")
    protocol = DummyProtocol(DummySettings())
    transformation = gufe_seam.Transformation(system, system, protocol, None, name="nothing")
    gufe_seam.save(gufe_seam.AlchemicalNetwork(edges=[transformation]), campaign.path / "network.json")


def double_names(campaign: SmallCampaign) -> None:
    edges = [
        gufe_seam.Transformation(t.stateA, t.stateB, t.protocol, t.mapping, name="twice")
        for t in dummy_network([(0, 1), (1, 2)]).edges
    ]
    gufe_seam.save(gufe_seam.AlchemicalNetwork(edges=edges), campaign.path / "network.json")


def empty_network(campaign: SmallCampaign) -> None:
    gufe_seam.save(gufe_seam.AlchemicalNetwork(edges=[]), campaign.path / "network.json")


def other_gufe_object(campaign: SmallCampaign) -> None:
    (transformation,) = dummy_network([(0, 1)]).edges
    gufe_seam.save(transformation, campaign.path / "network.json")


def of_another_version(content: list[Any]) -> None:
    for _, entry in content:
        if entry["__qualname__"] == "DummyProtocol":
            entry["from_the_future"] = 1


def missing_package(content: list[Any]) -> None:
    content[-1][1]["extra"] = {"__module__": "feflow.protocols", "__qualname__": "NotHere"}


def untrusted(content: list[Any]) -> None:
    content[0][1]["extra"] = {"__module__": "antigravity", "__qualname__": "x"}


def dangling(content: list[Any]) -> None:
    content[-1][1]["edges"].append({":gufe-key:": "Transformation-gone"})


def newer_journal(campaign: SmallCampaign) -> None:
    assert campaign.run().returncode == 0
    journal = campaign.records.path / "tasks.jsonl"
    journal.write_text(journal.read_text().replace('"format_version": 1', '"format_version": 99', 1))


def newer_index(campaign: SmallCampaign) -> None:
    assert campaign.run().returncode == 0
    index = campaign.records.path / "index.json"
    index.write_text(index.read_text().replace('"format_version": 1', '"format_version": 99', 1))


def settings_file(text: str) -> Change:
    """Return a settings.yaml for the user."""

    def apply(campaign: SmallCampaign) -> None:
        path = Path(os.environ["HOME"]) / ".config" / "experimaestro" / "settings.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(text)

    return apply


def gone(name: str) -> Change:
    """Return the removal of a file."""
    return lambda campaign: (campaign.path / name).unlink()


CASES: dict[str, tuple[Change, str]] = {
    # the network file
    "network missing": (gone("network.json"), "there is no such network file"),
    "network cut short": (network_bytes(lambda b: b[: len(b) // 2]), "cut short or damaged"),
    "network binary": (network_bytes(lambda b: b"\x80\x81" + b), "not JSON"),
    "network is other JSON": (network_bytes(lambda b: b'{"a": 1}'), "not an AlchemicalNetwork"),
    "network is a number": (network_bytes(lambda b: b"3"), "not an AlchemicalNetwork"),
    "network is an empty list": (network_bytes(lambda b: b"[]"), "not an AlchemicalNetwork"),
    "network is a Transformation": (other_gufe_object, "holds the gufe class Transformation, not an AlchemicalNetwork"),
    "network is empty": (empty_network, "has no transformations"),
    "stateA is stateB": (same_states, "stateA is stateB"),
    "two transformations of one name": (double_names, "used for more than one transformation: twice"),
    "dangling reference": (chain(dangling), "refers to 'Transformation-gone'"),
    "untrusted module": (chain(untrusted), "'antigravity', which is not trusted and was not imported"),
    "protocol not trusted": (plan(trusted_modules=[]), "'dummy_protocol', which is not trusted"),
    "package not installed": (chain(missing_package), "needs the Python package 'feflow'"),
    "another version's network": (chain(of_another_version), "cannot read this network"),
    # campaign.yaml
    "campaign missing": (gone("campaign.yaml"), "there is no such campaign file"),
    "campaign empty": (yaml_text(""), "it holds no keys"),
    "campaign not YAML": (yaml_text("name: [a, b\nnetwork: x"), "not valid YAML"),
    "campaign runs no code": (yaml_text("name: !!python/object/apply:os.system [true]"), "not valid YAML"),
    "a key twice": (yaml_text("name: a\nname: b\nnetwork: network.json"), "the key 'name' is given twice"),
    "no name": (yaml_text("network: network.json"), "'name' is missing"),
    "bad name": (plan(name="../escape"), "may hold letters, digits"),
    "near miss": (plan(stratgey="uniform"), "did you mean 'strategy'?"),
    "near miss of max_retries": (plan(max_retry=3), "did you mean 'max_retries'?"),
    "near miss inside": (plan(strategy={"name": "uniform", "task_scalling": "linear"}), "did you mean 'task_scaling'"),
    "unknown strategy": (plan(strategy="unifrom"), "did you mean 'uniform'?"),
    "strategy not importable": (plan(strategy="stratocaster.nowhere:Strategy"), "cannot be imported"),
    "strategy not trusted": (plan(strategy="antigravity:Strategy"), "which is not trusted"),
    "strategy's settings": (plan(strategy={"name": "uniform", "settings": {"repeat": 2}}), "did you mean 'repeats'?"),
    "strategy's values": (plan(strategy={"name": "uniform", "settings": {"repeats": 0}}), "bad settings"),
    "unknown mode": (plan(strategy={"mode": "partly"}), "is not one of partial, full, disabled"),
    "negative retries": (plan(max_retries=-1), "is not a whole number of at least 0"),
    "retries in words": (plan(max_retries="three"), "is not a whole number"),
    "broken pattern": (plan(restarts=[{"pattern": "(", "allowed": 1}]), "is no regular expression"),
    "pattern without limit": (plan(restarts=[{"pattern": "x"}]), "'allowed' is missing"),
    # launcher and workspace
    "unknown launcher": (plan(launcher="lokal"), "did you mean 'local'?"),
    "unknown launcher key": (plan(launcher={"kind": "local", "slot": 2}), "did you mean 'slots'?"),
    "unknown kind": (plan(launcher={"kind": "pbs"}), "is no kind of launcher"),
    "launcher's slots": (plan(launcher={"slots": 0}), "is not a whole number of at least 1"),
    "limit within margin": (plan(launcher={"time_limit": 5}), "must be longer than margin"),
    "no duration": (plan(launcher={"time_limit": "soon"}), "is no duration"),
    "requirement unreadable": (plan(launcher="cpu(cores=4) & &"), "cannot be used"),
    "unknown workspace": (plan(workspace="clustre"), "there is no 'clustre'"),
    "no workspace": (plan(workspace=None), "lists none. Give a directory"),
    "settings.yaml damaged": (settings_file("workspaces: ["), "settings.yaml: cannot be read"),
    "settings.yaml wrong type": (settings_file("workspaces: {a: 1}"), "settings.yaml: workspaces"),
    "settings.yaml unknown key": (settings_file("xpm_alchem: {launcher: {}}"), "did you mean 'launchers'?"),
    "newer journal": (newer_journal, "written by a newer xpm-alchem"),
    "newer index": (newer_index, "written by a newer xpm-alchem"),
}


def tree(path: Path) -> dict[str, bytes]:
    """Return every file below a directory with its content."""
    return {str(p): p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("case", CASES)
def test_bad_input(tmp_path: Path, case: str) -> None:
    change, expected = CASES[case]
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1)])
    change(campaign)
    if "settings.yaml" in case:
        campaign.write_plan(workspace="work")
    before = tree(campaign.path)
    done = campaign.run()
    assert done.returncode == 2, done.stdout + done.stderr
    assert expected in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.strip().count("\n") == 0, "one message on one line"
    assert tree(campaign.path) == before


def test_an_unwritable_workspace_is_refused(tmp_path: Path) -> None:
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1)])
    (campaign.path / "workspace").write_text("a file where the directory should be")
    done = campaign.run()
    assert done.returncode == 2
    assert "cannot be used as a workspace" in done.stderr
    assert "Choose another directory" in done.stderr


@pytest.fixture
def small_disk(tmp_path: Path) -> Any:
    """Return a file system of 1 MB."""
    path = tmp_path / "disk"
    path.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", path], capture_output=True).returncode:
        message = "a tmpfs cannot be mounted here (needs root)"
        if NO_SKIPS and os.getuid() == 0:
            pytest.fail(message)
        pytest.skip(message)
    yield path
    subprocess.run(["umount", "-l", path], check=True)


def test_a_full_disk_is_told_before_anything_starts(tmp_path: Path, small_disk: Path) -> None:
    (small_disk / "fill").write_bytes(b"0" * (1 << 20))
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1)], plan={"workspace": str(small_disk)})
    done = campaign.run()
    assert done.returncode == 2
    assert "No space left" in done.stderr
    assert "Free some space" in done.stderr
    assert [path.name for path in small_disk.iterdir()] == ["fill"]


def test_a_disk_that_fills_up_loses_nothing(tmp_path: Path, small_disk: Path) -> None:
    campaign = SmallCampaign(
        tmp_path / "c",
        edges=[(0, 1)],
        script={"simulate 0": {"do": "fill", "file": str(small_disk / "fill"), "times": 1}},
        plan={"workspace": str(small_disk)},
    )
    driver = campaign.start()
    said = hear(driver, "No space left")  # by the driver, which tries again, or of the task
    (small_disk / "fill").unlink()
    said += communicate(driver, 200)[0]
    assert driver.returncode in (0, 1), said
    assert "Traceback" not in said
    for path in small_disk.rglob("*.json"):
        json.loads(path.read_text())  # every file is whole
    assert campaign.call("status", small_disk / "campaigns" / "small").returncode == 0
    if campaign.run().returncode == 1:
        assert campaign.call("retry", campaign.file, "--all").returncode == 0
    assert campaign.run().returncode == 0


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["status", "nothing"], "lists none. Give a directory"),
        (["status", "."], "lists none. Give a directory"),
        (["show", "campaign.yaml"], "was not run yet"),
        (["why", "campaign.yaml", "a:1"], "was not run yet"),
        (["run"], "Missing argument"),
        (["rum", "campaign.yaml"], "No such command"),
        (["run", "campaign.yaml", "--launcher", "lokal"], "did you mean 'local'?"),
        (["run", "."], "give the campaign.yaml in it"),
        (["init", "."], "a directory; give the network's JSON file"),
        (["list", "--workspace", "nowhere"], "there is no 'nowhere'"),
    ],
)
def test_bad_usage(tmp_path: Path, arguments: list[str], expected: str) -> None:
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1)])
    done = campaign.call(*arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert expected in done.stderr
    assert "Traceback" not in done.stderr


def test_why_names_the_repeats_there_are(tmp_path: Path) -> None:
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1)])
    assert campaign.run().returncode == 0
    for task, expected in [
        ("ligand_0_ligand_1_vacuum:7", "has no repeat 7; it has: 1"),
        ("ligand_0_ligand_1_vacuum", "names no task"),
        ("ligand_9:1", "no transformation is called 'ligand_9'"),
    ]:
        done = campaign.call("why", campaign.file, task)
        assert done.returncode == 2
        assert expected in done.stderr


def test_a_campaign_of_somebody_else_is_read_only(tmp_path: Path) -> None:
    needs_root()
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1)])
    assert campaign.run().returncode == 0
    for path in [campaign.path, *campaign.path.rglob("*")]:
        os.chown(path, 65534, 65534, follow_symlinks=False)
    before = tree(campaign.path)
    powers = "-dac_override,-dac_read_search,-fowner,-chown"

    def as_a_guest(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = ["setpriv", f"--bounding-set={powers}", f"--inh-caps={powers}", *campaign.command(*arguments)]
        return subprocess.run(command, cwd="/", capture_output=True, text=True)

    looked = as_a_guest("status", campaign.records.path)
    assert looked.returncode == 0, looked.stderr
    assert "1 complete" in looked.stdout
    ran = as_a_guest("run", campaign.file)
    assert ran.returncode == 2, ran.stdout
    assert "Traceback" not in ran.stderr
    assert "cannot be used as a workspace" in ran.stderr
    assert tree(campaign.path) == before


def test_settings_example_is_valid(own_home: Path) -> None:
    from xpm_alchem.campaign.workspace import find_workspace, read_settings
    from xpm_alchem.launchers.choose import choose_launcher

    path = own_home / ".config" / "experimaestro" / "settings.yaml"
    path.parent.mkdir(parents=True)
    example = ROOT / "settings.example.yaml"
    path.write_text(example.read_text())
    settings = read_settings()
    assert find_workspace(None, settings).id == "work"
    for name in yaml.safe_load(example.read_text())["xpm_alchem"]["launchers"]:
        assert choose_launcher(name, settings.launchers).slots >= 1
