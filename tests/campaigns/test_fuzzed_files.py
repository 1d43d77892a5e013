"""Every file that is read back, damaged in every way: one clear message or a repaired read; nothing is executed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from damage import (
    Damage,
    bytes_damaged,
    endless,
    json_damaged,
    lines_damaged,
    modules_named,
    put_elsewhere,
    versions,
    yaml_damaged,
)
from fuzzed_campaign import (
    NOT_TO_BE_IMPORTED,
    Fuzz,
    ask,
    configure,
    drive,
    execute,
    gather,
    gather_anew,
    history,
    look,
    submit,
    think,
)
from places import ROOT

from xpm_alchem.execution.fence import give_orders

LEAST = {  # cases
    "test_index": 250,
    "test_the_network": 250,
    "test_the_plan": 250,
    "test_what_the_driver_remembers": 200,
    "test_the_journal_of_tasks": 250,
    "test_the_inbox": 150,
    "test_the_journal_of_attempts": 250,
    "test_small_records[summary]": 150,
    "test_small_records[orders]": 150,
    "test_small_records[holder]": 150,
    "test_small_records[lock]": 10,
    "test_gufe_s_files[dag]": 100,
    "test_gufe_s_files[setup]": 100,
    "test_gufe_s_files[result]": 150,
    "test_the_cache": 100,
    "test_the_records_of_slurm_batches": 300,
    "test_experimaestro_s_files": 120,
    "test_the_user_s_settings": 250,
}


@pytest.fixture
def fuzz(
    standing_campaign: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Fuzz]:
    """Return what damages a copy; whatever happens nothing may be killed, executed or imported."""
    trap = tmp_path / "trap"
    trap.mkdir()
    (trap / f"{NOT_TO_BE_IMPORTED}.py").write_text(
        "import pathlib; pathlib.Path(__file__).with_name('imported').touch()\n"
    )
    monkeypatch.syspath_prepend(str(trap))
    monkeypatch.chdir(trap)

    def forbidden(*arguments: object, **_: object) -> None:
        raise AssertionError(f"killed or started {arguments}")

    monkeypatch.setattr("psutil.Process.kill", forbidden)
    monkeypatch.setattr("os.killpg", forbidden)
    monkeypatch.setattr("subprocess.Popen.__init__", forbidden)
    monkeypatch.setattr("os.system", forbidden)
    monkeypatch.setattr("os.fsync", lambda _: None)  # thousands of them
    made = Fuzz(standing_campaign, tmp_path)
    yield made
    request.node.user_properties.append(("fuzzed", made.cases))
    assert made.cases >= LEAST[request.node.name]
    assert sorted(path.name for path in trap.iterdir()) == [f"{NOT_TO_BE_IMPORTED}.py"]
    assert not made.failures, f"{len(made.failures)} of {made.cases}:\n" + "\n".join(made.failures[:400])


def test_index(fuzz: Fuzz) -> None:
    path = fuzz.campaign / "index.json"
    content = path.read_bytes()
    fuzz.looks(path, json_damaged(json.loads(content), depth=3, most=150), look)
    fuzz.looks(path, [*bytes_damaged(content), *versions(content), *put_elsewhere(fuzz.outside)], look, history)
    fuzz.looks(path, [*json_damaged(json.loads(content), depth=3, most=40, seed=2), *endless(content)], think)


def test_the_network(fuzz: Fuzz) -> None:
    path = fuzz.campaign / "network.json"
    content = path.read_bytes()
    chain = json.loads(content)
    fuzz.looks(path, [*bytes_damaged(content), *put_elsewhere(fuzz.outside), *endless(content)], think)
    fuzz.looks(path, json_damaged(chain, depth=4, most=100), think)
    fuzz.looks(path, modules_named(chain, NOT_TO_BE_IMPORTED), think)


def test_the_plan(fuzz: Fuzz) -> None:
    path = fuzz.campaign / "campaign.yaml"
    content = path.read_bytes()
    fuzz.looks(path, [*bytes_damaged(content), *put_elsewhere(fuzz.outside), *endless(content)], look)
    fuzz.looks(path, yaml_damaged(content.decode()), look)


def test_what_the_driver_remembers(fuzz: Fuzz) -> None:
    path = fuzz.campaign / "driver.json"
    content = path.read_bytes()
    damages = [*json_damaged(json.loads(content), most=150), *bytes_damaged(content), *versions(content)]
    fuzz.looks(path, [*damages, *put_elsewhere(fuzz.outside), *endless(content)], look)
    fuzz.changes(path, [*damages[::8], *put_elsewhere(fuzz.outside)], drive, ask)


def test_the_journal_of_tasks(fuzz: Fuzz) -> None:
    path = fuzz.campaign / "tasks.jsonl"
    content = path.read_bytes()
    damages = [*lines_damaged(content, depth=3, most=150), *bytes_damaged(content), *versions(content)]
    fuzz.looks(path, [*damages, *put_elsewhere(fuzz.outside), *endless(content)], look)
    fuzz.looks(path, damages[::5], history, think)
    fuzz.changes(path, [*damages[::8], *put_elsewhere(fuzz.outside)], drive)


def test_the_inbox(fuzz: Fuzz) -> None:
    path = fuzz.campaign / "inbox.jsonl"
    content = path.read_bytes()
    damages = [*lines_damaged(content, depth=3, most=80), *bytes_damaged(content, flips=12), *versions(content)]
    fuzz.changes(path, [*damages, *put_elsewhere(fuzz.outside), *endless(content)], drive)
    fuzz.changes(path, [*damages[::5], *put_elsewhere(fuzz.outside)], ask)


def test_the_journal_of_attempts(fuzz: Fuzz) -> None:
    tasks = fuzz.tasks()
    for kind in ("error", "interrupted"):
        path = tasks[kind].attempts
        content = path.read_bytes()
        damages = [*lines_damaged(content, depth=1, most=80), *bytes_damaged(content, flips=12), *versions(content)]
        fuzz.looks(path, [*damages, *put_elsewhere(fuzz.outside), *endless(content)], history)
        fuzz.changes(path, [*damages[::8], *put_elsewhere(fuzz.outside)], drive, execute)


@pytest.mark.parametrize("name", ["summary", "orders", "holder", "lock"])
def test_small_records(fuzz: Fuzz, name: str) -> None:
    task = fuzz.tasks()["interrupted"]
    path = {
        "summary": task.summary,
        "orders": task.orders,
        "holder": fuzz.campaign / "holder.json",
        "lock": fuzz.campaign / "lock",
    }[name]
    if name == "orders":
        give_orders(task.path, generation=1)
    content = path.read_bytes()
    damages = [*put_elsewhere(fuzz.outside)]
    if content:
        damages += [*json_damaged(json.loads(content), most=60), *bytes_damaged(content), *versions(content)]
    fuzz.looks(path, [*damages, *endless(content)], look)
    fuzz.changes(path, damages[:: 6 if content else 1], drive, ask, execute)


@pytest.mark.parametrize("name", ["dag", "setup", "result"])
def test_gufe_s_files(fuzz: Fuzz, name: str) -> None:
    tasks = fuzz.tasks()
    path = {"dag": tasks["interrupted"].dag, "result": tasks["complete"].result}.get(name)
    path = path or next(tasks["interrupted"].results.glob("*.json"))
    content = path.read_bytes()
    damages = [*bytes_damaged(content, flips=16), *json_damaged(json.loads(content), depth=4, most=50)]
    modules = list(modules_named(json.loads(content), NOT_TO_BE_IMPORTED))
    damages += [*(modules if name == "result" else modules[::2]), *put_elsewhere(fuzz.outside)]
    if name == "result":
        fuzz.looks(path, [*damages, *endless(content)], gather_anew)
    else:
        fuzz.changes(path, damages, execute)


def test_the_cache(fuzz: Fuzz) -> None:
    path = next((fuzz.campaign / "cache").iterdir())
    content = path.read_bytes()
    header, text = content.split(b"\n", 1)
    key, chain = text.split(b"\n", 1)
    damages = [*bytes_damaged(content), *put_elsewhere(fuzz.outside), *endless(content)]
    damages += [before(damage, text) for damage in json_damaged(json.loads(header), most=50)]
    for damage in modules_named(json.loads(chain), NOT_TO_BE_IMPORTED):  # by somebody who knows what an entry is
        damages.append(Damage(damage.name, lambda path, damage=damage: entry(path, damage, json.loads(header), key)))
    fuzz.changes(path, damages, gather)


def before(damage: Damage, text: bytes) -> Damage:
    """Return a damage of what stands before a text."""
    return Damage(damage.name, lambda path: (damage.apply(path), path.write_bytes(path.read_bytes() + b"\n" + text)))


def entry(path: Path, damage: Damage, header: dict[str, object], key: bytes) -> None:
    """Write an entry of the cache with a right checksum."""
    damage.apply(path)
    text = key + b"\n" + path.read_bytes()
    header = {**header, "sha256": hashlib.sha256(text).hexdigest()}
    path.write_bytes(json.dumps(header).encode() + b"\n" + text)


def test_the_records_of_slurm_batches(fuzz: Fuzz) -> None:
    batch = next((fuzz.path / "workspace" / "slurm").iterdir())
    for name in ("batch.json", "job", "claims/0", "ended/0"):
        path = batch / name
        content = path.read_bytes()
        damages = [*bytes_damaged(content, flips=12), *put_elsewhere(fuzz.outside)]
        if name == "batch.json":
            damages += [*json_damaged(json.loads(content)), *versions(content)]
        fuzz.looks(path, damages, submit)


def test_experimaestro_s_files(fuzz: Fuzz) -> None:
    task = fuzz.tasks()["interrupted"].path
    for name in ("run.pid", "run.failed"):
        path = task / name
        content = path.read_bytes() if path.exists() else b'{"reason": "failed"}'
        path.write_bytes(content)
        damages = [*json_damaged(json.loads(content), most=30), *bytes_damaged(content, flips=8)]
        fuzz.changes(path, [*damages, *put_elsewhere(fuzz.outside)], drive)


def test_the_user_s_settings(fuzz: Fuzz, own_home: Path) -> None:
    path = fuzz.path / "settings.yaml"
    used = own_home / ".config" / "experimaestro" / "settings.yaml"
    used.parent.mkdir(parents=True)
    used.symlink_to(path)
    path.write_bytes((ROOT / "settings.example.yaml").read_bytes())
    content = path.read_bytes()
    damages = [
        *bytes_damaged(content),
        *list(yaml_damaged(content.decode(), depth=4))[::2],
        *put_elsewhere(fuzz.outside),
    ]
    fuzz.looks(path, [*damages, *endless(content)], configure)


def test_there_are_2000_cases_at_least() -> None:
    assert sum(LEAST.values()) >= 2000
